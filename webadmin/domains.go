package webadmin

import (
	"net/http"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file has the pages about domains.

func domainPages() []*page {
	return []*page{
		{path: "Users/Domains", title: "Domains", menu: true, may: (*call).mayDomains, get: (*call).domainsPage,
			post: map[string]func(*call) error{"create": (*call).createDomain}},
		formPage(page{path: "Users/Domain Defaults", title: "Domain Defaults", call: "GETDOMAINDEFAULTS", menu: true}, (*call).domainDefaultsForm),
		formPage(page{path: "Users/Account Defaults", title: "Account Defaults", call: "GETSERVERACCOUNTDEFAULTS", menu: true}, (*call).serverDefaultsForm),

		{path: "Users/Domains/{domain}", call: "GETDOMAINSETTINGS", get: func(c *call) error { return c.redirect(link("Users", "Domains", c.params["domain"], "Objects")) }},
		{path: "Users/Domains/{domain}/Objects", title: "Objects", call: "LISTDOMAINOBJECTS", tab: true, get: (*call).objectsPage,
			post: map[string]func(*call) error{"account": (*call).createAccount, "forwarder": (*call).createForwarder, "group": (*call).createGroup, "list": (*call).createList}},
		formPage(page{path: "Users/Domains/{domain}/Domain Settings", title: "Domain Settings", call: "GETDOMAINSETTINGS", tab: true,
			post: map[string]func(*call) error{"aliases": (*call).setDomainAliases, "suspend": (*call).suspendDomain, "resume": (*call).resumeDomain, "rename": (*call).renameDomain}},
			(*call).domainForm),
		formPage(page{path: "Users/Domains/{domain}/Account Defaults", title: "Account Defaults", call: "GETACCOUNTDEFAULTS", tab: true}, (*call).accountDefaultsForm),
		formPage(page{path: "Users/Domains/{domain}/Template", title: "Template", call: "GETACCOUNTTEMPLATE", tab: true}, (*call).templateForm),
		{path: "Users/Domains/{domain}/Remove", title: "Remove Domain", call: "DELETEDOMAIN", get: (*call).removeDomainPage,
			post: map[string]func(*call) error{"remove": (*call).removeDomain}},
	}
}

// mayDomains: administrators of a domain see those that they administer.
func (c *call) mayDomains() bool {
	return c.may("LISTDOMAINS") || c.actor.May(c.ctx(), "LISTADMINDOMAINS", admin.Name{Domain: c.q.Account.Domain})
}

// domainRow is a line of the list of domains.
type domainRow struct {
	Name      string
	Main      bool
	Accounts  int
	Aliases   []string
	Suspended bool
	Error     string
}

type domainList struct {
	Rows      []domainRow
	Filter    string
	Total     int
	First     int
	Next      string
	MayCreate bool
	Name      string // that was typed
	Error     string
}

// domains lists the domains that somebody administers.
func (c *call) domains() ([]string, error) {
	if c.may("LISTDOMAINS") {
		return c.actor.Domains(c.ctx())
	}
	own := c.q.Account.Domain
	others, err := c.actor.AdminDomains(c.ctx(), own)
	if err != nil {
		return nil, err
	}
	list := []string{own}
	for _, d := range others {
		if d != own && c.actor.May(c.ctx(), "GETDOMAINSETTINGS", admin.Name{Domain: d}) {
			list = append(list, d)
		}
	}
	return list, nil
}

func (c *call) domainsPage() error { return c.drawDomains(http.StatusOK, "", "") }

func (c *call) drawDomains(status int, typed, problem string) error {
	all, err := c.domains()
	if err != nil {
		return err
	}
	query := c.r.URL.Query()
	list := &domainList{Filter: query.Get("filter"), Total: len(all), MayCreate: c.may("CREATEDOMAIN"), Name: typed, Error: problem}
	if f := strings.ToLower(strings.TrimSpace(list.Filter)); f != "" {
		all = slices.DeleteFunc(all, func(d string) bool { return !strings.Contains(d, f) })
	}
	if after := query.Get("after"); after != "" {
		if i := slices.Index(all, after); i >= 0 {
			all, list.First = all[i+1:], i+1
		}
	}
	if len(all) > c.prefs.Rows {
		all = all[:c.prefs.Rows]
		list.Next = all[len(all)-1]
	}
	for _, d := range all {
		list.Rows = append(list.Rows, c.domainRow(d))
	}
	return c.show(status, "domains", c.T("Domains"), list)
}

func (c *call) domainRow(name string) domainRow {
	row := domainRow{Name: name, Main: name == c.Accounts.MainDomain()}
	objects, err := c.actor.ListObjects(c.ctx(), name, accounts.ListOptions{Limit: 0, Accounts: true})
	if err != nil {
		row.Error = c.reason(err)
		return row
	}
	row.Accounts = objects.Accounts
	if row.Aliases, err = c.actor.DomainAliases(c.ctx(), name); err != nil {
		row.Error = c.reason(err)
	}
	row.Suspended = c.Accounts.Suspended(name)
	return row
}

func (c *call) createDomain() error {
	name := strings.TrimSpace(c.field("name"))
	if err := c.actor.CreateDomain(c.ctx(), name, nil, admin.Storage{}); err != nil {
		if kept(err) {
			return c.drawDomains(http.StatusUnprocessableEntity, name, c.reason(err))
		}
		return err
	}
	return c.done(link("Users", "Domains", strings.ToLower(name), "Objects"), &flash{
		Text: c.T("The domain %s has been created.", name), Command: "CREATEDOMAIN " + name, File: "Domains/" + strings.ToLower(name),
	})
}

// kept reports whether a failure is one that the form shows again with what was typed.
func kept(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Exists, fault.NotFound, fault.NoDomain, fault.TooMany, fault.NotEmpty, fault.Unsupported:
		return true
	}
	return false
}

