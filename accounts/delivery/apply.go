package delivery

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// What rules say is carried out once, also when a crash or a failure has the delivery repeated:
//
//	1  copies in other accounts    each with a record there, under the queue ID
//	2  messages to send            held by the queue (queue.Submission.Hold)
//	3  the account's own copies    one commit, with a record that names the held messages
//	4  the held messages           published
//
// The commit is where the rules have been applied. Before it everything is done again, and the rules are
// asked again; after it nothing is, but what is still held is published, and a rejection is reported.
// A crash between 2 and 3 leaves held messages that no record names: they go at the start, see settleHeld.
//
// Copies are told apart by their numbers (mailbox.Delivery.Copy). Those that rules make have the
// first bit set, then the number of the account's first recipient in the envelope, so that two
// accounts can store into a third one, and that of the action.

const (
	byRules    = 1 << 31
	actionBits = 8
	// recordOfSends is the action of the record that names what is sent, and recordOfReject that of the
	// record that says that the message is rejected.
	recordOfSends  = 1<<actionBits - 1
	recordOfReject = recordOfSends - 1
	maxRecipient   = 1<<(31-actionBits) - 1
)

// ServerCopy is the Copy of a delivery that rules of the server make of a message, the n-th, up to MaxServerCopies.
func ServerCopy(n int) uint32 { return number(maxRecipient, uint32(n)) }

// MaxServerCopies bounds ServerCopy.
const MaxServerCopies = maxParts

// number is the Copy of what an action makes of a message for a recipient.
func number(rcpt int, action uint32) uint32 {
	return byRules | uint32(rcpt)<<actionBits | action
}

// applied is one message to which rules have been applied, but for the commit.
type applied struct {
	deliveries []mailbox.Delivery // for the account, made together; they are what the commit is about
	held       []envelope.QueueID // to be published after it
	then       []func()           // to be done after that
	again      bool               // the commit was made before
	status     envelope.Status    // of the recipients after it
}

// apply lets the rules of the account decide about a copy for INBOX. A status ends the delivery.
func (t *Transport) apply(ctx context.Context, acc *accounts.Account, it *queue.Item, c *messageCopy, sum *message.Summary) (applied, *envelope.Status) {
	first := c.rcpts[0]
	if first >= maxRecipient { // the last is that of rules of the server
		st := failed(fault.New("delivery.apply", fault.TooMany, ""))
		return applied{}, &st
	}
	made, err := t.madeBefore(acc, it, first)
	if err != nil {
		return applied{}, t.failedToApply(acc, it, err)
	}
	programs := &Programs{acc: acc, id: it.ID, first: first}
	made = programs.cut(made)
	base := c.delivery(it, acc, sum)
	base.Together = true
	if len(made) > 0 {
		return applyAgain(base, made), nil
	}
	p, err := t.decide(ctx, acc, it, c, sum, programs)
	if err != nil {
		return applied{}, t.failedToApply(acc, it, err)
	}
	a := applied{status: delivered, then: p.then}
	p.nowhere = !p.inbox && p.reject == "" && len(p.copies) == 0
	if err := t.storeElsewhere(ctx, acc, it, base, first, &p); err != nil {
		return applied{}, t.failedToApply(acc, it, err)
	}
	if err := t.checkMailboxes(ctx, acc, it, &p); err != nil {
		return applied{}, t.failedToApply(acc, it, err)
	}
	if a.held, err = t.holdAll(ctx, acc, it, &p); err != nil {
		return applied{}, t.failedToApply(acc, it, err)
	}
	for _, own := range p.copies {
		a.deliveries = append(a.deliveries, own.of(base, first))
	}
	switch {
	case p.inbox:
		a.deliveries = append(a.deliveries, planned{flags: p.flags, fields: p.fields, header: p.header}.of(base, first))
	case p.reject != "":
		a.status = rejected(p.reject)
		if len(a.deliveries)+len(a.held)+len(p.known) > 0 {
			a.deliveries = append(a.deliveries, mailbox.Delivery{QueueID: base.QueueID, Copy: number(first, recordOfReject), Together: true, RecordOnly: true})
		}
	case len(a.deliveries) == 0:
		a.status.Text = textDiscarded
	}
	if len(a.held)+len(p.known) > 0 {
		record := mailbox.Delivery{QueueID: base.QueueID, Copy: number(first, recordOfSends), Together: true, RecordOnly: true, Remember: p.known}
		for _, id := range a.held {
			record.Sent = append(record.Sent, uint64(id))
		}
		a.deliveries = append(a.deliveries, record)
	}
	return a, nil
}

