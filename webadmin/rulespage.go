package webadmin

import (
	"net/http"
	"strings"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the pages of mail rules: those of the server, of a domain and of an account, as text in the
// data format.

func rulesPages() []*page {
	post := map[string]func(*call) error{"update": (*call).setRules}
	return []*page{
		{path: "Settings/Rules", title: "Rules", call: "GETSERVERMAILRULES", menu: true, get: (*call).rulesPage, post: post},
		{path: "Users/Domains/{domain}/Rules", title: "Rules", call: "GETDOMAINMAILRULES", tab: true, get: (*call).rulesPage, post: post},
		{path: accountPath + "/Rules", title: "Rules", call: "GETACCOUNTMAILRULES", tab: true, get: (*call).rulesPage, post: post},
	}
}

// ruleSet is where the rules of a page are.
type ruleSet struct {
	get     func() (dataformat.Array, error)
	set     func(dataformat.Value) error
	change  string // the call that sets them
	command string
}

func (c *call) ruleSet() ruleSet {
	domain, n := c.params["domain"], c.target()
	switch {
	case n.Local != "":
		return ruleSet{
			func() (dataformat.Array, error) { return c.actor.AccountMailRules(c.ctx(), n) },
			func(v dataformat.Value) error { return c.actor.SetAccountMailRules(c.ctx(), n, v) },
			"SETACCOUNTMAILRULES", "SETACCOUNTMAILRULES " + c.address(),
		}
	case domain != "":
		return ruleSet{
			func() (dataformat.Array, error) { return c.actor.DomainMailRules(c.ctx(), domain) },
			func(v dataformat.Value) error { return c.actor.SetDomainMailRules(c.ctx(), domain, v) },
			"SETDOMAINMAILRULES", "SETDOMAINMAILRULES " + domain,
		}
	}
	return ruleSet{
		func() (dataformat.Array, error) { return c.actor.ServerMailRules(c.ctx()) },
		func(v dataformat.Value) error { return c.actor.SetServerMailRules(c.ctx(), v) },
		"SETSERVERMAILRULES", "SETSERVERMAILRULES",
	}
}

// rulesText prints rules, one of them a line at least.
func rulesText(list dataformat.Array) string {
	lines := make([]string, len(list))
	for i, r := range list {
		lines[i] = dataformat.Compact(r)
	}
	return strings.Join(lines, "\n")
}

func (c *call) rulesForm(text, was string) *textForm {
	s := c.ruleSet()
	return &textForm{
		Text: text, Was: was, Label: c.T("Mail Rules"), Command: s.command, Fixed: !c.may(s.change),
		Help: c.T(`One rule per line: (priority, name, (conditions), (actions)), such as (5, Spam, (("Header Field", is, "X-Spam: yes*")), (("Store in", Junk), (Discard))). Priority 0 switches a rule off; higher ones come first.`),
	}
}

func (c *call) rulesPage() error {
	list, err := c.ruleSet().get()
	if err != nil {
		return err
	}
	text := rulesText(list)
	return c.drawText(http.StatusOK, "text", c.T("Rules"), c.rulesForm(text, text))
}

func (c *call) setRules() error {
	s := c.ruleSet()
	return c.setText("text", c.T("Rules"), func() (string, error) {
		list, err := s.get()
		return rulesText(list), err
	}, func(text string) error {
		list := dataformat.Array{}
		for i, line := range strings.Split(text, "\n") {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			v, err := dataformat.Parse([]byte(line))
			if err != nil {
				return fault.Newf("webadmin.Rules", fault.Invalid, "line %d: %s", i+1, fault.Explain(err))
			}
			list = append(list, v)
		}
		return s.set(list)
	}, c.rulesForm)
}
