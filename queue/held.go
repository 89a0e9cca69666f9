package queue

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gatepost/queue/envelope"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// A held message is one that a delivery sends on: a rule redirects what it delivers. It is durable as
// N.held, and nobody's yet. Once the delivery has its record, which names the message, it is
// published and waits in the queue like any other. So a crash between the two neither loses
// it nor sends it twice: at the start the deliveries say of each held message whether they
// have a record of it (see Queue.Held), and the others go.
//
// What server rules send on is held in the same way, as N.for-P, P being the message that they are
// about. The mark RulesDone in P.msg, or a result of a recipient, or the end of P, is what publishes it.
//
// What a transport that is no Repeatable sends on for a recipient, such as a group, is N.for-P-R, R
// being the recipient's index. Its result in P.msg, or the end of P, is what publishes it.

// heldMessage is a message that is held.
type heldMessage struct {
	head *head // nil for what a crash has left
	origin
}

// origin is what publishes a held message. The zero origin is the record of a delivery.
type origin struct {
	of   envelope.QueueID // the message that server rules are about, or that is sent on
	rcpt int              // 1 + the index of the recipient that it is sent on for; 0 with rules
}

// ext is the extension of the file.
func (h heldMessage) ext() string {
	if h.of == 0 {
		return extHeld
	}
	if h.rcpt == 0 {
		return extHeldFor + h.of.String()
	}
	return extHeldFor + h.of.String() + "-" + strconv.Itoa(h.rcpt-1)
}

// parseOrigin reads the extension of a held message.
func parseOrigin(ext string) (o origin, ok bool) {
	text, ok := strings.CutPrefix(ext, extHeldFor)
	if !ok {
		return origin{}, false
	}
	of, rcpt, sentOn := strings.Cut(text, "-")
	id, err := strconv.ParseUint(of, 10, 64)
	if o.of = envelope.QueueID(id); sentOn && err == nil {
		o.rcpt, err = strconv.Atoi(rcpt)
		o.rcpt++
	}
	return o, err == nil && o.of != 0
}

// BeginHeld is Begin for a message that is held. The limit of the queue does not concern it: it
// takes the place of one that was accepted.
func (q *Queue) BeginHeld(ctx context.Context, env *envelope.Envelope) (*Submission, error) {
	return q.begin(ctx, env, true)
}

// Hold makes the message durable without the promise to deliver it. Publish or Drop end that. After
// an error the message is gone; it may be a refusal, as of Commit.
func (s *Submission) Hold(ctx context.Context) error { return s.hold(ctx, origin{}) }

// HoldFor is Hold for what server rules send of a message that they judge: Verdict.Send names it.
func (s *Submission) HoldFor(ctx context.Context, judged envelope.QueueID) error {
	return s.hold(ctx, origin{of: judged})
}

func (s *Submission) hold(ctx context.Context, o origin) error {
	if s.closed {
		return fault.New("queue.Hold", fault.Unavailable, "")
	}
	if _, err := s.judge(ctx); err != nil {
		s.Abort()
		return err
	}
	h := heldMessage{s.head, o}
	if err := s.store(h.ext()); err != nil {
		return fault.Wrap("queue.Hold", fault.Internal, err)
	}
	s.head.size = s.size
	s.q.mu.Lock()
	defer s.q.mu.Unlock()
	s.q.held[s.id] = h
	return nil
}

