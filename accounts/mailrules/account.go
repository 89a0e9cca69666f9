package mailrules

import (
	"bytes"
	"context"
	"log/slog"
	"strings"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/delivery"
	"gatepost/router/address"
	"gatepost/rules"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Have reports whether an account has rules, or its domain.
func (r *Rules) Have(acc *accounts.Account) bool {
	return acc.MailRules().Active() || acc.DomainMailRules().Active()
}

// Apply applies the rules of a domain and of an account to a message, and returns what the delivery is to
// do.
func (r *Rules) Apply(ctx context.Context, m *delivery.Message) ([]delivery.Action, error) {
	a := &application{Rules: r, Message: m, mail: r.accountMail(m)}
	a.run = r.runs.Get().(*rules.Run)
	defer r.runs.Put(a.run)
	a.run.Start(r.accountInput(ctx, m.Account, a.mail), m.Account.DomainMailRules(), m.Account.MailRules())
	for step, ok := a.run.Next(); ok; step, ok = a.run.Next() {
		ended, err := a.do(ctx, step)
		if err != nil {
			return nil, err
		}
		if ended {
			return a.kept(), nil
		}
	}
	switch err := a.run.Err(); {
	case err == nil:
	case passes(err):
		return nil, err
	default:
		r.locals.LogAttrs(ctx, logs.LevelProblem, "the rules are not applied any further", about(m.ID, m.Account, slog.Any(logs.AttrError, err))...)
		return a.kept(), nil
	}
	out := a.run.Outcome()
	switch out.Fate {
	case rules.Discarded:
		return append(a.actions, delivery.Discard{}), nil
	case rules.Rejected:
		return append(a.actions, delivery.Reject{Text: out.Text}), nil
	}
	return a.kept(), nil
}

// kept are the actions for a message that goes into INBOX after them.
func (a *application) kept() []delivery.Action {
	if a.refusal != "" {
		return append(a.actions, delivery.Reject{Text: a.refusal})
	}
	a.change()
	return append(a.actions, delivery.Mark{Flags: flagsOf(a.run.Outcome().Flags)})
}

// accountMail is a message that is delivered, as rules see it.
func (r *Rules) accountMail(m *delivery.Message) *mail {
	return &mail{env: m.Envelope, rcpts: m.Recipients, routes: m.Routes, size: m.Size, sum: m.Summary, before: m.Before,
		open: func() (opened, error) { return m.Open() }}
}

// accountInput is what a run for an account is about.
func (r *Rules) accountInput(ctx context.Context, acc *accounts.Account, m *mail) rules.Input {
	return rules.Input{Message: m, Recipient: &recipient{ctx, acc, r.o.Accounts, r.o.FreeBusy}, Owner: address.Address{Local: acc.Name, Domain: acc.Domain},
		OwnerName: acc.Settings().RealName, MainDomain: r.o.Accounts.MainDomain(), Now: now().In(zoneOf(acc))}
}

// recipient answers what rules ask about the account.
type recipient struct {
	ctx   context.Context
	acc   *accounts.Account
	store *accounts.Store
	state func(context.Context, *accounts.Account) (string, error)
}

// FreeBusy says whether the account is busy now.
func (r *recipient) FreeBusy() (string, error) {
	if r.state == nil {
		return "Free", nil
	}
	return r.state(r.ctx, r.acc)
}

// Owns reports whether an address leads to the account. One that cannot be looked up is another's.
func (r *recipient) Owns(a address.Address) bool {
	own, err := r.store.OwnsAddress(r.ctx, r.acc, a)
	return err == nil && own
}

func (r *recipient) Remembers(dataset, addr string) (bool, error) {
	return r.acc.Mail().Remembers(dataset, addr)
}

func (r *recipient) Mailboxes() ([]string, error) {
	list, err := r.acc.Mail().List(r.ctx)
	var names []string
	for i := range list {
		names = append(names, list[i].Name)
	}
	return names, err
}

func (r *recipient) Preference(name string) string { return r.acc.Preference(name) }

// application is the rules of an account being applied to a message.
type application struct {
	*Rules
	*delivery.Message
	mail    *mail
	run     *rules.Run
	actions []delivery.Action
	ran     int    // programs so far
	refusal string // of a program

	// What the actions so far have of the changes.
	tag     string
	fields  int
	before  int  // so many of the fields stand before the message
	changed bool // the header is another one
}

// do takes over one action. ended says that it has ended the rules: the message is kept.
func (a *application) do(ctx context.Context, step rules.Step) (ended bool, err error) {
	switch act := step.Action.(type) {
	case rules.StoreIn:
		return a.storeIn(ctx, step.Rule, act)
	case rules.Resend:
		return a.send(ctx, step.Rule, delivery.Send{ReturnPath: act.ReturnPath, To: act.Recipients, Fields: rules.AppendFields(nil, act.Fields)}, act)
	case rules.Submit:
		return a.submit(ctx, step.Rule, act)
	case rules.Remember:
		a.actions = append(a.actions, delivery.Remember(act))
	case rules.SendURL:
		a.actions = append(a.actions, delivery.Then{Do: func() { a.urls.add(step.Rule, act.URL, a.ID, a.Account) }})
	case rules.CopyAttachments:
		return a.copyAttachments(ctx, step.Rule, act)
	case rules.Execute:
		return a.execute(ctx, step.Rule, act)
	case rules.Schedule:
		a.actions = append(a.actions, delivery.Schedule{Request: act.Kind() == rules.KindAcceptRequest, Reply: act.Kind() == rules.KindAcceptReply, Options: act.Options})
	case rules.Reject, rules.Discard:
		a.fired(ctx, step)
	case rules.WriteLog:
		record(ctx, a.locals, logs.LevelMajor, step.Rule, "says: "+act.Text, about(a.ID, a.Account)...)
	case rules.Skipped:
		record(ctx, a.locals, logs.LevelProblem, step.Rule, rules.Describe(act), about(a.ID, a.Account)...)
		return false, nil
	}
	a.fired(ctx, step)
	return false, nil
}

// fired records an action in the words that log analysers know.
func (a *application) fired(ctx context.Context, step rules.Step) {
	a.counts.Actions.Inc()
	if a.locals.Enabled(ctx, logs.LevelLowLevel) {
		record(ctx, a.locals, logs.LevelLowLevel, step.Rule, "-> "+rules.Describe(step.Action), about(a.ID, a.Account)...)
	}
}

// failed records an action that cannot be done. Unless the failure passes, the rules end and the message
// is kept.
func (a *application) failed(ctx context.Context, rule *rules.Rule, act rules.Action, err error) (ended bool, _ error) {
	if passes(err) {
		return false, err
	}
	record(ctx, a.locals, logs.LevelProblem, rule, rules.Describe(act)+" is not done, the message goes into INBOX", about(a.ID, a.Account, slog.Any(logs.AttrError, err))...)
	return true, nil
}

func (a *application) storeIn(ctx context.Context, rule *rules.Rule, act rules.StoreIn) (ended bool, err error) {
	store := delivery.Store{Mailbox: act.Mailbox}
	name := act.Mailbox // perhaps a mailbox alias
	if act.Owner != "" {
		name = "~" + act.Owner + "/" + act.Mailbox
	}
	box, err := a.o.Access.Mailbox(ctx, a.Account, name)
	if act.Owner != "" || err != nil || box.Foreign() {
		if err == nil {
			err = box.Require(access.Insert)
		}
		if err == nil {
			_, err = box.Account.Mail().Status(ctx, box.Name)
		}
		if err != nil {
			return a.failed(ctx, rule, act, err)
		}
		store = delivery.Store{Domain: box.Account.Domain, Name: box.Account.Name, Mailbox: box.Name}
		act.Flags = settable(act.Flags, box.Rights)
	} else if _, err := a.Account.Mail().Status(ctx, act.Mailbox); err != nil {
		return a.failed(ctx, rule, act, err)
	}
	a.change()
	a.actions = append(a.actions, delivery.Mark{Flags: flagsOf(act.Flags)}, store)
	a.fired(ctx, rules.Step{Rule: rule, Action: act})
	return false, nil
}

// settable are those of the flags that rights let an account set in a mailbox.
func settable(flags []string, rights access.Rights) (may []string) {
	for _, f := range flags {
		needs := access.Write
		switch imap.Flag(f) {
		case imap.FlagSeen:
			needs = access.Seen
		case imap.FlagDeleted:
			needs = access.Delete
		}
		if rights.Has(needs) {
			may = append(may, f)
		}
	}
	return may
}

// change has the copies after it carry what rules have changed of the header. Fields that may stand before
// the message save a copy of it.
func (a *application) change() {
	c := a.run.Changes()
	if c.Tag == a.tag && len(c.Fields) == a.fields {
		return
	}
	header, err := a.mail.Header()
	if err != nil {
		return // the run has failed to read it too
	}
	added := c.Fields[a.fields:]
	a.tag, a.fields = c.Tag, len(c.Fields)
	if c.Tag == "" && !a.changed && unseen(header, added) {
		a.before = a.fields
		a.actions = append(a.actions, delivery.AddFields{Fields: rules.AppendFields(nil, added)})
		return
	}
	a.changed = true
	c.Fields = c.Fields[a.before:]
	header = header[len(a.mail.before):]
	a.actions = append(a.actions, delivery.SetHeader{Text: c.Apply(header), Replaced: int64(len(header))})
}

// unseen reports whether nobody sees if fields stand before a header or at its end: readers have no use for
// their place, and the header has none of their name.
func unseen(header []byte, fields []rules.Field) bool {
	lower := bytes.ToLower(header)
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		if !strings.HasPrefix(name, "x-") || bytes.HasPrefix(lower, []byte(name+":")) || bytes.Contains(lower, []byte("\n"+name+":")) {
			return false
		}
	}
	return true
}

