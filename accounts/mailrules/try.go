package mailrules

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/delivery"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/rules"
	"gatepost/server/fault"
)

// Trial is a message that rules are tried on.
type Trial struct {
	Level rules.Level
	// Account is the recipient of the message, for the levels Domain and Account.
	Account  *accounts.Account
	Envelope *envelope.Envelope
	Routes   []router.Route // of the recipients, for the level Server
	// Text is the message, with CRLF; Size is how long it is, if Text is only its beginning.
	Text []byte
	Size int64
}

// Try says which rules match a message and why, and what would happen. It does nothing of it: filters
// are not asked, programs are not run, nothing is stored or sent. With the level Account, the rules of the
// domain are tried too, as in a delivery.
func (r *Rules) Try(ctx context.Context, t *Trial) (string, error) {
	m := &mail{env: t.Envelope, routes: t.Routes, size: max(t.Size, int64(len(t.Text))), open: func() (opened, error) {
		return &delivery.Text{SectionReader: io.NewSectionReader(bytes.NewReader(t.Text), 0, int64(len(t.Text))), Closer: io.NopCloser(nil)}, nil
	}}
	first, second, in := r.server.Load(), (*rules.Set)(nil), r.serverInput(m)
	if t.Level != rules.Server {
		if t.Account == nil {
			return "", fault.New("mailrules.Try", fault.Invalid, "rules of domains and accounts are tried for an account")
		}
		first, in = t.Account.DomainMailRules(), r.accountInput(ctx, t.Account, m)
	}
	if t.Level == rules.Account {
		second = t.Account.MailRules()
	}
	var b strings.Builder
	for _, set := range []*rules.Set{first, second} {
		for _, rule := range set.Rules() {
			switch {
			case rule.Err() != nil:
				fmt.Fprintf(&b, "%s rule %q is not applied: %v\n", rule.Level, rule.Name, rule.Err())
			case rule.Priority == rules.Inactive:
				fmt.Fprintf(&b, "%s rule %q is not applied: its priority is 0\n", rule.Level, rule.Name)
			}
			for _, note := range rule.Notes() {
				fmt.Fprintf(&b, "%s rule %q: %s\n", rule.Level, rule.Name, note)
			}
		}
	}
	var run rules.Run
	var trace rules.Trace
	run.Explain(&trace)
	run.Start(in, first, second)
	var problems []string
	ended := false
	for step, ok := run.Next(); ok; step, ok = run.Next() {
		if why, ends := r.foresee(ctx, t, step); why != "" {
			problems = append(problems, fmt.Sprintf("rule %q: %s", step.Rule.Name, why))
			if ended = ends; ended {
				break
			}
		}
	}
	b.WriteString(trace.String())
	for _, p := range problems {
		b.WriteString(p + "\n")
	}
	b.WriteString(result(&run, t.Level, ended))
	return b.String(), nil
}

// foresee says what is known of an action that would go wrong, or is not tried. ends says that it would
// end the rules.
func (r *Rules) foresee(ctx context.Context, t *Trial, step rules.Step) (why string, ends bool) {
	switch act := step.Action.(type) {
	case rules.StoreIn:
		name := act.Mailbox
		if act.Owner != "" {
			name = "~" + act.Owner + "/" + name
		}
		user := t.Account
		var err error
		if user == nil {
			user, err = r.o.Accounts.Account(ctx, r.o.Accounts.MainDomain(), accounts.Postmaster)
		}
		var box access.Mailbox
		if err == nil {
			box, err = r.o.Access.Mailbox(ctx, user, name)
		}
		if err == nil {
			err = box.Require(access.Insert)
		}
		if err == nil {
			_, err = box.Account.Mail().Status(ctx, box.Name)
		}
		if err != nil {
			return fmt.Sprintf("Store in %q would fail (%s): the rules would end there, and the message be kept", name, fault.KindOf(err)), true
		}
	case rules.Filter:
		return "the filter " + act.Name + " is not asked: what follows is as if it had answered OK", false
	case rules.Execute:
		return "the program is not run: what follows is as if it had ended well", false
	}
	return "", false
}

// result says what becomes of the message.
func result(run *rules.Run, level rules.Level, ended bool) string {
	var b strings.Builder
	if err := run.Err(); err != nil {
		fmt.Fprintf(&b, "the rules end with an error: %v\n", err)
	}
	changes := run.Changes()
	for _, line := range strings.SplitAfter(string(rules.AppendFields(nil, changes.Fields)), "\r\n") {
		if line != "" {
			b.WriteString("added: " + strings.TrimRight(line, "\r\n") + "\n")
		}
	}
	if changes.Tag != "" {
		fmt.Fprintf(&b, "before the subject: %q\n", changes.Tag)
	}
	out := run.Outcome()
	by := ""
	if out.Rule != nil {
		by = fmt.Sprintf(" by rule %q", out.Rule.Name)
	}
	switch {
	case !ended && out.Fate == rules.Discarded:
		b.WriteString("result: discarded" + by + "\n")
	case !ended && out.Fate == rules.Rejected:
		fmt.Fprintf(&b, "result: refused%s: %s\n", by, out.Text)
	case level == rules.Server:
		b.WriteString("result: goes on to its recipients\n")
	case len(out.Flags) > 0:
		b.WriteString("result: INBOX, with the flags " + strings.Join(out.Flags, " ") + "\n")
	default:
		b.WriteString("result: INBOX\n")
	}
	return b.String()
}
