package webadmin

import (
	"net/http"
	"strings"
	"time"

	"gatepost/rules"
	"gatepost/server/dataformat"
)

// This file has the simple forms of an account's rules: the vacation message, all mail to another address, and
// what becomes of junk. Each is a rule of a name of its own (rules/simple.go).

// simpleForm is the page.
type simpleForm struct {
	Base, Command string
	Fixed         bool
	Vacation      simpleVacation
	Redirect      simpleRedirect
	Junk          simpleJunk
	Filter        junkFilter
}

// junkFilter is what the filter has learned from the account.
type junkFilter struct {
	May, On      bool // May: who looks may reset it
	Ham, Junk    string
	Score, First string // settings
}

// fillFilter says what the filter knows.
func (c *call) fillFilter(f *junkFilter) error {
	d, err := c.actor.AccountJunk(c.ctx(), c.target())
	if err != nil {
		return err
	}
	f.Junk, f.Ham, f.May = d.String("Junk"), d.String("Ham"), c.may("RESETACCOUNTJUNK")
	for key, to := range map[string]*string{"JunkScore": &f.Score, "JunkLearnFirst": &f.First} {
		v, err := c.actor.AccountSetting(c.ctx(), c.target(), key)
		if err != nil {
			return err
		}
		*to, _ = dataformat.Text(v)
	}
	on, err := c.actor.AccountSetting(c.ctx(), c.target(), "JunkFilter")
	if err != nil {
		return err
	}
	text, _ := dataformat.Text(on)
	f.On = text == "YES"
	return nil
}

// resetFilter has the filter forget what it has learned from the account.
func (c *call) resetFilter() error {
	if err := c.actor.ResetAccountJunk(c.ctx(), c.target()); err != nil {
		return err
	}
	return c.done(link(c.page.fill(c.params)...), &flash{Text: c.T("The junk filter has forgotten what it had learned from the account."), Command: "RESETACCOUNTJUNK " + c.address()})
}

// Other of a part says that a rule of its name has another form, and has to be changed as a rule.
type simpleVacation struct {
	rules.Vacation
	First, Last  string // days, as date fields have them
	Other, Error string
}

type simpleRedirect struct {
	rules.Redirect
	Hows         []choice
	Other, Error string
}

type simpleJunk struct {
	rules.Junk
	Name         string
	Levels       []choice
	Other, Error string
}

// dayForm is a day in a rule, dayField in a form.
const (
	dayForm  = "02 Jan 2006"
	dayField = "2006-01-02"
)

func (c *call) simpleForm() (*simpleForm, error) {
	s := c.ruleSet()
	list, err := s.get()
	if err != nil {
		return nil, err
	}
	set, _ := rules.Load(list, s.level) // an error is that of a rule, too
	f := &simpleForm{Base: s.base, Command: "UPDATEACCOUNTMAILRULE " + s.of, Fixed: !c.may("UPDATEACCOUNTMAILRULE")}
	if err := c.fillFilter(&f.Filter); err != nil {
		return nil, err
	}
	f.Redirect.How, f.Redirect.Keep = rules.KindMirror, true
	f.Junk.Level, f.Junk.Mailbox, f.Junk.Name = 5, "Junk", rules.JunkName
	for _, r := range set.Rules() {
		v, isVacation := rules.AsVacation(r)
		to, isRedirect := rules.AsRedirect(r)
		junk, isJunk := rules.AsJunk(r)
		switch {
		case isVacation:
			f.Vacation.Vacation = v
			f.Vacation.First, f.Vacation.Last = dayOf(v.After, 0), dayOf(v.Before, -1)
		case isRedirect:
			f.Redirect.Redirect = to
		case isJunk && f.Junk.Name == rules.JunkName && !f.Junk.On:
			f.Junk.Junk, f.Junk.Name = junk, r.Name
		case r.Name == rules.VacationName:
			f.Vacation.Other = ruleLink(s.base, r.Name)
		case r.Name == rules.RedirectName:
			f.Redirect.Other = ruleLink(s.base, r.Name)
		case r.Name == rules.JunkName:
			f.Junk.Other = ruleLink(s.base, r.Name)
		}
	}
	return f, nil
}

// dayOf is the day of a date in a rule, moved by days.
func dayOf(date string, days int) string {
	if len(date) < len(dayForm) {
		return ""
	}
	t, err := time.Parse(dayForm, date[:len(dayForm)])
	if err != nil {
		return ""
	}
	return t.AddDate(0, 0, days).Format(dayField)
}

func (c *call) simplePage() error {
	f, err := c.simpleForm()
	if err != nil {
		return err
	}
	return c.drawSimple(http.StatusOK, f)
}

