package webadmin

import (
	"net/http"
	"strconv"
	"strings"

	"gatepost/router/names"
	"gatepost/server/admin"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// This file has the page of the Router Table, with the try-out of an address.

func routerPages() []*page {
	return []*page{
		{path: "Settings/Router", title: "Router", call: "GETROUTERTABLE", menu: true, get: (*call).routerPage, post: map[string]func(*call) error{"update": (*call).setRouterTable}},
		formPage(page{path: "Settings/Router/Settings", title: "Router Settings", call: "GETROUTERSETTINGS"}, (*call).routerForm),
	}
}

func (c *call) routerForm() *formOf {
	return &formOf{
		title:  c.T("Router Settings"),
		sheet:  func() (*admin.Sheet, error) { return c.actor.ModuleSheet(c.ctx(), "Router") },
		update: func(d dataformat.Dict) error { return c.actor.UpdateModule(c.ctx(), "Router", d) },
		only:   func(s settings.Setting) bool { return s.Key != "RouterTable" },
		verb:   "UPDATEMODULE Router", file: "Settings/Router.settings",
	}
}

// tried is what the router makes of an address.
type tried struct {
	Address   string
	Client    string // an IP address or an account that sends there
	Reply     string // what RCPT answers to it
	Types     []choice
	Steps     []routeStep
	Module    string
	Queue     string
	To        string
	Error     string
	Relayable string
}

type routeStep struct {
	From, To, Text string
	Line           int
	Relay          bool
}

// operations are what an address can be routed for.
var operations = []struct {
	word string
	op   names.Operation
}{{"mail", names.Mail}, {"access", names.Access}, {"signal", names.Signal}}

func (c *call) tryRoute() (*tried, error) {
	query := c.r.URL.Query()
	t := &tried{Address: strings.TrimSpace(query.Get("address")), Client: strings.TrimSpace(query.Get("from"))}
	op := operations[0].op
	for _, o := range operations {
		here := query.Get("type") == o.word
		if here {
			op = o.op
		}
		t.Types = append(t.Types, choice{o.word, c.T(o.word), here})
	}
	if t.Address == "" || !c.may("ROUTE") {
		return t, nil
	}
	var e admin.Explained
	var err error
	if t.Client != "" && op == names.Mail {
		e, err = c.actor.ExplainFrom(c.ctx(), t.Address, t.Client)
		if err == nil {
			t.Reply = strconv.Itoa(e.Code) + " " + e.Reply
		}
	} else {
		e, err = c.actor.Explain(c.ctx(), op, t.Address)
	}
	if err != nil {
		if !kept(err) {
			return nil, err
		}
		t.Error = c.reason(err)
		return t, nil
	}
	for i, s := range e.Steps {
		if i == 30 { // a loop repeats itself
			break
		}
		t.Steps = append(t.Steps, routeStep{s.From, s.To, s.Text, s.Line, s.Relay})
	}
	if e.Err != nil {
		t.Error = c.reason(e.Err)
		return t, nil
	}
	t.Module, t.Queue, t.To = string(e.Route.Module), e.Route.Queue, e.Route.Address.String()
	switch {
	case e.Route.Relay:
		t.Relayable = c.T("marked for relaying: everybody may send there")
	case e.Route.Local():
		t.Relayable = c.T("local: everybody may send there")
	default:
		t.Relayable = c.T("leaves the server: users and Client IPs may send there, strangers may not")
	}
	return t, nil
}

func (c *call) routerPage() error {
	text, err := c.actor.RouterTable(c.ctx())
	if err != nil {
		return err
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	f := c.routerText(text, text)
	return c.drawText(http.StatusOK, "router", c.T("Router"), f)
}

func (c *call) routerText(text, was string) *textForm {
	t, err := c.tryRoute()
	if err != nil {
		t = &tried{Error: c.reason(err)}
	}
	return &textForm{
		Text: text, Was: was, Label: c.T("Router Table"), Command: "SETROUTERTABLE", File: "Settings/Router.settings", Extra: t, Fixed: !c.may("SETROUTERTABLE"),
		Help: c.T("One record per line, tried from the top; after each substitution it starts again: [Relay:|NoRelay:][Mail:|Access:|Signal:]left=right ; comment"),
	}
}

func (c *call) setRouterTable() error {
	return c.setText("router", c.T("Router"), func() (string, error) {
		text, err := c.actor.RouterTable(c.ctx())
		return strings.ReplaceAll(text, "\r\n", "\n"), err
	}, func(text string) error { return c.actor.SetRouterTable(c.ctx(), text) }, c.routerText)
}
