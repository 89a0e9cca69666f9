// Package rate counts events by key against the limits that settings.Rate names: so many in a
// period. The messages that an account sends and the failed logins of an address are counted so.
//
// A window begins with the first event after the end of the key's window before, and lasts for the
// limit's period. Memory is bounded: a Table has a highest number of keys, and a new key pushes out
// the one that was asked for least lately, which starts anew when it comes again.
package rate

import (
	"container/list"
	"sync"
	"time"

	"gatepost/server/settings"
)

// Table is a set of windows by key. Its methods may be called by many goroutines at once.
type Table[K comparable] struct {
	most int

	mu      sync.Mutex
	windows map[K]*list.Element
	order   list.List // of *window[K]; the front was asked for last
}

type window[K comparable] struct {
	key   K
	ends  time.Time
	count int
}

// New returns a Table of at most so many keys.
func New[K comparable](most int) *Table[K] {
	return &Table[K]{most: most, windows: map[K]*list.Element{}}
}

// Count is the number of events in the window of k.
func (t *Table[K]) Count(k K) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := t.current(k, time.Now()); w != nil {
		return w.count
	}
	return 0
}

// Wait returns 0 while the limit of k allows an event more, or how long it is until the
// window ends.
func (t *Table[K]) Wait(k K, limit settings.Rate) time.Duration {
	if limit.Unlimited() {
		return 0
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.current(k, now)
	switch {
	case w == nil && limit.Count > 0:
		return 0
	case w == nil:
		return limit.Period.Duration()
	case w.count < limit.Count:
		return 0
	}
	return w.ends.Sub(now)
}

// Take counts an event of k unless the limit is reached. It returns 0, or how long it is
// until the window ends.
func (t *Table[K]) Take(k K, limit settings.Rate) time.Duration {
	if limit.Unlimited() {
		return 0
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.current(k, now)
	if w == nil {
		w = t.begin(k, now, limit.Period.Duration())
	}
	if w.count >= limit.Count {
		return max(w.ends.Sub(now), 1)
	}
	w.count++
	return 0
}

// GiveBack takes back an event that Take has counted.
func (t *Table[K]) GiveBack(k K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := t.current(k, time.Now()); w != nil && w.count > 0 {
		w.count--
	}
}

// Reset ends the window of k.
func (t *Table[K]) Reset(k K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.windows[k]; ok {
		t.remove(e)
	}
}

// Fill starts a window of k that has so many events and lasts for a period.
func (t *Table[K]) Fill(k K, count int, period time.Duration) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.windows[k]; ok {
		t.remove(e)
	}
	t.begin(k, now, period).count = count
}

// Each calls fn for every key whose window has not ended, with its count and its end. fn may call the Table.
func (t *Table[K]) Each(fn func(k K, count int, ends time.Time)) {
	now := time.Now()
	t.mu.Lock()
	list := make([]window[K], 0, len(t.windows))
	for _, e := range t.windows {
		if w := e.Value.(*window[K]); now.Before(w.ends) {
			list = append(list, *w)
		}
	}
	t.mu.Unlock()
	for _, w := range list {
		fn(w.key, w.count, w.ends)
	}
}

// Len is the number of keys that are remembered.
func (t *Table[K]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.windows)
}

// current returns the window of k that has not ended, or nil. The caller holds the lock.
func (t *Table[K]) current(k K, now time.Time) *window[K] {
	e, ok := t.windows[k]
	if !ok {
		return nil
	}
	w := e.Value.(*window[K])
	if !now.Before(w.ends) {
		t.remove(e)
		return nil
	}
	t.order.MoveToFront(e)
	return w
}

// begin makes a window for k, which has none. The caller holds the lock.
func (t *Table[K]) begin(k K, now time.Time, period time.Duration) *window[K] {
	const century = 100 * 365 * 24 * time.Hour // later times overflow
	w := &window[K]{key: k, ends: now.Add(min(period, century))}
	t.windows[k] = t.order.PushFront(w)
	for {
		back := t.order.Back()
		if len(t.windows) <= t.most && now.Before(back.Value.(*window[K]).ends) || len(t.windows) == 1 {
			return w
		}
		t.remove(back)
	}
}

func (t *Table[K]) remove(e *list.Element) {
	t.order.Remove(e)
	delete(t.windows, e.Value.(*window[K]).key)
}