func (c *call) drawSimple(status int, f *simpleForm) error {
	for _, how := range []struct {
		kind rules.Kind
		text string
	}{{rules.KindMirror, "as it is, with its own sender"}, {rules.KindRedirect, "in the name of the account"}, {rules.KindForward, "inside a new message"}} {
		f.Redirect.Hows = append(f.Redirect.Hows, choice{how.kind.String(), c.T(how.text), how.kind == f.Redirect.How})
	}
	for n := 1; n <= 10; n++ {
		text := strings.Repeat("X", n)
		f.Junk.Levels = append(f.Junk.Levels, choice{text, text, n == f.Junk.Level})
	}
	if n := f.Junk.Level; n > 10 {
		text := strings.Repeat("X", n)
		f.Junk.Levels = append(f.Junk.Levels, choice{text, text, true})
	}
	return c.show(status, "simplerules", c.T("Simple Rules"), f)
}

// setSimple stores a rule and does what belongs to it, or shows the form with what is wrong.
func (c *call) setSimple(f *simpleForm, v dataformat.Value, problem *string, then func() error) error {
	if *problem == "" {
		err := c.actor.UpdateAccountMailRule(c.ctx(), c.target(), "", v)
		if err == nil && then != nil {
			if err := then(); err != nil {
				return err
			}
		}
		if err == nil {
			return c.done(c.r.URL.EscapedPath(), &flash{Text: c.T("The rule %s is stored.", ruleName(v)), Command: f.Command + " " + dataformat.Compact(v)})
		}
		if !kept(err) {
			return err
		}
		*problem = c.reason(err)
	}
	return c.drawSimple(http.StatusUnprocessableEntity, f)
}

func (c *call) setVacation() error {
	f, err := c.simpleForm()
	if err != nil {
		return err
	}
	v := &f.Vacation
	was := *v
	v.On, v.Text = c.r.PostForm.Has("on"), c.field("text")
	v.First, v.Last = c.field("first"), c.field("last")
	v.After, v.Before = "", ""
	// The first day begins where the moment before it ends; the last one is over when the next begins.
	day := func(text string, days int, to *string) {
		if text == "" {
			return
		}
		t, err := time.Parse(dayField, text)
		if err != nil {
			v.Error = c.T("%s is not a day.", text)
			return
		}
		*to = t.AddDate(0, 0, days).Format(dayForm)
	}
	if day(v.First, 0, &v.After); v.After != "" {
		v.After += " 00:00:00"
	}
	if day(v.Last, 1, &v.Before); v.Before != "" {
		v.Before += " 00:00:00"
	}
	if v.First == was.First { // with its time, if a program has given one
		v.After = was.After
	}
	if v.Last == was.Last {
		v.Before = was.Before
	}
	switch {
	case v.On && strings.TrimSpace(v.Text) == "":
		v.Error = c.T("The message needs a text.")
	case v.First != "" && v.Last != "" && v.Last < v.First:
		v.Error = c.T("The last day is before the first one.")
	}
	changed := !sameText(was.Text, v.Text)
	return c.setSimple(f, v.Vacation.Value(), &v.Error, func() error {
		switch {
		case !changed:
			return nil
		case !c.may("REMOVEACCOUNTSUBSET"):
			c.notes = append(c.notes, c.T("Who has had the old text does not get the new one: you have no right to change whom the account remembers."))
			return nil
		}
		return c.actor.RemoveDataset(c.ctx(), c.target(), rules.RepliedAddresses)
	})
}

func (c *call) setRedirect() error {
	f, err := c.simpleForm()
	if err != nil {
		return err
	}
	r := &f.Redirect
	r.On, r.Keep = c.r.PostForm.Has("on"), c.r.PostForm.Has("keep")
	r.Addresses = strings.Join(strings.FieldsFunc(c.field("addresses"), func(x rune) bool { return strings.ContainsRune(",;\n", x) }), ",")
	for _, k := range []rules.Kind{rules.KindMirror, rules.KindRedirect, rules.KindForward} {
		if c.field("how") == k.String() {
			r.How = k
		}
	}
	if r.Addresses == "" {
		r.Error = c.T("An address is expected.")
	}
	return c.setSimple(f, r.Redirect.Value(), &r.Error, nil)
}

func (c *call) setJunk() error {
	f, err := c.simpleForm()
	if err != nil {
		return err
	}
	j := &f.Junk
	j.On, j.Level, j.Mailbox = c.r.PostForm.Has("on"), strings.Count(c.field("level"), "X"), strings.TrimSpace(c.field("mailbox"))
	if j.Mailbox == "" {
		j.Error = c.T("A mailbox is expected.")
	}
	v, _ := j.Junk.Value().(dataformat.Array)
	v[1] = dataformat.String(j.Name) // a rule of the form counts whatever its name is
	return c.setSimple(f, v, &j.Error, nil)
}
