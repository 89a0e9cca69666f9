package queue

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/settings"
)

// A message of a stranger may have the return-path of a victim. Reports about such
// mail are bounded, for each return-path and over all of them, and none is made of a
// success: whoever sends the mail can ask for as many as he likes.

// vouched reports whether the return-path of a message is known to be its sender's
// own: an authenticated user, a Client IP or the server itself has sent it. A check
// that proves the same of others, such as SPF (RFC 7208 section 2.6.3), says so here.
func vouched(s *envelope.Source) bool { return s.Trusted || s.Account != "" }

// strangers counts reports about mail whose return-path nobody vouches for.
type strangers struct {
	mu    sync.Mutex
	all   window
	paths map[address.Address]*window
}

// maxPaths bounds the return-paths that are counted.
const maxPaths = 10000

// take counts one report to addresses, and returns those that may get it. The
// return-path has a limit of its own. undo takes the count back.
func (s *strangers) take(path address.Address, to []address.Address, set *Settings, now time.Time) (left []address.Address, undo func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := new(window)
	if slices.Contains(to, path) {
		own = s.of(path, set.ReportsFlow, now)
		if !own.take(set.ReportsFlow, now) {
			own = new(window)
			to = slices.DeleteFunc(slices.Clone(to), func(a address.Address) bool { return a == path })
		}
	}
	if len(to) == 0 || !s.all.take(set.ReportsTotal, now) {
		own.giveBack()
		return nil, func() {}
	}
	return to, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all.giveBack()
		own.giveBack()
	}
}

// of returns the window of a return-path.
func (s *strangers) of(path address.Address, limit settings.Rate, now time.Time) *window {
	w := s.paths[path]
	if w != nil || limit.Unlimited() {
		return cmp.Or(w, new(window))
	}
	if len(s.paths) >= maxPaths {
		maps.DeleteFunc(s.paths, func(_ address.Address, w *window) bool { return w.over(limit, now) })
	}
	if s.paths == nil || len(s.paths) >= maxPaths {
		s.paths = map[address.Address]*window{}
	}
	w = new(window)
	s.paths[path] = w
	return w
}

// window counts what happens in a period, which begins with the first event.
type window struct {
	start time.Time
	count int
}

func (w *window) over(limit settings.Rate, now time.Time) bool {
	return now.Sub(w.start) >= limit.Period.Duration()
}

// take counts an event and reports whether the limit lets it happen.
func (w *window) take(limit settings.Rate, now time.Time) bool {
	if limit.Unlimited() {
		return true
	}
	if w.over(limit, now) {
		*w = window{start: now}
	}
	if w.count >= limit.Count {
		return false
	}
	w.count++
	return true
}

func (w *window) giveBack() { w.count = max(w.count-1, 0) }
