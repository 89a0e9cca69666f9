package queue

import (
	"container/heap"
	"context"
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

// pass does what is due at a time and returns when to look again. q.mu is held.
func (q *Queue) pass(now time.Time) time.Time {
	for _, m := range q.modules {
		m.policy = m.transport.Policy().normal()
	}
	for len(q.due) > 0 && !q.due[0].at.After(now) {
		l := heap.Pop(&q.due).(*logical)
		l.ripen(now)
		q.replan(l)
		q.offer(l)
	}
	for _, m := range q.modules {
		q.dispatch(m)
	}
	next := now.Add(housekeeping)
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
func (q *Queue) replan(l *logical) {
	at := l.event()
	switch {
	case at.IsZero() && l.pos < 0:
		return
	case at.IsZero():
		heap.Remove(&q.due, l.pos)
		return
	case l.pos < 0:
		l.at = at
		heap.Push(&q.due, l)
	case !l.at.Equal(at):
		l.at = at
		heap.Fix(&q.due, l.pos)
	}
	if l.pos == 0 {
		q.wakeScheduler()
	}
}

func (q *Queue) wakeScheduler() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// offer puts a queue that can be worked on at the end of its module's list, and
// forgets one that is empty. q.mu is held.
func (q *Queue) offer(l *logical) {
	m := l.module
	if l.count == 0 && l.active == 0 {
		if l.pos >= 0 {
			heap.Remove(&q.due, l.pos)
		}
		if m.queues[l.name] == l {
			delete(m.queues, l.name)
		}
		return
	}
	if !l.offered && l.open() {
		l.offered = true
		m.offered = append(m.offered, l)
	}
}

// dispatch starts workers for the queues of a module that were offered. q.mu is held.
func (q *Queue) dispatch(m *module) {
	if q.run == nil || q.run.stopping {
		return
	}
	for free := min(m.policy.Workers-m.running, len(m.offered)); free > 0; free-- {
		m.running++
		q.run.workers.Add(1)
		go q.work(q.run, m)
	}
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
	}
}

// take makes the next batch of a module, or nil. q.mu is held.
func (q *Queue) take(run *running, m *module) *Batch {
	if run.stopping || m.running > m.policy.Workers {
		return nil
	}
	for len(m.offered) > 0 {
		l := m.offered[0]
		m.offered[0] = nil
		m.offered = m.offered[1:]
		l.offered = false
		if !l.open() {
			continue
		}
		b := q.newBatch(l)
		for len(b.Items) < m.policy.BatchSize {
			e := l.next()
			if e == nil {
				break
			}
			e.place = active
			b.Items = append(b.Items, newItem(b, e))
		}
		if len(b.Items) == 0 {
			q.offer(l)
			continue
		}
		l.active++
		q.offer(l) // for another connection to the same host
		return b
	}
	return nil
}

func (q *Queue) newBatch(l *logical) *Batch {
	return &Batch{Module: l.module.name, Queue: l.name, owner: q, queue: l, policy: l.module.policy, woken: l.woken}
}

// giveBack ends a batch. q.mu is held.
func (q *Queue) giveBack(l *logical) {
	l.active--
	for i := len(l.back) - 1; i >= 0; i-- {
		e := l.back[i]
		e.place = ready
		l.turns(e).pushFront(e)
	}
	l.back = nil
	q.replan(l)
	q.offer(l)
	q.dispatch(l.module)
}
