package accounts

import (
	"cmp"
	"context"
	"sync"
	"time"

	"gatepost/accounts/password"
	"gatepost/server/fault"
)

// Sessions outlive what their login has checked: the password, the service, the
// account itself. Each of them watches its account while it is logged in, and is
// told when it has to end. There is an entry per session and nothing else; one
// goroutine compares the entries with the directory after every change.

// The reasons why sessions end, as their clients read them.
const (
	endPassword = "the password has been changed"
	endRevoked  = "the device password has been revoked"
	endDeleted  = "the account has been deleted"
	endRenamed  = "the account has been renamed"
	endGone     = "the account does not exist any more"
	endKilled   = "closed by the administrator"
)

// Watch is one session's entry.
type Watch struct {
	sessions *Sessions
	peer     Peer
	since    time.Time
	end      func(reason string)

	// Guarded by Sessions.mu.
	key      accountKey
	number   uint64 // counts entries
	id       uint64
	main     bool        // the account is in the Main Domain, which may get another name
	password string      // its stored form, as it was at the login
	accepted string      // the stored form of a password that this session sets
	device   *deviceHash // of the device password that has logged in, if one has
	voucher  voucher     // of a login without a password, else nil
	own      bool        // the service took the account's own password at the login
}

// Sessions are the entries of all sessions.
type Sessions struct {
	store *Store

	mu      sync.Mutex
	entries map[accountKey]map[*Watch]struct{}
	changed map[accountKey]struct{} // watched accounts that may have changed
	wake    chan struct{}           // holds one
	made    uint64
}

func newSessions(s *Store) *Sessions {
	return &Sessions{
		store: s, entries: map[accountKey]map[*Watch]struct{}{}, changed: map[accountKey]struct{}{}, wake: make(chan struct{}, 1),
	}
}

// Sessions returns the entries of all sessions.
func (s *Store) Sessions() *Sessions { return s.sessions }

// Watch has end called once when a session that has logged in to the account as
// peer has to end: the account is deleted or renamed, its password changes, its
// domain is suspended, the service is taken away, or Kill asks for it. What
// happened since the snapshot was made counts. end must not wait for anything, nor
// call the Watch. The session calls Stop when it ends.
func (l *Sessions) Watch(a *Account, p Peer, end func(reason string)) *Watch {
	w := &Watch{
		sessions: l, peer: p, since: time.Now(), end: end, key: accountKey{a.Domain, a.Name}, id: a.ID,
		main: a.Domain == l.store.MainDomain(), password: a.settings.Password, own: a.onlyDevices(p) == "",
	}
	if w.voucher = a.voucher; a.device != nil {
		w.device = &a.device.hash
	}
	l.mu.Lock()
	l.made++
	w.number = l.made
	l.add(w)
	l.mu.Unlock()
	l.compare(w.key)
	return w
}

// Stop ends the watch. A nil Watch has nothing to stop.
func (w *Watch) Stop() {
	if w == nil {
		return
	}
	l := w.sessions
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(w)
}

// Check compares the account of the session with the directory now, for a session that is asked from time to time only: what
// changed before counts when it returns. A nil Watch has nothing to check.
func (w *Watch) Check() {
	if w == nil {
		return
	}
	w.sessions.mu.Lock()
	k := w.key
	w.sessions.mu.Unlock()
	w.sessions.compare(k)
}

func (l *Sessions) add(w *Watch) {
	set := l.entries[w.key]
	if set == nil {
		set = map[*Watch]struct{}{}
		l.entries[w.key] = set
	}
	set[w] = struct{}{}
}

func (l *Sessions) remove(w *Watch) {
	delete(l.entries[w.key], w)
	if len(l.entries[w.key]) == 0 {
		delete(l.entries, w.key)
		delete(l.changed, w.key)
	}
}

// endAll ends the sessions of the accounts that match, but not one.
func (l *Sessions) endAll(match func(accountKey) bool, but *Watch, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, set := range l.entries {
		if !match(k) {
			continue
		}
		for w := range set {
			if w != but {
				l.remove(w)
				w.end(reason)
			}
		}
	}
}