func (c *call) domainDefaultsForm() *formOf {
	return &formOf{
		title:  c.T("Domain Defaults"),
		sheet:  func() (*admin.Sheet, error) { return c.actor.DomainDefaultsSheet(c.ctx()) },
		update: func(d dataformat.Dict) error { return c.actor.UpdateDomainDefaults(c.ctx(), d) },
		only:   func(s settings.Setting) bool { return s.Key != "IPAddresses" },
		verb:   "UPDATEDOMAINDEFAULTS", file: "Settings/DomainDefault.settings",
	}
}

func (c *call) serverDefaultsForm() *formOf {
	return &formOf{
		title: c.T("Account Defaults"), custom: true,
		sheet:  func() (*admin.Sheet, error) { return c.actor.ServerAccountDefaultsSheet(c.ctx()) },
		update: func(d dataformat.Dict) error { return c.actor.UpdateServerAccountDefaults(c.ctx(), d) },
		only:   ofMany,
		verb:   "UPDATESERVERACCOUNTDEFAULTS", file: "Settings/DomainDefault.settings",
	}
}

// ofMany are the settings of accounts that many can have alike.
func ofMany(s settings.Setting) bool { return s.Key != "Password" && s.Key != "RealName" }

// domainExtra is what the page of a domain has beside the form.
type domainExtra struct {
	Name, Aliases, AliasesWas, AliasError string
	MayAliases                            bool
	Main, Suspended                       bool
	MaySuspend, MayRename, MayRemove      bool
	NewName, RenameError                  string
}

func (c *call) domainExtra() *domainExtra {
	name := c.params["domain"]
	e := &domainExtra{Name: name, MayAliases: c.may("SETDOMAINALIASES"), MaySuspend: c.may("SUSPENDDOMAIN"), MayRename: c.may("RENAMEDOMAIN"), MayRemove: c.may("DELETEDOMAIN")}
	if list, err := c.actor.DomainAliases(c.ctx(), name); err == nil {
		e.Aliases = strings.Join(list, "\n")
	}
	e.AliasesWas, e.NewName = e.Aliases, name
	e.Main, e.Suspended = name == c.Accounts.MainDomain(), c.Accounts.Suspended(name)
	return e
}

func (c *call) domainForm() *formOf { return c.domainFormWith(c.domainExtra()) }

func (c *call) domainFormWith(e *domainExtra) *formOf {
	name := c.params["domain"]
	return &formOf{
		title: c.T("Domain Settings"), content: "domain", extra: e,
		sheet:  func() (*admin.Sheet, error) { return c.actor.DomainSheet(c.ctx(), name) },
		update: func(d dataformat.Dict) error { return c.actor.UpdateDomainSettings(c.ctx(), name, d) },
		only:   func(s settings.Setting) bool { return !slices.Contains(certificateSettings, s.Key) },
		verb:   "UPDATEDOMAINSETTINGS " + name, file: c.domainFile("domain.settings"),
	}
}

// domainFile is the path of a file of the domain, for those who may know.
func (c *call) domainFile(file string) string {
	if !c.may("GETDOMAINLOCATION") {
		return ""
	}
	dir, err := c.actor.DomainLocation(c.ctx(), c.params["domain"])
	if err != nil {
		return ""
	}
	return dir + "/Settings/" + file
}

func (c *call) accountDefaultsForm() *formOf {
	name := c.params["domain"]
	return &formOf{
		title: c.T("Account Defaults"), custom: true,
		sheet:  func() (*admin.Sheet, error) { return c.actor.AccountDefaultsSheet(c.ctx(), name) },
		update: func(d dataformat.Dict) error { return c.actor.UpdateAccountDefaults(c.ctx(), name, d) },
		only:   ofMany,
		verb:   "UPDATEACCOUNTDEFAULTS " + name, file: c.domainFile("domain.settings"),
	}
}

