package queue

import (
	"context"
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

// BeginHeld is Begin for a message that is held. The limit of the queue does not concern it: it
// takes the place of one that was accepted.
func (q *Queue) BeginHeld(ctx context.Context, env *envelope.Envelope) (*Submission, error) {
	return q.begin(ctx, env)
}

// Hold makes the message durable without the promise to deliver it. Publish or Drop end that. After
// an error the message is gone; it may be a refusal, as of Commit.
func (s *Submission) Hold(ctx context.Context) error {
	if s.closed {
		return fault.New("queue.Hold", fault.Unavailable, "")
	}
	if _, err := s.judge(ctx); err != nil {
		s.Abort()
		return err
	}
	if err := s.store(extHeld); err != nil {
		return fault.Wrap("queue.Hold", fault.Internal, err)
	}
	s.head.size = s.size
	s.q.mu.Lock()
	defer s.q.mu.Unlock()
	s.q.held[s.id] = s.head
	return nil
}

// Held lists the messages that are held. Before Run, those are what a crash has left.
func (q *Queue) Held() []envelope.QueueID {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := make([]envelope.QueueID, 0, len(q.held))
	for id := range q.held {
		list = append(list, id)
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
	if err := q.disk.Rename(fileName(id, extHeld), fileName(id, extMsg)); err != nil {
		q.putBack(id, h)
		return fault.Wrap(op, fault.Internal, err)
	}
	if err := q.names.Wait(); err != nil {
		// Without the sync a crash could bring the held name back when the message has been delivered.
		if back := q.disk.Rename(fileName(id, extMsg), fileName(id, extHeld)); back != nil {
			q.logQueue(id).Log(context.Background(), logs.LevelFailure, "a held message has lost its name", logs.AttrError, back)
		}
		q.putBack(id, h)
		return fault.Wrap(op, fault.Internal, err)
	}
	if h == nil { // left by a crash
		q.mu.Lock()
		defer q.mu.Unlock()
		q.recoverMessage(id)
		return nil
	}
	return q.accept(context.Background(), id, h, nil, 0)
}

// Drop removes a held message that nothing names. What cannot be removed goes at the next start.
func (q *Queue) Drop(id envelope.QueueID) error {
	if _, ok := q.unhold(id); !ok {
		return nil
	}
	return fault.Wrap("queue.Drop", fault.Internal, q.disk.Remove(fileName(id, extHeld)))
}

// unhold makes a message no longer held.
func (q *Queue) unhold(id envelope.QueueID) (*head, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	h, ok := q.held[id]
	delete(q.held, id)
	return h, ok
}

func (q *Queue) putBack(id envelope.QueueID, h *head) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held[id] = h
}
