package queue

import (
	"context"
	"io"
	"os"
	"slices"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Reroute sends a message on to another address in the place of a recipient that waits. The message
// to it is a new one, with the same age, and reports about it name the old recipient (RFC 3461
// section 5.2.3). A crash can leave both. Errors: fault.NoMessage, fault.NotFound if nobody of
// that address waits, fault.Busy while it is being delivered, and what the router says about the new one.
func (q *Queue) Reroute(ctx context.Context, id envelope.QueueID, from, to address.Address) (envelope.QueueID, error) {
	const op = "queue.Reroute"
	if _, err := q.o.Router.Route(ctx, names.Mail, to); err != nil {
		return 0, err
	}
	q.mu.Lock()
	m := q.messages[id]
	there := m != nil && !m.finished
	q.mu.Unlock()
	if !there {
		return 0, errNoMessage(op)
	}
	h, err := q.readHead(id)
	if err != nil {
		return 0, fault.Wrap(op, fault.Internal, err)
	}
	rcpt := slices.IndexFunc(h.env.Recipients, func(r envelope.Recipient) bool { return r.Address == from && toBeDelivered(&r) })
	if rcpt < 0 {
		return 0, fault.Newf(op, fault.NotFound, "the message does not wait for %s", from)
	}
	b, it, err := q.takeOut(m, h, rcpt)
	if err != nil {
		return 0, err
	}
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if e := it.entry; e.place == active { // nothing came of it
			q.moveTo(e, enqueuer, "", "")
		}
		q.giveBack(b)
	}()
	again, err := q.copyTo(ctx, it, to)
	if err != nil {
		return 0, err
	}
	if err := q.Publish(again); err != nil {
		return 0, err
	}
	q.write(id, &h.layout, []outcome{{rcpt: rcpt, state: envelope.Delivered}}, true)
	q.logDequeuer.Log(ctx, logs.LevelMajor, "rerouted to "+to.String(), logs.AttrQueueID, uint64(id), logs.AttrRecipient, from.String(), "as", again.String())
	_, _, _ = it.close()
	q.settle(settlement{item: it, results: []result{{rcpt: rcpt, status: envelope.Status{
		Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "sent on to " + to.String() + " as " + again.String(), Passed: true}}}})
	return again, nil
}

// takeOut takes one recipient of a message out of its queue, for the caller to work on.
func (q *Queue) takeOut(m *message, h *head, rcpt int) (*Batch, *Item, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var from *entry
	for e := m.entries; e != nil; e = e.next {
		if slices.Contains(e.rcpts, rcpt) {
			from = e
		}
	}
	if from == nil || from.place != ready && from.place != delayed {
		return nil, nil, fault.New("queue.Reroute", fault.Busy, "the message is being delivered, try again")
	}
	if from.queue.module.name == RulesModule || heldModule(from.queue) == RulesModule {
		return nil, nil, fault.New("queue.Reroute", fault.Busy, "the message waits for the rules of the server, try again")
	}
	if l := from.queue; len(from.rcpts) == 1 {
		l.drop(from)
		q.replan(l)
		q.offer(l)
	} else {
		from.rcpts = slices.DeleteFunc(slices.Clone(from.rcpts), func(r int) bool { return r == rcpt })
	}
	l := q.queue(q.modules[enqueuer], "")
	e := &entry{msg: m, rcpts: []int{rcpt}, place: active}
	l.adopt(e)
	b := q.newBatch(l)
	b.begin()
	it := newItem(b, e)
	it.fill(q, h, e.rcpts, nil)
	return b, it, nil
}

// copyTo makes a held copy of a message for another address.
func (q *Queue) copyTo(ctx context.Context, it *Item, to address.Address) (envelope.QueueID, error) {
	const op = "queue.Reroute"
	env := *it.Envelope
	rcpt := env.Recipients[it.Recipients[0]]
	if rcpt.Original == "" {
		rcpt.Original = "rfc822;" + rcpt.Address.String()
		if rcpt.Address.NeedsUTF8() {
			rcpt.Original = "utf-8;" + rcpt.Address.String()
		}
	}
	rcpt.Address, rcpt.Local, rcpt.State, rcpt.Warned = to, "", envelope.Waiting, 0
	env.Recipients = []envelope.Recipient{rcpt}
	env.SMTPUTF8 = env.SMTPUTF8 || to.NeedsUTF8()
	env.RulesDone, env.OnHold, env.Rejected = true, false, envelope.NotRejected
	f, err := os.Open(it.File)
	if err != nil {
		return 0, fault.Wrap(op, fault.Internal, err)
	}
	defer f.Close()
	s, err := q.begin(ctx, &env, false)
	if err != nil {
		return 0, err
	}
	defer s.Abort()
	s.Unattended()
	if _, err := io.Copy(s, io.NewSectionReader(f, it.Offset, it.Size)); err != nil {
		return 0, fault.Wrap(op, fault.Internal, err)
	}
	return s.ID(), s.Hold(ctx)
}
