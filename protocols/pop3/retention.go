package pop3

import (
	"errors"
	"maps"
	"strconv"
	"sync"
	"time"

	"gatepost/server/fault"
)

// expiry is the argument of EXPIRE (RFC 2449 section 6.7).
func (s *session) expiry() string {
	if s.config.Expire < 0 {
		return "NEVER"
	}
	return strconv.Itoa(s.config.Expire)
}

// expiring returns the messages that QUIT removes: those that the client has deleted, and those that it has retrieved and that have been
// here for long enough.
func (s *session) expiring() map[int]bool {
	d := s.drop
	if s.config.Expire < 0 || len(d.seen) == 0 {
		return d.deleted
	}
	gone := maps.Clone(d.deleted)
	before := time.Now().AddDate(0, 0, -s.config.Expire)
	for n := range d.seen {
		if m, ok := d.view.Message(d.uids[n-1]); ok && !m.SaveDate.After(before) {
			gone[n] = true
		}
	}
	return gone
}

// errLoginDelay refuses a login that comes too soon after another one.
var errLoginDelay = errors.New("this account was logged in to a moment ago, try again later")

// lastLogins are the times of the last logins to accounts, as long as they matter.
type lastLogins struct {
	mu    sync.Mutex
	times map[uint64]time.Time
	next  int // when there are so many, old ones are removed
}

// allow records a login, or refuses it if the last one was less than a delay ago.
func (l *lastLogins) allow(account uint64, delay time.Duration) error {
	if delay == 0 {
		return nil
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, ok := l.times[account]; ok && now.Sub(last) < delay {
		return fault.Wrap("pop3.login", fault.RateLimited, errLoginDelay)
	}
	if l.times == nil {
		l.times = map[uint64]time.Time{}
	}
	if len(l.times) >= l.next {
		maps.DeleteFunc(l.times, func(_ uint64, t time.Time) bool { return now.Sub(t) >= delay })
		l.next = 2*len(l.times) + 100
	}
	l.times[account] = now
	return nil
}