// mark has the accounts that match compared with the directory.
func (l *Sessions) mark(match func(accountKey) bool) {
	l.mu.Lock()
	for k := range l.entries {
		if match(k) {
			l.changed[k] = struct{}{}
		}
	}
	some := len(l.changed) > 0
	l.mu.Unlock()
	if some {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// next takes an account that is marked.
func (l *Sessions) next() (accountKey, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.changed {
		delete(l.changed, k)
		return k, true
	}
	return accountKey{}, false
}

// run compares what is marked until the store is closed.
func (l *Sessions) run() {
	for {
		select {
		case <-l.wake:
		case <-l.store.life.Done():
			return
		}
		for k, ok := l.next(); ok && l.store.life.Err() == nil; k, ok = l.next() {
			l.compare(k)
		}
	}
}

// compare ends the sessions of an account that its login would not let in any more.
// When the account cannot be read, they stay.
func (l *Sessions) compare(k accountKey) {
	l.mu.Lock()
	newest := l.made
	l.mu.Unlock()
	now, err := l.store.account(k)
	gone := fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain)
	if err != nil && !gone {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.entries[k] {
		if w.number > newest {
			continue // its login may have seen more than now has; it is compared by itself
		}
		var reason string
		switch {
		case now != nil && now.ID == w.id:
			reason = w.objection(now)
		case l.follow(w):
			continue
		default:
			reason = endGone
		}
		if reason != "" {
			l.remove(w)
			w.end(reason)
		}
	}
}

// follow keeps the watch of an account whose domain is the Main Domain under a new
// name; the caller holds the lock.
func (l *Sessions) follow(w *Watch) bool {
	k := accountKey{l.store.MainDomain(), w.key.name}
	if !w.main || k == w.key {
		return false
	}
	now, err := l.store.account(k)
	if err != nil || now.ID != w.id || w.objection(now) != "" {
		return false
	}
	l.remove(w)
	w.key = k
	l.add(w)
	return true
}

// objection is why the session could not log in now, or "".
func (w *Watch) objection(now *Account) string {
	if w.voucher != nil {
		return cmp.Or(w.voucher.objection(now), w.sessions.store.logins.barred(now, w.peer))
	}
	if w.device != nil {
		if d := now.deviceBy(*w.device); d == nil || !d.isFor(w.peer) {
			return endRevoked
		}
		return cmp.Or(now.noDevice(), w.sessions.store.logins.barred(now, w.peer))
	}
	if only := now.onlyDevices(w.peer); only != "" && w.own {
		return only
	}
	// A program that checks passwords may store what was right, after it has answered.
	if !now.asksOutside() {
		if p := now.settings.Password; !password.Same(p, w.password) && (w.accepted == "" || !password.Same(p, w.accepted)) {
			return endPassword
		}
		if missing := now.noPassword(); missing != "" {
			return missing
		}
	}
	return w.sessions.store.logins.barred(now, w.peer)
}

type sessionKey struct{}

// WithSession returns a context for the commands of a session: it stays when it
// changes its own password, and when it kills the other sessions of its account.
// A nil Watch changes nothing.
func WithSession(ctx context.Context, w *Watch) context.Context {
	if w == nil {
		return ctx
	}
	return context.WithValue(ctx, sessionKey{}, w)
}

func sessionOf(ctx context.Context) *Watch {
	w, _ := ctx.Value(sessionKey{}).(*Watch)
	return w
}

// acceptPassword tells the session that acts, if it is one of the account, that it
// is about to store a password.
func (l *Sessions) acceptPassword(ctx context.Context, a *Account, stored string) {
	w := sessionOf(ctx)
	if w == nil || w.id != a.ID {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.accepted != "" && a.settings.Password == w.accepted {
		w.password = w.accepted
	}
	w.accepted = stored
}

// Kill ends the sessions of an account, except the one that asks
// (WithSession). Errors: NoDomain, NotFound.
func (l *Sessions) Kill(ctx context.Context, domain, name string) error {
	a, err := l.store.Account(ctx, domain, name)
	if err != nil {
		return err
	}
	k := accountKey{a.Domain, a.Name}
	l.endAll(func(w accountKey) bool { return w == k }, sessionOf(ctx), endKilled)
	return nil
}
