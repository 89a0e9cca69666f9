package queue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// attempt delivers one batch and settles it.
func (q *Queue) attempt(ctx context.Context, b *Batch) {
	switch b.Module {
	case enqueuer:
		q.enqueueBatch(ctx, b)
	case RulesModule:
		q.judgeBatch(ctx, b)
	default:
		q.deliver(ctx, b)
	}
	q.mu.Lock()
	stopped := b.dest.stopped
	b.dest.stopped = nil
	var aged []*logical
	if stopped != nil {
		aged = b.dest.queuesOr(b.queue)
		for _, l := range aged {
			l.active++ // it stays while it is swept
		}
	}
	q.giveBack(b)
	q.mu.Unlock()
	for _, l := range aged {
		q.sweep(ctx, l, *stopped)
		q.mu.Lock()
		l.active--
		q.offer(l)
		q.dispatch(l.module)
		q.mu.Unlock()
	}
}

// queuesOr returns the queues of a destination, of which one is l. q.mu is held.
func (d *destination) queuesOr(l *logical) []*logical {
	if d.members == nil {
		return []*logical{l}
	}
	return slices.Collect(maps.Keys(d.members))
}

// deliver hands a batch to the transport, if its destination takes one.
func (q *Queue) deliver(ctx context.Context, b *Batch) {
	limited := ctx
	if b.policy.Silent > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithCancel(ctx)
		defer cancel()
		q.mu.Lock()
		b.cancel = cancel
		q.mu.Unlock()
	}
	if b.queue.module.grouper != nil && !q.admit(limited, b) {
		return
	}
	b.Items = q.prepare(ctx, b.Items)
	if len(b.Items) > 0 {
		q.call(ctx, limited, b)
	}
}

// admit asks a Grouper where a batch leads, and reports whether its destination takes one. If
// not, the messages go back, without the cost of reading their envelopes.
func (q *Queue) admit(ctx context.Context, b *Batch) bool {
	all := b.Items
	for len(all) > 0 {
		if b.Items = q.prepare(ctx, all[:1:1]); len(b.Items) > 0 {
			break
		}
		all = all[1:]
	}
	if len(all) == 0 {
		return true // all have gone elsewhere
	}
	name := ""
	q.guard(ctx, b, func() { name = b.queue.module.grouper.Group(ctx, b) })
	b.Items = all
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.join(b, name) {
		return true
	}
	for _, it := range b.Items {
		if it.entry.place == active {
			b.queue.back = append(b.queue.back, it.entry)
		}
	}
	return false
}

// guard calls a transport. A panic costs the batch an attempt, not the server its life.
func (q *Queue) guard(ctx context.Context, b *Batch, call func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			q.logDequeuer.Log(ctx, logs.LevelCrash, "delivery stopped by a bug", "module", string(b.Module),
				"queue", b.Queue, logs.AttrError, fmt.Sprint(r), "stack", string(debug.Stack()))
			ok = false
		}
	}()
	call()
	return true
}

// call calls the transport, with a context that ends with ctx or when the batch is given up,
// and settles what it did not report.
func (q *Queue) call(ctx, limited context.Context, b *Batch) {
	rest := envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 3, 0}, Text: "delivery was interrupted"}
	if !q.guard(ctx, b, func() { b.queue.module.transport.Deliver(limited, b) }) {
		rest.Text = "internal error"
	}
	q.mu.Lock()
	back := b.yielded
	if b.cut {
		rest.Code, rest.Text, rest.Queue = envelope.Code{4, 4, 1}, "the host does not answer", true
	}
	q.mu.Unlock()
	for _, it := range b.Items {
		results, untold, open := it.close()
		if !open {
			continue
		}
		if back || ctx.Err() != nil {
			q.settle(settlement{item: it, results: results, untried: untold})
			continue
		}
		for _, r := range untold {
			results = append(results, result{rcpt: r, status: rest})
		}
		q.settle(settlement{item: it, results: results})
	}
}

// prepare completes items of a batch: envelopes that are not in memory are read, and
// recipients whose route has changed since move to their new queue. It returns the items
// with something to deliver.
func (q *Queue) prepare(ctx context.Context, all []*Item) []*Item {
	items := all[:0]
	for _, it := range all {
		if it.head != nil || q.complete(ctx, it) {
			items = append(items, it)
		}
	}
	clear(all[len(items):])
	return items
}

