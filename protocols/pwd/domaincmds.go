package pwd

import (
	"strconv"

	"gatepost/accounts"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var domainCommands = []command{
	{"LISTDOMAINS", "", "UserAccounts", listDomains},
	{"MAINDOMAINNAME", "", "any", mainDomainName},
	{"CREATEDOMAIN", "new [SHARED] [PATH path] [{settings}]", "UserAccounts", createDomain},
	{"RENAMEDOMAIN", "domain INTO new [PATH path]", "UserAccounts", renameDomain},
	{"DELETEDOMAIN", "domain [FORCE]", "UserAccounts", deleteDomain},
	{"GETDOMAINSETTINGS", "[domain]", "D", getDomainSettings},
	{"GETDOMAINEFFECTIVESETTINGS", "[domain]", "D", getDomainEffectiveSettings},
	{"UPDATEDOMAINSETTINGS", "[domain] {settings}", "D", updateDomainSettings},
	{"SETDOMAINSETTINGS", "domain {settings}", "UserAccounts", setDomainSettings},
	{"GETDOMAINALIASES", "domain", "D", getDomainAliases},
	{"SETDOMAINALIASES", "domain (aliases)", "UserAccounts", setDomainAliases},
	{"GETDOMAINLOCATION", "[domain]", "UserAccounts", getDomainLocation},
	{"SUSPENDDOMAIN", "domain", "UserAccounts", suspendDomain},
	{"RESUMEDOMAIN", "domain", "UserAccounts", resumeDomain},
	{"LISTADMINDOMAINS", "[domain]", "D", listAdminDomains},
	{"LISTACCOUNTS", "[domain]", "D", listAccounts},
	{"LISTDOMAINOBJECTS", "domain [FILTER filter] #limit [ACCOUNTS] [ALIASES] [FORWARDERS] [COOKIE cookie]", "D", listDomainObjects},
}

func listDomains(c *call) (dataformat.Value, error) { return arrayOf(c.acc.Domains(c)) }

func mainDomainName(c *call) (dataformat.Value, error) {
	return dataformat.String(c.acc.MainDomain()), nil
}

func createDomain(c *call) (dataformat.Value, error) {
	const op = "pwd.CreateDomain"
	if c.args.has("SHARED") {
		return nil, fault.New(op, fault.Unsupported, "not a cluster member")
	}
	if err := c.plainStorage(); err != nil {
		return nil, err
	}
	return nil, c.acc.CreateDomain(c, c.args.word("new"), c.args.dict("settings"))
}

// renameDomain is for secondary domains: the Main Domain is renamed in the
// server's settings.
func renameDomain(c *call) (dataformat.Value, error) {
	if c.target.domain == c.acc.MainDomain() {
		return nil, fault.New("pwd.RenameDomain", fault.Denied, "this is the main domain; UPDATESERVERSETTINGS {DomainName=...;} renames it")
	}
	if err := c.plainStorage(); err != nil {
		return nil, err
	}
	return nil, c.acc.RenameDomain(c, c.target.domain, c.args.word("new"))
}

func deleteDomain(c *call) (dataformat.Value, error) {
	return nil, c.acc.DeleteDomain(c, c.target.domain, c.args.has("FORCE"))
}

func getDomainSettings(c *call) (dataformat.Value, error) {
	return dictOf(c.acc.DomainSettings(c.target.domain))
}

func getDomainEffectiveSettings(c *call) (dataformat.Value, error) {
	return dictOf(c.acc.DomainEffectiveSettings(c.target.domain))
}

// updateDomainSettings changes what the asker may change and ignores the rest.
func updateDomainSettings(c *call) (dataformat.Value, error) {
	update := dataformat.Dict{}
	for k, v := range c.args.dict("settings") {
		if c.rights.Domain(c.target.domain, k) {
			update[k] = v
		}
	}
	return nil, c.acc.UpdateDomainSettings(c, c.target.domain, update)
}

func setDomainSettings(c *call) (dataformat.Value, error) {
	return nil, c.acc.SetDomainSettings(c, c.target.domain, c.args.dict("settings"))
}

func getDomainAliases(c *call) (dataformat.Value, error) {
	return arrayOf(c.acc.DomainAliases(c.target.domain))
}

func setDomainAliases(c *call) (dataformat.Value, error) {
	list, err := c.args.strings("aliases")
	if err != nil {
		return nil, err
	}
	return nil, c.acc.SetDomainAliases(c, c.target.domain, list)
}

func getDomainLocation(c *call) (dataformat.Value, error) {
	return stringOf(c.acc.DomainLocation(c.target.domain))
}

func suspendDomain(c *call) (dataformat.Value, error) {
	return nil, c.acc.SuspendDomain(c, c.target.domain, true)
}

func resumeDomain(c *call) (dataformat.Value, error) {
	return nil, c.acc.SuspendDomain(c, c.target.domain, false)
}

// listAdminDomains answers the domains that administrators of the target may
// administer too.
func listAdminDomains(c *call) (dataformat.Value, error) {
	return arrayOf(c.acc.AdminDomains(c, c.target.domain))
}

// accountType is how listings name the kind of every account: the suffix of its
// directory.
const accountType = dataformat.String("macnt")

func listAccounts(c *call) (dataformat.Value, error) {
	list, err := c.acc.Accounts(c, c.target.domain)
	if err != nil {
		return nil, err
	}
	d := make(dataformat.Dict, len(list))
	for _, name := range list {
		d[name] = accountType
	}
	return d, nil
}

// listDomainObjects answers (accounts, {name=object;...}, aliases, forwarders),
// and with COOKIE one element more: what to send for the next page, "" after the
// last.
func listDomainObjects(c *call) (dataformat.Value, error) {
	o := accounts.ListOptions{
		Filter: c.args.word("filter"), Limit: max(0, c.args.number("limit")), After: c.args.word("cookie"),
		Accounts: c.args.has("ACCOUNTS"), Aliases: c.args.has("ALIASES"), Forwarders: c.args.has("FORWARDERS"),
	}
	if !o.Accounts && !o.Aliases && !o.Forwarders {
		o.Accounts = true
	}
	list, err := c.acc.ListObjects(c, c.target.domain, o)
	if err != nil {
		return nil, err
	}
	objects := dataformat.Dict{}
	for name, o := range list.Objects {
		switch o.Kind {
		case names.Account:
			objects[name] = accountType
		case names.Alias:
			objects[name] = dataformat.Array{dataformat.String(o.Name)}
		case names.Forwarder:
			objects[name] = dataformat.Array{dataformat.Array{dataformat.String(o.Target)}}
		}
	}
	count := func(n int) dataformat.Value { return dataformat.String(strconv.Itoa(n)) }
	answer := dataformat.Array{count(list.Accounts), objects, count(list.Aliases), count(list.Forwarders)}
	if c.args.has("cookie") {
		cookie := ""
		if list.More && len(list.Names) > 0 {
			cookie = list.Names[len(list.Names)-1]
		}
		answer = append(answer, dataformat.String(cookie))
	}
	return answer, nil
}
