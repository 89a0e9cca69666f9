package pwd

import (
	"slices"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var accountCommands = []command{
	{"CREATEACCOUNT", "name [type=MultiMailbox|TextMailbox|MailDirMailbox|SlicedMailbox|AGrade|BGrade|CGrade] [PATH path] [LEGACY|EXTERNAL] [{settings}]", "D:CanCreateAccounts", createAccount},
	{"RENAMEACCOUNT", "old INTO new [PATH path]", "D:CanCreateAccounts", renameAccount},
	{"DELETEACCOUNT", "name", "D:CanCreateAccounts", deleteAccount},
	{"SETACCOUNTTYPE", "acct type=MultiMailbox|TextMailbox|MailDirMailbox|SlicedMailbox|AGrade|BGrade|CGrade", "D:CanCreateAccounts", setAccountType},
	{"GETACCOUNTSETTINGS", "acct", "D own", getAccountSettings},
	{"GETACCOUNTEFFECTIVESETTINGS", "acct", "D own", getAccountEffectiveSettings},
	{"GETACCOUNTONESETTING", "acct key", "D own", getAccountOneSetting},
	{"UPDATEACCOUNTSETTINGS", "acct {settings}", "D", updateAccountSettings},
	{"SETACCOUNTSETTINGS", "acct {settings}", "UserAccounts", setAccountSettings},
	{"GETACCOUNTALIASES", "acct", "D", getAccountAliases},
	{"SETACCOUNTALIASES", "acct (aliases)", "D:CanCreateAliases", setAccountAliases},
	{"GETACCOUNTRIGHTS", "acct", "D", getAccountRights},
	{"SETACCOUNTRIGHTS", "acct (rights)", "UserAccounts", setAccountRights},
	{"GETACCOUNTINFO", "acct [KEY key] [(keys)]", "D own", getAccountInfo},
	{"KILLACCOUNTSESSIONS", "acct", "D", killAccountSessions},
	{"GETACCOUNTLOCATION", "acct", "UserAccounts", getAccountLocation},
	{"GETACCOUNTPREFS", "acct", "D own", getAccountPrefs},
	{"GETACCOUNTEFFECTIVEPREFS", "acct", "D own", getAccountEffectivePrefs},
	{"UPDATEACCOUNTPREFS", "acct {prefs}", "D:WebUserSettings", updateAccountPrefs},
	{"SETACCOUNTPREFS", "acct {prefs}", "D:WebUserSettings", setAccountPrefs},
}

func createAccount(c *call) (dataformat.Value, error) {
	if err := c.plainStorage(); err != nil {
		return nil, err
	}
	given := c.args.dict("settings")
	return nil, c.acc.CreateAccount(c, c.target.domain, c.target.name, c.allowed(given))
}

// plainStorage refuses to choose a place. Types and forms of storage are accepted: there
// is one form, which has what each of them has.
func (c *call) plainStorage() error {
	if c.args.has("path") {
		return fault.New("pwd.Storage", fault.Unsupported, "storage paths are not supported")
	}
	return nil
}

// allowed takes out of settings what the asker may not change; this is no error.
func (c *call) allowed(settings dataformat.Dict) dataformat.Dict {
	out := dataformat.Dict{}
	for k, v := range settings {
		if c.rights.Setting(c.target.domain, k) {
			out[k] = v
		}
	}
	return out
}

func renameAccount(c *call) (dataformat.Value, error) {
	if err := c.plainStorage(); err != nil {
		return nil, err
	}
	// A new name without a domain stays in the domain of the account.
	name, domain := splitName(c.args.word("new"))
	to := target{domain: c.target.domain}
	if domain != "" {
		var err error
		to, err = c.domain(domain)
		if err != nil && !c.rights.Server(accounts.RightUsers) {
			err = errDenied() // as in a domain that exists and is somebody else's
		}
		if err != nil {
			return nil, err
		}
	}
	if to.domain != c.target.domain && !c.rights.Domain(to.domain, "CanCreateAccounts") {
		return nil, errDenied()
	}
	// Rights belong to names: a file may give some to one that nobody has yet.
	if err := c.covers(to.domain, name); err != nil {
		return nil, err
	}
	return nil, c.acc.RenameAccount(c, c.target.domain, c.target.name, to.domain, name)
}

func deleteAccount(c *call) (dataformat.Value, error) {
	return nil, c.acc.DeleteAccount(c, c.target.domain, c.target.name)
}

// setAccountType has nothing to change: all types are one.
func setAccountType(c *call) (dataformat.Value, error) {
	_, err := c.acc.Account(c, c.target.domain, c.target.name)
	return nil, err
}

func getAccountSettings(c *call) (dataformat.Value, error) {
	return c.withoutSecrets(c.acc.AccountSettings(c, c.target.domain, c.target.name))
}

func getAccountEffectiveSettings(c *call) (dataformat.Value, error) {
	return c.withoutSecrets(c.acc.AccountEffectiveSettings(c, c.target.domain, c.target.name))
}

const keyPassword = "Password"

// seesPasswords reports whether the asker may read the stored form of the
// target's password, from which it can be guessed, if it is not the password
// itself.
func (c *call) seesPasswords() (bool, error) {
	if !c.rights.Server(accounts.RightUsers) {
		return false, nil
	}
	theirs, err := c.acc.RightsOfName(c.target.domain, c.target.name)
	return err == nil && c.rights.Covers(theirs), err
}

// withoutSecrets answers settings, with the password only for those who may see it.
func (c *call) withoutSecrets(d dataformat.Dict, err error) (dataformat.Value, error) {
	if err != nil {
		return nil, err
	}
	sees, err := c.seesPasswords()
	if !sees {
		delete(d, keyPassword)
	}
	return dictOf(d, err)
}

func getAccountOneSetting(c *call) (dataformat.Value, error) {
	a, err := c.acc.Account(c, c.target.domain, c.target.name)
	if err != nil {
		return nil, err
	}
	key := c.args.word("key")
	if key == keyPassword {
		if sees, err := c.seesPasswords(); !sees {
			return dataformat.Null{}, err
		}
	}
	if v := a.Setting(key); v != nil {
		return v, nil
	}
	return dataformat.Null{}, nil
}

func updateAccountSettings(c *call) (dataformat.Value, error) {
	update := c.allowed(c.args.dict("settings"))
	return nil, c.acc.UpdateAccountSettings(c, c.target.domain, c.target.name, update)
}

func setAccountSettings(c *call) (dataformat.Value, error) {
	return nil, c.acc.SetAccountSettings(c, c.target.domain, c.target.name, c.args.dict("settings"))
}

func getAccountAliases(c *call) (dataformat.Value, error) {
	return arrayOf(c.acc.AccountAliases(c, c.target.domain, c.target.name))
}

func setAccountAliases(c *call) (dataformat.Value, error) {
	list, err := c.args.strings("aliases")
	if err != nil {
		return nil, err
	}
	for i, alias := range list {
		local, domain := splitName(alias)
		if domain == "" {
			continue
		}
		if real, ok := c.acc.DomainName(domain); !ok || real != c.target.domain {
			return nil, fault.New("pwd.Aliases", fault.Invalid, "aliases are names in the domain of the account")
		}
		list[i] = local
	}
	return nil, c.acc.SetAccountAliases(c, c.target.domain, c.target.name, list)
}

func getAccountRights(c *call) (dataformat.Value, error) {
	return arrayOf(c.acc.AccountRights(c, c.target.domain, c.target.name))
}

// setAccountRights needs Master in the Main Domain, whose accounts can have
// server rights.
func setAccountRights(c *call) (dataformat.Value, error) {
	if c.target.domain == c.acc.MainDomain() && !c.rights.Server(accounts.RightMaster) {
		return nil, errDenied()
	}
	list, err := c.args.strings("rights")
	if err != nil {
		return nil, err
	}
	return nil, c.acc.SetAccountRights(c, c.target.domain, c.target.name, list)
}

func getAccountInfo(c *call) (dataformat.Value, error) {
	info, err := c.acc.AccountInfo(c, c.target.domain, c.target.name)
	if err != nil {
		return nil, err
	}
	switch {
	case c.args.has("key"):
		if v, ok := info[c.args.word("key")]; ok {
			return v, nil
		}
		return dataformat.String(""), nil
	case c.args.has("keys"):
		keys, err := c.args.strings("keys")
		if err != nil {
			return nil, err
		}
		for k := range info {
			if !slices.Contains(keys, k) {
				delete(info, k)
			}
		}
	}
	return info, nil
}

// killAccountSessions ends the sessions of an account on all wires; the one that
// asks stays.
func killAccountSessions(c *call) (dataformat.Value, error) {
	return nil, c.acc.KillSessions(c, c.target.domain, c.target.name)
}

func getAccountLocation(c *call) (dataformat.Value, error) {
	return stringOf(c.acc.AccountLocation(c, c.target.domain, c.target.name))
}

func getAccountPrefs(c *call) (dataformat.Value, error) {
	return dictOf(c.acc.AccountPrefs(c, c.target.domain, c.target.name))
}

func getAccountEffectivePrefs(c *call) (dataformat.Value, error) {
	return dictOf(c.acc.AccountEffectivePrefs(c, c.target.domain, c.target.name))
}

func updateAccountPrefs(c *call) (dataformat.Value, error) {
	return nil, c.acc.UpdateAccountPrefs(c, c.target.domain, c.target.name, c.args.dict("prefs"))
}

func setAccountPrefs(c *call) (dataformat.Value, error) {
	return nil, c.acc.SetAccountPrefs(c, c.target.domain, c.target.name, c.args.dict("prefs"))
}

// dictOf answers a dictionary; none is an empty one.
func dictOf(d dataformat.Dict, err error) (dataformat.Value, error) {
	if err != nil {
		return nil, err
	}
	if d == nil {
		d = dataformat.Dict{}
	}
	return d, nil
}

// arrayOf answers an array of strings.
func arrayOf(list []string, err error) (dataformat.Value, error) {
	if err != nil {
		return nil, err
	}
	a := make(dataformat.Array, len(list))
	for i, s := range list {
		a[i] = dataformat.String(s)
	}
	return a, nil
}

// stringOf answers a string.
func stringOf(s string, err error) (dataformat.Value, error) {
	if err != nil {
		return nil, err
	}
	return dataformat.String(s), nil
}
