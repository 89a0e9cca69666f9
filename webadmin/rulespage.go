package webadmin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the lists of mail rules: those of the server, of a domain and of an account, and the same
// rules as text in the data format. ruleform.go has one rule, ruletry.go the try-out, simplerules.go the simple forms.

func rulesPages() []*page {
	var out []*page
	for _, s := range []struct{ path, get, set string }{
		{"Settings/Rules", "GETSERVERMAILRULES", "SETSERVERMAILRULES"},
		{"Users/Domains/{domain}/Rules", "GETDOMAINMAILRULES", "SETDOMAINMAILRULES"},
		{accountPath + "/Rules", "GETACCOUNTMAILRULES", "SETACCOUNTMAILRULES"},
	} {
		server := s.path == "Settings/Rules"
		out = append(out,
			&page{path: s.path, title: "Rules", call: s.get, menu: server, tab: !server, get: (*call).rulesPage,
				post: map[string]func(*call) error{"up": (*call).moveRule, "down": (*call).moveRule, "off": (*call).switchRule, "on": (*call).switchRule}},
			&page{path: s.path + "/Rule", title: "Rule", call: s.get, get: (*call).rulePage,
				post: map[string]func(*call) error{"update": (*call).setRule, "rows": (*call).changeRows, "delete": (*call).deleteRule}},
			&page{path: s.path + "/Text", title: "Rules as Text", call: s.get, get: (*call).rulesTextPage, post: map[string]func(*call) error{"update": (*call).setRulesText}},
			&page{path: s.path + "/Try", title: "Try Rules", call: "RULESTEST", get: (*call).tryPage, post: map[string]func(*call) error{"try": (*call).tryRules}},
		)
	}
	return append(out, &page{path: accountPath + "/Rules/Simple", title: "Simple Rules", call: "GETACCOUNTMAILRULES", get: (*call).simplePage,
		post: map[string]func(*call) error{"vacation": (*call).setVacation, "redirect": (*call).setRedirect, "junk": (*call).setJunk, "forget": (*call).resetFilter}})
}

// ruleSet is where the rules of a page are.
type ruleSet struct {
	level   rules.Level
	get     func() (dataformat.Array, error)
	set     func(dataformat.Value) error
	change  string // the call that sets them
	command string
	base    string // the address of the list
	of      string // whose they are
	file    string
}

func (c *call) ruleSet() ruleSet {
	domain, n := c.params["domain"], c.target()
	switch {
	case n.Local != "":
		return ruleSet{
			rules.Account,
			func() (dataformat.Array, error) { return c.actor.AccountMailRules(c.ctx(), n) },
			func(v dataformat.Value) error { return c.actor.SetAccountMailRules(c.ctx(), n, v) },
			"SETACCOUNTMAILRULES", "SETACCOUNTMAILRULES " + c.address(),
			link("Users", "Domains", domain, "Objects", n.Local, "Rules"), c.address(), "",
		}
	case domain != "":
		return ruleSet{
			rules.Domain,
			func() (dataformat.Array, error) { return c.actor.DomainMailRules(c.ctx(), domain) },
			func(v dataformat.Value) error { return c.actor.SetDomainMailRules(c.ctx(), domain, v) },
			"SETDOMAINMAILRULES", "SETDOMAINMAILRULES " + domain, link("Users", "Domains", domain, "Rules"), domain, "",
		}
	}
	return ruleSet{
		rules.Server,
		func() (dataformat.Array, error) { return c.actor.ServerMailRules(c.ctx()) },
		func(v dataformat.Value) error { return c.actor.SetServerMailRules(c.ctx(), v) },
		"SETSERVERMAILRULES", "SETSERVERMAILRULES", link("Settings", "Rules"), "", "Settings/Rules.settings",
	}
}

// ruleList is the page of rules, in the order in which they run.
type ruleList struct {
	Level, Base   string
	Rows          []ruleRow
	Fixed, Simple bool
	MayTry        bool
	Priorities    []choice
	Command, File string
}

type ruleRow struct {
	Name, Link     string
	Priority       int
	If, Then       []string
	Comment, Error string
	Notes          []string
	Up, Down       bool // there is a neighbour with the same priority
}

func (c *call) rulesPage() error {
	s := c.ruleSet()
	list, err := s.get()
	if err != nil {
		return err
	}
	set, _ := rules.Load(list, s.level) // an error is that of a rule, too
	out := &ruleList{Level: s.level.String(), Base: s.base, Fixed: !c.may(s.change), Simple: s.level == rules.Account, MayTry: c.may("RULESTEST"),
		Priorities: c.priorities(5)[1:], Command: s.command, File: s.file}
	all := slices.Clone(set.Rules())
	slices.SortStableFunc(all, func(a, b *rules.Rule) int { return b.Priority - a.Priority })
	for i, r := range all {
		row := ruleRow{Name: r.Name, Link: ruleLink(s.base, r.Name), Priority: r.Priority, Comment: r.Comment, Notes: r.Notes(),
			Up: i > 0 && all[i-1].Priority == r.Priority, Down: i+1 < len(all) && all[i+1].Priority == r.Priority}
		for j := range r.Conditions {
			row.If = append(row.If, r.Conditions[j].String())
		}
		for j := range r.Actions {
			row.Then = append(row.Then, r.Actions[j].String())
		}
		if r.Err() != nil {
			row.Error = r.Err().Error()
		}
		out.Rows = append(out.Rows, row)
	}
	return c.show(http.StatusOK, "rules", c.T("Rules"), out)
}