// textDiscarded is the status of a message that rules discard.
const textDiscarded = "discarded by a rule"

// textRejected is what is said of a rejection whose text is not known any more.
const textRejected = "rejected by a rule"

func rejected(text string) envelope.Status {
	return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 7, 1}, Text: text}
}

// of is the delivery of a copy.
func (p planned) of(base mailbox.Delivery, first int) mailbox.Delivery {
	base.Flags = p.flags
	base.Prefix = append(base.Prefix[:len(base.Prefix):len(base.Prefix)], p.fields...)
	if p.header != nil {
		base.Header, base.Replaced = p.header.Text, p.header.Replaced
	}
	if p.number > 0 { // else it is the copy that the rules leave where it goes without them
		base.Mailbox, base.Copy = p.Mailbox, number(first, p.number)
	}
	return base
}

// madeBefore lists the deliveries of an earlier attempt for the same recipients.
func (t *Transport) madeBefore(acc *accounts.Account, it *queue.Item, first int) ([]mailbox.Made, error) {
	all, err := acc.Mail().Made(uint64(it.ID))
	return slices.DeleteFunc(all, func(m mailbox.Made) bool {
		return m.Copy != 0 && m.Copy>>actionBits != number(first, 0)>>actionBits
	}), err
}

// applyAgain repeats what was made: a crash may have taken the links of the files, and what was
// held may not be published yet.
func applyAgain(base mailbox.Delivery, made []mailbox.Made) applied {
	a := applied{again: true, status: delivered}
	for _, m := range made {
		d := base
		d.Copy = m.Copy
		if m.Copy&byRules != 0 {
			switch m.Copy & recordOfSends {
			case recordOfReject:
				d.RecordOnly, a.status = true, rejected(textRejected)
			case recordOfSends:
				d.RecordOnly = true
			}
		}
		a.deliveries = append(a.deliveries, d)
		for _, id := range m.Sent {
			a.held = append(a.held, envelope.QueueID(id))
		}
	}
	return a
}

// decide asks the rules. A panic of theirs puts the delivery off and leaves the others alone.
func (t *Transport) decide(ctx context.Context, acc *accounts.Account, it *queue.Item, c *messageCopy, sum *message.Summary, programs *Programs) (p plan, err error) {
	defer func() {
		if v := recover(); v != nil {
			t.log.LogAttrs(ctx, logs.LevelCrash, "rules crashed", slog.Uint64(logs.AttrQueueID, uint64(it.ID)),
				slog.String(logs.AttrAccount, acc.Address()), slog.Any(logs.AttrError, v), slog.String("stack", string(debug.Stack())))
			err = fault.New("delivery.decide", fault.Internal, "")
		}
	}()
	m := &Message{ID: it.ID, Account: acc, Envelope: it.Envelope, Recipients: c.rcpts, Summary: sum, Size: it.Size, file: it.File, offset: it.Offset, Before: c.junk, Programs: programs}
	for _, rcpt := range c.rcpts {
		m.Routes = append(m.Routes, it.Routes[slices.Index(it.Recipients, rcpt)])
	}
	var actions []Action
	if t.rules != nil {
		if actions, err = t.rules.Apply(ctx, m); err != nil {
			return plan{}, err
		}
	}
	if actions, err = t.schedule(ctx, m, actions); err != nil {
		return plan{}, err
	}
	p = planOf(actions)
	if p.over {
		t.ruleProblem(ctx, acc, it, "a rule has too many actions", nil)
	}
	return p, nil
}

// storeElsewhere makes the copies in other accounts and takes them out of the plan.
func (t *Transport) storeElsewhere(ctx context.Context, acc *accounts.Account, it *queue.Item, base mailbox.Delivery, first int, p *plan) error {
	var own []planned
	for _, c := range p.copies {
		other, err := acc, error(nil)
		if c.Name != "" {
			other, err = t.accounts.Account(ctx, c.Domain, c.Name)
		}
		if err == nil && other.ID == acc.ID {
			own = append(own, c)
			continue
		}
		if err == nil {
			_, err = other.Mail().Status(ctx, c.Mailbox)
		}
		if err == nil {
			d := c.of(base, first)
			d.Together = false
			err = other.Mail().Deliver(ctx, []mailbox.Delivery{d})[0]
		}
		switch fault.KindOf(err) {
		case fault.NotFound, fault.NoDomain, fault.NoMailbox, fault.Invalid, fault.OverQuota, fault.TooMany:
			t.ruleProblem(ctx, acc, it, "a rule cannot store", err, slog.String("target", c.Name+"@"+c.Domain), slog.String("mailbox", c.Mailbox))
			p.inbox = true
			continue
		}
		if err != nil {
			return err
		}
	}
	p.copies = own
	return nil
}

