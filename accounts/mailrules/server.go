package mailrules

import (
	"context"
	"io"
	"log/slog"
	"os"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/delivery"
	"gatepost/accounts/mailbox"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/rules"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Active reports whether the server has rules.
func (r *Rules) Active() bool { return r.server.Load().Active() }

// Judge applies the rules of the server to a message.
func (r *Rules) Judge(ctx context.Context, m *queue.Message) (*queue.Verdict, error) {
	set := r.server.Load()
	if !set.Active() {
		return nil, nil
	}
	j := &judgement{Rules: r, Message: m, mail: r.serverMail(m), verdict: &queue.Verdict{}}
	j.run = r.runs.Get().(*rules.Run)
	defer r.runs.Put(j.run)
	j.run.Start(r.serverInput(j.mail), set, nil)
	v, err := j.judge(ctx)
	if err != nil {
		for _, id := range j.verdict.Send {
			if dropErr := r.o.Queue.Drop(id); dropErr != nil {
				r.servers.LogAttrs(ctx, logs.LevelFailure, "a message that a rule does not send is not removed", about(id, nil, slog.Any(logs.AttrError, dropErr))...)
			}
		}
		return nil, err
	}
	for _, do := range j.then {
		do()
	}
	r.counts.verdict(v)
	return v, nil
}

// serverMail is a message that is judged, as rules see it.
func (r *Rules) serverMail(m *queue.Message) *mail {
	return &mail{env: m.Envelope, routes: m.Routes, size: m.Size, header: m.Header, open: func() (opened, error) {
		f, err := os.Open(m.File)
		if err != nil {
			return nil, err
		}
		return &delivery.Text{SectionReader: io.NewSectionReader(f, m.Offset, m.Size), Closer: f}, nil
	}}
}

// serverInput is what a run for the server is about.
func (r *Rules) serverInput(m *mail) rules.Input {
	main := r.o.Accounts.MainDomain()
	return rules.Input{Message: m, Owner: address.Address{Local: accounts.Postmaster, Domain: main}, MainDomain: main, Now: now()}
}

// judgement is the rules of the server being applied to a message.
type judgement struct {
	*Rules
	*queue.Message
	mail    *mail
	run     *rules.Run
	verdict *queue.Verdict
	stored  int
	ran     int
	out     []outgoing
	then    []func()
	rcpts   []envelope.Recipient // if not nil, the new recipients
}

// judge goes through the rules. No Verdict says that the message goes on as it is: what was done by then is
// found to be done if the rules are asked again.
func (j *judgement) judge(ctx context.Context) (*queue.Verdict, error) {
	kept := false // an action has failed: the message goes on
	for step, ok := j.run.Next(); ok; step, ok = j.run.Next() {
		ended, err := j.do(ctx, step)
		if err != nil {
			return nil, err
		}
		switch v := j.verdict; {
		case v.Later > 0:
			return v, nil
		case v.Discard || v.Reject != "":
			_, err := j.sendAll(ctx, false)
			return v, err
		}
		if ended {
			kept = true
			break
		}
	}
	if err := j.run.Err(); err != nil && passes(err) {
		return nil, err
	} else if err != nil {
		j.servers.LogAttrs(ctx, logs.LevelProblem, "the rules are not applied any further", about(j.ID, nil, slog.Any(logs.AttrError, err))...)
	}
	v := j.verdict
	out := j.run.Outcome()
	discard := !kept && out.Fate == rules.Discarded
	sent, err := j.sendAll(ctx, discard && j.stored == 0)
	switch {
	case err != nil:
		return nil, err
	case discard && sent:
		v.Discard = true
		return v, nil
	case !kept && out.Fate == rules.Rejected:
		v.Reject = out.Text
		return v, nil
	}
	header, size, err := j.changed(j.run.Changes())
	if err != nil {
		return nil, err
	}
	v.Prefix, v.Replaced, v.Recipients = header, size, j.rcpts
	if header == nil && j.rcpts == nil && len(v.Send) == 0 && len(j.then) == 0 {
		return nil, nil
	}
	if j.stored > 0 && (header != nil || j.rcpts != nil) {
		// The queue file gets another form: a lost link could not be made again.
		return v, j.o.Accounts.Mail().SyncLinks(ctx)
	}
	return v, nil
}

// changed is the header that the rules have made, and how long the old one is; nil if it is as it was.
func (j *judgement) changed(c rules.Changes) ([]byte, int64, error) {
	if c.Empty() {
		return nil, 0, nil
	}
	header, err := j.mail.Header()
	if err != nil {
		return nil, 0, fault.Wrap("mailrules.Judge", fault.Internal, err)
	}
	return c.Apply(header), int64(len(header)), nil
}

// do carries out one action. ended says that it has ended the rules: the message goes on.
func (j *judgement) do(ctx context.Context, step rules.Step) (ended bool, err error) {
	switch act := step.Action.(type) {
	case rules.StoreIn:
		err = j.storeIn(ctx, act)
	case rules.Resend:
		j.send(step, act.ReturnPath, act.Recipients, rules.AppendFields(nil, act.Fields), true)
	case rules.Submit:
		if act.Kind() != rules.KindForward && !j.mayWrite(0, act.Recipients) {
			record(ctx, j.servers, logs.LevelProblem, step.Rule, rules.Describe(act)+" is not sent: there were too many before it", about(j.ID, nil)...)
			return false, nil
		}
		text := append(newFields(j.o.Accounts.MainDomain()), act.Message...)
		j.send(step, act.ReturnPath, act.Recipients, text, act.Original)
	case rules.SendURL:
		j.then = append(j.then, func() { j.urls.add(step.Rule, act.URL, j.ID, nil) })
	case rules.Execute:
		err = j.execute(ctx, act)
	case rules.Filter:
		err = j.filter(ctx, step, act)
	case rules.WriteLog:
		record(ctx, j.servers, logs.LevelMajor, step.Rule, "says: "+act.Text, about(j.ID, nil)...)
	case rules.Skipped:
		record(ctx, j.servers, logs.LevelProblem, step.Rule, rules.Describe(act), about(j.ID, nil)...)
		return false, nil
	}
	switch {
	case err == nil:
		if j.servers.Enabled(ctx, logs.LevelLowLevel) {
			record(ctx, j.servers, logs.LevelLowLevel, step.Rule, "-> "+rules.Describe(step.Action), about(j.ID, nil)...)
		}
		return false, nil
	case passes(err):
		return false, err
	}
	record(ctx, j.servers, logs.LevelProblem, step.Rule, rules.Describe(step.Action)+" is not done, the message goes on", about(j.ID, nil, slog.Any(logs.AttrError, err))...)
	return true, nil
}

// storeIn stores a copy. It is made once, also when the rules are asked again: the account knows it.
func (j *judgement) storeIn(ctx context.Context, act rules.StoreIn) error {
	const op = "mailrules.storeIn"
	if j.stored == maxStored {
		return fault.New(op, fault.TooMany, "the rules store too many copies")
	}
	postmaster, err := j.postmaster(ctx)
	if err != nil {
		return err
	}
	box, err := j.o.Access.Mailbox(ctx, postmaster, "~"+act.Owner+"/"+act.Mailbox)
	if err == nil {
		err = box.Require(access.Insert)
	}
	if err == nil {
		_, err = box.Account.Mail().Status(ctx, box.Name)
	}
	if err != nil {
		return err
	}
	header, replaced, err := j.changed(j.run.Changes())
	if err != nil {
		return err
	}
	j.stored++
	return box.Account.Mail().Deliver(ctx, []mailbox.Delivery{{
		QueueID: uint64(j.ID), Copy: delivery.ServerCopy(j.stored), File: j.File, Offset: j.Offset, Size: j.Size,
		Prefix:  []byte("Return-Path: <" + j.Envelope.ReturnPath.String() + ">\r\nDelivered-To: " + box.Account.Address() + "\r\n"),
		Mailbox: box.Name, Flags: flagsOf(act.Flags), Header: header, Replaced: replaced,
	}})[0]
}

// maxStored bounds the copies that the rules of the server make of a message.
const maxStored = delivery.MaxServerCopies

// postmaster is the account in whose name the rules of the server act.
func (j *judgement) postmaster(ctx context.Context) (*accounts.Account, error) {
	return j.o.Accounts.Account(ctx, j.o.Accounts.MainDomain(), accounts.Postmaster)
}

// outgoing is a message that rules send.
type outgoing struct {
	rules.Step
	returnPath address.Address
	to         []address.Address
	text       []byte
	original   bool // behind text stands the message that is judged, with the changes that rules had made by then
	changes    rules.Changes
}

// send has a message sent when the rules are at their end: only then is it known whether somebody else has the message.
func (j *judgement) send(step rules.Step, returnPath address.Address, to []address.Address, text []byte, original bool) {
	j.out = append(j.out, outgoing{step, returnPath, to, text, original, j.run.Changes()})
}

// sendAll has all messages held until the verdict is durable. only says that nobody else has the message: then the
// return-path hears of failures. all is false if one of them cannot be sent.
func (j *judgement) sendAll(ctx context.Context, only bool) (all bool, err error) {
	all = true
	for i := range j.out {
		out := &j.out[i]
		switch err := j.hold(ctx, out, only && out.original); {
		case err == nil:
		case passes(err):
			return false, err
		default:
			all = false
			record(ctx, j.servers, logs.LevelProblem, out.Rule, rules.Describe(out.Action)+" is not done", about(j.ID, nil, slog.Any(logs.AttrError, err))...)
		}
	}
	return all, nil
}

// hold writes a message and has it held.
func (j *judgement) hold(ctx context.Context, out *outgoing, only bool) error {
	to, original, returnPath := out.to, out.original, &out.returnPath
	env := &envelope.Envelope{
		Source:     envelope.Source{Tag: rules.Server.Tag(), Domain: j.o.Accounts.MainDomain(), Trusted: true},
		ReturnPath: *returnPath, SMTPUTF8: returnPath.NeedsUTF8(), Body: envelope.Body8BitMIME,
	}
	notify := envelope.NotifyNever
	if only {
		notify = envelope.NotifyFailure
		if src := &j.Envelope.Source; *returnPath == j.Envelope.ReturnPath {
			env.Source.Trusted = src.Trusted || src.Account != "" // nobody vouches for the return-path of a stranger
		}
	}
	for _, a := range to {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: a, Notify: notify})
		env.SMTPUTF8 = env.SMTPUTF8 || a.NeedsUTF8()
	}
	if original {
		env.Body, env.SMTPUTF8, env.RequireTLS = j.Envelope.Body, env.SMTPUTF8 || j.Envelope.SMTPUTF8, j.Envelope.RequireTLS
	}
	sub, err := j.o.Queue.BeginHeld(ctx, env)
	if err != nil {
		return err
	}
	defer sub.Abort()
	if _, err = sub.Write(append(received(env.Source.Domain, "rules of the server", sub.ID()), out.text...)); err != nil {
		return err
	}
	if original {
		if err := j.writeOriginal(sub, out.changes); err != nil {
			return err
		}
	}
	if err := sub.HoldFor(ctx, j.ID); err != nil {
		return err
	}
	j.verdict.Send = append(j.verdict.Send, sub.ID())
	return nil
}

