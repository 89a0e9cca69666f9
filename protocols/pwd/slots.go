package pwd

import "sync"

// slots counts the sessions of each account that is logged in: NOTIMEOUT lets a
// session stay for ever, and one account must not hold all that the module has.
type slots struct {
	mu    sync.Mutex
	taken map[uint64]int // by account ID; entries of 0 are removed
}

// take takes a slot for one more session of an account that may have limit of
// them; false when it has that many.
func (p *slots) take(account uint64, limit int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken[account] >= limit {
		return false
	}
	if p.taken == nil {
		p.taken = map[uint64]int{}
	}
	p.taken[account]++
	return true
}

// give gives a slot back.
func (p *slots) give(account uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken[account]--; p.taken[account] <= 0 {
		delete(p.taken, account)
	}
}

// count is the number of slots that are taken.
func (p *slots) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, taken := range p.taken {
		n += taken
	}
	return n
}

// share is how many of the module's sessions one account may have at a time. A
// user changes a password or looks at settings: a tenth is far more than that
// takes, and at least two. An administrator is often one account for all scripts of a
// site: all but a fifth, so that there is room for another one to look after it.
// The control socket does not count.
func share(sessions int, administrator bool) int {
	if administrator {
		return max(1, sessions-max(1, sessions/5))
	}
	return min(sessions, max(2, sessions/10))
}
