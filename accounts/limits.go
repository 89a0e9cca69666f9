package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/server/fault"
	"gatepost/server/settings"
)

// Bounds of what is remembered about logins. Whoever is pushed out of a table
// by others starts anew.
const (
	maxVerified      = 50_000
	maxFailingNames  = 100_000
	maxFailingPeers  = 100_000
	maxHashWaiters   = 256
	verifiedLifetime = time.Hour
)

// peerFlow is how many logins may fail from one address: an IPv4 address or an
// IPv6 network of 64 bits. Client IPs are not counted.
var peerFlow = settings.Rate{Count: 20, Period: settings.Period(10 * time.Minute)}

// logins is what the server remembers about logins: which passwords were right
// lately, and who fails too often. It all is in memory and bounded.
type logins struct {
	key     []byte // of this process, for the keyed hashes of verified passwords
	dummy   argonHash
	hashing chan struct{} // a token per memory-hard hash at a time
	waiting atomic.Int32
	hashes  atomic.Int64 // memory-hard hashes so far
	cost    atomic.Int64 // running mean of a memory-hard hash, in nanoseconds

	verified *cache[uint64, verifiedPassword] // by account ID

	mu      sync.Mutex // guards the counts in the windows, and settled
	names   *cache[accountKey, *window]
	peers   *cache[netip.Prefix, *window]
	settled chan struct{} // closed, and made anew, when a try has ended
}

type verifiedPassword struct {
	mac   [sha256.Size]byte
	until time.Time
}

// window counts failures since its start, and tries that have not ended: those
// count as failures until they do, so that parallel guesses get no further than
// guesses one by one.
type window struct {
	start time.Time
	count int
	tries int
}

// full reports whether the failures, and with tries those under way too, are as
// many as may be.
func (w *window) full(flow settings.Rate, now time.Time, tries bool) bool {
	n := 0
	if now.Sub(w.start) <= flow.Period.Duration() {
		n = w.count
	}
	if tries {
		n += w.tries
	}
	return !flow.Unlimited() && n >= flow.Count
}

// fail counts one failure.
func (w *window) fail(flow settings.Rate, now time.Time) {
	if now.Sub(w.start) > flow.Period.Duration() {
		w.start, w.count = now, 0
	}
	w.count++
}

func newLogins() *logins {
	l := &logins{
		key:      random(32),
		hashing:  make(chan struct{}, runtime.GOMAXPROCS(0)),
		verified: newCache[uint64, verifiedPassword](maxVerified),
		names:    newCache[accountKey, *window](maxFailingNames),
		peers:    newCache[netip.Prefix, *window](maxFailingPeers),
		settled:  make(chan struct{}),
	}
	// No password has this key; comparing one with it costs as much as with any.
	l.dummy = argonHash{time: argonTime, memory: argonMemory, lanes: argonLanes, salt: random(argonSalt), key: random(argonKeyLen)}
	l.cost.Store(int64(30 * time.Millisecond)) // until there is a mean
	return l
}

// mac is the keyed hash that stands for a verified password. The stored form is
// part of it, so that a change of the password forgets it.
func (l *logins) mac(a *Account, password string) (sum [sha256.Size]byte) {
	m := hmac.New(sha256.New, l.key)
	var head [16]byte
	binary.BigEndian.PutUint64(head[:], a.ID)
	binary.BigEndian.PutUint64(head[8:], uint64(len(a.settings.Password)))
	m.Write(head[:])
	m.Write([]byte(a.settings.Password))
	m.Write([]byte(password))
	m.Sum(sum[:0])
	return sum
}

// remembers reports whether the password was right for the account less than an
// hour ago.
func (l *logins) remembers(a *Account, password string) bool {
	v, ok := l.verified.peek(a.ID)
	if !ok || time.Now().After(v.until) {
		return false
	}
	mac := l.mac(a, password)
	return hmac.Equal(mac[:], v.mac[:])
}

// remember keeps that the password is right.
func (l *logins) remember(a *Account, password string) {
	l.verified.put(a.ID, verifiedPassword{l.mac(a, password), time.Now().Add(verifiedLifetime)})
}

// forget drops what is remembered of an account's password.
func (l *logins) forget(id uint64) { l.verified.drop(id) }

