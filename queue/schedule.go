package queue

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
)

// schedule is what Queue.mu guards: which messages there are, where they wait
// and who works. The scheduler goroutine in Run is woken by the clock alone; who
// makes a queue ready by another cause (a commit, a finished batch, an
// administrator) also starts the worker for it. That saves two switches of
// goroutine per message, and nothing but memory is touched under the lock.
type schedule struct {
	mu       sync.Mutex
	modules  map[router.Module]*module
	messages map[envelope.QueueID]*message
	due      dueList
	hot      int        // messages whose envelope is in memory
	reports  reportList // results that wait for a reporter
	run      *running   // nil before Run and after its end
	wake     chan struct{}
}

// running is what belongs to one call of Run.
type running struct {
	ctx      context.Context // ends when the queue is to stop; workers get it
	stopping bool            // no new workers
	workers  sync.WaitGroup
}

// housekeeping is how often the scheduler looks at policies that may have changed.
const housekeeping = time.Minute

// How a module with a reserve is kept going while its destinations don't answer.
const (
	// relief is how often the scheduler looks at a module of which work waits for workers.
	relief = 500 * time.Millisecond
	// prompt is how long a worker may wait for an answer before its batch counts as silent,
	// if the worker is needed elsewhere.
	prompt = 2 * time.Second
	// patience is how long a batch that never had an answer goes on, if its place is needed.
	patience = 30 * time.Second
	// longTurn is how long a batch goes on while other destinations wait for their turn.
	longTurn = 5 * time.Second
)

// pass does what is due at a time and returns when to look again. q.mu is held.
func (q *Queue) pass(now time.Time) time.Time {
	for _, m := range q.modules {
		m.policy = m.transport.Policy().normal()
		q.evictIdle(m, now)
	}
	for len(q.due) > 0 && !q.due[0].at.After(now) {
		a := heap.Pop(&q.due).(*alarm)
		if a.dest != nil {
			q.resume(a.dest)
			continue
		}
		a.queue.ripen(now)
		q.replan(a.queue)
		q.offer(a.queue)
	}
	next := now.Add(housekeeping)
	for _, m := range q.modules {
		if m.pressed {
			q.relieve(m, now)
		}
		q.dispatch(m)
		if m.pressed = m.short(); m.pressed {
			next = now.Add(relief)
		}
	}
	if len(q.due) > 0 && q.due[0].at.Before(next) {
		next = q.due[0].at
	}
	if t := q.dispatchReports(now); !t.IsZero() && t.Before(next) {
		next = t
	}
	return next
}

// schedulerLoop runs pass until the queue stops.
func (q *Queue) schedulerLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		case <-timer.C:
		}
		q.mu.Lock()
		next := q.pass(time.Now())
		q.mu.Unlock()
		timer.Reset(time.Until(next))
	}
}

// replan puts a queue at its place in the due list. q.mu is held.
func (q *Queue) replan(l *logical) { q.setAlarm(&l.alarm, l.event()) }

// setAlarm puts an alarm at its place in the due list, or takes it out. q.mu is held.
func (q *Queue) setAlarm(a *alarm, at time.Time) {
	switch {
	case at.IsZero() && a.pos < 0:
		return
	case at.IsZero():
		heap.Remove(&q.due, a.pos)
		return
	case a.pos < 0:
		a.at = at
		heap.Push(&q.due, a)
	case !a.at.Equal(at):
		a.at = at
		heap.Fix(&q.due, a.pos)
	}
	if a.pos == 0 {
		q.wakeScheduler()
	}
}

func (q *Queue) wakeScheduler() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// offer puts a queue that can be worked on at the end of its destination's line, and
// forgets one that is empty. q.mu is held.
func (q *Queue) offer(l *logical) {
	l.tellQuiet()
	if l.count == 0 && l.active == 0 {
		q.forgetQueue(l)
		return
	}
	if l.turn.in == nil && l.open() {
		l.dest.queues.join(&l.turn)
	}
	q.offerDestination(l.dest)
}

// forgetQueue ends an empty queue. q.mu is held.
func (q *Queue) forgetQueue(l *logical) {
	if l.module.queues[l.name] != l {
		return
	}
	delete(l.module.queues, l.name)
	l.turn.leave()
	q.setAlarm(&l.alarm, time.Time{})
	d := l.dest
	delete(d.members, l)
	q.offerDestination(d)
	q.retire(d)
	q.setAlarm(&l.own.alarm, time.Time{})
}

// dispatch starts workers for the destinations of a module that wait for their turn. q.mu is held.
func (q *Queue) dispatch(m *module) {
	if q.run == nil || q.run.stopping {
		return
	}
	for n := m.startable() - (m.running - m.working - m.silent); n > 0; n-- {
		m.running++
		q.run.workers.Add(1)
		go q.work(q.run, m)
	}
	if !m.pressed && m.short() {
		m.pressed = true
		q.wakeScheduler()
	}
}

// startable is how many batches may start now, at most.
func (m *module) startable() int {
	free := max(m.policy.Workers-m.working, 0)
	n := min(free, m.first.n)
	n += max(min(free-n-m.policy.reserve(), m.more.n), 0)
	if m.policy.Workers > 0 {
		n += max(min(m.policy.Silent-m.silent, m.unknown.n), 0)
	}
	return n
}

