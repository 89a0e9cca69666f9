package pwd

import (
	"context"

	"gatepost/server/dataformat"
)

var defaultsCommands = []command{
	{"GETDOMAINDEFAULTS", "", "UserAccounts", func(c *call) (dataformat.Value, error) { return c.acc.DomainDefaults(), nil }},
	{"UPDATEDOMAINDEFAULTS", "{settings}", "UserAccounts", func(c *call) (dataformat.Value, error) { return c.change(c.acc.UpdateDomainDefaults) }},
	{"SETDOMAINDEFAULTS", "{settings}", "UserAccounts", func(c *call) (dataformat.Value, error) { return c.change(c.acc.SetDomainDefaults) }},
	{"GETSERVERACCOUNTDEFAULTS", "", "UserAccounts", func(c *call) (dataformat.Value, error) { return c.acc.ServerAccountDefaults(), nil }},
	{"UPDATESERVERACCOUNTDEFAULTS", "{settings}", "UserAccounts", func(c *call) (dataformat.Value, error) { return c.change(c.acc.UpdateServerAccountDefaults) }},
	{"SETSERVERACCOUNTDEFAULTS", "{settings}", "UserAccounts", func(c *call) (dataformat.Value, error) { return c.change(c.acc.SetServerAccountDefaults) }},
	{"GETSERVERACCOUNTPREFS", "", "UserAccounts", func(c *call) (dataformat.Value, error) { return c.acc.ServerAccountPrefs(), nil }},
	{"UPDATESERVERACCOUNTPREFS", "{settings}", "UserAccounts", func(c *call) (dataformat.Value, error) { return c.change(c.acc.UpdateServerAccountPrefs) }},
	{"SETSERVERACCOUNTPREFS", "{settings}", "UserAccounts", func(c *call) (dataformat.Value, error) { return c.change(c.acc.SetServerAccountPrefs) }},

	{"GETACCOUNTDEFAULTS", "[domain]", "D", func(c *call) (dataformat.Value, error) { return dictOf(c.acc.AccountDefaults(c.target.domain)) }},
	{"UPDATEACCOUNTDEFAULTS", "[domain] {settings}", "D", func(c *call) (dataformat.Value, error) { return c.changeAllowed(c.acc.UpdateAccountDefaults) }},
	{"SETACCOUNTDEFAULTS", "[domain] {settings}", "UserAccounts", func(c *call) (dataformat.Value, error) { return c.changeIn(c.acc.SetAccountDefaults) }},
	{"GETACCOUNTTEMPLATE", "[domain]", "D", func(c *call) (dataformat.Value, error) {
		return c.withoutSecrets(c.acc.AccountTemplate(c.target.domain))
	}},
	{"UPDATEACCOUNTTEMPLATE", "[domain] {settings}", "D", func(c *call) (dataformat.Value, error) { return c.changeAllowed(c.acc.UpdateAccountTemplate) }},
	{"SETACCOUNTTEMPLATE", "[domain] {settings}", "UserAccounts", func(c *call) (dataformat.Value, error) { return c.changeIn(c.acc.SetAccountTemplate) }},
	{"GETACCOUNTDEFAULTPREFS", "[domain]", "D", func(c *call) (dataformat.Value, error) { return dictOf(c.acc.AccountDefaultPrefs(c.target.domain)) }},
	{"UPDATEACCOUNTDEFAULTPREFS", "[domain] {settings}", "D:WebUserSettings", func(c *call) (dataformat.Value, error) { return c.changeIn(c.acc.UpdateAccountDefaultPrefs) }},
	{"SETACCOUNTDEFAULTPREFS", "[domain] {settings}", "D:WebUserSettings", func(c *call) (dataformat.Value, error) { return c.changeIn(c.acc.SetAccountDefaultPrefs) }},
}

// change passes the given settings to a setter of the server.
func (c *call) change(set func(context.Context, dataformat.Dict) error) (dataformat.Value, error) {
	return nil, set(c, c.args.dict("settings"))
}

// changeIn passes the given settings to a setter of the target's domain.
func (c *call) changeIn(set func(context.Context, string, dataformat.Dict) error) (dataformat.Value, error) {
	return nil, set(c, c.target.domain, c.args.dict("settings"))
}

// changeAllowed is changeIn with what the asker may change.
func (c *call) changeAllowed(set func(context.Context, string, dataformat.Dict) error) (dataformat.Value, error) {
	return nil, set(c, c.target.domain, c.allowed(c.args.dict("settings")))
}
