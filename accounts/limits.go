package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/accounts/cache"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/protection"
	"gatepost/server/rate"
	"gatepost/server/settings"
)

// Bounds of what is remembered about logins. Whoever is pushed out of a table
// by others starts anew.
const (
	maxVerified      = 50_000
	maxWrong         = 50_000
	maxFailing       = 200_000
	verifiedLifetime = time.Hour

	// loginWait is how long a login waits for its turn: for the memory-hard hash, and for
	// other logins whose failures would block it. It ends before the time for a login that a
	// wire gives, and clients do not wait much longer.
	loginWait = 100 * time.Second
	// maxAskers is how many tries at a time of strangers, and suspect ones, are asked about outside: fewer than are asked about there at
	// a time (SystemPasswords), so that those who guess do not keep out who is known.
	maxAskers = 3
	// longestPretence is the longest that a blocked login takes, however long a hash does.
	longestPretence = time.Second
)

// limits is what the server remembers about logins: which passwords were right
// lately, and who fails too often. It all is in memory and bounded.
type limits struct {
	key     []byte        // of this process, for the keyed hashes of verified passwords
	hashing chan struct{} // a token per memory-hard hash at a time
	suspect chan struct{} // a token per such hash of a suspect try, fewer than there are of hashing
	askers  chan struct{} // a token per try of a stranger, or a suspect one, whose password somebody outside is asked about
	hashes  atomic.Int64  // memory-hard hashes so far
	cost    atomic.Int64  // running mean of a memory-hard hash, in nanoseconds
	busy    logs.Throttle // logins that were not carried out for want of time

	verified *cache.Cache[uint64, verifiedPassword] // by account ID
	outside  *cache.Cache[uint64, verifiedPassword] // the same for what was verified outside
	wrong    *cache.Cache[failureKey, [sha256.Size]byte]
	failures *rate.Table[failureKey]

	// protection blocks addresses from which too many logins fail; it is there before the first login.
	protection *protection.Protection

	mu       sync.Mutex // guards underWay and settled, and the step from one to a failure
	underWay map[failureKey]int
	settled  chan struct{} // closed, and made anew, when a try has ended
}

type verifiedPassword struct {
	mac   [sha256.Size]byte
	until time.Time
}

// failureKey is what failed logins are counted for.
type failureKey struct {
	cause   cause
	account accountKey
	network netip.Prefix
}

// cause is the kind of a failureKey, which tells why logins are blocked.
type cause string

const (
	// ofAccount counts for an account what fails from addresses that nobody vouches for.
	ofAccount cause = "failed logins of the account from unknown addresses"
	// ofAddress counts what fails from such an address, whatever the account.
	ofAddress cause = "failed logins from the address"
	// ofBoth counts for an account what fails from one Client IP, or from one address that the
	// account lately logged in from.
	ofBoth cause = "failed logins of the account from this known address"
)

// counter is one limit that a login has to keep.
type counter struct {
	failureKey
	limit settings.Rate
}

// counters are the limits of a login. Nobody can lock an account for its owner by
// failing: what fails from elsewhere does not count against Client IPs and the addresses
// that the account lately logged in from. perAddress is the limit of an address, whatever the account.
func counters(k accountKey, flow, perAddress settings.Rate, ip netip.Addr, trusted bool) []counter {
	n := network(ip)
	if trusted {
		return []counter{{failureKey{ofBoth, k, n}, flow}}
	}
	return []counter{
		{failureKey{ofAccount, k, netip.Prefix{}}, flow},
		{failureKey{ofAddress, accountKey{}, n}, perAddress},
	}
}

func newLimits() *limits {
	l := &limits{
		key:      make([]byte, 32),
		hashing:  make(chan struct{}, runtime.GOMAXPROCS(0)),
		suspect:  make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)),
		askers:   make(chan struct{}, maxAskers),
		verified: cache.New[uint64, verifiedPassword](maxVerified),
		outside:  cache.New[uint64, verifiedPassword](maxVerified),
		wrong:    cache.New[failureKey, [sha256.Size]byte](maxWrong),
		failures: rate.New[failureKey](maxFailing),
		underWay: map[failureKey]int{},
		settled:  make(chan struct{}),
	}
	rand.Read(l.key)                           // never fails
	l.cost.Store(int64(30 * time.Millisecond)) // until there is a mean
	return l
}

