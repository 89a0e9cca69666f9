package rpop

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

const (
	longestDelay = 24 * time.Hour
	// spread is the time over which the first polls after a start are spread.
	spread = time.Minute
)

// key names a remote account.
type key struct{ domain, account, record string }

// entry is a remote account in the schedule. While it runs, its poll owns what
// goes from poll to poll.
type entry struct {
	key       key
	host      string
	period    time.Duration
	due       time.Time
	index     int // in the heap; -1 while it is not there
	running   bool
	again     bool // it was changed while it ran: it is due at once
	gone      bool // it is no more
	failures  int
	undecided []envelope.QueueID
	skipped   map[uid]time.Time
	status    status
}

// schedule is when remote accounts are polled.
type schedule struct {
	mu      sync.Mutex
	entries map[key]*entry
	byName  map[[2]string]map[key]bool // by domain and account
	waiting dueHeap
	running int
	hosts   map[string]failedHost
	changed map[[2]string]bool // accounts whose remote accounts are to be read
	wake    chan struct{}
}

// failedHost is a host that did not answer.
type failedHost struct {
	until    time.Time
	failures int
}

func (s *schedule) init() {
	s.entries, s.byName = map[key]*entry{}, map[[2]string]map[key]bool{}
	s.hosts, s.changed = map[string]failedHost{}, map[[2]string]bool{}
	s.wake = make(chan struct{}, 1)
}

// Changed has the remote accounts of an account read, and polled at once.
func (s *schedule) Changed(domain, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed[[2]string{domain, name}] = true
	s.poke()
}

// poke wakes Run.
func (s *schedule) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Woken has Run look at the settings again.
func (s *schedule) Woken() { s.poke() }

