package dav

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"

	"gatepost/accounts/files"
	"gatepost/server/fault"
)

// The bounds of locks (RFC 4918 section 6). They are in memory: a restart ends them, as it may (section 6.6), and clients that ask to keep
// one get 412.
const (
	maxLocks      = 20_000 // of all accounts
	maxOwnLocks   = 500    // of one account
	usualLockTime = 10 * time.Minute
	maxLockTime   = time.Hour
	maxLockOwner  = 2 << 10
)

// lock is a write lock.
type lock struct {
	token     string
	area      uint64 // the account whose files these are
	path      string
	infinite  bool
	exclusive bool
	owner     string // XML that the client has given
	holder    uint64 // the account that has taken it
	timeout   time.Duration
	expires   time.Time
}

// covers reports whether the lock is on a path.
func (l *lock) covers(p string) bool {
	return l.path == p || l.infinite && files.Within(p, l.path)
}

// locks are all locks.
type locks struct {
	mu    sync.Mutex
	areas map[uint64][]*lock
	count int
}

// of returns the locks of an area that have not expired. The lock is held.
func (t *locks) of(area uint64, now time.Time) []*lock {
	all := t.areas[area]
	kept := all[:0]
	for _, l := range all {
		if now.Before(l.expires) {
			kept = append(kept, l)
		}
	}
	clear(all[len(kept):])
	t.count -= len(all) - len(kept)
	if len(kept) == 0 {
		delete(t.areas, area)
		return nil
	}
	t.areas[area] = kept
	return kept
}

// on lists the locks that cover a path.
func (t *locks) on(area uint64, p string, now time.Time) (list []lock) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.of(area, now) {
		if l.covers(p) {
			list = append(list, *l)
		}
	}
	return list
}

// take takes a lock, or returns the one that is in its way. Errors: TooMany.
func (t *locks) take(l lock, now time.Time) (taken *lock, other *lock, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	have := t.of(l.area, now)
	for _, o := range have {
		if (o.covers(l.path) || l.infinite && files.Within(o.path, l.path)) && (o.exclusive || l.exclusive) {
			found := *o
			return nil, &found, nil
		}
	}
	if t.count >= maxLocks {
		for area := range t.areas {
			t.of(area, now)
		}
	}
	if t.count >= maxLocks || len(have) >= maxOwnLocks {
		return nil, nil, fault.New("dav.lock", fault.TooMany, "There are too many locks.")
	}
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	s := hex.EncodeToString(id[:])
	l.token = "urn:uuid:" + s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	l.expires = now.Add(l.timeout)
	if t.areas == nil {
		t.areas = map[uint64][]*lock{}
	}
	kept := l
	t.areas[l.area] = append(have, &kept)
	t.count++
	return &l, nil, nil
}

// refresh gives a lock more time. It returns nil if there is none of these tokens on the path.
func (t *locks) refresh(area uint64, p string, holder uint64, tokens map[string]bool, timeout time.Duration, now time.Time) *lock {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.of(area, now) {
		if tokens[l.token] && l.holder == holder && l.covers(p) {
			l.timeout, l.expires = timeout, now.Add(timeout)
			found := *l
			return &found
		}
	}
	return nil
}

// anyHolder is no account: with it release does not ask who has the lock.
const anyHolder = 0

// release ends a lock on a path; false if there is none that the holder has.
func (t *locks) release(area uint64, p string, holder uint64, token string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.of(area, now)
	for i, l := range all {
		if l.token == token && (l.holder == holder || holder == anyHolder) && l.covers(p) {
			t.remove(area, all, i)
			return true
		}
	}
	return false
}

func (t *locks) remove(area uint64, all []*lock, i int) {
	all = append(all[:i:i], all[i+1:]...)
	t.count--
	if t.areas[area] = all; len(all) == 0 {
		delete(t.areas, area)
	}
}

// gone ends the locks of what has been removed or moved away.
func (t *locks) gone(area uint64, p string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.of(area, now)
	for i := len(all) - 1; i >= 0; i-- {
		if files.Within(all[i].path, p) {
			t.remove(area, all, i)
			all = t.areas[area]
		}
	}
}

// inTheWay returns a lock that forbids a change of a path to who has these tokens. deep says that all below it changes too, name that the
// directory above does, which loses or gets the name.
func (t *locks) inTheWay(area uint64, p string, holder uint64, tokens map[string]bool, deep, name bool, now time.Time) *lock {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.of(area, now)
	blocked := func(on func(l *lock) bool) *lock {
		var found *lock
		for _, l := range all {
			if !on(l) {
				continue
			}
			if tokens[l.token] && l.holder == holder {
				return nil // of shared locks, one token is enough
			}
			found = l
		}
		return found
	}
	l := blocked(func(l *lock) bool { return l.covers(p) })
	if l == nil && name && p != "" {
		up := parentOf(p)
		l = blocked(func(l *lock) bool { return l.covers(up) && !l.covers(p) })
	}
	if l == nil && deep {
		for _, one := range all {
			if one.path != p && files.Within(one.path, p) && !(tokens[one.token] && one.holder == holder) {
				l = one
			}
		}
	}
	if l == nil {
		return nil
	}
	found := *l
	return &found
}