func (c *call) templateForm() *formOf {
	name := c.params["domain"]
	return &formOf{
		title: c.T("Template"), custom: true, content: "template",
		sheet:  func() (*admin.Sheet, error) { return c.actor.AccountTemplateSheet(c.ctx(), name) },
		update: func(d dataformat.Dict) error { return c.actor.UpdateAccountTemplate(c.ctx(), name, d) },
		only:   ofMany,
		verb:   "UPDATEACCOUNTTEMPLATE " + name, file: c.domainFile("template.settings"),
	}
}

func (c *call) setDomainAliases() error {
	name := c.params["domain"]
	text := c.field("aliases")
	if err := c.actor.SetDomainAliases(c.ctx(), name, strings.Fields(text)); err != nil {
		if !kept(err) {
			return err
		}
		e := c.domainExtra()
		e.Aliases, e.AliasError = text, c.reason(err)
		f := c.domainFormWith(e)
		built, again := c.build(f)
		if again != nil {
			return again
		}
		return c.drawForm(http.StatusUnprocessableEntity, f, built)
	}
	return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("The aliases are stored."), Command: "SETDOMAINALIASES " + name + " " + array(strings.Fields(text)), File: "Settings/Main.settings"})
}

// array is a list in the data format.
func array(list []string) string {
	a := make(dataformat.Array, len(list))
	for i, s := range list {
		a[i] = dataformat.String(s)
	}
	return dataformat.Compact(a)
}

func (c *call) suspendDomain() error {
	name := c.params["domain"]
	if err := c.actor.SuspendDomain(c.ctx(), name); err != nil {
		return err
	}
	return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("The domain is suspended."), Command: "SUSPENDDOMAIN " + name})
}

func (c *call) resumeDomain() error {
	name := c.params["domain"]
	if err := c.actor.ResumeDomain(c.ctx(), name); err != nil {
		return err
	}
	return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("The domain is in service again."), Command: "RESUMEDOMAIN " + name})
}

func (c *call) renameDomain() error {
	name, now := c.params["domain"], strings.ToLower(strings.TrimSpace(c.field("name")))
	if err := c.actor.RenameDomain(c.ctx(), name, now, admin.Storage{}); err != nil {
		if !kept(err) {
			return err
		}
		e := c.domainExtra()
		e.NewName, e.RenameError = now, c.reason(err)
		f := c.domainFormWith(e)
		built, again := c.build(f)
		if again != nil {
			return again
		}
		return c.drawForm(http.StatusUnprocessableEntity, f, built)
	}
	return c.done(link("Users", "Domains", now, "Domain Settings"), &flash{Text: c.T("The domain is called %s now.", now), Command: "RENAMEDOMAIN " + name + " " + now})
}

// removal is a page that asks for the name of what goes.
type removal struct {
	What, Name, Typed, Error string
	Lines                    []string // what goes with it
	Back                     string
	Command                  string
}

func (c *call) removeDomainPage() error {
	r, err := c.domainRemoval()
	if err != nil {
		return err
	}
	return c.show(http.StatusOK, "remove", c.T("Remove Domain"), r)
}

func (c *call) domainRemoval() (*removal, error) {
	name := c.params["domain"]
	list, err := c.actor.ListObjects(c.ctx(), name, accounts.ListOptions{Limit: 0, Accounts: true, Aliases: true, Forwarders: true})
	if err != nil {
		return nil, err
	}
	l := c.prefs.Language
	return &removal{
		What: c.T("the domain"), Name: name, Back: link("Users", "Domains", name, "Domain Settings"), Command: "DELETEDOMAIN " + name + " FORCE",
		Lines: []string{count(l, list.Accounts, "account") + c.T(", with all their mail"), count(l, list.Aliases, "alias"), count(l, list.Forwarders, "forwarder")},
	}, nil
}

func (c *call) removeDomain() error {
	r, err := c.domainRemoval()
	if err != nil {
		return err
	}
	if r.Typed = strings.TrimSpace(c.field("name")); !strings.EqualFold(r.Typed, r.Name) {
		r.Error = c.T("This is not the name. Nothing was removed.")
		return c.show(http.StatusUnprocessableEntity, "remove", c.T("Remove Domain"), r)
	}
	if err := c.actor.DeleteDomain(c.ctx(), r.Name, true); err != nil {
		if !kept(err) {
			return err
		}
		r.Error = c.reason(err)
		return c.show(http.StatusUnprocessableEntity, "remove", c.T("Remove Domain"), r)
	}
	return c.done("/Users/Domains", &flash{Text: c.T("The domain %s is removed.", r.Name), Command: r.Command})
}
