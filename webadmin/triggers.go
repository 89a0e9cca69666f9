package webadmin

import (
	"net/http"
	"slices"
	"strings"

	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// triggerPages has the page of triggers: the settings of the module, and a button for each handler.
func triggerPages() []*page {
	return []*page{
		formPage(page{path: "Settings/Triggers", title: "Triggers", call: "GETMODULE",
			post: map[string]func(*call) error{"test": (*call).testHandler}}, (*call).triggersForm),
	}
}

type triggersView struct {
	Handlers []string
	May      bool
	Token    string
}

func (c *call) triggersForm() *formOf {
	const module = "Triggers"
	f := &formOf{
		title: c.T("Triggers"), content: "triggers",
		sheet:  func() (*admin.Sheet, error) { return c.actor.ModuleSheet(c.ctx(), module) },
		update: func(d dataformat.Dict) error { return c.actor.UpdateModule(c.ctx(), module, d) },
		verb:   "UPDATEMODULE " + module, file: "Settings/" + module + ".settings",
	}
	v := &triggersView{May: c.may("TESTTRIGGERHANDLER")}
	if sheet, err := f.sheet(); err == nil { // the form tells the error
		for _, line := range sheet.Own.Strings("Handlers") {
			name, _, _ := strings.Cut(line, ":")
			if name = strings.TrimSpace(name); !slices.ContainsFunc(v.Handlers, func(o string) bool { return strings.EqualFold(o, name) }) {
				v.Handlers = append(v.Handlers, name)
			}
		}
	}
	f.extra = v
	return f
}

// testHandler notifies a handler now.
func (c *call) testHandler() error {
	name := c.field("handler")
	err := c.actor.TestTriggerHandler(c.ctx(), name)
	switch {
	case fault.Is(err, fault.Denied):
		return err
	case err != nil:
		f := c.triggersForm()
		built, again := c.build(f)
		if again != nil {
			return again
		}
		built.Error = c.T("%s was not notified: %s", name, c.reason(err))
		return c.drawForm(http.StatusUnprocessableEntity, f, built)
	}
	return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("%s was notified.", name), Command: "TESTTRIGGERHANDLER " + dataformat.Compact(dataformat.String(name))})
}
