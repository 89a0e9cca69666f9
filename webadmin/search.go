package webadmin

import (
	"net/http"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/server/admin"
	"gatepost/server/settings"
)

// This file has the search for settings, accounts, domains and pages.

func searchPages() []*page {
	return []*page{{path: "Search", title: "Search", may: everybody, get: (*call).searchPage}}
}

type hit struct{ Link, Title, Where, Help string }

type searchView struct {
	Query                            string
	Pages, Settings, Domains, Object []hit
	Nothing                          bool
	More                             bool
}

// mostHits bounds what each kind shows, searchedDomains the domains whose objects are looked through.
const (
	mostHits        = 30
	searchedDomains = 50
)

func (c *call) searchPage() error {
	v := &searchView{Query: strings.TrimSpace(c.r.URL.Query().Get("q"))}
	if q := strings.ToLower(v.Query); q != "" && len(q) <= 100 {
		v.Pages = c.searchForPages(q)
		if err := c.searchForSettings(v, q); err != nil {
			return err
		}
		if err := c.searchForObjects(v, q); err != nil {
			return err
		}
	}
	v.Nothing = v.Query != "" && len(v.Pages)+len(v.Settings)+len(v.Domains)+len(v.Object) == 0
	return c.show(http.StatusOK, "search", c.T("Search"), v)
}

func matches(q string, texts ...string) bool {
	return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(strings.ToLower(t), q) })
}

func (c *call) searchForPages(q string) []hit {
	var out []hit
	for _, r := range c.navigation(true) {
		for _, p := range r.Below {
			if matches(q, p.Title, p.Link) {
				out = append(out, hit{Link: p.Link, Title: p.Title, Where: r.Title})
			}
		}
	}
	return out
}

// searchForSettings looks through the forms that somebody may see.
func (c *call) searchForSettings(v *searchView, q string) error {
	add := func(where, to string, list []settings.Setting) {
		for _, s := range list {
			if s.Type == "" || s.Feature != "" || !matches(q, s.Key, label(s.Key), c.T(label(s.Key)), s.Help, c.T(s.Help)) {
				continue
			}
			if len(v.Settings) >= mostHits {
				v.More = true
				return
			}
			v.Settings = append(v.Settings, hit{Link: to + "?show=" + s.Key + "#" + s.Key, Title: c.T(label(s.Key)), Where: where, Help: c.T(s.Help)})
		}
	}
	if c.may("GETSERVERSETTINGS") {
		sheet, err := c.actor.ServerSheet(c.ctx())
		if err != nil {
			return err
		}
		add(c.T("General"), "/Settings/General", sheet.Settings)
		modules, err := c.actor.Modules(c.ctx())
		if err != nil {
			return err
		}
		for _, m := range modules {
			if sheet, err = c.actor.ModuleSheet(c.ctx(), m); err != nil {
				return err
			}
			title, to := placeOf(m), link("Settings", m)
			if m == "Router" {
				to = "/Settings/Router/Settings"
			}
			if title == "" {
				title = m
			}
			add(c.T(title), to, slices.DeleteFunc(sheet.Settings, func(s settings.Setting) bool { return s.Key == "RouterTable" }))
		}
	}
	if c.may("GETDOMAINDEFAULTS") {
		add(c.T("Domain Defaults"), "/Users/Domain%20Defaults", accounts.DomainSettingNames().All())
		add(c.T("Account Defaults"), "/Users/Account%20Defaults", slices.DeleteFunc(accounts.AccountSettingNames().All(), func(s settings.Setting) bool { return !ofMany(s) }))
		return nil
	}
	own := c.q.Account.Domain
	if c.actor.May(c.ctx(), "GETDOMAINSETTINGS", admin.Name{Domain: own}) {
		add(c.T("Domain Settings"), link("Users", "Domains", own, "Domain Settings"), accounts.DomainSettingNames().All())
		add(c.T("Account Defaults"), link("Users", "Domains", own, "Account Defaults"), accounts.AccountSettingNames().All())
	}
	return nil
}

func (c *call) searchForObjects(v *searchView, q string) error {
	if !c.mayDomains() {
		return nil
	}
	all, err := c.domains()
	if err != nil {
		return err
	}
	local, at, whole := strings.Cut(q, "@")
	for _, d := range all {
		if matches(q, d) || whole && at != "" && strings.HasPrefix(d, at) {
			if len(v.Domains) < mostHits {
				v.Domains = append(v.Domains, hit{Link: link("Users", "Domains", d, "Objects"), Title: d})
			} else {
				v.More = true
			}
		}
	}
	looked := 0
	for _, d := range all {
		if whole && !strings.HasPrefix(d, at) {
			continue
		}
		if looked++; looked > searchedDomains || len(v.Object) >= mostHits {
			v.More = true
			break
		}
		list, err := c.actor.ListObjects(c.ctx(), d, accounts.ListOptions{Filter: local, Limit: mostHits, Accounts: true, Aliases: true, Forwarders: true, Groups: true, Lists: true})
		if err != nil {
			return err
		}
		v.More = v.More || list.More
		for _, n := range list.Names {
			row := c.objectLink(d, n, list)
			v.Object = append(v.Object, row)
		}
	}
	if len(v.Object) > mostHits {
		v.Object, v.More = v.Object[:mostHits], true
	}
	return nil
}

func (c *call) objectLink(domain, name string, list *accounts.ObjectList) hit {
	o := list.Objects[name]
	h := hit{Title: name + "@" + domain, Where: c.T(o.Kind.String()), Link: link("Users", "Domains", domain, "Objects", o.Name, "Settings")}
	if o.Kind.String() == "forwarder" {
		h.Link = link("Users", "Domains", domain, "Forwarders", name)
	}
	if o.Kind.String() == "group" {
		h.Link = link("Users", "Domains", domain, "Groups", name)
	}
	if o.Kind.String() == "list" {
		h.Link = link("Users", "Domains", domain, "Lists", name, "Subscribers")
	}
	return h
}
