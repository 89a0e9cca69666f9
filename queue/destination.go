package queue

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/logs"
)

// destination is where batches go: the hosts of one or more logical queues, or one account
// or program. It has what is true of all batches that go there: how many there may be, and
// whether there is an answer. Queue.mu guards it.
//
// Every logical queue has a destination of its own in it. Of a module with a reserve
// (Policy.Silent) destinations have names and are shared: a queue is put to the one that
// is named like it, or that the Grouper names for its first batch.
type destination struct {
	module *module
	name   string // "" for a queue's own
	turn   turn   // in a line of the module; among the idle ones when it has no queues
	alarm  alarm  // the end of until

	queues  line                  // with work for another batch, in the order of their turns
	members map[*logical]struct{} // of a destination with a name: the queues that lead here

	active    int // batches under way
	answering int // of them those that had an answer
	shedding  int // of them those that were too many

	alive   bool      // the last thing that is known of it is an answer
	limit   int       // batches at once, while it is alive
	allowed int       // the same as the transport has it (Batch.Limit); 0: Policy.PerQueue
	hold    time.Time // until then the limit does not grow
	until   time.Time // no batch before this time; zero: none is refused
	failed  bool      // it was stopped, and has not answered since
	lastErr string    // why it is stopped, or was stopped last
	stopped *envelope.Status
	idle    time.Time // since when it has no queues
}

// What the limit of batches of a destination follows. It starts with one, whose answer
// makes it firstLimit; each batch that delivers something adds one, up to Policy.PerQueue.
// A failure beside other batches that have an answer makes it what these are, for shedHold.
const (
	firstLimit = 5
	shedHold   = time.Minute
)

// A destination without messages is remembered for a while, so that the next message finds
// its limit, or that it is dead.
const (
	idleFor = 10 * time.Minute
	maxIdle = 10000
)

func newDestination(m *module, name string) *destination {
	d := &destination{name: name}
	d.init(m)
	return d
}

func (d *destination) init(m *module) {
	d.module = m
	d.turn.dest = d
	d.alarm.dest, d.alarm.pos = d, -1
}

// most is how many batches it may have at once.
func (d *destination) most() int {
	p := &d.module.policy
	switch {
	case p.Silent == 0:
		return p.PerQueue
	case !d.alive:
		return 1
	}
	if d.allowed > 0 {
		return min(d.limit, p.PerQueue, d.allowed)
	}
	return min(d.limit, p.PerQueue)
}

// open reports whether another batch may start, as far as the destination goes.
func (d *destination) open() bool {
	return d.until.IsZero() && d.queues.n > 0 && d.active < d.most()
}

// line returns where it waits for its turn.
func (d *destination) line() *line {
	m := d.module
	switch {
	case m.policy.Silent == 0:
		return &m.first
	case !d.alive:
		return &m.unknown
	case d.active == 0:
		return &m.first
	}
	return &m.more
}

// offerDestination puts a destination at the end of its line, if a batch of it may start. q.mu is held.
func (q *Queue) offerDestination(d *destination) {
	if !d.open() {
		if d.turn.in != &d.module.idle {
			d.turn.leave()
		}
		return
	}
	if to := d.line(); d.turn.in != to {
		d.turn.leave()
		to.join(&d.turn)
	}
}

// destination returns the one with a name. q.mu is held.
func (m *module) destination(name string) *destination {
	d := m.named[name]
	if d == nil {
		d = newDestination(m, name)
		d.members = map[*logical]struct{}{}
		m.named[name] = d
	}
	return d
}

// lead makes a queue one of a destination. q.mu is held.
func (q *Queue) lead(l *logical, d *destination) {
	old := l.dest
	if old == d {
		return
	}
	waits := l.turn.in != nil
	l.turn.leave()
	l.dest = d
	if d.members != nil {
		if d.turn.in == &d.module.idle {
			d.turn.leave()
		}
		d.members[l] = struct{}{}
	}
	if waits {
		d.queues.join(&l.turn)
	}
	if old != nil {
		delete(old.members, l)
		q.offerDestination(old)
		q.retire(old)
	}
	q.offerDestination(d)
}

// retire keeps a destination without queues for a while. q.mu is held.
func (q *Queue) retire(d *destination) {
	m := d.module
	if d.name == "" || len(d.members) > 0 || d.active > 0 || d.turn.in == &m.idle {
		return
	}
	d.turn.leave()
	d.idle = time.Now()
	m.idle.join(&d.turn)
	if m.idle.n > maxIdle {
		q.evict(m.idle.first.dest)
	}
}

