package queue

import (
	"context"

	"gatepost/router"
)

// Quiet waits until nothing of a logical queue is being delivered or could be now: what is left in it waits
// for a time of its own, or with its destination. The error is that of ctx, if that ends first.
func (q *Queue) Quiet(ctx context.Context, m router.Module, queue string) error {
	q.mu.Lock()
	mod := q.modules[m]
	if mod == nil || mod.queues[queue] == nil || mod.queues[queue].quiet() {
		q.mu.Unlock()
		return nil
	}
	l := mod.queues[queue]
	if l.calm == nil {
		l.calm = make(chan struct{})
	}
	calm := l.calm
	q.mu.Unlock()
	select {
	case <-calm:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// quiet reports whether there is nothing to be done now. q.mu is held.
func (l *logical) quiet() bool {
	return l.active == 0 && (l.ready.len()+l.bulk.len() == 0 || !l.dest.until.IsZero())
}

// tellQuiet ends the calls of Quiet when the queue is. q.mu is held.
func (l *logical) tellQuiet() {
	if l.calm != nil && l.quiet() {
		close(l.calm)
		l.calm = nil
	}
}
