package resolver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"gatepost/server/counters"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// New returns a resolver over the name servers of the settings or of the system. Reset is called
// when the settings have changed.
func New(cfg *settings.Live[Settings], log *slog.Logger) *Resolver {
	n := newNameServers(cfg, log, resolvConf)
	return &Resolver{source: n, hosts: &hosts{path: hostsFile}, close: n.close}
}

// Reset removes all answers from the cache.
func (r *Resolver) Reset() {
	if n, ok := r.source.(*nameServers); ok {
		n.cache.reset()
	}
}

const (
	// lookupLimit is how long a look-up may take with all its exchanges.
	lookupLimit = 30 * time.Second
	// maxLinks is how many CNAMEs may follow each other.
	maxLinks = 16
)

// question is what one look-up asks.
type question struct {
	name  string
	qtype uint16
}

func (q question) String() string { return typeName(q.qtype) + " of " + q.name }

func typeName(t uint16) string { return dns.TypeToString[t] }

// nameServers is the Source over name servers.
type nameServers struct {
	counts   Counts
	settings *settings.Live[Settings]
	system   *system
	cache    cache
	log      *slog.Logger
	silent   logs.Throttle

	// ctx ends all look-ups.
	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	flights map[question]*flight
	shares  shares        // of the flights
	free    chan struct{} // closed and made anew when a look-up has ended
	down    map[netip.AddrPort]time.Time
	closed  bool
}

// flight is a look-up under way, for all who ask the same.
type flight struct {
	done   chan struct{}
	answer Answer[dns.RR]
	err    error
}

func newNameServers(cfg *settings.Live[Settings], log *slog.Logger, conf string) *nameServers {
	n := &nameServers{settings: cfg, log: logs.Component(log, "DNR"), flights: map[question]*flight{},
		free: make(chan struct{}), down: map[netip.AddrPort]time.Time{}, counts: Counts{Took: counters.Times()}}
	n.ctx, n.stop = context.WithCancel(context.Background())
	n.system = &system{path: conf, changed: n.changed}
	return n
}

// changed is told that the system has other name servers.
func (n *nameServers) changed(servers Servers, err error) {
	n.cache.reset()
	level, attrs := logs.LevelMajor, []any{"servers", fmt.Sprint(servers), "file", n.system.path}
	if err != nil {
		level, attrs = logs.LevelProblem, append(attrs, logs.AttrError, err)
	}
	n.log.Log(context.Background(), level, "name servers of the system", attrs...)
}

func (n *nameServers) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.stop()
	n.work.Wait()
}

// Ask answers from the cache, joins a look-up that is under way, or begins one.
func (n *nameServers) Ask(ctx context.Context, name string, qtype uint16) (Answer[dns.RR], error) {
	q := question{name, qtype}
	for {
		if answer, err, ok := n.cache.get(q); ok {
			n.counts.Cached.Inc()
			return answer, err
		}
		f, free := n.join(q, strangerOf(ctx))
		if f != nil {
			select {
			case <-f.done:
				return f.answer, f.err
			case <-ctx.Done():
				return Answer[dns.RR]{}, gaveUp(q, ctx.Err())
			}
		}
		select {
		case <-free:
		case <-ctx.Done():
			return Answer[dns.RR]{}, gaveUp(q, ctx.Err())
		}
	}
}

// join returns the look-up for q, begun if need be, or, when there are too many, what is closed
// when one of them has ended.
func (n *nameServers) join(q question, by stranger) (*flight, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f := n.flights[q]; f != nil {
		return f, nil
	}
	if n.closed {
		f := &flight{done: make(chan struct{}), err: gaveUp(q, context.Canceled)}
		close(f.done)
		return f, nil
	}
	if most := n.settings.Get().Requests; len(n.flights) >= most || !n.shares.take(by, most) {
		return nil, n.free
	}
	f := &flight{done: make(chan struct{})}
	n.flights[q] = f
	n.work.Go(func() {
		n.fly(q, f)
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.flights, q)
		n.shares.give(by)
		close(f.done)
		close(n.free)
		n.free = make(chan struct{})
	})
	return f, nil
}