// checkMailboxes takes the copies for mailboxes that are not there out of the plan.
func (t *Transport) checkMailboxes(ctx context.Context, acc *accounts.Account, it *queue.Item, p *plan) error {
	var there []planned
	for _, c := range p.copies {
		switch _, err := acc.Mail().Status(ctx, c.Mailbox); {
		case err == nil:
			there = append(there, c)
		case fault.Is(err, fault.NoMailbox), fault.Is(err, fault.Invalid):
			t.ruleProblem(ctx, acc, it, "a rule cannot store", err, slog.String("mailbox", c.Mailbox))
			p.inbox = true
		default:
			return err
		}
	}
	p.copies = there
	return nil
}

// ruleProblem records what rules wanted and could not get.
func (t *Transport) ruleProblem(ctx context.Context, acc *accounts.Account, it *queue.Item, text string, err error, more ...slog.Attr) {
	attrs := append([]slog.Attr{slog.Uint64(logs.AttrQueueID, uint64(it.ID)), slog.String(logs.AttrAccount, acc.Address())}, more...)
	if err != nil {
		attrs = append(attrs, slog.Any(logs.AttrError, err))
	}
	t.log.LogAttrs(ctx, logs.LevelProblem, text, attrs...)
}

// failedToApply is the status when rules could not be applied now: nothing is refused for it.
func (t *Transport) failedToApply(acc *accounts.Account, it *queue.Item, err error) *envelope.Status {
	t.log.LogAttrs(context.Background(), logs.LevelFailure, "rules are not applied", slog.Uint64(logs.AttrQueueID, uint64(it.ID)),
		slog.String(logs.AttrAccount, acc.Address()), slog.Any(logs.AttrError, err))
	return &envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 3, 0}, Text: "the rules of the account cannot be applied now"}
}

// finish ends what apply has begun, after the commit: err is its error.
func (t *Transport) finish(acc *accounts.Account, it *queue.Item, a *applied, err error) error {
	if err == nil {
		for _, id := range a.held {
			if err := t.queue.Publish(id); err != nil {
				return err
			}
		}
		for _, do := range a.then {
			do()
		}
		return nil
	}
	if a.again || len(a.held) == 0 {
		return err
	}
	if fault.Is(err, fault.Unavailable) {
		// The index has failed: nobody knows whether the commit is on the disk. What is held stays
		// until the next start, which knows.
		return err
	}
	if made, lookErr := t.madeBefore(acc, it, a.firstRecipient()); lookErr == nil && len(new(Programs).cut(made)) == 0 {
		t.dropAll(a.held)
	}
	return err
}

// firstRecipient is the recipient that the numbers of the copies are about.
func (a *applied) firstRecipient() int {
	last := a.deliveries[len(a.deliveries)-1].Copy // of the record
	return int(last &^ byRules >> actionBits)
}

func (t *Transport) dropAll(ids []envelope.QueueID) {
	for _, id := range ids {
		if err := t.queue.Drop(id); err != nil {
			t.log.LogAttrs(context.Background(), logs.LevelFailure, "a message that a rule does not send is not removed",
				slog.Uint64(logs.AttrQueueID, uint64(id)), slog.Any(logs.AttrError, err))
		}
	}
}

// settleHeld publishes the held messages of an earlier run that a record names, and removes the
// others. It notes to which messages rules were applied: they are not delivered without them when the rules
// are gone meanwhile. It comes before the queue runs.
func (t *Transport) settleHeld(ctx context.Context) error {
	held := t.queue.Held()
	named := map[uint64]bool{}
	err := t.accounts.Mail().EachMade(ctx, func(id uint64, m mailbox.Made) {
		if m.Copy&byRules != 0 {
			t.ruled.Store(envelope.QueueID(id), true)
		}
		for _, sent := range m.Sent {
			named[sent] = true
		}
	})
	if err != nil {
		return err
	}
	for _, id := range held {
		if named[uint64(id)] {
			err = t.queue.Publish(id)
		} else {
			err = t.queue.Drop(id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
