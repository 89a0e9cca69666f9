package queue

import (
	"context"
	"sync"
	"time"
)

// gate bounds how many work at once. The bound may change between calls.
type gate struct {
	mu      sync.Mutex
	busy    int
	waiting []chan struct{} // in the order of their arrival
}

// enter waits for a place, but not longer than wait. Every enter that returned
// true is followed by one leave.
func (g *gate) enter(ctx context.Context, limit int, wait time.Duration) bool {
	g.mu.Lock()
	if g.busy < limit {
		g.busy++
		g.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	g.waiting = append(g.waiting, turn)
	g.mu.Unlock()

	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-turn:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, w := range g.waiting {
		if w == turn {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return false
		}
	}
	return true // the turn came at the same moment
}

// leave gives the place to the one who waits longest.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) > 0 {
		close(g.waiting[0])
		g.waiting = g.waiting[1:]
		return
	}
	g.busy--
}