// complete prepares one item and reports whether there is something to deliver.
func (q *Queue) complete(ctx context.Context, it *Item) bool {
	e := it.entry
	if q.keep(e) {
		return false
	}
	q.mu.Lock()
	h, rcpts, rejected := e.msg.hot, e.rcpts, e.msg.rejected
	q.mu.Unlock()
	cold := h == nil
	if cold {
		var err error
		if h, err = q.readHead(it.ID); err != nil {
			q.unreadable(e, err)
			return false
		}
	}
	switch {
	case rejected != nil:
		it.fill(q, h, rcpts, nil)
		q.settleAll(it, rejected.status())
		return false
	case cold:
		return q.reroute(ctx, it, h, rcpts)
	}
	routes := make([]router.Route, len(rcpts))
	for i, r := range rcpts {
		routes[i] = h.routes[r]
	}
	it.fill(q, h, rcpts, routes)
	return true
}

// settleAll gives every recipient of an item the same result.
func (q *Queue) settleAll(it *Item, st envelope.Status) {
	results, untold, _ := it.close()
	for _, r := range untold {
		results = append(results, result{rcpt: r, status: st})
	}
	q.settle(settlement{item: it, results: results})
}

// reroute asks the router again for recipients that have waited: records and
// accounts may have changed. What leads elsewhere now moves there.
func (q *Queue) reroute(ctx context.Context, it *Item, h *head, rcpts []int) bool {
	p := q.plan(ctx, h.env, rcpts)
	var stay []int
	var routes []router.Route
	var moved []placed
	for _, pl := range p.placed {
		if pl.route.Module == it.batch.Module && pl.route.Queue == it.batch.Queue {
			stay, routes = append(stay, pl.rcpt), append(routes, pl.route)
		} else {
			moved = append(moved, pl)
		}
	}
	it.fill(q, h, stay, routes)
	if len(stay) == len(rcpts) {
		return true
	}
	q.settle(settlement{item: it, results: p.results, pending: stay, moved: moved})
	return len(stay) > 0
}

// unreadable takes an entry whose file cannot be read out of its queue: for
// good when the file is gone or damaged, for a while after other failures.
func (q *Queue) unreadable(e *entry, err error) {
	m := e.msg
	log := q.logQueue(m.id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		log.Log(context.Background(), logs.LevelFailure, "the queue file is missing", logs.AttrError, err)
		q.forgetMessage(m)
	case fault.Is(err, fault.Corrupt), fault.Is(err, fault.Unsupported):
		q.setAside(m, err)
	default:
		log.Log(context.Background(), logs.LevelFailure, "the queue file cannot be read", logs.AttrError, err)
		q.mu.Lock()
		if e.place == active {
			e.due = time.Now().Add(time.Minute)
			e.lastErr = "the queue file cannot be read"
			e.queue.put(e)
		}
		q.mu.Unlock()
	}
}

// sweep looks at the messages of a queue that was stopped as a whole, by the
// host that does not answer or the account that is full: those that were not
// tried age too, so they expire and their senders are warned with the same
// words. It also lets go of their envelopes, as they will wait for long.
func (q *Queue) sweep(ctx context.Context, l *logical, st envelope.Status) {
	for ctx.Err() == nil {
		b := q.takeAged(l, st)
		if len(b.Items) == 0 {
			return
		}
		b.Items = q.prepare(ctx, b.Items)
		for _, it := range b.Items {
			q.settleAll(it, st)
		}
		q.mu.Lock()
		q.giveBack(b)
		q.mu.Unlock()
	}
}

// takeAged makes a batch of the entries of a stopped queue that have reached the
// age for a warning or their end.
func (q *Queue) takeAged(l *logical, st envelope.Status) *Batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.newBatch(l)
	b.sweep = true
	retry := b.policy.Retry.with(st)
	for _, e := range slices.Concat(l.ready.all(), l.bulk.all()) {
		if e == nil || e.place != ready {
			continue
		}
		life := q.lifetime(e.msg)
		due := retry.expired(life)
		for _, r := range e.rcpts {
			due = due || warnings(b.policy.Warn, life.age) > int(e.msg.rcpts[r].warned)
		}
		if due && len(b.Items) < b.policy.BatchSize {
			e.place = active
			b.Items = append(b.Items, newItem(b, e))
		} else if !due {
			q.cool(e.msg)
		}
	}
	if len(b.Items) > 0 {
		b.begin()
	}
	return b
}