// submit sends a new message.
func (a *application) submit(ctx context.Context, rule *rules.Rule, act rules.Submit) (ended bool, err error) {
	if act.Kind() != rules.KindForward && !a.mayWrite(a.Account.ID, act.Recipients) {
		record(ctx, a.locals, logs.LevelProblem, rule, rules.Describe(act)+" is not sent: there were too many before it", about(a.ID, a.Account)...)
		return false, nil
	}
	text := append(newFields(a.Account.Domain), act.Message...)
	s := delivery.Send{ReturnPath: act.ReturnPath, To: act.Recipients}
	if act.Original {
		s.Fields = text // the message stands behind them
	} else {
		s.Text = text
	}
	return a.send(ctx, rule, s, act)
}

// send sends, unless the account has sent too much.
func (a *application) send(ctx context.Context, rule *rules.Rule, s delivery.Send, act rules.Action) (ended bool, err error) {
	if a.o.Accounts.Sent().Take(a.Account.ID, a.Account.Settings().MailOutFlow) > 0 {
		return a.failed(ctx, rule, act, fault.New("mailrules.send", fault.RateLimited, "the account has sent too many messages"))
	}
	a.change()
	a.actions = append(a.actions, s)
	a.fired(ctx, rules.Step{Rule: rule, Action: act})
	return false, nil
}

func (a *application) execute(ctx context.Context, rule *rules.Rule, act rules.Execute) (ended bool, err error) {
	a.ran++
	header := []byte(nil)
	if c := a.run.Changes(); !c.Empty() {
		if header, err = a.mail.Header(); err != nil {
			return false, err
		}
		header = c.Apply(header)
	}
	refusal, err := a.Rules.execute(ctx, &execution{Execute: act, mail: a.mail, header: header,
		account: a.Account.Address(), id: a.ID, programs: a.Message.Programs, n: a.ran})
	switch {
	case err != nil:
		return a.failed(ctx, rule, act, err)
	case refusal != "":
		a.fired(ctx, rules.Step{Rule: rule, Action: act})
		a.refusal = refusal
		return true, nil
	}
	a.fired(ctx, rules.Step{Rule: rule, Action: act})
	return false, nil
}

// flagsOf are flags as the store has them.
func flagsOf(names []string) []imap.Flag {
	out := make([]imap.Flag, len(names))
	for i, n := range names {
		out[i] = imap.Flag(n)
	}
	return out
}
