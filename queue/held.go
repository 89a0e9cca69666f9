package queue

import (
	"context"
	"maps"
	"slices"

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

// heldMessage is a message that is held.
type heldMessage struct {
	head *head            // nil for what a crash has left
	of   envelope.QueueID // the message that server rules are about; 0 for what a delivery sends
}

// ext is the extension of the file.
func (h heldMessage) ext() string {
	if h.of == 0 {
		return extHeld
	}
	return extHeldFor + h.of.String()
}

// BeginHeld is Begin for a message that is held. The limit of the queue does not concern it: it
// takes the place of one that was accepted.
func (q *Queue) BeginHeld(ctx context.Context, env *envelope.Envelope) (*Submission, error) {
	return q.begin(ctx, env)
}

// Hold makes the message durable without the promise to deliver it. Publish or Drop end that. After
// an error the message is gone; it may be a refusal, as of Commit.
func (s *Submission) Hold(ctx context.Context) error { return s.hold(ctx, 0) }

// HoldFor is Hold for what server rules send of a message that they judge: Verdict.Send names it.
func (s *Submission) HoldFor(ctx context.Context, judged envelope.QueueID) error {
	return s.hold(ctx, judged)
}

func (s *Submission) hold(ctx context.Context, of envelope.QueueID) error {
	if s.closed {
		return fault.New("queue.Hold", fault.Unavailable, "")
	}
	if _, err := s.judge(ctx); err != nil {
		s.Abort()
		return err
	}
	h := heldMessage{s.head, of}
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

// settleJudged publishes what server rules have made of messages that are behind them, and removes
// what they have made of others, which come before them again. It is called before Run.
func (q *Queue) settleJudged(found map[envelope.QueueID]envelope.QueueID, queued func(envelope.QueueID) bool) error {
	for _, id := range slices.Sorted(maps.Keys(found)) {
		h := heldMessage{of: found[id]}
		q.putBack(id, h)
		again := false
		if queued(h.of) {
			// A file that cannot be read is set aside: it does not come before the rules again.
			head, err := q.readHead(h.of)
			again = err == nil && !judged(head.env)
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