// Run polls until ctx ends, and returns when all polls have ended.
func (p *Poller) Run(ctx context.Context) error {
	var polls sync.WaitGroup
	defer polls.Wait()
	for _, name := range p.accounts.Polled() {
		if ctx.Err() != nil {
			return nil
		}
		p.read(ctx, name[0], name[1], false)
	}
	for {
		p.readChanged(ctx)
		wait := p.start(ctx, &polls)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-p.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// readChanged reads the remote accounts of accounts that were changed.
func (p *Poller) readChanged(ctx context.Context) {
	p.mu.Lock()
	changed := p.changed
	p.changed = map[[2]string]bool{}
	p.mu.Unlock()
	for name := range changed {
		p.read(ctx, name[0], name[1], true)
	}
}

// read takes the remote accounts of an account into the schedule. now says that they are due at once.
func (p *Poller) read(ctx context.Context, domain, name string, now bool) {
	found := map[key]*entry{}
	acc, err := p.accounts.Account(ctx, domain, name)
	switch {
	case err == nil:
		for _, r := range p.accounts.RemoteAccounts(acc) {
			if bool(r.Enabled) && r.Period != settings.Never {
				k := key{domain, name, r.Name}
				found[k] = &entry{key: k, host: r.Host.Name, period: r.Period.Duration(), index: -1}
			}
		}
	case !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.NoDomain):
		p.log(name+"@"+domain).Log(ctx, logs.LevelFailure, "the remote accounts cannot be read", logs.AttrError, err)
		return
	}
	if len(found) == 0 {
		if err := p.accounts.ForgetPolled(ctx, domain, name); err != nil {
			p.log(name+"@"+domain).Log(ctx, logs.LevelFailure, "the table of polled accounts was not written", logs.AttrError, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	of := [2]string{domain, name}
	for k := range p.byName[of] {
		if found[k] == nil {
			p.remove(p.entries[k])
		}
	}
	for k, e := range found {
		p.enter(of, k, e, now)
	}
}

// enter takes an entry in, or what has changed of it. p.mu is held.
func (p *Poller) enter(of [2]string, k key, e *entry, now bool) {
	due := time.Now()
	if old := p.entries[k]; old != nil {
		old.host, old.period, old.gone = e.host, e.period, false
		if !now {
			return
		}
		old.failures, old.again = 0, old.running
		if !old.running {
			p.put(old, due)
		}
		return
	}
	p.entries[k] = e
	if p.byName[of] == nil {
		p.byName[of] = map[key]bool{}
	}
	p.byName[of][k] = true
	if !now {
		due = due.Add(rand.N(min(spread, e.period)))
	}
	p.put(e, due)
}

// put sets when an entry is due. p.mu is held.
func (p *Poller) put(e *entry, due time.Time) {
	e.due = due
	if e.index >= 0 {
		heap.Fix(&p.waiting, e.index)
		return
	}
	heap.Push(&p.waiting, e)
}

// remove takes an entry out; one that runs goes when it ends. p.mu is held.
func (p *Poller) remove(e *entry) {
	if e.gone = true; e.running {
		return
	}
	if e.index >= 0 {
		heap.Remove(&p.waiting, e.index)
	}
	delete(p.entries, e.key)
	of := [2]string{e.key.domain, e.key.account}
	if delete(p.byName[of], e.key); len(p.byName[of]) == 0 {
		delete(p.byName, of)
	}
}

// start begins the polls that are due, and returns how long to wait for the next.
func (p *Poller) start(ctx context.Context, polls *sync.WaitGroup) time.Duration {
	limit := p.settings.Get().Processors
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.waiting.Len() > 0 && p.running < limit {
		e := p.waiting[0]
		now := time.Now()
		if wait := e.due.Sub(now); wait > 0 {
			return wait
		}
		if h, failed := p.hosts[e.host]; failed && h.until.After(now) {
			p.put(e, h.until)
			continue
		}
		heap.Pop(&p.waiting)
		e.running = true
		p.running++
		polls.Go(func() { p.runEntry(ctx, e) })
	}
	return longestDelay // until one ends or something changes
}

// runEntry polls one and says when it is due again.
func (p *Poller) runEntry(ctx context.Context, e *entry) {
	gone, result, err := p.guarded(ctx, e)
	if gone {
		p.read(ctx, e.key.domain, e.key.account, false)
	}
	set := p.settings.Get()
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.poke()
	e.running = false
	p.running--
	if gone || e.gone {
		p.remove(e)
		return
	}
	var failed *failure
	wait := e.period
	switch {
	case err == nil:
		e.failures = 0
		delete(p.hosts, e.host)
		if result != nil && result.more {
			wait = 0
		}
	case errors.As(err, &failed) && failed.account:
		e.failures++
		delete(p.hosts, e.host)
		wait = max(wait, doubled(set.DelayFailedAccounts.Duration(), e.failures))
	case errors.As(err, &failed):
		wait = max(wait, p.hostFailed(e.host, set.DelayFailedHosts.Duration()))
	default: // here
		wait = max(wait, time.Minute)
	}
	e.status.note(result, err)
	p.counts.polled(result, err)
	if e.again {
		e.again, wait = false, 0
	}
	p.put(e, time.Now().Add(wait))
}

// hostFailed remembers that a host did not answer. Polls that ran side by side count once. p.mu is held.
func (p *Poller) hostFailed(host string, delay time.Duration) time.Duration {
	now := time.Now()
	h := p.hosts[host]
	if h.until.After(now) {
		return h.until.Sub(now)
	}
	h.failures++
	wait := doubled(delay, h.failures)
	h.until = now.Add(wait)
	p.hosts[host] = h
	if len(p.hosts) > 1000 {
		for name, h := range p.hosts {
			if now.Sub(h.until) > longestDelay {
				delete(p.hosts, name)
			}
		}
	}
	return wait
}

// doubled is a delay after so many failures.
func doubled(d time.Duration, failures int) time.Duration {
	for ; failures > 1 && d < longestDelay; failures-- {
		d *= 2
	}
	return min(d, longestDelay)
}

// guarded keeps a bug in one poll from ending the server.
func (p *Poller) guarded(ctx context.Context, e *entry) (gone bool, result *poll, err error) {
	defer func() {
		if v := recover(); v != nil {
			p.log(e.key.account+"@"+e.key.domain+","+e.key.record).Log(ctx, logs.LevelCrash, "a poll has crashed", logs.AttrError, fmt.Sprint(v), "stack", string(debug.Stack()))
			err = &failure{account: true, err: errors.New("internal error")}
		}
	}()
	return p.poll(ctx, e)
}

// dueHeap has the entry that is due first in front.
type dueHeap []*entry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *dueHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *dueHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.index = -1
	return e
}
