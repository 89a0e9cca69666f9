package listpages

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/accounts"
	gate "gatepost/protocols/http"
)

// The bounds of sessions. Who is idle for longest makes room.
const (
	sessionIdle     = 4 * time.Hour
	sessionLifetime = 24 * time.Hour
	maxSessions     = 20_000
	maxSessionsOf   = 20 // one account or subscriber
)

// session is a login with a password, or by the link of a subscriber. Its cookie holds a random number.
type session struct {
	token   string            // of its forms
	account *accounts.Account // nil for a subscriber
	watch   *accounts.Watch
	ended   atomic.Bool // by the directory: another password, no right to log in
	// list, address and secret are those of a subscriber.
	list    uint64
	address string
	secret  string
	secure  bool // made over TLS, and good for nothing else
	began   time.Time
	used    time.Time // guarded by sessions.mu
}

// same reports whether two sessions are of one person.
func (s *session) same(o *session) bool {
	if s.account != nil && o.account != nil {
		return s.account.ID == o.account.ID
	}
	return s.account == nil && o.account == nil && s.list == o.list && s.address == o.address
}

// sessions are all of them, by the hash of what the cookie holds.
type sessions struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*session
}

// cookieName differs with and without TLS, as browsers have one jar for all ports of a host.
func cookieName(secure bool) string {
	if secure {
		return "__Host-gatepost-lists"
	}
	return "gatepost-lists"
}

// start begins a session and gives the browser its cookie. Whatever session it had is over.
func (t *sessions) start(w http.ResponseWriter, r *http.Request, q *gate.Request, store *accounts.Store, n *session) {
	t.end(r, q.Peer.TLS)
	n.token, n.secure, n.began, n.used = rand.Text(), q.Peer.TLS, time.Now(), time.Now()
	if n.account != nil {
		n.watch = store.Sessions().Watch(n.account, q.Peer, func(string) { n.ended.Store(true) })
	}
	id := rand.Text() + rand.Text()
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, o := range t.all {
		if o.over(n.began) {
			t.drop(k)
		}
	}
	t.makeRoom(maxSessionsOf, n.same)
	t.makeRoom(maxSessions, func(*session) bool { return true })
	t.all[sha256.Sum256([]byte(id))] = n
	setCookie(w, id, q.Peer.TLS)
}

// makeRoom drops the sessions that were idle for longest until there are fewer than most that match.
func (t *sessions) makeRoom(most int, match func(*session) bool) {
	for {
		var oldest [sha256.Size]byte
		var found *session
		n := 0
		for k, o := range t.all {
			if !match(o) {
				continue
			}
			if n++; found == nil || o.used.Before(found.used) {
				oldest, found = k, o
			}
		}
		if n < most {
			return
		}
		t.drop(oldest)
	}
}

func (s *session) over(now time.Time) bool {
	return s.ended.Load() || now.Sub(s.used) > sessionIdle || now.Sub(s.began) > sessionLifetime
}

func (t *sessions) drop(k [sha256.Size]byte) {
	if w := t.all[k].watch; w != nil {
		w.Stop()
	}
	delete(t.all, k)
}

// find returns the session of a request, or nil.
func (t *sessions) find(r *http.Request, secure bool) *session {
	c, err := r.Cookie(cookieName(secure))
	if err != nil {
		return nil
	}
	k := sha256.Sum256([]byte(c.Value))
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.all[k]
	switch {
	case s == nil || s.secure != secure:
		return nil
	case s.over(time.Now()):
		t.drop(k)
		return nil
	}
	s.used = time.Now()
	return s
}

// end ends the session of a request, if it has one.
func (t *sessions) end(r *http.Request, secure bool) {
	c, err := r.Cookie(cookieName(secure))
	if err != nil {
		return
	}
	k := sha256.Sum256([]byte(c.Value))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all[k] != nil {
		t.drop(k)
	}
}

// owns reports whether a form was made for the session.
func (s *session) owns(token string) bool {
	return s != nil && subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) == 1
}

// setCookie gives the browser its session; an empty id takes it away.
func setCookie(w http.ResponseWriter, id string, secure bool) {
	c := &http.Cookie{Name: cookieName(secure), Value: id, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
	if id == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