// Held lists the messages that are held for deliveries. Before Run, those are what a crash has left.
func (q *Queue) Held() []envelope.QueueID {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := make([]envelope.QueueID, 0, len(q.held))
	for id, h := range q.held {
		if h.of == 0 {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

// HeldTag is the submit tag of a message that is held for a delivery or for messages of programs; "" if there is none.
func (q *Queue) HeldTag(id envelope.QueueID) (string, error) {
	q.mu.Lock()
	h, ok := q.held[id]
	q.mu.Unlock()
	switch {
	case !ok:
		return "", nil
	case h.head != nil:
		return h.head.env.Source.Tag, nil
	}
	head, err := readHead(q.path(id, h.ext()))
	if err != nil {
		return "", fault.Wrap("queue.HeldTag", fault.Internal, err)
	}
	return head.env.Source.Tag, nil
}

// Publish lets a held message be delivered, once its name is durable. One that is not held has been
// published before. After an error it is still held.
func (q *Queue) Publish(id envelope.QueueID) error {
	const op = "queue.Publish"
	h, ok := q.unhold(id)
	if !ok {
		return nil
	}
	if err := q.disk.Rename(fileName(id, h.ext()), fileName(id, extMsg)); err != nil {
		q.putBack(id, h)
		return fault.Wrap(op, fault.Internal, err)
	}
	if err := q.names.Wait(); err != nil {
		// Without the sync a crash could bring the held name back when the message has been delivered.
		if back := q.disk.Rename(fileName(id, extMsg), fileName(id, h.ext())); back != nil {
			q.logQueue(id).Log(context.Background(), logs.LevelFailure, "a held message has lost its name", logs.AttrError, back)
		}
		q.putBack(id, h)
		return fault.Wrap(op, fault.Internal, err)
	}
	if h.head == nil { // left by a crash
		q.mu.Lock()
		defer q.mu.Unlock()
		q.recoverMessage(id)
		return nil
	}
	return q.accept(context.Background(), id, h.head, nil, 0)
}

// Drop removes a held message that nothing names. What cannot be removed goes at the next start.
func (q *Queue) Drop(id envelope.QueueID) error {
	h, ok := q.unhold(id)
	if !ok {
		return nil
	}
	return fault.Wrap("queue.Drop", fault.Internal, q.disk.Remove(fileName(id, h.ext())))
}

// unhold makes a message no longer held.
func (q *Queue) unhold(id envelope.QueueID) (heldMessage, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	h, ok := q.held[id]
	delete(q.held, id)
	return h, ok
}

func (q *Queue) putBack(id envelope.QueueID, h heldMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held[id] = h
}

// SendOn begins a message that is sent on for a recipient of the item. It ends with Pass or with Abort
// of the submission.
func (it *Item) SendOn(ctx context.Context, env *envelope.Envelope) (*Submission, error) {
	env.RequireTLS = env.RequireTLS || it.Envelope.RequireTLS // RFC 8689 section 4.3: whatever becomes of the message
	return it.batch.owner.BeginHeld(ctx, env)
}

// Pass makes a message of SendOn durable, reports the recipients that it is sent on for, given as their
// indexes in Envelope.Recipients, and lets the message be delivered: all of it or, with an error, nothing.
// A crash between the steps changes nothing of that. The error may be a refusal, as of Commit. Pass is not for a
// Repeatable, whose results are recorded late.
func (it *Item) Pass(ctx context.Context, s *Submission, rcpts []int, st envelope.Status) error {
	// The last result publishes the message. A crash before it has the message made anew for that recipient.
	last := rcpts[len(rcpts)-1]
	if err := s.hold(ctx, origin{it.ID, last + 1}); err != nil {
		return err
	}
	q := it.batch.owner
	if len(rcpts) > 1 {
		it.ReportAll(rcpts[:len(rcpts)-1], st)
	}
	it.Report(last, st)
	if err := q.Publish(s.id); err != nil {
		q.logQueue(s.id).Log(ctx, logs.LevelFailure, "a message that was sent on waits for the next start of the server", logs.AttrError, err)
	}
	return nil
}

// settleOrigins publishes what was made of messages that are behind the step which it waits for, and
// removes what was made of others, which come to that step again. It is called before Run.
func (q *Queue) settleOrigins(found map[envelope.QueueID]origin, queued func(envelope.QueueID) bool) error {
	for _, id := range slices.Sorted(maps.Keys(found)) {
		h := heldMessage{origin: found[id]}
		q.putBack(id, h)
		again := false
		if queued(h.of) {
			// A file that cannot be read is set aside: it does not come to the step again.
			head, err := q.readHead(h.of)
			again = err == nil && !h.settled(head.env)
		}
		settle := q.Publish
		if again {
			settle = q.Drop
		}
		if err := settle(id); err != nil {
			return err
		}
	}
	return nil
}

// settled reports whether the step is recorded in the envelope of the other message.
func (o origin) settled(env *envelope.Envelope) bool {
	if o.rcpt == 0 {
		return judged(env)
	}
	return o.rcpt > len(env.Recipients) || env.Recipients[o.rcpt-1].State != envelope.Waiting
}
