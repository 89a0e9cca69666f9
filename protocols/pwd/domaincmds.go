package pwd

import (
	"context"
	"strconv"

	"gatepost/accounts"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

var domainCommands = []command{
	{"LISTDOMAINS", "", func(c *call) (dataformat.Value, error) { return arrayOf(c.actor.Domains(c)) }},
	{"MAINDOMAINNAME", "", func(c *call) (dataformat.Value, error) { return stringOf(c.actor.MainDomain(c)) }},
	{"CREATEDOMAIN", "new [SHARED] [PATH path] [{settings}]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.CreateDomain(c, c.args.word("new"), c.args.dict("settings"), c.storage())
	}},
	{"RENAMEDOMAIN", "domain INTO new [PATH path]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.RenameDomain(c, c.args.word("domain"), c.args.word("new"), c.storage())
	}},
	{"DELETEDOMAIN", "domain [FORCE]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.DeleteDomain(c, c.args.word("domain"), c.args.has("FORCE"))
	}},
	{"GETDOMAINALIASES", "domain", func(c *call) (dataformat.Value, error) {
		return arrayOf(c.actor.DomainAliases(c, c.args.word("domain")))
	}},
	{"SETDOMAINALIASES", "domain (aliases)", func(c *call) (dataformat.Value, error) {
		return c.setList("aliases", func(list []string) error { return c.actor.SetDomainAliases(c, c.args.word("domain"), list) })
	}},
	{"GETDOMAINJUNK", "[domain]", func(c *call) (dataformat.Value, error) {
		return dictOf(c.actor.DomainJunk(c, c.args.word("domain")))
	}},
	{"RESETDOMAINJUNK", "domain", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.ResetDomainJunk(c, c.args.word("domain"))
	}},
	{"GETDOMAINLOCATION", "[domain]", func(c *call) (dataformat.Value, error) {
		return stringOf(c.actor.DomainLocation(c, c.args.word("domain")))
	}},
	{"SUSPENDDOMAIN", "domain", func(c *call) (dataformat.Value, error) { return nil, c.actor.SuspendDomain(c, c.args.word("domain")) }},
	{"RESUMEDOMAIN", "domain", func(c *call) (dataformat.Value, error) { return nil, c.actor.ResumeDomain(c, c.args.word("domain")) }},
	{"LISTADMINDOMAINS", "[domain]", func(c *call) (dataformat.Value, error) {
		return arrayOf(c.actor.AdminDomains(c, c.args.word("domain")))
	}},
	{"LISTACCOUNTS", "[domain]", listAccounts},
	{"LISTDOMAINTELNUMS", "domain [FILTER filter] #limit", func(c *call) (dataformat.Value, error) {
		return telnumsOf(c.actor.DomainTelnums(c, c.args.word("domain"), c.args.word("filter"), c.args.number("limit")))
	}},
	{"LISTSERVERTELNUMS", "[FILTER filter] #limit", func(c *call) (dataformat.Value, error) {
		return telnumsOf(c.actor.ServerTelnums(c, c.args.word("filter"), c.args.number("limit")))
	}},
	{"LISTDOMAINOBJECTS", "domain [FILTER filter] #limit [ACCOUNTS] [ALIASES] [FORWARDERS] [COOKIE cookie]", listDomainObjects},

	{"LISTDKIMKEYS", "[domain]", func(c *call) (dataformat.Value, error) { return c.getIn(c.actor.DKIMKeys) }},
	{"CREATEDKIMKEY", "domain [SELECTOR selector] [ALGORITHM algorithm]", func(c *call) (dataformat.Value, error) {
		return stringOf(c.actor.CreateDKIMKey(c, c.args.word("domain"), c.args.word("selector"), c.args.word("algorithm")))
	}},
	{"IMPORTDKIMKEY", "domain selector pem", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.ImportDKIMKey(c, c.args.word("domain"), c.args.word("selector"), c.args.word("pem"))
	}},
	{"ACTIVATEDKIMKEY", "domain selector", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.ActivateDKIMKey(c, c.args.word("domain"), c.args.word("selector"))
	}},
	{"RETIREDKIMKEY", "domain selector", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.RetireDKIMKey(c, c.args.word("domain"), c.args.word("selector"))
	}},
	{"DELETEDKIMKEY", "domain selector", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.DeleteDKIMKey(c, c.args.word("domain"), c.args.word("selector"))
	}},
	{"GETDOMAINCERTIFICATE", "[domain]", func(c *call) (dataformat.Value, error) { return c.getIn(c.actor.DomainCertificate) }},
	{"GENERATEDOMAINKEY", "domain [KIND kind]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.GenerateDomainKey(c, c.args.word("domain"), c.args.word("kind"))
	}},
	{"CREATEDOMAINCERTIFICATE", "domain {subject}", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.CreateDomainCertificate(c, c.args.word("domain"), c.args.dict("subject"))
	}},
	{"GETCERTIFICATEREQUEST", "domain {subject}", func(c *call) (dataformat.Value, error) {
		return stringOf(c.actor.CertificateRequest(c, c.args.word("domain"), c.args.dict("subject")))
	}},
	{"IMPORTDOMAINCERTIFICATE", "domain pem [KEY key]", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.ImportDomainCertificate(c, c.args.word("domain"), c.args.word("pem"), c.args.word("key"))
	}},
	{"IMPORTDOMAINPKCS12", "domain {file}", func(c *call) (dataformat.Value, error) {
		given := c.args.dict("file")
		file, ok := given["File"].(dataformat.Data)
		if !ok {
			return nil, fault.New("pwd.ImportPKCS12", fault.Invalid, "File, a data block, and Password are expected")
		}
		return nil, c.actor.ImportDomainPKCS12(c, c.args.word("domain"), file, given.String("Password"))
	}},
	{"REMOVEDOMAINCERTIFICATE", "domain", func(c *call) (dataformat.Value, error) {
		return nil, c.actor.RemoveDomainCertificate(c, c.args.word("domain"))
	}},
	{"GETDNSRECORDS", "[domain]", func(c *call) (dataformat.Value, error) {
		return valueOf(c.actor.DNSRecords(c, c.args.word("domain")))
	}},
	{"CHECKDNSRECORDS", "[domain]", func(c *call) (dataformat.Value, error) {
		return valueOf(c.actor.CheckDNS(c, c.args.word("domain")))
	}},
	{"GETDMARCREPORTS", "[domain] [DAYS #days]", func(c *call) (dataformat.Value, error) {
		return dictOf(c.actor.DMARCReports(c, c.args.word("domain"), c.args.number("days")))
	}},
	{"CHECKTLS", "name", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.CheckTLS(c, c.args.word("name"))) }},
	{"CHECKHOST", "", func(c *call) (dataformat.Value, error) { return valueOf(c.actor.CheckHost(c)) }},

	{"GETDOMAINDEFAULTS", "", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.DomainDefaults(c)) }},
	{"UPDATEDOMAINDEFAULTS", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.UpdateDomainDefaults) }},
	{"SETDOMAINDEFAULTS", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.SetDomainDefaults) }},
	{"GETSERVERACCOUNTDEFAULTS", "", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.ServerAccountDefaults(c)) }},
	{"UPDATESERVERACCOUNTDEFAULTS", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.UpdateServerAccountDefaults) }},
	{"SETSERVERACCOUNTDEFAULTS", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.SetServerAccountDefaults) }},
	{"GETSERVERACCOUNTPREFS", "", func(c *call) (dataformat.Value, error) { return dictOf(c.actor.ServerAccountPrefs(c)) }},
	{"UPDATESERVERACCOUNTPREFS", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.UpdateServerAccountPrefs) }},
	{"SETSERVERACCOUNTPREFS", "{settings}", func(c *call) (dataformat.Value, error) { return c.set(c.actor.SetServerAccountPrefs) }},

	{"GETDOMAINSETTINGS", "[domain]", func(c *call) (dataformat.Value, error) { return c.getIn(c.actor.DomainSettings) }},
	{"GETDOMAINEFFECTIVESETTINGS", "[domain]", func(c *call) (dataformat.Value, error) { return c.getIn(c.actor.DomainEffectiveSettings) }},
	{"UPDATEDOMAINSETTINGS", "[domain] {settings}", func(c *call) (dataformat.Value, error) { return c.setIn(c.actor.UpdateDomainSettings) }},
	{"SETDOMAINSETTINGS", "domain {settings}", func(c *call) (dataformat.Value, error) { return c.setIn(c.actor.SetDomainSettings) }},
	{"GETACCOUNTDEFAULTS", "[domain]", func(c *call) (dataformat.Value, error) { return c.getIn(c.actor.AccountDefaults) }},
	{"UPDATEACCOUNTDEFAULTS", "[domain] {settings}", func(c *call) (dataformat.Value, error) { return c.setIn(c.actor.UpdateAccountDefaults) }},
	{"SETACCOUNTDEFAULTS", "[domain] {settings}", func(c *call) (dataformat.Value, error) { return c.setIn(c.actor.SetAccountDefaults) }},
	{"GETACCOUNTTEMPLATE", "[domain]", func(c *call) (dataformat.Value, error) { return c.getIn(c.actor.AccountTemplate) }},
	{"UPDATEACCOUNTTEMPLATE", "[domain] {settings}", func(c *call) (dataformat.Value, error) { return c.setIn(c.actor.UpdateAccountTemplate) }},
	{"SETACCOUNTTEMPLATE", "[domain] {settings}", func(c *call) (dataformat.Value, error) { return c.setIn(c.actor.SetAccountTemplate) }},
	{"GETACCOUNTDEFAULTPREFS", "[domain]", func(c *call) (dataformat.Value, error) { return c.getIn(c.actor.AccountDefaultPrefs) }},
	{"UPDATEACCOUNTDEFAULTPREFS", "[domain] {settings}", func(c *call) (dataformat.Value, error) { return c.setIn(c.actor.UpdateAccountDefaultPrefs) }},
	{"SETACCOUNTDEFAULTPREFS", "[domain] {settings}", func(c *call) (dataformat.Value, error) { return c.setIn(c.actor.SetAccountDefaultPrefs) }},
}

// valueOf answers an array.
func valueOf(list dataformat.Array, err error) (dataformat.Value, error) {
	if err != nil {
		return nil, err
	}
	return list, nil
}

// set passes the given settings to a setter.
func (c *call) set(set func(context.Context, dataformat.Dict) error) (dataformat.Value, error) {
	return nil, set(c, c.args.dict("settings"))
}

// getIn answers settings of the domain.
func (c *call) getIn(get func(context.Context, string) (dataformat.Dict, error)) (dataformat.Value, error) {
	return dictOf(get(c, c.args.word("domain")))
}

// setIn passes the given settings to a setter of the domain.
func (c *call) setIn(set func(context.Context, string, dataformat.Dict) error) (dataformat.Value, error) {
	return nil, set(c, c.args.word("domain"), c.args.dict("settings"))
}

// accountType is how listings name the kind of every account: the suffix of its
// directory.
const accountType = dataformat.String("macnt")

func listAccounts(c *call) (dataformat.Value, error) {
	list, err := c.actor.Accounts(c, c.args.word("domain"))
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
	list, err := c.actor.ListObjects(c, c.args.word("domain"), o)
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
