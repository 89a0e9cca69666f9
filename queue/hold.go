package queue

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"gatepost/queue/envelope"
	"gatepost/queue/internal/disk"
	"gatepost/router"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// HoldModule is the module of messages that an administrator has put on hold. Nobody works on
// it: they wait there until they are released. It has a logical queue for each that messages
// come from, named by its module and name. That a message is on hold stands in its file, so
// that it is so after a restart. What is being delivered when the call comes is put on hold if it
// waits after the attempt.
//
// This has nothing to do with Submission.Hold: a message there is not in the queue yet.
const HoldModule router.Module = "HOLD"

type holding struct{}

func (holding) Deliver(context.Context, *Batch) {}
func (holding) Policy() Policy                  { return Policy{} }

// heldFrom returns the queue that messages in a queue of HoldModule come from.
func heldFrom(name string) (router.Module, string) {
	module, queue, _ := strings.Cut(name, " ")
	return router.Module(module), queue
}

// heldModule is the module that messages in a queue of HoldModule come from, or "" for another queue.
func heldModule(l *logical) router.Module {
	if l.module.name != HoldModule {
		return ""
	}
	module, _ := heldFrom(l.name)
	return module
}

func errNoMessage(op string) error {
	return fault.New(op, fault.NoMessage, "no such message in the queue")
}

// Hold has a message wait until Release. Errors: fault.NoMessage.
func (q *Queue) Hold(ctx context.Context, id envelope.QueueID) error {
	m, err := q.controlled("queue.Hold", id, func(m *message) { m.onHold = true })
	if err != nil {
		return err
	}
	q.logDequeuer.Log(ctx, logs.LevelMajor, "on hold", logs.AttrQueueID, uint64(id))
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range m.waitingEntries() {
		q.putOnHold(e)
	}
	return nil
}

// Release ends the hold of a message, and has it tried now, also one that waits for its own time. The
// delay of a whole queue stays, see Wake. Errors: fault.NoMessage.
func (q *Queue) Release(ctx context.Context, id envelope.QueueID) error {
	m, err := q.controlled("queue.Release", id, func(m *message) { m.onHold = false })
	if err != nil {
		return err
	}
	q.logDequeuer.Log(ctx, logs.LevelMajor, "released", logs.AttrQueueID, uint64(id))
	q.mu.Lock()
	defer q.mu.Unlock()
	q.cool(m) // its envelope may say that it is on hold
	for _, e := range m.waitingEntries() {
		l := e.queue
		switch {
		case l.module.name == HoldModule:
			module, _ := heldFrom(l.name)
			if module != RulesModule || q.modules[RulesModule] == nil {
				module = enqueuer // it is routed again
			}
			q.moveTo(e, module, "", e.lastErr)
		case e.place == delayed:
			q.moveTo(e, l.module.name, l.name, e.lastErr)
		}
	}
	return nil
}

// waitingEntries are the entries that nobody works on, and that were routed. q.mu is held.
func (m *message) waitingEntries() (list []*entry) {
	for e := m.entries; e != nil; e = e.next {
		if e.rcpts != nil && (e.place == ready || e.place == delayed) {
			list = append(list, e)
		}
	}
	return list
}

// moveTo moves an entry to another queue, where it is due now. q.mu is held.
func (q *Queue) moveTo(e *entry, module router.Module, queue, lastErr string) {
	l := e.queue
	l.drop(e)
	q.replan(l)
	q.offer(l)
	q.enter(e.msg, module, queue, e.rcpts, time.Time{}, lastErr)
}

// putOnHold moves an entry to HoldModule. q.mu is held.
func (q *Queue) putOnHold(e *entry) {
	l := e.queue
	if l.module.name == HoldModule {
		return
	}
	lastErr := e.lastErr
	if lastErr == "" {
		lastErr = l.dest.lastErr
	}
	q.moveTo(e, HoldModule, string(l.module.name)+" "+l.name, lastErr)
}

// keep puts an entry on hold that a worker has taken, if its message is to be.
func (q *Queue) keep(e *entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !e.msg.onHold || e.place != active {
		return false
	}
	q.putOnHold(e)
	return true
}

// keepFresh does the same with a message that was not routed yet.
func (q *Queue) keepFresh(e *entry, h *head) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := e.msg
	if !m.onHold || m.waiting == 0 || e.place != active || m.hasUnreported(h) {
		return false
	}
	from := enqueuer
	if q.toBeJudged(h.env) {
		from = RulesModule
	}
	l := e.queue
	l.drop(e)
	q.enter(m, HoldModule, string(from)+" ", m.waitingRcpts(), time.Time{}, "")
	return true
}

// hasUnreported reports whether the file has results that the sender is still to be told: they are
// reported first, and the message is put on hold when its other recipients come up.
func (m *message) hasUnreported(h *head) bool {
	return slices.ContainsFunc(h.env.Recipients, func(r envelope.Recipient) bool { return r.State.Unreported() || r.Expanded })
}

// controlled changes what an administrator has said about a message, in memory and durably in its file.
func (q *Queue) controlled(op string, id envelope.QueueID, change func(m *message)) (*message, error) {
	q.mu.Lock()
	m := q.messages[id]
	if m == nil || m.finished || m.waiting == 0 && m.rcpts != nil {
		q.mu.Unlock()
		return nil, errNoMessage(op)
	}
	// First in memory: a file that is replaced at the same time gets it from there.
	onHold, rejected := m.onHold, m.rejected
	change(m)
	q.mu.Unlock()
	err := q.control(m)
	if err == nil {
		return m, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	m.onHold, m.rejected = onHold, rejected
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoMessage(op)
	}
	return nil, fault.Wrap(op, fault.Internal, err)
}

// control writes into the file of a message what an administrator has said about it, durably.
func (q *Queue) control(m *message) error {
	q.files.Lock()
	defer q.files.Unlock()
	h, err := q.readHead(m.id)
	if err != nil {
		return err
	}
	if h.layout.Version == 0 {
		return fault.New("queue.Control", fault.Busy, "the message is just being read, try again")
	}
	q.mu.Lock()
	onHold, said := m.onHold, envelope.NotRejected
	if r := m.rejected; r != nil && r.report {
		said = envelope.RejectedWithReport
	} else if r != nil {
		said = envelope.RejectedSilently
	}
	q.mu.Unlock()
	return q.disk.Patch(fileName(m.id, extMsg), []disk.Patch{
		{At: h.layout.HoldAt(), Text: envelope.HoldLetter(onHold)},
		{At: h.layout.RejectedAt(), Text: envelope.RejectedLetter(said)},
	}, true)
}

// controlAgain is control for a file that was replaced by what rules made of an older one.
func (q *Queue) controlAgain(m *message) error {
	q.mu.Lock()
	said := m.onHold || m.rejected != nil
	q.mu.Unlock()
	if !said {
		return nil
	}
	return q.control(m)
}
