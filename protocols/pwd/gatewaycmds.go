package pwd

import (
	"gatepost/server/dataformat"
)

var gatewayCommands = []command{
	{"LISTGATEWAYS", "", func(c *call) (dataformat.Value, error) { return arrayOf(c.actor.Gateways(c)) }},
	{"GETGATEWAY", "name", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.Gateway(c, c.args.word("name"))) }},
	{"CREATEGATEWAY", "name {settings}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.CreateGateway(c, c.args.word("name"), c.args.dict("settings"))
	}},
	{"UPDATEGATEWAY", "name {settings}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.UpdateGateway(c, c.args.word("name"), c.args.dict("settings"))
	}},
	{"DELETEGATEWAY", "name", func(c *call) (dataformat.Value, error) { return nil, c.actor.DeleteGateway(c, c.args.word("name")) }},
	{"TESTGATEWAY", "name [TO address]", testGateway},
	{"TESTTRIGGERHANDLER", "name", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.TestTriggerHandler(c, c.args.word("name"))
	}},
	{"SENDTESTMESSAGE", "TO address", func(c *call) (dataformat.Value, error) {
		return stringOf(c.actor.SendTestMessage(c, c.args.word("address")))
	}},
}

// testGateway answers {Steps=("...", ...); Success=YES;}: a failure is an answer too.
func testGateway(c *call) (dataformat.Value, error) {
	steps, ok, err := c.actor.TestGateway(c, c.args.word("name"), c.args.word("address"))
	if err != nil {
		return nil, err
	}
	list, err := arrayOf(steps, nil)
	return dataformat.Dict{"Steps": list, "Success": flagOf(ok)}, err
}