// mac is the keyed hash that stands for a verified password. The stored form is
// part of it, so that a change of the password forgets it.
func (l *limits) mac(a *Account, password string) (sum [sha256.Size]byte) {
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
func (l *limits) remembers(a *Account, password string) bool {
	v, ok := l.verified.Peek(a.ID)
	if !ok || time.Now().After(v.until) {
		return false
	}
	mac := l.mac(a, password)
	return hmac.Equal(mac[:], v.mac[:])
}

// remember keeps that the password is right.
func (l *limits) remember(a *Account, password string) {
	l.verified.Put(a.ID, verifiedPassword{l.mac(a, password), time.Now().Add(verifiedLifetime)})
}

// outsideMAC stands for a password that somebody outside has verified: a directory server, or the operating system. What is asked is part of it.
func (l *limits) outsideMAC(a *Account, by asked, password string) (sum [sha256.Size]byte) {
	m := hmac.New(sha256.New, l.key)
	texts := []string{string(by), password}
	if by == theSystem {
		texts = append(texts, a.systemUser())
	} else {
		s := &a.domain.settings.LDAPSettings
		texts = append(append(texts, s.BindDN, s.SearchBase, s.SearchFilter, s.ServiceDN, s.ServiceKey, string(s.CA), s.StartTLS.String()), s.Servers...)
	}
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], a.ID)
	m.Write(head[:])
	for _, text := range texts {
		binary.BigEndian.PutUint64(head[:], uint64(len(text)))
		m.Write(head[:])
		m.Write([]byte(text))
	}
	m.Sum(sum[:0])
	return sum
}

// asked is who is asked outside, where the answer is remembered.
type asked string

const (
	directoryServers asked = "LDAP"
	theSystem        asked = "system"
)

// remembersOutside reports whether somebody outside whom the account still asks has verified the password a moment ago.
func (l *limits) remembersOutside(a *Account, password string) bool {
	v, ok := l.outside.Peek(a.ID)
	if !ok || time.Now().After(v.until) {
		return false
	}
	is := func(by asked) bool {
		mac := l.outsideMAC(a, by, password)
		return hmac.Equal(mac[:], v.mac[:])
	}
	return bool(a.settings.UseExtPassword) && a.domain.settings.LDAPSettings.asked() && is(directoryServers) || bool(a.settings.UseSysPassword) && is(theSystem)
}

func (l *limits) rememberOutside(a *Account, by asked, password string) {
	l.outside.Put(a.ID, verifiedPassword{l.outsideMAC(a, by, password), time.Now().Add(outsideLifetime)})
}

// forget drops what is remembered of an account's password.
func (l *limits) forget(id uint64) {
	l.verified.Drop(id)
	l.outside.Drop(id)
}

// repeats reports whether a wrong password is the one that the account was last tried with
// from the same known address. That is a device with an old password, which tries again
// and again, and no guess: it must not block its owner's other devices there.
func (l *limits) repeats(t attempt, password string) bool {
	return t.counters[0].cause == ofBoth && l.sameAsLast(t, password)
}

// sameAsLast reports whether a password is the one that the account was last tried with from the same address, and keeps it.
func (l *limits) sameAsLast(t attempt, password string) bool {
	if t.account == nil {
		return false
	}
	key := failureKey{ofBoth, t.key, network(t.peer.IP)}
	mac := l.mac(t.account, password)
	last, ok := l.wrong.Peek(key)
	l.wrong.Put(key, mac)
	return ok && hmac.Equal(mac[:], last[:])
}

// inTime returns a context for the time that a login may wait. Who waits longer gets Busy
// from gaveUp.
func (l *limits) inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, loginWait, fault.New("accounts.Login", fault.Busy, "too many logins at a time, try again later"))
}

// gaveUp is why a context of inTime has ended.
func gaveUp(wait context.Context) error {
	if err := context.Cause(wait); fault.Is(err, fault.Busy) {
		return err
	}
	return fault.Wrap("accounts.Login", fault.Canceled, wait.Err())
}

// hash runs a function that costs as much as a memory-hard hash when its turn
// comes.
func (l *limits) hash(wait context.Context, fn func()) error {
	select {
	case l.hashing <- struct{}{}:
	case <-wait.Done():
		return gaveUp(wait)
	}
	defer func() { <-l.hashing }()
	l.hashes.Add(1)
	start := time.Now()
	fn()
	took := int64(time.Since(start))
	l.cost.Store((l.cost.Load()*7 + took) / 8)
	return nil
}

// inLine has a suspect try wait for its turn among its like, and returns what ends it: others have failed lately for its account or
// from its address, or are under way. So those who guess wait for each other, and whom nobody disturbs does not wait for them.
func (l *limits) inLine(wait context.Context, t *try) (leave func(), err error) {
	if !l.isSuspect(t) {
		return func() {}, nil
	}
	select {
	case l.suspect <- struct{}{}:
		return func() { <-l.suspect }, nil
	case <-wait.Done():
		return nil, gaveUp(wait)
	}
}

