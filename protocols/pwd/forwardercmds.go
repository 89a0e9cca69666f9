package pwd

import (
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var forwarderCommands = []command{
	{"LISTFORWARDERS", "[domain]", "D", listForwarders},
	{"CREATEFORWARDER", "name TO address", "D:CanCreateForwarders", createForwarder},
	{"RENAMEFORWARDER", "old INTO new", "D:CanCreateForwarders", renameForwarder},
	{"DELETEFORWARDER", "name", "D:CanCreateForwarders", deleteForwarder},
	{"GETFORWARDER", "name", "D", getForwarder},
	{"FINDFORWARDERS", "domain TO address", "D", findForwarders},
}

func listForwarders(c *call) (dataformat.Value, error) {
	return arrayOf(c.acc.Forwarders(c, c.target.domain))
}

func createForwarder(c *call) (dataformat.Value, error) {
	return nil, c.acc.CreateForwarder(c, c.target.domain, c.target.name, c.args.word("address"))
}

func renameForwarder(c *call) (dataformat.Value, error) {
	name, domain := splitName(c.args.word("new"))
	if domain != "" {
		if real, ok := c.acc.DomainName(domain); !ok || real != c.target.domain {
			return nil, fault.New("pwd.Forwarder", fault.Invalid, "a forwarder cannot move to another domain")
		}
	}
	return nil, c.acc.RenameForwarder(c, c.target.domain, c.target.name, name)
}

func deleteForwarder(c *call) (dataformat.Value, error) {
	return nil, c.acc.DeleteForwarder(c, c.target.domain, c.target.name)
}

func getForwarder(c *call) (dataformat.Value, error) {
	return stringOf(c.acc.Forwarder(c, c.target.domain, c.target.name))
}

func findForwarders(c *call) (dataformat.Value, error) {
	return arrayOf(c.acc.FindForwarders(c, c.target.domain, c.args.word("address")))
}
