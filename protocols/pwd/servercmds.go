package pwd

import (
	"context"
	"strings"

	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var serverCommands = []command{
	{"LISTMODULES", "", "Settings", func(c *call) (dataformat.Value, error) { return arrayOf(c.admin.Modules(c)) }},
	{"GETMODULE", "module", "Settings", getModule},
	{"SETMODULE", "module {settings}", "Settings", func(c *call) (dataformat.Value, error) { return c.changeModule(c.admin.SetModule) }},
	{"UPDATEMODULE", "module {settings}", "Settings", func(c *call) (dataformat.Value, error) { return c.changeModule(c.admin.UpdateModule) }},
	{"GETSERVERSETTINGS", "", "Settings", func(c *call) (dataformat.Value, error) { return dictOf(c.admin.ServerSettings(c)) }},
	{"UPDATESERVERSETTINGS", "{settings}", "Settings", func(c *call) (dataformat.Value, error) { return c.change(c.admin.UpdateServerSettings) }},
	{"GETQUEUESETTINGS", "", "Settings", func(c *call) (dataformat.Value, error) { return dictOf(c.admin.QueueSettings(c)) }},
	{"SETQUEUESETTINGS", "{settings}", "Settings", func(c *call) (dataformat.Value, error) { return c.change(c.admin.SetQueueSettings) }},
	{"GETLOGSETTINGS", "", "Settings", func(c *call) (dataformat.Value, error) { return dictOf(c.admin.LogSettings(c)) }},
	{"UPDATELOGSETTINGS", "{settings}", "Settings", func(c *call) (dataformat.Value, error) { return c.change(c.admin.UpdateLogSettings) }},
	{"GETROUTERSETTINGS", "", "Settings", func(c *call) (dataformat.Value, error) { return dictOf(c.admin.RouterSettings(c)) }},
	{"SETROUTERSETTINGS", "{settings}", "Settings", func(c *call) (dataformat.Value, error) { return c.change(c.admin.SetRouterSettings) }},
	{"GETROUTERTABLE", "", "Settings", func(c *call) (dataformat.Value, error) { return stringOf(c.admin.RouterTable(c)) }},
	{"SETROUTERTABLE", "<table>", "Settings", func(c *call) (dataformat.Value, error) { return c.changeText("table", c.admin.SetRouterTable) }},
	{"GETCLIENTIPS", "", "Settings", func(c *call) (dataformat.Value, error) { return dataformat.String(c.acc.ClientIPs().String()), nil }},
	{"SETCLIENTIPS", "<list>", "Settings", func(c *call) (dataformat.Value, error) { return c.changeText("list", c.acc.SetClientIPs) }},
	{"ROUTE", "address [operation=MAIL|ACCESS|SIGNAL]", "Settings UserAccounts", routeAddress},
}

// module returns the name of the module that is meant. Only those that are
// listed can be read and changed by name: Main.settings has commands of its own.
func (c *call) module() (string, error) {
	list, err := c.admin.Modules(c)
	if err != nil {
		return "", err
	}
	for _, name := range list {
		if strings.EqualFold(name, c.args.word("module")) {
			return name, nil
		}
	}
	return "", fault.New("pwd.Module", fault.NotFound, "unknown module")
}

func getModule(c *call) (dataformat.Value, error) {
	name, err := c.module()
	if err != nil {
		return nil, err
	}
	return dictOf(c.admin.Module(c, name))
}

func (c *call) changeModule(set func(context.Context, string, dataformat.Dict) error) (dataformat.Value, error) {
	name, err := c.module()
	if err != nil {
		return nil, err
	}
	return nil, set(c, name, c.args.dict("settings"))
}

// changeText passes a text of several lines to a setter.
func (c *call) changeText(param string, set func(context.Context, string) error) (dataformat.Value, error) {
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
	a, err := address.Parse(c.args.word("address"))
	if err != nil {
		return nil, err
	}
	r, err := c.router.Route(c, op, a)
	if err != nil {
		return nil, err
	}
	return routeArray(r), nil
}

func routeArray(r router.Route) dataformat.Array {
	return dataformat.Array{dataformat.String(r.Module), dataformat.String(r.Queue), dataformat.String(r.Address.String())}
}
