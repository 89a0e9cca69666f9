package queue

import (
	"container/heap"
	"time"

	"gatepost/router"
)

// logical is one logical queue: what waits for one host, account or program.
// Queue.mu guards it. It exists as long as it holds messages.
type logical struct {
	module *module
	name   string
	dest   *destination // where its batches go
	own    destination  // for it alone
	turn   turn         // in the line of dest

	ready   deque         // entries whose turn comes with the queue's
	bulk    deque         // the same of bulk mail, whose turn comes after theirs
	delayed entryHeap     // entries that wait for their own time
	alarm   alarm         // when the first of them is due
	active  int           // batches under way
	count   int           // entries
	bytes   int64         // of their messages
	woken   int           // counts the calls of Wake
	back    []*entry      // entries of the batches under way that go back to the front
	calm    chan struct{} // is closed when the queue is quiet; nil if nobody waits for that
}

// module is what one transport delivers. Queue.mu guards it.
type module struct {
	name      router.Module
	transport Transport
	repeat    Repeatable // the transport, if it is one
	grouper   Grouper    // the same
	policy    Policy
	queues    map[string]*logical
	running   int // goroutines of workers

	// Destinations with work, in the order of their turns: those that answer or need not
	// prove it and have no batch under way; those that answer and want another; those of
	// which nothing is known, or that are dead. idle are those without queues.
	first, more, unknown, idle line
	named                      map[string]*destination

	working  int             // batches that count against Policy.Workers
	silent   int             // batches that count against Policy.Silent
	underway map[*Batch]bool // those that a worker runs, if there is a reserve
	pressed  bool            // the scheduler looks at it several times a second
}

func newModule(name router.Module, t Transport) *module {
	m := &module{name: name, transport: t, policy: t.Policy().normal(), queues: map[string]*logical{},
		named: map[string]*destination{}, underway: map[*Batch]bool{}}
	m.repeat, _ = t.(Repeatable)
	m.grouper, _ = t.(Grouper)
	return m
}

// queue returns the logical queue with a name. q.mu is held.
func (q *Queue) queue(m *module, name string) *logical {
	l := m.queues[name]
	if l != nil {
		return l
	}
	l = &logical{module: m, name: name}
	l.turn.queue = l
	l.alarm.queue, l.alarm.pos = l, -1
	l.own.init(m)
	if m.policy.Silent > 0 && m.grouper == nil {
		q.lead(l, m.destination(name))
	} else {
		l.dest = &l.own
	}
	m.queues[name] = l
	return l
}

// adopt makes an entry one of the queue's. It has no place yet.
func (l *logical) adopt(e *entry) {
	e.queue = l
	if e.next = e.msg.entries; e.next != nil {
		e.next.prev = e
	}
	e.msg.entries = e
	l.count++
	l.bytes += e.msg.size
}

// put gives an entry that belongs to the queue its place by its due time.
func (l *logical) put(e *entry) {
	if e.due.IsZero() {
		e.place = ready
		l.turns(e).pushBack(e)
		return
	}
	e.place = delayed
	heap.Push(&l.delayed, e)
}

// drop takes an entry out for good.
func (l *logical) drop(e *entry) {
	e.place = gone
	l.count--
	l.bytes -= e.msg.size
	e.msg.unlink(e)
}

// ripen moves what is due at a time to the ready entries.
func (l *logical) ripen(now time.Time) {
	for len(l.delayed) > 0 {
		e := l.delayed[0]
		if e.place == delayed && e.due.After(now) {
			return
		}
		heap.Pop(&l.delayed)
		if e.place == delayed {
			e.due = time.Time{}
			l.put(e)
		}
	}
}

// event returns when the queue next changes by itself; zero: never.
func (l *logical) event() time.Time {
	for len(l.delayed) > 0 {
		if e := l.delayed[0]; e.place == delayed {
			return e.due
		}
		heap.Pop(&l.delayed)
	}
	return time.Time{}
}

// open reports whether another batch may start, as far as the queue goes.
func (l *logical) open() bool {
	waiting := l.ready.len() + l.bulk.len()
	return waiting > 0 && (l.active == 0 || waiting >= l.active*l.module.policy.Backlog)
}

// turns is the list in which a ready entry waits.
func (l *logical) turns(e *entry) *deque {
	if e.msg.bulk {
		return &l.bulk
	}
	return &l.ready
}

// next takes the entry whose turn it is, or nil.
func (l *logical) next() *entry {
	if e := l.ready.pop(); e != nil {
		return e
	}
	return l.bulk.pop()
}

// deque is a list of entries that grows at the end and shrinks at the front.
type deque struct {
	list []*entry
	head int
}

func (d *deque) pushBack(e *entry) {
	if d.head > 64 && d.head > len(d.list)/2 && len(d.list) == cap(d.list) {
		n := copy(d.list, d.list[d.head:])
		clear(d.list[n:])
		d.list, d.head = d.list[:n], 0
	}
	d.list = append(d.list, e)
}

func (d *deque) pushFront(e *entry) {
	if d.head == 0 {
		d.list = append([]*entry{nil}, d.list...)
		d.head = 1
	}
	d.head--
	d.list[d.head] = e
}

// pop returns the first entry that is still ready here, or nil.
func (d *deque) pop() *entry {
	for d.head < len(d.list) {
		e := d.list[d.head]
		d.list[d.head] = nil
		d.head++
		if e.place == ready {
			return e
		}
	}
	d.list, d.head = d.list[:0], 0
	return nil
}

// len counts what is in the list, entries that have moved on included.
func (d *deque) len() int { return len(d.list) - d.head }

func (d *deque) all() []*entry { return d.list[d.head:] }

// entryHeap orders entries by their due time.
type entryHeap []*entry

func (h entryHeap) Len() int           { return len(h) }
func (h entryHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h entryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *entryHeap) Push(x any)        { *h = append(*h, x.(*entry)) }
func (h *entryHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}

// alarm is when the scheduler looks at a logical queue or a destination.
type alarm struct {
	at    time.Time
	pos   int // in the due list, -1 when not
	queue *logical
	dest  *destination
}

// dueList orders alarms by their time.
type dueList []*alarm

func (d dueList) Len() int           { return len(d) }
func (d dueList) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d dueList) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].pos, d[j].pos = i, j
}
func (d *dueList) Push(x any) {
	a := x.(*alarm)
	a.pos = len(*d)
	*d = append(*d, a)
}
func (d *dueList) Pop() any {
	old := *d
	a := old[len(old)-1]
	old[len(old)-1] = nil
	a.pos = -1
	*d = old[:len(old)-1]
	return a
}