func ruleLink(base, name string) string { return base + "/Rule?rule=" + url.QueryEscape(name) }

// priorities are the menu of priorities.
func (c *call) priorities(here int) []choice {
	var out []choice
	for p := rules.Inactive; p <= rules.Highest; p++ {
		text := strconv.Itoa(p)
		switch p {
		case rules.Inactive:
			text = c.T("0: inactive")
		case rules.Highest:
			text = c.T("10: highest")
		}
		out = append(out, choice{strconv.Itoa(p), text, p == here})
	}
	return out
}

// ruleName is the name of a rule of a list.
func ruleName(v dataformat.Value) string {
	parts, _ := v.(dataformat.Array)
	if len(parts) < 2 {
		return ""
	}
	name, _ := dataformat.Text(parts[1])
	return name
}

// findRule returns the place of a rule.
func findRule(list dataformat.Array, name string) int {
	return slices.IndexFunc(list, func(v dataformat.Value) bool { return ruleName(v) == name })
}

func noRule(name string) error {
	return fault.Newf("webadmin.Rules", fault.NotFound, "there is no rule %q", name)
}

// changeRules changes the rules of the page, and says so on the page of the list.
func (c *call) changeRules(text string, change func(list dataformat.Array) (dataformat.Array, error)) error {
	s := c.ruleSet()
	c.saving.Lock()
	defer c.saving.Unlock()
	before, err := s.get()
	if err != nil {
		return err
	}
	after, err := change(slices.Clone(before))
	if err != nil {
		return err
	}
	if err := s.set(after); err != nil {
		return err
	}
	return c.done(s.base, c.rulesStored(s, text, before, after))
}

func (c *call) rulesStored(s ruleSet, text string, before, after dataformat.Array) *flash {
	old, now := lineDifference(rulesText(before), rulesText(after))
	f := &flash{Text: text, Command: s.command + " " + dataformat.Compact(after), File: s.file}
	if old != now {
		f.Changes = []change{{c.T("Rules"), "rules", old, now}}
	}
	return f
}

// moveRule changes the place of a rule with the one of the same priority that runs before or after it.
func (c *call) moveRule() error {
	name, step := c.field("rule"), 1
	if c.field("do") == "up" {
		step = -1
	}
	return c.changeRules(c.T("The order is stored."), func(list dataformat.Array) (dataformat.Array, error) {
		i := findRule(list, name)
		if i < 0 {
			return nil, noRule(name)
		}
		for j := i + step; j >= 0 && j < len(list); j += step {
			if priorityOf(list[j]) == priorityOf(list[i]) {
				list[i], list[j] = list[j], list[i]
				break
			}
		}
		return list, nil
	})
}

func priorityOf(v dataformat.Value) int64 {
	parts, _ := v.(dataformat.Array)
	if len(parts) == 0 {
		return -1
	}
	n, ok := dataformat.Int(parts[0])
	if !ok {
		return -1
	}
	return n
}

// switchRule makes a rule inactive, or gives it a priority.
func (c *call) switchRule() error {
	name, priority, text := c.field("rule"), "0", c.T("The rule %s is switched off.", c.field("rule"))
	if c.field("do") == "on" {
		priority, text = c.field("priority"), c.T("The rule %s is switched on.", name)
	}
	return c.changeRules(text, func(list dataformat.Array) (dataformat.Array, error) {
		i := findRule(list, name)
		if i < 0 {
			return nil, noRule(name)
		}
		parts, _ := list[i].(dataformat.Array)
		if parts = slices.Clone(parts); len(parts) == 0 { // somebody has written an empty rule into the file
			return nil, noRule(name)
		}
		parts[0] = dataformat.String(priority)
		list[i] = parts
		return list, nil
	})
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
		Text: text, Was: was, Label: c.T("Mail Rules"), Command: s.command, File: s.file, Fixed: !c.may(s.change),
		Help: c.T(`One rule per line: (priority, name, (conditions), (actions)), such as (5, Spam, (("Header Field", is, "X-Spam: yes*")), (("Store in", Junk), (Discard))). Priority 0 switches a rule off; higher ones come first.`),
	}
}

func (c *call) rulesTextPage() error {
	list, err := c.ruleSet().get()
	if err != nil {
		return err
	}
	text := rulesText(list)
	return c.drawText(http.StatusOK, "text", c.T("Rules as Text"), c.rulesForm(text, text))
}

func (c *call) setRulesText() error {
	s := c.ruleSet()
	return c.setText("text", c.T("Rules as Text"), func() (string, error) {
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