// short reports whether destinations wait for others to make room.
func (m *module) short() bool {
	p := &m.policy
	free := p.Workers - m.working
	return p.Silent > 0 && p.Workers > 0 &&
		(m.first.n > 0 && free <= 0 || m.more.n > 0 && free <= p.reserve() || m.unknown.n > 0 && m.silent >= p.Silent)
}

// relieve makes room in a module that is short of it: batches that wait for an answer no
// longer count as work, and those that never had one and are the oldest are given up. q.mu
// is held.
func (q *Queue) relieve(m *module, now time.Time) {
	p := &m.policy
	// Half of the places stay for destinations of which nothing is known.
	wanted := min(m.first.n+m.more.n, p.Silent/2-m.silent)
	for b := range m.underway {
		if wanted > 0 && !b.silent && now.Sub(b.seen) >= prompt {
			m.toSilent(b)
			wanted--
		}
	}
	if m.silent < p.Silent || m.unknown.n == 0 {
		return
	}
	var old []*Batch
	for b := range m.underway {
		if b.silent && !b.answered && !b.cut && now.Sub(b.began) >= patience {
			old = append(old, b)
		}
	}
	slices.SortFunc(old, func(a, b *Batch) int { return a.began.Compare(b.began) })
	for _, b := range old[:min(len(old), m.unknown.n)] {
		b.cut = true
		if b.cancel != nil {
			b.cancel()
		}
	}
}

// toWorkers counts a silent batch as work, if there is room. q.mu is held.
func (m *module) toWorkers(b *Batch) {
	if b.silent && m.working < m.policy.Workers {
		b.silent = false
		m.silent--
		m.working++
	}
}

func (m *module) toSilent(b *Batch) {
	b.silent = true
	m.working--
	m.silent++
}

// work is a worker: it takes batches of its module until there are none.
func (q *Queue) work(run *running, m *module) {
	defer run.workers.Done()
	for {
		policy := m.transport.Policy().normal()
		q.mu.Lock()
		m.policy = policy
		b := q.take(run, m)
		if b == nil {
			m.running--
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		q.attempt(run.ctx, b)
		q.mu.Lock()
		q.leave(m, b)
		q.mu.Unlock()
	}
}

// take makes the next batch of a module, or nil. q.mu is held.
func (q *Queue) take(run *running, m *module) *Batch {
	if run.stopping {
		return nil
	}
	for {
		d, silent := m.next()
		if d == nil {
			return nil
		}
		d.turn.leave()
		if !d.open() {
			continue
		}
		l := d.queues.first.queue
		l.turn.leave()
		b := q.newBatch(l)
		for open := l.open(); open && len(b.Items) < m.policy.BatchSize; {
			e := l.next()
			if e == nil {
				break
			}
			e.place = active
			b.Items = append(b.Items, newItem(b, e))
		}
		if len(b.Items) == 0 {
			q.offerDestination(d)
			q.offer(l)
			continue
		}
		b.begin()
		q.enterWork(m, b, silent)
		q.offer(l) // for another connection to the same host
		q.dispatch(m)
		return b
	}
}

// next returns the destination whose turn it is, and whether its batch counts as silent.
// A part of the workers is for destinations that have no batch under way.
func (m *module) next() (*destination, bool) {
	free := m.policy.Workers - m.working
	switch {
	case free > 0 && m.first.n > 0:
		return m.first.first.dest, false
	case free > m.policy.reserve() && m.more.n > 0:
		return m.more.first.dest, false
	case m.policy.Workers > 0 && m.silent < m.policy.Silent && m.unknown.n > 0:
		return m.unknown.first.dest, true
	}
	return nil, false
}

// enterWork counts a batch of a worker. q.mu is held.
func (q *Queue) enterWork(m *module, b *Batch, silent bool) {
	m.working++
	if m.policy.Silent == 0 {
		return
	}
	b.began = time.Now()
	b.seen = b.began
	m.underway[b] = true
	if silent {
		m.toSilent(b)
	}
}

// leave ends what enterWork has counted. q.mu is held.
func (q *Queue) leave(m *module, b *Batch) {
	if b.silent {
		m.silent--
	} else {
		m.working--
	}
	delete(m.underway, b)
}

func (q *Queue) newBatch(l *logical) *Batch {
	return &Batch{Module: l.module.name, Queue: l.name, owner: q, queue: l, dest: l.dest, policy: l.module.policy, woken: l.woken}
}

// giveBack ends a batch. q.mu is held.
func (q *Queue) giveBack(b *Batch) {
	l, d := b.queue, b.dest
	l.active--
	if b.answered {
		d.answering--
	}
	if b.shed {
		d.shedding--
	}
	if full := d.active >= d.limit; b.delivered && full && !b.shed && d.alive && !time.Now().Before(d.hold) {
		d.limit = min(d.limit+1, b.policy.PerQueue)
	}
	d.active--
	for i := len(l.back) - 1; i >= 0; i-- {
		e := l.back[i]
		e.place = ready
		l.turns(e).pushFront(e)
	}
	l.back = nil
	q.replan(l)
	q.offer(l)
	if d != l.dest {
		q.offerDestination(d)
	}
	q.retire(d)
	q.dispatch(l.module)
}
