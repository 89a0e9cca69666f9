package webadmin

import (
	"net/url"
	"slices"
	"strings"
)

// page is one page of the tree.
type page struct {
	// path is where it stands: the words of the path as administrators write it. A word in braces, such
	// as {domain}, takes any segment.
	path string
	// title is what the path of links and the navigation show, in English. Empty: what the path has there.
	title string
	// call is the call of package admin that the page stands on: who may not make it about what the path
	// names does not see the page. may, if any, takes its place.
	call string
	may  func(*call) bool
	// menu says that the navigation has it, tab that it is one of the tabs of the page that it is below.
	menu, tab bool
	// group, if not empty, makes pages of the same group tabs of each other, under their tabTitle.
	group, tabTitle string
	get             func(*call) error
	// post has what the buttons of the page do, by the value of do.
	post map[string]func(*call) error

	segments []string
}

// pages is every page, in the order of the navigation; of several that match a path the first answers. A list of
// pages is in the file of its functions.
func pages() []*page {
	all := slices.Concat(
		settingsPages(), triggerPages(), networkPages(), routerPages(),
		domainPages(), dnsPages(), tlsPages(), reportPages(), accountPages(), groupPages(), listPages(), rulesPages(), importPages(),
		dashboardPages(), monitorPages(), messagePages(), sessionPages(),
		masterPages(),
		startPages(), searchPages(), commonPages(),
		modulePages(), // last: {module} takes what no other page is called
	)
	for _, p := range all {
		p.segments = strings.Split(p.path, "/")
	}
	return all
}

// find returns the page of a path, and what its braces took.
func (a *App) find(path []string, params map[string]string) *page {
	for _, p := range a.tree {
		if p.matches(path) {
			for i, s := range p.segments {
				if name, ok := parameter(s); ok {
					params[name] = path[i]
				}
			}
			return p
		}
	}
	return nil
}

func (p *page) matches(path []string) bool {
	if len(path) != len(p.segments) {
		return false
	}
	for i, s := range p.segments {
		if _, any := parameter(s); !any && !strings.EqualFold(s, path[i]) {
			return false
		}
	}
	return true
}

// parameter is the name in braces.
func parameter(segment string) (string, bool) {
	if name, ok := strings.CutPrefix(segment, "{"); ok {
		return strings.TrimSuffix(name, "}"), true
	}
	return "", false
}

// link is the address of a page.
func link(path ...string) string {
	var b strings.Builder
	for _, s := range path {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// fill puts what the present path has in place of braces.
func (p *page) fill(params map[string]string) []string {
	out := slices.Clone(p.segments)
	for i, s := range out {
		if name, ok := parameter(s); ok {
			out[i] = params[name]
		}
	}
	return out
}

// A crumb is a link of the path on top of a page, of the navigation, or of the tabs.
type crumb struct {
	Title string
	Link  string // empty: no page of its own, or not for the actor
	Here  bool
	Below []crumb
}

// crumbs is the path to the present page.
func (c *call) crumbs() []crumb {
	var out []crumb
	path := c.q.Path
	for n := 1; n <= len(path); n++ {
		one := crumb{Title: c.segmentTitle(path[n-1], n-1), Here: n == len(path)}
		params := map[string]string{}
		if p := c.find(path[:n], params); p != nil {
			if p.title != "" {
				one.Title = c.T(p.title)
			}
			up := *c
			up.params = params
			if !one.Here && up.sees(p) {
				one.Link = link(path[:n]...)
			}
		}
		out = append(out, one)
	}
	return out
}

// segmentTitle is a segment in words: a parameter as it is, a word of ours translated.
func (c *call) segmentTitle(s string, i int) string {
	if c.page != nil && i < len(c.page.segments) {
		if _, ok := parameter(c.page.segments[i]); ok {
			return s
		}
		s = c.page.segments[i]
	}
	return c.T(s)
}

// realms are the parts of the navigation.
var realms = []string{"Settings", "Users", "Monitors", "Master"}

// navigation has the realms that somebody sees, and below the open one its pages.
func (c *call) navigation(all bool) []crumb {
	var out []crumb
	for _, realm := range realms {
		r := crumb{Title: c.T(realm), Here: len(c.q.Path) > 0 && strings.EqualFold(c.q.Path[0], realm)}
		for _, p := range c.tree {
			if !p.menu || !strings.EqualFold(p.segments[0], realm) || !c.sees(p) {
				continue
			}
			to := link(p.fill(c.params)...)
			if r.Link == "" {
				r.Link = to
			}
			if all || r.Here {
				r.Below = append(r.Below, crumb{Title: c.T(p.title), Link: to, Here: c.below(p)})
			}
		}
		if realm == "Settings" && (all || r.Here) {
			r.Below = c.withModules(r.Below)
		}
		if r.Link != "" {
			out = append(out, r)
		}
	}
	return out
}

// below reports whether the present page is a page or below it.
func (c *call) below(p *page) bool {
	if len(c.q.Path) < len(p.segments) {
		return false
	}
	return p.matches(c.q.Path[:len(p.segments)])
}

// tabs are the tabs beside the present page: those below the same page.
func (c *call) tabs() []crumb {
	if c.page != nil && c.page.group != "" {
		return c.groupTabs()
	}
	if c.page == nil || !c.page.tab {
		return nil
	}
	parent := c.page.segments[:len(c.page.segments)-1]
	var out []crumb
	for _, p := range c.tree {
		if p.tab && len(p.segments) == len(parent)+1 && slices.Equal(p.segments[:len(parent)], parent) && c.sees(p) {
			out = append(out, crumb{Title: c.T(p.title), Link: link(p.fill(c.params)...), Here: p == c.page})
		}
	}
	return out
}

// groupTabs are the pages of the group of the present page.
func (c *call) groupTabs() (out []crumb) {
	for _, p := range c.tree {
		if p.group == c.page.group && c.sees(p) {
			out = append(out, crumb{Title: c.T(p.tabTitle), Link: link(p.fill(c.params)...), Here: p == c.page})
		}
	}
	return out
}

// home is the first page of somebody.
func (c *call) home() string {
	for _, realm := range []string{"Monitors", "Users", "Settings", "Master"} {
		for _, r := range c.navigation(false) {
			if r.Title == c.T(realm) && r.Link != "" {
				if realm == "Users" && !c.may("LISTDOMAINS") {
					return link("Users", "Domains", c.q.Account.Domain, "Objects")
				}
				return r.Link
			}
		}
	}
	return "/Preferences"
}
