package queue

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// Wake clears the delay of a logical queue and of the messages in it, so that
// they are tried now; what is being delivered and fails is tried once more, as
// the attempt may have begun before the cause of the call. It reports whether
// there is such a queue.
func (q *Queue) Wake(m router.Module, queue string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	mod := q.modules[m]
	if mod == nil || mod.queues[queue] == nil {
		return false
	}
	l := mod.queues[queue]
	for other := range l.dest.members {
		other.woken++ // what is under way for it is no longer a failure of the destination
	}
	q.wakeQueue(l)
	q.dispatch(mod)
	return true
}

// Queues lists the logical queues of a module, by their names.
func (q *Queue) Queues(m router.Module) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	mod := q.modules[m]
	if mod == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(mod.queues))
}

// WakeModule is Wake for all queues of a module.
func (q *Queue) WakeModule(m router.Module) {
	q.mu.Lock()
	defer q.mu.Unlock()
	mod := q.modules[m]
	if mod == nil {
		return
	}
	for _, l := range mod.queues {
		q.wakeQueue(l)
	}
	for _, d := range mod.named {
		d.until = time.Time{}
		q.setAlarm(&d.alarm, d.until)
	}
	q.dispatch(mod)
}

func (q *Queue) wakeQueue(l *logical) {
	l.woken++
	d := l.dest
	d.until = time.Time{}
	q.setAlarm(&d.alarm, d.until)
	if l.module.grouper != nil {
		q.leadHome(l)
	}
	waiting := l.delayed
	l.delayed = nil
	slices.SortFunc(waiting, func(a, b *entry) int { return a.due.Compare(b.due) })
	for _, e := range waiting {
		if e.place == delayed {
			e.due = time.Time{}
			l.put(e)
		}
	}
	q.replan(l)
	q.offer(l)
}

// Info is the state of one logical queue.
type Info struct {
	Messages    int
	Size        int64
	DelayedTill time.Time // zero: not delayed
	LastError   string
}

// Info returns the state of a logical queue, and false if there is none.
func (q *Queue) Info(m router.Module, queue string) (Info, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	mod := q.modules[m]
	if mod == nil || mod.queues[queue] == nil {
		return Info{}, false
	}
	l := mod.queues[queue]
	return Info{Messages: l.count, Size: l.bytes, DelayedTill: l.dest.until, LastError: l.dest.lastErr}, true
}

// Entry is one waiting recipient, for lists.
type Entry struct {
	ID         envelope.QueueID
	Submitted  time.Time
	Size       int64
	ReturnPath address.Address
	Recipient  address.Address
	Module     router.Module
	Queue      string
	Account    string    // the authenticated sender as account@domain, or empty
	Active     bool      // it is being delivered
	OnHold     bool      // an administrator has it wait
	NextTry    time.Time // zero: now, or as soon as its turn comes
	LastError  string
	// WaitsFor says why a message waits that is not being delivered, if that is not its own
	// delay: its destination is considered dead, or it is not its turn.
	WaitsFor string
}

// List calls fn for every waiting recipient, in the order of the IDs, until fn
// returns false.
func (q *Queue) List(ctx context.Context, fn func(Entry) bool) error {
	for _, id := range q.ids() {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("queue.List", fault.Canceled, err)
		}
		for _, e := range q.entriesOf(id) {
			if !fn(e) {
				return nil
			}
		}
	}
	return nil
}

func (q *Queue) ids() []envelope.QueueID {
	q.mu.Lock()
	defer q.mu.Unlock()
	ids := make([]envelope.QueueID, 0, len(q.messages))
	for id, m := range q.messages {
		if !m.finished {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// entriesOf lists the waiting recipients of one message, in their order. A message whose file
// cannot be read is one entry without a recipient, which says why.
func (q *Queue) entriesOf(id envelope.QueueID) []Entry {
	q.mu.Lock()
	m := q.messages[id]
	if m == nil || m.finished {
		q.mu.Unlock()
		return nil
	}
	h := m.hot
	q.mu.Unlock()
	if h == nil {
		var err error
		if h, err = q.readHead(id); err != nil {
			if errors.Is(err, fs.ErrNotExist) || fault.Is(err, fault.Corrupt) || fault.Is(err, fault.Unsupported) {
				return nil // it has just left the queue, or is about to be set aside
			}
			return []Entry{{ID: id, Submitted: q.clock(), Module: enqueuer, LastError: "the queue file cannot be read: " + fault.Explain(err)}}
		}
	}
	at := map[int]Entry{}
	q.mu.Lock()
	for e := m.entries; e != nil; e = e.next {
		l, d := e.queue, e.queue.dest
		x := Entry{Module: l.module.name, Queue: l.name, Active: e.place == active, OnHold: m.onHold, LastError: e.lastErr}
		if x.Module == HoldModule {
			x.Module, x.Queue = heldFrom(l.name)
		}
		if !x.Active {
			x.NextTry = e.due
			if d.until.After(x.NextTry) {
				x.NextTry, x.LastError = d.until, d.lastErr
			}
		}
		if x.LastError == "" {
			x.LastError = d.lastErr
		}
		if e.place == ready && !m.onHold {
			x.WaitsFor = d.waitsFor(l)
		}
		rcpts := e.rcpts
		if rcpts == nil { // not routed yet
			for i := range h.env.Recipients {
				if toBeDelivered(&h.env.Recipients[i]) {
					at[i] = x
				}
			}
		}
		for _, r := range rcpts {
			at[r] = x
		}
	}
	q.mu.Unlock()
	var out []Entry
	for i := range h.env.Recipients {
		x, ok := at[i]
		if !ok {
			continue
		}
		x.ID, x.Submitted, x.Size = id, h.env.Submitted, h.size
		x.ReturnPath, x.Recipient, x.Account = h.env.ReturnPath, h.env.Recipients[i].Address, h.env.Source.Account
		out = append(out, x)
	}
	return out
}

// waitsFor says what the ready messages of a queue wait for. Queue.mu is held.
func (d *destination) waitsFor(l *logical) string {
	name := cmp.Or(d.name, l.name)
	switch {
	case d.failed && !d.until.IsZero():
		return name + " is considered dead"
	case d.failed:
		return name + " is considered dead, another message tries it"
	case !d.until.IsZero():
		return "the queue is delayed"
	}
	return "waits for its turn"
}

// toBeDelivered reports whether somebody still has to get the message for a
// recipient. Of some only the sender's report is missing, and one that was expanded
// has the accounts beside it.
func toBeDelivered(r *envelope.Recipient) bool {
	return (r.State == 0 || r.State == envelope.Waiting || r.State == envelope.HandedOver) && !r.Expanded
}
