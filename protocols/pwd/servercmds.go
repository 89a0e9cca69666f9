package pwd

import (
	"context"
	"strings"

	"gatepost/router"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var serverCommands = []command{
	{"LISTMODULES", "", func(c *call) (dataformat.Value, error) { return arrayOf(c.actor.Modules(c)) }},
	{"GETMODULE", "module", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.Module(c, c.args.word("module"))) }},
	{"SETMODULE", "module {settings}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetModule(c, c.args.word("module"), c.args.dict("settings"))
	}},
	{"UPDATEMODULE", "module {settings}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.UpdateModule(c, c.args.word("module"), c.args.dict("settings"))
	}},
	{"GETSERVERSETTINGS", "", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.ServerSettings(c)) }},
	{"UPDATESERVERSETTINGS", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.UpdateServerSettings) }},
	{"GETQUEUESETTINGS", "", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.QueueSettings(c)) }},
	{"SETQUEUESETTINGS", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.SetQueueSettings) }},
	{"GETDNRSETTINGS", "", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.DNRSettings(c)) }},
	{"SETDNRSETTINGS", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.SetDNRSettings) }},
	{"UPDATEDNRSETTINGS", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.UpdateDNRSettings) }},
	{"GETLOGSETTINGS", "", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.LogSettings(c)) }},
	{"UPDATELOGSETTINGS", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.UpdateLogSettings) }},
	{"GETROUTERSETTINGS", "", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.RouterSettings(c)) }},
	{"SETROUTERSETTINGS", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.SetRouterSettings) }},
	{"GETROUTERTABLE", "", func(c *call) (dataformat.Value, error) { return stringOf(c.actor.RouterTable(c)) }},
	{"SETROUTERTABLE", "<table>", func(c *call) (dataformat.Value, error) { return c.setText("table", c.actor.SetRouterTable) }},
	{"ROUTE", "address [operation=MAIL|ACCESS|SIGNAL]", routeAddress},
	{"GETHELPERSINFO", "", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.Helpers(c)) }},
	{"GETSTATELEMENT", "oid", func(c *call) (dataformat.Value, error) {
		e, err := c.actor.Element(c, c.args.word("oid"))
		return dataformat.Number(e.Value), err
	}},
	{"GETNEXTSTATNAME", "oid", func(c *call) (dataformat.Value, error) {
		e, err := c.actor.NextElement(c, c.args.word("oid"))
		return dataformat.String(e.OID), err
	}},
	{"SETSTATELEMENT", "oid operation=INC|SET value", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetElement(c, c.args.word("oid"), c.args.word("value"), strings.EqualFold(c.args.word("operation"), "INC"))
	}},
	{"SHUTDOWN", "", func(c *call) (_ dataformat.Value, err error) {
		c.session.after, err = c.actor.Shutdown(c) // the answer goes out first
		return nil, err
	}},
}

// setText passes a text of several lines to a setter.
func (c *call) setText(param string, set func(context.Context, string) error) (dataformat.Value, error) {
	text, ok := dataformat.Text(c.args.values[param])
	if !ok {
		return nil, fault.New("pwd.Text", fault.Invalid, "a string is expected")
	}
	return nil, set(c, text)
}

// operation reads what an address is to be routed for; Access if nothing is said.
func operation(word string) (names.Operation, bool) {
	switch strings.ToUpper(word) {
	case "MAIL":
		return names.Mail, true
	case "", "ACCESS":
		return names.Access, true
	case "SIGNAL":
		return names.Signal, true
	}
	return 0, false
}

// routeAddress answers (module, host, address).
func routeAddress(c *call) (dataformat.Value, error) {
	op, _ := operation(c.args.word("operation"))
	r, err := c.actor.Route(c, op, c.args.word("address"))
	if err != nil {
		return nil, err
	}
	return routeArray(r), nil
}

func routeArray(r router.Route) dataformat.Array {
	return dataformat.Array{dataformat.String(r.Module), dataformat.String(r.Queue), dataformat.String(r.Address.String())}
}