// fly makes a look-up. It goes on when those who asked have given up: the answer is of use to the
// next.
func (n *nameServers) fly(q question, f *flight) {
	ctx, cancel := context.WithTimeout(n.ctx, lookupLimit)
	defer cancel()
	begun, generation := time.Now(), n.cache.generation()
	var keep time.Duration
	f.answer, keep, f.err = n.follow(ctx, q)
	if n.ctx.Err() != nil {
		f.err = gaveUp(q, context.Canceled)
		return
	}
	if fault.KindOf(f.err).Temporary() { // who asks again does not wait longer than before for the same
		keep = keepFailure(time.Since(begun))
	}
	if keep > 0 {
		n.cache.put(q, f.answer, f.err, keep, int64(n.settings.Get().CacheSize), generation)
	}
	attrs := []any{"name", q.name, "type", typeName(q.qtype), logs.AttrDelay, time.Since(begun).Round(time.Millisecond)}
	n.counts.Asked.Inc()
	n.counts.Took.Took(time.Since(begun))
	switch {
	case f.err == nil:
		n.log.Log(ctx, logs.LevelAll, "answer", append(attrs, "records", len(f.answer.Records), "secure", f.answer.Secure, "ttl", f.answer.TTL)...)
	case fault.KindOf(f.err).Temporary():
		n.counts.Failed.Inc()
		n.log.Log(ctx, logs.LevelLowLevel, "no answer", append(attrs, logs.AttrError, f.err)...)
	default:
		n.log.Log(ctx, logs.LevelAll, "no such name", append(attrs, logs.AttrError, f.err)...)
	}
}

// follow asks until the end of the CNAMEs. keep is how long the result may be cached.
func (n *nameServers) follow(ctx context.Context, q question) (a Answer[dns.RR], keep time.Duration, err error) {
	a.Secure, a.TTL = true, maxTTL
	at := q
	for links := 0; ; {
		msg, secure, err := n.exchangeAny(ctx, at)
		if err != nil {
			return Answer[dns.RR]{}, 0, &fault.Error{Op: "resolver.Ask", Kind: fault.Unavailable,
				Text: fmt.Sprintf("no answer from the DNS for the %s: %s", at, reason(err)), Err: err}
		}
		part := read(at, msg, maxLinks-links)
		a.Name, a.Records = part.name, part.records
		a.Secure = a.Secure && secure
		a.TTL = min(a.TTL, part.ttl)
		links += part.links
		switch {
		case part.looped || links >= maxLinks && part.more:
			return Answer[dns.RR]{}, 0, fault.Newf("resolver.Ask", fault.Unavailable,
				"no answer from the DNS for the %s: its CNAMEs go in circles or are too many", q)
		case part.missing && part.name != q.name:
			return Answer[dns.RR]{}, a.TTL, fault.Newf("resolver.Ask", fault.NoHost, "%s, which %s points to, does not exist", part.name, q.name)
		case part.missing:
			return Answer[dns.RR]{}, a.TTL, fault.Newf("resolver.Ask", fault.NoHost, "%s does not exist", q.name)
		case part.more:
			at.name = part.name
			continue
		}
		return a, a.TTL, nil
	}
}

// gaveUp is the error of a look-up that nobody waits for any longer.
func gaveUp(q question, err error) error {
	return &fault.Error{Op: "resolver.Ask", Kind: fault.Canceled, Text: "the look-up of the " + q.String() + " was given up", Err: err}
}

// reason says what is wrong with the name servers, without their addresses.
func reason(err error) string {
	var code *rcodeError
	var timeout net.Error
	switch {
	case errors.As(err, &code):
		return code.words()
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "time-out"
	}
	return "the name servers cannot be reached"
}