func (l *limits) isSuspect(t *try) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range t.counters {
		if l.underWay[c.failureKey] > 1 || l.failures.Count(c.failureKey) > 0 {
			return true
		}
	}
	return false
}

// pretend takes as long as a memory-hard hash without its work.
func (l *limits) pretend(ctx context.Context) {
	t := time.NewTimer(min(time.Duration(l.cost.Load()), longestPretence))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// network is what an address counts as.
func network(ip netip.Addr) netip.Prefix { return protection.Network(ip) }

// try is a login under way. It counts as a failure until it has ended, so that
// parallel guesses get no further than guesses one by one.
type try struct {
	counters []counter
	ended    bool // guarded by limits.mu
}

// begin starts a try. It waits while only tries under way stand in its way. blocked is
// the limit that the failures have reached, if any. Errors: Busy, Canceled.
func (l *limits) begin(wait context.Context, counters []counter) (t *try, blocked *counter, err error) {
	for {
		t, blocked, settled := l.start(counters)
		if settled == nil {
			return t, blocked, nil
		}
		select {
		case <-settled:
		case <-wait.Done():
			return nil, nil, gaveUp(wait)
		}
	}
}

// start starts a try at once, or returns what to wait for.
func (l *limits) start(counters []counter) (t *try, blocked *counter, settled <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.blocked(counters); c != nil {
		return nil, c, nil
	}
	for _, c := range counters {
		if n := l.underWay[c.failureKey]; n > 0 && !c.limit.Unlimited() && l.failures.Count(c.failureKey)+n >= c.limit.Count {
			return nil, nil, l.settled
		}
	}
	for _, c := range counters {
		l.underWay[c.failureKey]++
	}
	return &try{counters: counters}, nil, nil
}

// end ends a try, the first time that it is called. It returns the limits that its failure
// has reached.
func (l *limits) end(t *try, o outcome) (reached []reachedLimit, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.ended {
		return nil, false
	}
	t.ended = true
	for _, c := range t.counters {
		if l.underWay[c.failureKey]--; l.underWay[c.failureKey] == 0 {
			delete(l.underWay, c.failureKey)
		}
		switch {
		case o == failure:
			l.failures.Take(c.failureKey, c.limit)
			if wait := l.failures.Wait(c.failureKey, c.limit); wait > 0 {
				reached = append(reached, l.reach(c, wait))
			}
		case o == success:
			l.reset(c)
		}
	}
	close(l.settled)
	l.settled = make(chan struct{})
	return reached, true
}

// reachedLimit is a limit that failures have just reached.
type reachedLimit struct {
	counter
	failures int
	wait     time.Duration // until logins are tried again
}

// reach puts an address on the temporary blacklist, if it is one whose failures have reached their limit. They count
// anew after it.
func (l *limits) reach(c counter, wait time.Duration) reachedLimit {
	r := reachedLimit{c, l.failures.Count(c.failureKey), wait}
	if c.cause == ofAddress {
		if d := l.protection.Block(c.network.Addr(), protection.FailedLogins, r.failures); d > 0 {
			l.failures.Reset(c.failureKey)
			r.wait = d
		}
	}
	return r
}

// outcome is how a try ended.
type outcome uint8

const (
	unknown outcome = iota // nobody can say; nothing is counted
	success
	failure
)

// reset starts the count of a known address anew. The others go on: one account of its
// own must not let a guesser try others without end, and its owner's logins must not give
// the guessers of an account more tries.
func (l *limits) reset(c counter) {
	if c.cause == ofBoth {
		l.failures.Reset(c.failureKey)
	}
}

// blocked returns the first limit that failures have reached, or nil.
func (l *limits) blocked(counters []counter) *counter {
	for i, c := range counters {
		if l.failures.Wait(c.failureKey, c.limit) > 0 {
			return &counters[i]
		}
		if c.cause != ofAddress {
			continue
		}
		if b, is := l.protection.Blocked(c.network.Addr()); is {
			if b.Cause != protection.FailedLogins {
				c.cause = cause("the temporary blacklist: " + string(b.Cause))
			}
			return &c
		}
	}
	return nil
}

// maxSenders is how many accounts' messages are counted at a time.
const maxSenders = 100_000

// Sent counts the messages that accounts send, by account ID: their sessions and their rules together, against
// MailOutFlow.
func (s *Store) Sent() *rate.Table[uint64] { return s.sent }
