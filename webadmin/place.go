package webadmin

import (
	"slices"
	"strings"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// This file has the realm Settings: a page per module, made of the module's declarations.

// places is where a module stands in the navigation and what administrators call it. A module that is
// not here stands under its own name at the end.
var places = []struct{ module, title string }{
	{"Main", "General"},
	{"DNR", "DNS Resolver"}, {"DNS", "DNS Resolver"},
	{"Queue", "Queue"}, {"SMTPSending", "SMTP Sending"}, {"SMTP", "SMTP Receiving"}, {"LOCAL", "LOCAL"}, {"RPOP", "RPOP"}, {"PIPE", "PIPE"}, {"Drop", "Drop Folders"}, {"LIST", "LIST"}, {"LMTP", "LMTP"},
	{"MailRules", "Mail Rules"}, {"Calendar", "Calendar"}, {"SenderChecks", "Sender Checks"}, {"Signing", "Signing of Mail"},
	{"IMAP", "IMAP"}, {"POP", "POP"}, {"Search", "Search Index"},
	{"HTTPA", "HTTPA"}, {"HTTPU", "HTTPU"}, {"PWD", "PWD"}, {"WebAdmin", "WebAdmin Sessions"}, {"Logs", "Log Files"},
	{"Monitoring", "Monitoring"}, {"Triggers", "Triggers"}, {"Backup", "Backup"},
}

// withoutPage are modules that have pages of their own.
var withoutPage = []string{"Main", "Router", "Protection", "Banned"}

// withModules adds the pages of modules to the navigation of Settings.
func (c *call) withModules(list []crumb) []crumb {
	if !c.may("LISTMODULES") {
		return list
	}
	have, err := c.actor.Modules(c.ctx())
	if err != nil {
		return list // the page of a module tells
	}
	add := func(module, title string) {
		list = append(list, crumb{Title: c.T(title), Link: link("Settings", module), Here: len(c.q.Path) > 1 && strings.EqualFold(c.q.Path[1], module)})
	}
	for _, p := range places {
		if slices.Contains(have, p.module) {
			add(p.module, p.title)
		}
	}
	for _, m := range have {
		if placeOf(m) == "" && !slices.Contains(withoutPage, m) {
			add(m, m)
		}
	}
	return list
}

func placeOf(module string) string {
	for _, p := range places {
		if strings.EqualFold(p.module, module) {
			return p.title
		}
	}
	return ""
}

func settingsPages() []*page {
	return []*page{
		formPage(page{path: "Settings/General", title: "General", call: "GETSERVERSETTINGS", menu: true,
			post: map[string]func(*call) error{"rename": (*call).renameMainDomain}}, (*call).generalForm),
	}
}

// modulePages are the pages of modules that have no page of their own.
func modulePages() []*page {
	return []*page{
		formPage(page{path: "Settings/{module}", call: "GETMODULE"}, (*call).moduleForm),
	}
}

func (c *call) generalForm() *formOf { return c.generalFormWith("") }

func (c *call) generalFormWith(problem string) *formOf {
	return &formOf{
		title: c.T("General"), content: "general",
		sheet:  func() (*admin.Sheet, error) { return c.actor.ServerSheet(c.ctx()) },
		update: func(d dataformat.Dict) error { return c.actor.UpdateServerSettings(c.ctx(), d) },
		verb:   "UPDATESERVERSETTINGS", file: "Settings/Main.settings",
		extra: map[string]any{"Domain": c.Accounts.MainDomain(), "Version": c.Admin.Version(), "Error": problem},
	}
}

// renameMainDomain gives the Main Domain another name.
func (c *call) renameMainDomain() error {
	name := strings.ToLower(strings.TrimSpace(c.field("name")))
	update := dataformat.Dict{"DomainName": dataformat.String(name)}
	if err := c.actor.UpdateServerSettings(c.ctx(), update); err != nil {
		if !kept(err) {
			return err
		}
		f := c.generalFormWith(c.reason(err))
		built, again := c.build(f)
		if again != nil {
			return again
		}
		return c.drawForm(422, f, built)
	}
	return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("The domain is called %s now.", name), Command: "UPDATESERVERSETTINGS " + dataformat.Compact(update), File: "Settings/Main.settings"})
}

func (c *call) moduleForm() *formOf {
	module := c.params["module"]
	title := placeOf(module)
	if title == "" {
		title = module
	}
	return &formOf{
		title:  c.T(title),
		sheet:  func() (*admin.Sheet, error) { return c.actor.ModuleSheet(c.ctx(), module) },
		update: func(d dataformat.Dict) error { return c.actor.UpdateModule(c.ctx(), module, d) },
		only:   func(s settings.Setting) bool { return s.Key != "RouterTable" },
		verb:   "UPDATEMODULE " + module, file: "Settings/" + module + ".settings",
	}
}

// textForm is a page with one text.
type textForm struct {
	Text, Was, Error, Other, Help, Label, Command, File string
	Extra                                               any
	Fixed                                               bool
}

func (c *call) drawText(status int, name, title string, f *textForm) error {
	return c.show(status, name, title, f)
}

// setText stores a page with one text.
func (c *call) setText(name, title string, get func() (string, error), set func(string) error, form func(text, was string) *textForm) error {
	return c.storeText(func(f *textForm) error { return c.drawText(422, name, title, f) }, get, set, form)
}

// storeText stores a text. What could not be stored is drawn again.
func (c *call) storeText(draw func(*textForm) error, get func() (string, error), set func(string) error, form func(text, was string) *textForm) error {
	c.saving.Lock()
	defer c.saving.Unlock()
	now, err := get()
	if err != nil {
		return err
	}
	text, was := c.field("text"), c.field("was")
	f := form(text, was)
	switch {
	case sameText(text, now):
		return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("Nothing has changed.")})
	case !sameText(now, was):
		f.Error, f.Other, f.Was = c.T("somebody else has changed this meanwhile"), now, now
		return draw(f)
	}
	if err := set(strings.TrimRight(text, "\n")); err != nil {
		f.Error = c.reason(err)
		return draw(f)
	}
	old, new := lineDifference(now, text)
	return c.done(c.r.URL.EscapedPath(), &flash{
		Text: c.T("Stored: %s.", count(c.prefs.Language, 1, "change")), File: f.File, Command: f.Command,
		Changes: []change{{f.Label, f.Label, old, new}},
	})
}

// lineDifference leaves of two texts the lines that the other lacks.
func lineDifference(old, now string) (was, is string) {
	but := func(text, other string) string {
		have := strings.Split(other, "\n")
		return strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return slices.Contains(have, l) }), "\n")
	}
	return but(old, now), but(now, old)
}
