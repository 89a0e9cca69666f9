package queue

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/queue/envelope"
	"gatepost/queue/internal/disk"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/counters"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Router is what the queue asks for every recipient.
type Router interface {
	Route(ctx context.Context, op names.Operation, a address.Address) (router.Route, error)
}

// Options are what a queue needs from the parts around it.
type Options struct {
	Settings *settings.Live[Settings]
	Router   Router
	Counter  *Counter
	// MainDomain names this server in reports.
	MainDomain func() string
	// AllAccounts returns who gets mail to all@domain. Errors: fault.Denied when
	// this source may not write to all; others refuse the message for now. nil
	// denies it to everybody.
	AllAccounts func(ctx context.Context, src *envelope.Source, domain string) ([]address.Address, error)
	Log         *slog.Logger
	// Disk is what the queue does to its directory. nil is the directory as it is;
	// tests have one that stops.
	Disk disk.Disk
}

// maxHot bounds the messages whose envelope is kept in memory between their
// acceptance and the first attempt. The others cost a read of their file.
const maxHot = 20000

// Queue holds accepted messages. Its methods may be called from any goroutine.
type Queue struct {
	dir       string
	disk      disk.Disk
	names     dirSync
	o         Options
	opened    time.Time        // when this process began; its monotonic clock counts
	clock     func() time.Time // of the machine; it may be set
	enqueuers gate
	rules     Rules        // nil: none
	judges    gate         // who asks them
	receiving atomic.Int64 // submissions under way

	schedule // what mu guards

	held       map[envelope.QueueID]heldMessage // see held.go; guarded by mu
	finished   []*message                       // for the remover; guarded by mu
	leaving    int                              // finished and still in messages; guarded by mu
	unmarked   []lateMark                       // for the remover; guarded by mu
	removeWake chan struct{}

	strangers strangers // reports about their mail
	counts    Counts

	files sync.RWMutex // held by who replaces a queue file, and alone by control
	tried int          // messages with their last attempts in memory; guarded by mu

	logEnqueuer, logDequeuer, logQueueTag *slog.Logger
}

// Open opens the queue in a directory, which is created if it is missing. Files
// that were left half received are removed. Messages that wait there are taken
// up by Run, with the oldest first.
func Open(dir string, o Options) (*Queue, error) {
	const op = "queue.Open"
	d := o.Disk
	if d == nil {
		var err error
		if d, err = disk.Open(dir); err != nil {
			return nil, fault.Wrap(op, fault.Internal, err)
		}
	}
	q := newQueue(dir, d, o)
	if err := q.recover(); err != nil {
		q.Close()
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	return q, nil
}

func newQueue(dir string, d disk.Disk, o Options) *Queue {
	q := &Queue{
		dir: dir, disk: d, o: o, opened: time.Now(), clock: time.Now,
		held:        map[envelope.QueueID]heldMessage{},
		removeWake:  make(chan struct{}, 1),
		strangers:   newStrangers(),
		counts:      Counts{Sizes: counters.Sizes(), Took: counters.Times()},
		logEnqueuer: logs.Component(o.Log, "ENQUEUER"),
		logDequeuer: logs.Component(o.Log, "DEQUEUER"),
		logQueueTag: logs.Component(o.Log, "QUEUE"),
	}
	q.names.sync = d.SyncDir
	q.schedule = schedule{
		modules:  map[router.Module]*module{},
		messages: map[envelope.QueueID]*message{},
		wake:     make(chan struct{}, 1),
	}
	q.modules[enqueuer] = newModule(enqueuer, routing{q})
	q.modules[HoldModule] = newModule(HoldModule, holding{})
	return q
}

// routing is the enqueuer's policy; its batches do not reach a transport. It may be asked
// again: what it has for results can be found again.
type routing struct{ q *Queue }

func (routing) Deliver(context.Context, *Batch) {}
func (routing) Sync(context.Context) error      { return nil }
func (routing) Forget([]envelope.QueueID)       {}

func (r routing) Policy() Policy {
	n := r.q.settings().processors()
	return Policy{Workers: n, PerQueue: n, BatchSize: 20, Retry: Schedule{
		First: []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute},
		Every: 30 * time.Minute, EveryFor: 4 * time.Hour, Then: 2 * time.Hour, Expire: 5 * 24 * time.Hour,
	}, Warn: []time.Duration{4 * time.Hour, 24 * time.Hour}}
}

// Handle names the transport of a module, which may be a Repeatable. All calls come before Run, and before
// the first message is accepted.
func (q *Queue) Handle(m router.Module, t Transport) {
	mod := newModule(m, t)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.modules[m] = mod
}

// Handles returns nil if mail for a module can be delivered, and else the refusal:
// fault.Unsupported. It may be asked when all Handle calls are done.
func (q *Queue) Handles(m router.Module) error {
	if m == router.SYSTEM || q.modules[m] != nil {
		return nil
	}
	return fault.Newf("queue.Handles", fault.Unsupported, "module %s is not available", m)
}

// Run delivers until ctx ends, and returns when deliveries under way have ended.
// What is accepted after that is durable and waits for the next start.
func (q *Queue) Run(ctx context.Context) error {
	run := &running{ctx: ctx}
	q.mu.Lock()
	q.run = run
	q.pass(time.Now())
	q.mu.Unlock()

	removing, stopRemoving := context.WithCancel(context.WithoutCancel(ctx))
	var remover sync.WaitGroup
	remover.Go(func() { q.removerLoop(removing) })

	q.schedulerLoop(ctx)
	q.mu.Lock()
	run.stopping = true
	q.mu.Unlock()
	run.workers.Wait()
	q.reportRest()
	stopRemoving()
	remover.Wait()
	q.mu.Lock()
	q.run = nil
	q.mu.Unlock()
	return nil
}

// Close lets go of the directory. It comes after the end of Run and of every
// submission.
func (q *Queue) Close() error { return q.disk.Close() }

// Len is the number of messages in the queue. Finished ones whose file is still
// to be removed don't count.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages) - q.leaving
}

// Has reports whether a message is in the queue.
func (q *Queue) Has(id envelope.QueueID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, there := q.messages[id]
	return there
}

func (q *Queue) settings() *Settings { return q.o.Settings.Get() }

func (q *Queue) path(id envelope.QueueID, ext string) string {
	return q.dir + "/" + fileName(id, ext)
}

// shortName is the name of a queue as reports and logs show it: without the
// Main Domain.
func (q *Queue) shortName(queue string) string {
	return strings.TrimSuffix(queue, "@"+q.o.MainDomain())
}

func (q *Queue) logQueue(id envelope.QueueID) *slog.Logger {
	return q.logQueueTag.With(slog.String(logs.AttrObject, "["+id.String()+"]"))
}

// warm keeps the envelope of a message in memory if there is room. q.mu is held.
func (q *Queue) warm(m *message, h *head) {
	if m.hot == nil && q.hot < maxHot {
		m.hot = h
		q.hot++
	}
}

// cool lets go of the envelope of a message. q.mu is held.
func (q *Queue) cool(m *message) {
	if m.hot != nil {
		m.hot = nil
		q.hot--
	}
}