// hash runs a function that costs as much as a memory-hard hash when its turn
// comes. Busy when too many wait already.
func (l *logins) hash(ctx context.Context, fn func()) error {
	const op = "accounts.CheckPassword"
	if l.waiting.Add(1) > maxHashWaiters {
		l.waiting.Add(-1)
		return fault.New(op, fault.Busy, "too many logins at a time")
	}
	select {
	case l.hashing <- struct{}{}:
		l.waiting.Add(-1)
	case <-ctx.Done():
		l.waiting.Add(-1)
		return fault.Wrap(op, fault.Canceled, ctx.Err())
	}
	defer func() { <-l.hashing }()
	l.hashes.Add(1)
	start := time.Now()
	fn()
	took := int64(time.Since(start))
	l.cost.Store((l.cost.Load()*7 + took) / 8)
	return nil
}

// pretend takes as long as a memory-hard hash without its work.
func (l *logins) pretend(ctx context.Context) {
	t := time.NewTimer(time.Duration(l.cost.Load()))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// network is what failures of a peer are counted for.
func network(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: a local caller
	}
	return p
}

// try is the place that a login holds in the windows while it is tried.
type try struct {
	key        accountKey
	flow       settings.Rate
	name, peer *window // peer is nil where failures of the peer are not counted
	ended      bool    // guarded by logins.mu
}

// windowOf returns the window of k.
func windowOf[K comparable](table *cache[K, *window], k K, now time.Time) *window {
	w, _ := table.get(k, func() (*window, error) { return &window{start: now}, nil }) // never fails
	return w
}

// begin takes a place for a login. It waits while only logins under way stand in
// its way, as many at a time as hash lets wait. blocked says by whose failures it
// is blocked: "account", "address" or "". Errors: Busy, Canceled.
func (l *logins) begin(ctx context.Context, k accountKey, flow settings.Rate, ip netip.Addr, exempt bool) (t *try, blocked string, err error) {
	const op = "accounts.CheckPassword"
	for waits := false; ; waits = true {
		t, blocked, settled := l.place(k, flow, ip, exempt)
		if t != nil || blocked != "" {
			if waits {
				l.waiting.Add(-1)
			}
			return t, blocked, nil
		}
		if !waits && l.waiting.Add(1) > maxHashWaiters {
			l.waiting.Add(-1)
			return nil, "", fault.New(op, fault.Busy, "too many logins at a time")
		}
		select {
		case <-settled:
		case <-ctx.Done():
			l.waiting.Add(-1)
			return nil, "", fault.Wrap(op, fault.Canceled, ctx.Err())
		}
	}
}

// place takes a place at once, or returns what to wait for.
func (l *logins) place(k accountKey, flow settings.Rate, ip netip.Addr, exempt bool) (t *try, blocked string, settled <-chan struct{}) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	t = &try{key: k, flow: flow, name: windowOf(l.names, k, now)}
	if !exempt {
		t.peer = windowOf(l.peers, network(ip), now)
	}
	switch {
	case t.name.full(flow, now, false):
		return nil, "account", nil
	case t.peer != nil && t.peer.full(peerFlow, now, false):
		return nil, "address", nil
	case t.name.full(flow, now, true), t.peer != nil && t.peer.full(peerFlow, now, true):
		return nil, "", l.settled
	}
	t.name.tries++
	if t.peer != nil {
		t.peer.tries++
	}
	return t, "", nil
}

// end gives the place back, the first time that it is called. A success starts the account's count anew. The
// peer's count goes on: one account of its own must not let a guesser try others
// without end.
func (l *logins) end(t *try, o outcome) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	t.name.tries--
	if t.peer != nil {
		t.peer.tries--
	}
	switch o {
	case success:
		t.name.count = 0
		if w, ok := l.names.peek(t.key); ok && w == t.name && w.tries == 0 {
			l.names.drop(t.key) // the table is for names that fail
		}
	case failure:
		t.name.fail(t.flow, now)
		if t.peer != nil {
			t.peer.fail(peerFlow, now)
		}
	}
	close(l.settled)
	l.settled = make(chan struct{})
}

// outcome is how a try ended.
type outcome uint8

const (
	unknown outcome = iota // nobody can say; nothing is counted
	success
	failure
)

// blocked reports by whose failures a login is blocked: "account", "address" or "".
func (l *logins) blocked(k accountKey, flow settings.Rate, ip netip.Addr, exempt bool) string {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if w, ok := l.names.peek(k); ok && w.full(flow, now, false) {
		return "account"
	}
	if w, ok := l.peers.peek(network(ip)); !exempt && ok && w.full(peerFlow, now, false) {
		return "address"
	}
	return ""
}

// succeeded starts the account's count anew without a try.
func (l *logins) succeeded(k accountKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w, ok := l.names.peek(k); ok {
		w.count = 0
	}
}
