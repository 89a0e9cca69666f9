package queue

import (
	"context"
	"slices"
	"sync"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
)

// Transport delivers what waits in the logical queues of one module.
type Transport interface {
	// Deliver works on one batch and calls Item.Report for every recipient of
	// it. What it does not report is tried again later; when ctx has ended, it
	// counts as not tried. Several calls run at once, for different queues or,
	// if the policy allows it, for one.
	Deliver(ctx context.Context, b *Batch)
	// Policy says how the module wants its queues to be run. It is asked before
	// every batch, so that changed settings take effect; it has to answer from
	// memory.
	Policy() Policy
}

// Repeatable is a Transport that may be asked again about what it has delivered, after a
// crash: it knows by the queue ID what it has, and makes no second copy. Others are not
// asked again once Item.Report has returned with a final result, see Policy.MayRepeat.
type Repeatable interface {
	Transport
	// Sync makes durable what was delivered up to the call. It comes before queue
	// files are removed, and before recipients are marked as done in them.
	Sync(ctx context.Context) error
	// Forget hears of messages whose queue files are gone for good.
	Forget(ids []envelope.QueueID)
}

// Grouper is a Transport of which several queues may lead to the same hosts, such as
// domains that share their MX records, or all queues while there is a smart host. Such
// queues are one destination: they share its limit of batches, and wait together while it
// does not answer (schedule.go).
type Grouper interface {
	Transport
	// Group names the destination of a batch. The worker asks before each Deliver, under no
	// lock, with the first item and its routes; the call may wait for look-ups until ctx ends.
	// When the destination takes no further batch now, Deliver is not called and the messages
	// wait. "" means that the queue is a destination of its own, which is right when the
	// look-up failed: Deliver finds the same failure and reports it.
	//
	// A transport that finds its hosts by MX records returns those of the best preference, in
	// lower case, sorted, joined by commas, with their port if it is not the usual one
	// ("mx1.example.net,mx2.example.net"), and keeps what it has found for Deliver; one with
	// a smart host or a named host returns host and port of it.
	Group(ctx context.Context, b *Batch) string
}

// Policy is how the queues of one module are run.
type Policy struct {
	// Workers bounds the batches of the module that are delivered at once; 0
	// stops the module and its messages wait.
	Workers int
	// PerQueue bounds the batches of one logical queue that are delivered at
	// once, and Backlog is how many messages have to wait in a queue for each
	// batch after the first. Zero values mean 1.
	PerQueue, Backlog int
	// Silent, if it is not 0, makes a reserve for destinations that answer, and is how many
	// batches, besides Workers, may be under way to others: to those that are not known or
	// did not answer lately, and to those that take more than two seconds for an answer
	// while work waits. PerQueue and Backlog are bounds then, see destination.
	Silent int
	// BatchSize bounds the messages of one batch; 0 means 100.
	BatchSize int
	// Retry says when to try again and when to give up.
	Retry Schedule
	// Warn lists the ages at which the sender is told about a delay, rising.
	Warn []time.Duration
	// MayRepeat says that after a power cut the transport may be asked again about what it
	// had a final result for, as other servers allow (RFC 5321 section 6.1). Its results are
	// written to the queue file at once and not synced. A killed process loses none.
	MayRepeat bool
}

// normal fills in what a zero value means.
func (p Policy) normal() Policy {
	p.PerQueue = max(p.PerQueue, 1)
	p.Backlog = max(p.Backlog, 1)
	if p.BatchSize <= 0 {
		p.BatchSize = 100
	}
	return p
}

// reserve is how many workers are for destinations without a batch under way.
func (p *Policy) reserve() int {
	if p.Silent == 0 {
		return 0
	}
	return p.Workers / 5
}

// Batch is what one call of Transport.Deliver works on: messages of one logical queue.
type Batch struct {
	Module router.Module
	Queue  string
	Items  []*Item

	owner  *Queue
	queue  *logical
	dest   *destination // of which it is one of the active
	policy Policy
	most   int  // batches of the destination, see Limit
	woken  int  // logical.woken when the batch began
	sweep  bool // made of messages that were not tried, see Queue.sweep

	// Guarded by Queue.mu.
	answered  bool      // the destination has answered in this batch
	delivered bool      // and taken something
	shed      bool      // it was one too many for its destination
	silent    bool      // counts against Policy.Silent
	cut       bool      // given up, as its place was needed
	yielded   bool      // More was false: what is not reported goes back as it was
	began     time.Time // zero of a batch that no worker runs
	seen      time.Time // last answer, or the start
	cancel    context.CancelFunc
}

// Limit says how many batches the destination may have at once, if that is less than
// Policy.PerQueue; 0 is no limit of its own. It is for Group to call.
func (b *Batch) Limit(n int) { b.most = n }

// Answered tells that the destination answers. A report that is no failure of the whole
// queue says so too; a transport that learns it earlier, such as from a greeting, calls this.
func (b *Batch) Answered() {
	if b.policy.Silent == 0 {
		return
	}
	q := b.owner
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.answered(b, now)
}

