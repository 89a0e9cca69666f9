package delivery

import (
	"sync"
	"time"

	"gatepost/accounts"
)

// flows counts deliveries against the accounts' MailInpFlow. Only accounts with
// a limit are in it, and only while their period lasts.
type flows struct {
	mu    sync.Mutex
	since map[uint64]*flow
	swept time.Time
}

type flow struct {
	start time.Time
	ends  time.Time
	count int
}

// take counts one message for an account. It returns 0, or how long deliveries
// have to wait.
func (f *flows) take(acc *accounts.Account, now time.Time) time.Duration {
	limit := acc.Settings().MailInpFlow
	if limit.Unlimited() {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.since[acc.ID]
	if w == nil || !now.Before(w.ends) {
		f.sweep(now)
		w = &flow{start: now, ends: now.Add(limit.Period.Duration())}
		if f.since == nil {
			f.since = map[uint64]*flow{}
		}
		f.since[acc.ID] = w
	}
	if w.count >= limit.Count {
		return max(w.ends.Sub(now), time.Second)
	}
	w.count++
	return 0
}

// sweep forgets periods that are over, once a minute.
func (f *flows) sweep(now time.Time) {
	if now.Sub(f.swept) < time.Minute {
		return
	}
	f.swept = now
	for id, w := range f.since {
		if !now.Before(w.ends) {
			delete(f.since, id)
		}
	}
}
