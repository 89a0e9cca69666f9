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
func (r *Rules) Try(ctx context.Context, t *Trial) (*rules.Verdict, error) {
	m := &mail{env: t.Envelope, routes: t.Routes, size: max(t.Size, int64(len(t.Text))), open: func() (opened, error) {
		return &delivery.Text{SectionReader: io.NewSectionReader(bytes.NewReader(t.Text), 0, int64(len(t.Text))), Closer: io.NopCloser(nil)}, nil
	}}
	first, second, in := r.server.Load(), (*rules.Set)(nil), r.serverInput(m)
	if t.Level != rules.Server {
		if t.Account == nil {
			return nil, fault.New("mailrules.Try", fault.Invalid, "rules of domains and accounts are tried for an account")
		}
		first, in = t.Account.DomainMailRules(), r.accountInput(ctx, t.Account, m)
	}
	if t.Level == rules.Account {
		second = t.Account.MailRules()
	}
	v := new(rules.Verdict)
	note := func(format string, args ...any) { v.Notes = append(v.Notes, fmt.Sprintf(format, args...)) }
	for _, set := range []*rules.Set{first, second} {
		for _, rule := range set.Rules() {
			switch {
			case rule.Err() != nil:
				note("%s rule %q is not applied: %v", rule.Level, rule.Name, rule.Err())
			case rule.Priority == rules.Inactive:
				note("%s rule %q is not applied: its priority is 0", rule.Level, rule.Name)
			}
			for _, n := range rule.Notes() {
				note("%s rule %q: %s", rule.Level, rule.Name, n)
			}
		}
	}
	var run rules.Run
	run.Explain(&v.Trace)
	run.Start(in, first, second)
	ended := false
	for step, ok := run.Next(); ok; step, ok = run.Next() {
		if why, ends := r.foresee(ctx, t, step); why != "" {
			v.Problems = append(v.Problems, fmt.Sprintf("rule %q: %s", step.Rule.Name, why))
			if ended = ends; ended {
				break
			}
		}
	}
	if err := run.Err(); err != nil {
		v.Problems = append(v.Problems, fmt.Sprintf("the rules end with an error: %v", err))
	}
	v.Changes, v.Result = changed(&run), result(&run, t.Level, ended)
	return v, nil
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
	case rules.CopyAttachments:
		return "the attachments are not stored: what follows is as if they had been", false
	case rules.Execute:
		return "the program is not run: what follows is as if it had ended well", false
	}
	return "", false
}

// changed is what the rules change of the header.
func changed(run *rules.Run) (lines []string) {
	changes := run.Changes()
	for _, line := range strings.SplitAfter(string(rules.AppendFields(nil, changes.Fields)), "\r\n") {
		if line != "" {
			lines = append(lines, "added: "+strings.TrimRight(line, "\r\n"))
		}
	}
	if changes.Tag != "" {
		lines = append(lines, fmt.Sprintf("before the subject: %q", changes.Tag))
	}
	return lines
}

// result says what becomes of the message.
func result(run *rules.Run, level rules.Level, ended bool) string {
	out := run.Outcome()
	by := ""
	if out.Rule != nil {
		by = fmt.Sprintf(" by rule %q", out.Rule.Name)
	}
	switch {
	case !ended && out.Fate == rules.Discarded:
		return "discarded" + by
	case !ended && out.Fate == rules.Rejected:
		return fmt.Sprintf("refused%s: %s", by, out.Text)
	case level == rules.Server:
		return "goes on to its recipients"
	case len(out.Flags) > 0:
		return "INBOX, with the flags " + strings.Join(out.Flags, " ")
	}
	return "INBOX"
}