// evict ends the memory of an idle destination. q.mu is held.
func (q *Queue) evict(d *destination) {
	d.turn.leave()
	q.setAlarm(&d.alarm, time.Time{})
	delete(d.module.named, d.name)
}

// evictIdle evicts what was idle for long. q.mu is held.
func (q *Queue) evictIdle(m *module, now time.Time) {
	for m.idle.first != nil && now.Sub(m.idle.first.dest.idle) >= idleFor {
		q.evict(m.idle.first.dest)
	}
}

// resume is what the end of a stop does: one batch may try. The queues of a Grouper are
// asked again where they lead, as that may have changed. q.mu is held.
func (q *Queue) resume(d *destination) {
	d.until = time.Time{}
	q.setAlarm(&d.alarm, time.Time{})
	if d.module.grouper != nil {
		for l := range d.members {
			q.leadHome(l)
		}
	}
	q.offerDestination(d)
}

// leadHome gives a queue back to its own destination, of which nothing is known. q.mu is held.
func (q *Queue) leadHome(l *logical) {
	if l.dest.name == "" {
		return
	}
	l.own.alive, l.own.until = false, time.Time{}
	l.own.failed, l.own.lastErr = l.dest.failed, l.dest.lastErr
	q.setAlarm(&l.own.alarm, time.Time{})
	q.lead(l, &l.own)
	q.offer(l)
}

// stop makes a destination wait after a failure that is not of one message. q.mu is held.
func (q *Queue) stop(b *Batch, until time.Time, st *envelope.Status) {
	d := b.dest
	if d.until.Before(until) {
		d.until = until
		q.setAlarm(&d.alarm, until)
	}
	d.lastErr = st.Summary()
	d.stopped = st
	if b.policy.Silent == 0 { // an account that is full, a module that is off
		q.offerDestination(d)
		return
	}
	if !d.failed {
		q.logState(b, logs.LevelProblem, "destination is considered dead", slog.Time("until", until), slog.String("reason", oneLine(st.Text)))
	}
	d.failed, d.alive, d.limit = true, false, 0
	q.offerDestination(d)
}

// shed reports whether a failure that is not of one message means only that the destination
// takes no more batches at once than it has: others have an answer. Then there will be no
// more of them for a while, and the messages go back as they were. q.mu is held.
func (q *Queue) shed(b *Batch, st *envelope.Status) bool {
	d := b.dest
	if b.sweep || b.policy.Silent == 0 {
		return false
	}
	if b.shed {
		return true
	}
	others := d.answering
	if b.answered {
		others--
	}
	if others <= 0 || !d.alive {
		return false
	}
	b.shed = true
	d.shedding++
	d.limit = max(1, d.active-d.shedding)
	d.hold = time.Now().Add(shedHold)
	q.logState(b, logs.LevelLowLevel, "destination takes no more at once", slog.Int("limit", d.limit), slog.String("reason", oneLine(st.Text)))
	return true
}

// logState logs a new state of the destination of a batch.
func (q *Queue) logState(b *Batch, level slog.Level, event string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("module", string(b.Module)), slog.String("destination", cmp.Or(b.dest.name, b.Queue))}, attrs...)
	q.logDequeuer.LogAttrs(context.Background(), level, event, attrs...)
}

// answered is what an answer of its destination means for a batch. q.mu is held.
func (q *Queue) answered(b *Batch, now time.Time) {
	b.seen = now
	d, m := b.dest, b.queue.module
	if !b.answered {
		b.answered = true
		d.answering++
	}
	m.toWorkers(b)
	if !d.until.IsZero() {
		return // another batch has failed meanwhile
	}
	if d.failed {
		d.failed, d.lastErr = false, ""
		q.logState(b, logs.LevelProblem, "destination answers again")
	}
	if !d.alive {
		d.alive = true
		if d.limit == 0 {
			d.limit = firstLimit
		}
		q.offerDestination(d)
		q.dispatch(m)
	}
}

// begin counts a batch as under way. q.mu is held.
func (b *Batch) begin() {
	b.queue.active++
	b.dest.active++
}

// join makes a batch one of the destination that its transport has named, and reports
// whether it may go on. q.mu is held.
func (q *Queue) join(b *Batch, name string) bool {
	l, m := b.queue, b.queue.module
	to := &l.own
	if name != "" {
		to = m.destination(name)
	}
	to.allowed = b.most
	if to == b.dest {
		return true
	}
	q.lead(l, to)
	if !to.until.IsZero() || to.active >= to.most() {
		return false
	}
	from := b.dest
	from.active--
	to.active++
	b.dest = to
	if to.alive {
		m.toWorkers(b)
	}
	q.offerDestination(from)
	q.retire(from)
	q.offerDestination(to)
	return true
}
