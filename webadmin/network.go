package webadmin

import (
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/protection"
	"gatepost/server/settings"
)

// This file has the pages of the addresses of clients: one list on each, or two that belong together.

// networkPage is one of the pages. The first one is the page of the navigation; all are its tabs.
type networkPage struct {
	path, title string
	lists       []protection.List
}

var networkLists = []networkPage{
	{"Settings/Network", "Client IPs", []protection.List{protection.Clients}},
	{"Settings/Network/Blacklisted IPs", "Blacklisted IPs", []protection.List{protection.Blacklist, protection.WhiteHoles}},
	{"Settings/Network/Denied IPs", "Denied IPs", []protection.List{protection.Denied}},
	{"Settings/Network/Debug IPs", "Debug IPs", []protection.List{protection.Debug}},
}

// ipListTexts are the label of each list, and what it is for.
var ipListTexts = map[protection.List][2]string{
	protection.Clients:    {"Client IP Addresses", "Addresses that are clients of this server: they may relay without logging in, and limits of strangers do not hold for them."},
	protection.Blacklist:  {"Blacklisted addresses", "Mail from these addresses is refused, unless its sender logs in or the Router lets it in (@blacklisted). An address that is a Client IP too is no client any more."},
	protection.WhiteHoles: {"UnBlacklistable (White Hole) addresses", "These addresses are never blocked: not by the other lists, nor by DNS lists, nor temporarily."},
	protection.Denied:     {"Denied addresses", "Connections from these addresses are closed at once, on every listener."},
	protection.Debug:      {"Debugged addresses", "Sessions with these addresses write all records into the log, whatever its level."},
}

func networkPages() []*page {
	var out []*page
	for i, n := range networkLists {
		get, _ := admin.ListCalls(n.lists[0])
		p := &page{path: n.path, title: n.title, tabTitle: n.title, group: "network", call: get, menu: i == 0,
			get:  func(c *call) error { return c.drawIPLists(http.StatusOK, n, nil) },
			post: map[string]func(*call) error{"update": func(c *call) error { return c.setIPList(n) }}}
		if i == 0 {
			p.title = "Network"
		}
		out = append(out, p)
	}
	protect := formPage(page{path: "Settings/Network/Protection", title: "Protection", tabTitle: "Protection", group: "network", call: "GETNETWORK"}, (*call).protectionForm)
	banned := formPage(page{path: "Settings/Network/Banned", title: "Banned lines", tabTitle: "Banned lines", group: "network", call: "GETBANNED"}, (*call).bannedForm)
	return append(out, protect, banned)
}

func (c *call) bannedForm() *formOf {
	return &formOf{
		title:  c.T("Banned lines"),
		sheet:  func() (*admin.Sheet, error) { return c.actor.ModuleSheet(c.ctx(), "Banned") },
		update: func(d dataformat.Dict) error { return c.actor.UpdateModule(c.ctx(), "Banned", d) },
		verb:   "UPDATEMODULE Banned", file: "Settings/Banned.settings",
	}
}

func (c *call) protectionForm() *formOf {
	return &formOf{
		title:  c.T("Protection"),
		sheet:  func() (*admin.Sheet, error) { return c.actor.ModuleSheet(c.ctx(), "Protection") },
		update: func(d dataformat.Dict) error { return c.actor.UpdateModule(c.ctx(), "Protection", d) },
		verb:   "UPDATEMODULE Protection", file: "Settings/Protection.settings",
	}
}

// ipListForm is one list on its page.
type ipListForm struct {
	textForm
	ID, List string
}

type ipListsView struct {
	Forms  []*ipListForm
	Blocks string // the page of the temporary blacklist, on the page of the Blacklist
}

// drawIPLists shows a page; changed, if any, takes the place of the list that it is about.
func (c *call) drawIPLists(status int, n networkPage, changed *ipListForm) error {
	v := new(ipListsView)
	for i, l := range n.lists {
		if changed != nil && changed.List == ipListName(l) {
			v.Forms = append(v.Forms, changed)
		} else {
			read, _ := admin.IPList(c.actor, l)
			text, err := read(c.ctx())
			if err != nil {
				return err
			}
			v.Forms = append(v.Forms, c.ipListForm(l, text, text))
		}
		if i > 0 {
			v.Forms[i].ID = "text." + ipListName(l)
		}
		if l == protection.Blacklist && c.may("LISTBLOCKS") {
			v.Blocks = link("Monitors", "Blocks")
		}
	}
	return c.show(status, "iplists", c.T(n.title), v)
}

// ipListName is a list in a form.
func ipListName(l protection.List) string {
	get, _ := admin.ListCalls(l)
	return strings.TrimPrefix(get, "GET")
}

func (c *call) ipListForm(l protection.List, text, was string) *ipListForm {
	_, set := admin.ListCalls(l)
	return &ipListForm{ID: "text", List: ipListName(l), textForm: textForm{
		Text: text, Was: was, Label: c.T(ipListTexts[l][0]), Command: set, File: l.File(),
		Help: c.T(ipListTexts[l][1]) + " " + sentence(c.T(syntax(settings.Setting{Type: "IP list"}))),
	}}
}

// setIPList stores the list whose button was pressed.
func (c *call) setIPList(n networkPage) error {
	name := c.field("list")
	i := slices.IndexFunc(n.lists, func(l protection.List) bool { return ipListName(l) == name })
	if i < 0 {
		i = 0
	}
	l := n.lists[i]
	read, write := admin.IPList(c.actor, l)
	return c.storeText(func(f *textForm) error {
		return c.drawIPLists(http.StatusUnprocessableEntity, n, &ipListForm{textForm: *f, ID: "text", List: ipListName(l)})
	},
		func() (string, error) { return read(c.ctx()) }, func(text string) error { return write(c.ctx(), text) },
		func(text, was string) *textForm { return &c.ipListForm(l, text, was).textForm })
}

// sentence makes a sentence of a text that goes with others in a list.
func sentence(text string) string {
	first, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[n:] + "."
}
