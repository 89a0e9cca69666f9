package pwd

import (
	"slices"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
)

const storageSyntax = "type=MultiMailbox|TextMailbox|MailDirMailbox|SlicedMailbox|AGrade|BGrade|CGrade"

var accountCommands = []command{
	{"CREATEACCOUNT", "name [" + storageSyntax + "] [PATH path] [LEGACY|EXTERNAL] [{settings}]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.CreateAccount(c, c.name("name"), c.args.dict("settings"), c.storage())
	}},
	{"RENAMEACCOUNT", "old INTO new [PATH path]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.RenameAccount(c, c.name("old"), c.name("new"), c.storage())
	}},
	{"DELETEACCOUNT", "name", func(c *call) (dataformat.Value, error) { return nil, c.actor.DeleteAccount(c, c.name("name")) }},
	{"SETACCOUNTTYPE", "acct " + storageSyntax, func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetAccountType(c, c.name("acct"), c.storage())
	}},
	{"GETACCOUNTSETTINGS", "acct", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.AccountSettings(c, c.name("acct"))) }},
	{"GETACCOUNTEFFECTIVESETTINGS", "acct", func(c *call) (dataformat.Value, error) {
		return dictOf(c.actor.AccountEffectiveSettings(c, c.name("acct")))
	}},
	{"GETACCOUNTONESETTING", "acct key", getAccountOneSetting},
	{"UPDATEACCOUNTSETTINGS", "acct {settings}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.UpdateAccountSettings(c, c.name("acct"), c.args.dict("settings"))
	}},
	{"SETACCOUNTSETTINGS", "acct {settings}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetAccountSettings(c, c.name("acct"), c.args.dict("settings"))
	}},
	{"GETACCOUNTALIASES", "acct", func(c *call) (dataformat.Value, error) { return arrayOf(c.actor.AccountAliases(c, c.name("acct"))) }},
	{"SETACCOUNTALIASES", "acct (aliases)", func(c *call) (dataformat.Value, error) {
		return c.setList("aliases", func(list []string) error { return c.actor.SetAccountAliases(c, c.name("acct"), list) })
	}},
	{"GETACCOUNTTELNUMS", "acct", func(c *call) (dataformat.Value, error) { return arrayOf(c.actor.AccountTelnums(c, c.name("acct"))) }},
	{"SETACCOUNTTELNUMS", "acct (telnums)", func(c *call) (dataformat.Value, error) {
		return c.setList("telnums", func(list []string) error { return c.actor.SetAccountTelnums(c, c.name("acct"), list) })
	}},
	{"MODIFYACCOUNTTELNUMS", "acct {parameters}", modifyTelnums},
	{"GETACCOUNTRIGHTS", "acct", func(c *call) (dataformat.Value, error) { return arrayOf(c.actor.AccountRights(c, c.name("acct"))) }},
	{"SETACCOUNTRIGHTS", "acct (rights)", func(c *call) (dataformat.Value, error) {
		return c.setList("rights", func(list []string) error { return c.actor.SetAccountRights(c, c.name("acct"), list) })
	}},
	{"GETACCOUNTJUNK", "acct", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.AccountJunk(c, c.name("acct"))) }},
	{"RESETACCOUNTJUNK", "acct", func(c *call) (dataformat.Value, error) { return nil, c.actor.ResetAccountJunk(c, c.name("acct")) }},
	{"GETACCOUNTINFO", "acct [KEY key] [(keys)]", getAccountInfo},
	{"GETACCOUNTTOTP", "acct", func(c *call) (dataformat.Value, error) {
		has, left, err := c.actor.SecondFactor(c, c.name("acct"))
		return dataformat.Dict{"Enabled": flagOf(has), "RecoveryCodes": dataformat.Number(left)}, err
	}},
	{"RESETACCOUNTTOTP", "acct", func(c *call) (dataformat.Value, error) { return nil, c.actor.ResetSecondFactor(c, c.name("acct")) }},
	{"KILLACCOUNTSESSIONS", "acct", func(c *call) (dataformat.Value, error) { return nil, c.actor.KillSessions(c, c.name("acct")) }},
	{"GETACCOUNTLOCATION", "acct", func(c *call) (dataformat.Value, error) { return stringOf(c.actor.AccountLocation(c, c.name("acct"))) }},
	{"GETACCOUNTPREFS", "acct", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.AccountPrefs(c, c.name("acct"))) }},
	{"GETACCOUNTEFFECTIVEPREFS", "acct", func(c *call) (dataformat.Value, error) {
		return dictOf(c.actor.AccountEffectivePrefs(c, c.name("acct")))
	}},
	{"UPDATEACCOUNTPREFS", "acct {prefs}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.UpdateAccountPrefs(c, c.name("acct"), c.args.dict("prefs"))
	}},
	{"SETACCOUNTPREFS", "acct {prefs}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetAccountPrefs(c, c.name("acct"), c.args.dict("prefs"))
	}},

	{"GETACCOUNTRPOPS", "acct", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.RPOPs(c, c.name("acct"))) }},
	{"SETACCOUNTRPOPS", "acct {records}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetRPOPs(c, c.name("acct"), c.args.dict("records"))
	}},
	{"SETACCOUNTPASSWORD", "acct PASSWORD|TO password [METHOD method] [TAG tag] [CHECK] [REVOKE]", setAccountPassword},
	{"VERIFYACCOUNTPASSWORD", "acct PASSWORD password", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.VerifyPassword(c, c.name("acct"), c.args.word("password"))
	}},
	{"VERIFYACCOUNTIDENTITY", "acct FOR identity", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.VerifyIdentity(c, c.name("acct"), c.args.word("identity"))
	}},
	{"GETACCOUNTPLAINPASSWORD", "acct", func(c *call) (dataformat.Value, error) { return stringOf(c.actor.RevealPassword(c, c.name("acct"))) }},

	{"LISTFORWARDERS", "[domain]", func(c *call) (dataformat.Value, error) { return arrayOf(c.actor.Forwarders(c, c.args.word("domain"))) }},
	{"CREATEFORWARDER", "name TO address", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.CreateForwarder(c, c.name("name"), c.args.word("address"))
	}},
	{"RENAMEFORWARDER", "old INTO new", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.RenameForwarder(c, c.name("old"), c.args.word("new"))
	}},
	{"DELETEFORWARDER", "name", func(c *call) (dataformat.Value, error) { return nil, c.actor.DeleteForwarder(c, c.name("name")) }},
	{"GETFORWARDER", "name", func(c *call) (dataformat.Value, error) { return stringOf(c.actor.Forwarder(c, c.name("name"))) }},
	{"FINDFORWARDERS", "domain TO address", func(c *call) (dataformat.Value, error) {
		return arrayOf(c.actor.FindForwarders(c, c.args.word("domain"), c.args.word("address")))
	}},

	{"LISTGROUPS", "[domain]", func(c *call) (dataformat.Value, error) { return arrayOf(c.actor.Groups(c, c.args.word("domain"))) }},
	{"CREATEGROUP", "name [{settings}]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.CreateGroup(c, c.name("name"), c.args.dict("settings"))
	}},
	{"RENAMEGROUP", "old INTO new", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.RenameGroup(c, c.name("old"), c.args.word("new"))
	}},
	{"DELETEGROUP", "name", func(c *call) (dataformat.Value, error) { return nil, c.actor.DeleteGroup(c, c.name("name")) }},
	{"GETGROUP", "name", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.Group(c, c.name("name"))) }},
	{"SETGROUP", "name {settings}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.SetGroup(c, c.name("name"), c.args.dict("settings"))
	}},
}