// writeOriginal writes the message as the rules have changed it.
func (j *judgement) writeOriginal(w io.Writer, c rules.Changes) error {
	header, replaced, err := j.changed(c)
	if err != nil {
		return err
	}
	f, err := j.mail.open()
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := w.Write(header); err != nil {
		return err
	}
	_, err = io.Copy(w, io.NewSectionReader(f, replaced, j.Size-replaced))
	return err
}

// execute runs a program. The records about it are in postmaster's account.
func (j *judgement) execute(ctx context.Context, act rules.Execute) error {
	postmaster, err := j.postmaster(ctx)
	if err != nil {
		return err
	}
	programs, err := delivery.ServerPrograms(postmaster, j.ID)
	if err != nil {
		return err
	}
	header, _, err := j.changed(j.run.Changes())
	if err != nil {
		return err
	}
	j.ran++
	j.verdict.Reject, err = j.Rules.execute(ctx, &execution{Execute: act, mail: j.mail, header: header, id: j.ID, programs: programs, n: j.ran})
	return err
}

// filter asks an External Filter.
func (j *judgement) filter(ctx context.Context, step rules.Step, act rules.Filter) error {
	if j.o.Filters == nil {
		return nil
	}
	answer, err := j.o.Filters.Ask(ctx, act.Name, j.Message)
	if err != nil {
		return err
	}
	v := j.verdict
	switch {
	case answer.Later > 0:
		v.Later, v.Reason = answer.Later, answer.Reason
		return nil
	case answer.Reject != "":
		v.Reject = answer.Reject
	case answer.Discard:
		v.Discard = true
	}
	if len(answer.Fields) > 0 {
		j.run.AddFields(answer.Fields)
	}
	if j.Envelope.Source.Tag == rules.Server.Tag() {
		return nil // a copy of a copy would have no end
	}
	for _, a := range answer.Add {
		if j.rcpts == nil {
			j.rcpts = append(j.rcpts, j.Envelope.Recipients...)
		}
		j.rcpts = append(j.rcpts, envelope.Recipient{Address: a, Notify: envelope.NotifyNever})
	}
	if len(answer.Mirror) > 0 {
		mark := rules.AppendFields(nil, []rules.Field{{Name: "X-Autogenerated", Value: "Mirror"}})
		j.send(step, j.Envelope.ReturnPath, answer.Mirror, mark, true)
	}
	return nil
}
