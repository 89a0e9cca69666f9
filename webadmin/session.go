package webadmin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatepost/accounts"
)

// session is a login. Its cookie holds a random number of 256 bits.
type session struct {
	token   string // of its forms
	account *accounts.Account
	watch   *accounts.Watch
	ended   atomic.Bool // by the directory: password, rights to log in, KILLACCOUNTSESSIONS
	secure  bool        // made over TLS, and good for nothing else
	half    bool        // the password was right, and a code is expected
	began   time.Time

	// Guarded by sessions.mu.
	used   time.Time
	flash  *flash
	secret string // of a second factor that is being set up
}

// halfLifetime is how long a code may be given after the password.
const halfLifetime = 5 * time.Minute

// enrolment is the secret of a second factor that the session sets up.
func (s *sessions) enrolment(o *session) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.secret == "" {
		o.secret = accounts.NewTOTPSecret()
	}
	return o.secret
}

// enrolled forgets it.
func (s *sessions) enrolled(o *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.secret = ""
}

// sessions are all of them, by the hash of what the cookie holds: who reads the memory of the
// server has no cookie.
type sessions struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*session
	now func() time.Time
}

func newSessions() *sessions {
	return &sessions{all: map[[sha256.Size]byte]*session{}, now: time.Now}
}

// cookieName differs with and without TLS: a browser keeps one jar for all ports of a host, and
// lets no plain page replace a cookie that is Secure.
func cookieName(secure bool) string {
	if secure {
		return "__Host-gatepost-admin"
	}
	return "gatepost-admin"
}

func secret() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// start makes a session and returns what its cookie holds. Whatever session the browser had is over.
func (s *sessions) start(r *http.Request, store *accounts.Store, a *accounts.Account, p accounts.Peer, set *Settings, half bool) (string, *session) {
	s.end(r, p.TLS)
	n := &session{half: half, token: secret(), account: a, secure: p.TLS, began: s.now(), used: s.now()}
	n.watch = store.Sessions().Watch(a, p, func(string) { n.ended.Store(true) })
	id := secret()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(set)
	s.makeRoom(func(o *session) bool { return o.account.ID == a.ID }, set.SessionsOfOne)
	s.makeRoom(func(*session) bool { return true }, set.Sessions)
	s.all[sha256.Sum256([]byte(id))] = n
	return id, n
}

// makeRoom drops the sessions that were idle for longest until there are fewer than most that match.
func (s *sessions) makeRoom(match func(*session) bool, most int) {
	for {
		var oldest [sha256.Size]byte
		var found *session
		n := 0
		for k, o := range s.all {
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
		s.drop(oldest)
	}
}

// expire drops what is over. The caller holds mu.
func (s *sessions) expire(set *Settings) {
	for k, o := range s.all {
		if s.over(o, set) {
			s.drop(k)
		}
	}
}

func (s *sessions) over(o *session, set *Settings) bool {
	now := s.now()
	return o.ended.Load() || o.half && now.Sub(o.began) > halfLifetime || now.Sub(o.used) > set.SessionIdle.Duration() || now.Sub(o.began) > set.SessionLifetime.Duration()
}

func (s *sessions) drop(k [sha256.Size]byte) {
	s.all[k].watch.Stop()
	delete(s.all, k)
}

// find returns the session of a request, or nil.
func (s *sessions) find(r *http.Request, secure bool, set *Settings) *session {
	c, err := r.Cookie(cookieName(secure))
	if err != nil {
		return nil
	}
	k := sha256.Sum256([]byte(c.Value))
	s.mu.Lock()
	o := s.all[k]
	s.mu.Unlock()
	if o == nil {
		return nil
	}
	o.watch.Check() // a change of the account counts from the next request on
	s.mu.Lock()
	defer s.mu.Unlock()
	o = s.all[k]
	switch {
	case o == nil || o.secure != secure:
		return nil
	case s.over(o, set):
		s.drop(k)
		return nil
	}
	o.used = s.now()
	return o
}

// end ends the session of a request, if it has one.
func (s *sessions) end(r *http.Request, secure bool) {
	c, err := r.Cookie(cookieName(secure))
	if err != nil {
		return
	}
	k := sha256.Sum256([]byte(c.Value))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[k] != nil {
		s.drop(k)
	}
}

// close ends all.
func (s *sessions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.all {
		s.drop(k)
	}
}

// keep leaves something for the next page of the session.
func (s *sessions) keep(o *session, f *flash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.flash = f
}

// take returns what was left, once.
func (s *sessions) take(o *session) *flash {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := o.flash
	o.flash = nil
	return f
}

// owns reports whether a form was made for the session.
func (o *session) owns(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(o.token)) == 1
}

// setCookie gives the browser its session; an empty id takes it away.
func setCookie(w http.ResponseWriter, id string, secure bool) {
	c := &http.Cookie{Name: cookieName(secure), Value: id, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
	if id == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