// storage reads how something new is to be stored.
func (c *call) storage() admin.Storage {
	s := admin.Storage{Path: c.args.word("path"), Shared: c.args.has("SHARED"), Special: c.args.has("LEGACY")}
	switch c.args.word("type") {
	case "TextMailbox", "MailDirMailbox", "SlicedMailbox":
		s.Special = true
	}
	return s
}

func getAccountOneSetting(c *call) (dataformat.Value, error) {
	v, err := c.actor.AccountSetting(c, c.name("acct"), c.args.word("key"))
	if err == nil && v == nil {
		v = dataformat.Null{}
	}
	return v, err
}

// getAccountInfo answers one element, or a dictionary of those that are asked for.
func getAccountInfo(c *call) (dataformat.Value, error) {
	keys, err := c.args.strings("keys")
	if err != nil {
		return nil, err
	}
	info, err := c.actor.AccountInfo(c, c.name("acct"))
	if err != nil {
		return nil, err
	}
	if c.args.has("key") {
		if v, ok := info[c.args.word("key")]; ok {
			return v, nil
		}
		return dataformat.String(""), nil
	}
	for k := range info {
		if c.args.has("keys") && !slices.Contains(keys, k) {
			delete(info, k)
		}
	}
	return info, nil
}

func setAccountPassword(c *call) (dataformat.Value, error) {
	if c.args.has("method") || c.args.has("tag") {
		return nil, unsupported("passwords for a method or with a tag are not supported; CREATEDEVICEPASSWORD makes one for some services")
	}
	err := c.actor.SetPassword(c, c.name("acct"), c.args.word("password"), c.args.has("CHECK"))
	if err == nil && c.args.has("REVOKE") {
		err = c.actor.RevokeDevicePasswords(c, c.name("acct"))
	}
	return nil, err
}