// More reports whether Deliver may go on to another item. It is false when the batch has
// taken long and other work waits for its place; what is not reported then waits for another
// turn.
func (b *Batch) More() bool {
	if b.policy.Silent == 0 {
		return true
	}
	q := b.owner
	q.mu.Lock()
	defer q.mu.Unlock()
	m, d := b.queue.module, b.dest
	if time.Since(b.began) < longTurn || !m.short() && (d.queues.n == 0 || d.active < d.most()) {
		return true
	}
	b.yielded = true
	return false
}

// Item is one message of a batch with those of its recipients that wait in the queue.
type Item struct {
	ID envelope.QueueID
	// Envelope is shared by all items of the message and is not to be changed.
	Envelope *envelope.Envelope
	// File is the absolute path of the queue file; the message is Size bytes
	// from Offset on, with CRLF line ends.
	File         string
	Offset, Size int64
	// Recipients are the waiting recipients as indexes of Envelope.Recipients,
	// and Routes their routes, in the same order.
	Recipients []int
	Routes     []router.Route

	batch *Batch
	entry *entry
	head  *head

	recording sync.Mutex // one settlement after the other: each says who is still being delivered to

	mu      sync.Mutex
	results []result
	open    int // recipients without a result
}

// result is what was reported for a recipient.
type result struct {
	rcpt     int
	reported bool
	settled  bool
	begun    bool          // see Item.Begin
	module   router.Module // that has the result, if it is not that of the batch
	queue    string
	status   envelope.Status
}

func newItem(b *Batch, e *entry) *Item { return &Item{ID: e.msg.id, batch: b, entry: e} }

// fill gives the item its envelope and the recipients to deliver to.
func (it *Item) fill(q *Queue, h *head, rcpts []int, routes []router.Route) {
	it.head = h
	it.Envelope = h.env
	it.File = q.path(it.ID, extMsg)
	it.Offset, it.Size = h.layout.Message, h.size
	it.Recipients, it.Routes = rcpts, routes
	it.results = make([]result, len(rcpts))
	for i, r := range rcpts {
		it.results[i].rcpt = r
	}
	it.open = len(rcpts)
}

// Begin records durably that the transport begins to hand the message over for recipients to somebody who does
// not know what he has had before, such as a program. If the server is killed before a result is
// reported, they are not delivered to again, and the sender is told that nobody knows. A delay that is
// reported afterwards takes it back. After an error nothing is to be handed over.
func (it *Item) Begin(rcpts []int) error {
	if err := it.batch.owner.markState(it.ID, &it.head.layout, rcpts, envelope.HandedOver); err != nil {
		return err
	}
	it.mu.Lock()
	defer it.mu.Unlock()
	for i := range it.results {
		if slices.Contains(rcpts, it.results[i].rcpt) {
			it.results[i].begun = true
		}
	}
	return nil
}

// Report says what has become of a recipient, given as its index in
// Envelope.Recipients. It may be called from any goroutine until Deliver
// returns; only the first report for a recipient counts. When it returns, the
// result is recorded, so that the recipient is not delivered to again; results of
// Repeatable transports, and delays, are recorded with the last one of the item.
func (it *Item) Report(rcpt int, st envelope.Status) { it.ReportAll([]int{rcpt}, st) }

// ReportAll is Report for recipients with one result. They share the write to the disk.
func (it *Item) ReportAll(rcpts []int, st envelope.Status) {
	it.mu.Lock()
	for _, rcpt := range rcpts {
		i := slices.IndexFunc(it.results, func(r result) bool { return r.rcpt == rcpt })
		if i >= 0 && !it.results[i].reported {
			it.results[i].reported, it.results[i].status = true, st
			it.open--
		}
	}
	if it.batch.policy.Silent > 0 && !st.Queue {
		it.batch.Answered()
	}
	record := it.open == 0 || st.Action != envelope.ActionDelayed && it.batch.queue.module.repeat == nil
	it.mu.Unlock()
	if record {
		it.record()
	}
}

// record settles the results that are to be recorded now.
func (it *Item) record() {
	it.recording.Lock()
	defer it.recording.Unlock()
	var now []result
	var pending []int
	it.mu.Lock()
	for i := range it.results {
		r := &it.results[i]
		switch {
		case r.settled:
		case r.reported && (it.open == 0 || r.status.Action != envelope.ActionDelayed):
			r.settled = true
			now = append(now, *r)
		default:
			pending = append(pending, r.rcpt)
		}
	}
	it.mu.Unlock()
	if len(now) > 0 {
		it.batch.owner.settle(settlement{item: it, results: now, pending: pending})
	}
}

// close ends the reporting of an item that is still open and returns its
// results that are not recorded and the recipients without one.
func (it *Item) close() (results []result, rest []int, open bool) {
	it.recording.Lock()
	defer it.recording.Unlock()
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.open == 0 {
		return nil, nil, false
	}
	for i := range it.results {
		r := &it.results[i]
		switch {
		case r.settled:
		case r.reported:
			results = append(results, *r)
		default:
			rest = append(rest, r.rcpt)
		}
		r.reported, r.settled = true, true
	}
	it.open = 0
	return results, rest, true
}
