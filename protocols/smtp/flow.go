package smtp

import (
	"sync"
	"time"

	"gatepost/server/settings"
)

// flows counts what each account submits, for its MailOutFlow. Accounts without
// a limit, the usual case, are not counted. An account's entry is dropped when
// its period is over, so the table holds only who sent lately.
type flows struct {
	mu    sync.Mutex
	since map[uint64]flow // by account ID
	swept time.Time
}

// flow is one period of one account.
type flow struct {
	until time.Time
	count int
}

const sweepFlows = time.Minute

// full tells that the limit is reached, so that a message need not begin.
func (f *flows) full(account uint64, limit settings.Rate) bool {
	if limit.Unlimited() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	entry := f.since[account]
	if !time.Now().Before(entry.until) {
		entry.count = 0
	}
	return entry.count >= limit.Count
}

// take counts one message, unless it is above the limit.
func (f *flows) take(account uint64, limit settings.Rate) bool {
	if limit.Unlimited() {
		return true
	}
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.since == nil {
		f.since = map[uint64]flow{}
	}
	if now.Sub(f.swept) > sweepFlows {
		for id, entry := range f.since {
			if now.After(entry.until) {
				delete(f.since, id)
			}
		}
		f.swept = now
	}
	entry := f.since[account]
	if !now.Before(entry.until) {
		entry = flow{until: now.Add(limit.Period.Duration())}
	}
	if entry.count >= limit.Count {
		return false
	}
	entry.count++
	f.since[account] = entry
	return true
}

// giveBack takes back what take counted, for a message that was not accepted.
func (f *flows) giveBack(account uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if entry := f.since[account]; entry.count > 0 {
		entry.count--
		f.since[account] = entry
	}
}
