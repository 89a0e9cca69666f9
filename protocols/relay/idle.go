package relay

import (
	"slices"
	"sync"
	"time"
)

// idleFor is how long a connection waits for another batch.
const idleFor = 2 * time.Second

// idleConns keeps connections between batches.
type idleConns struct {
	mu       sync.Mutex
	conns    map[hop][]*idleConn
	quitting map[*conn]bool // wait for the reply to QUIT
	closed   bool
	ending   sync.WaitGroup // timers that were started
}

type idleConn struct {
	c     *conn
	timer *time.Timer
}

// take returns a connection to a hop that still works, or nil.
func (i *idleConns) take(h hop) *conn {
	for {
		ic := i.pop(h)
		if ic == nil {
			return nil
		}
		if !ic.timer.Stop() {
			continue // its time has just come
		}
		i.ending.Done()
		if ic.c.usable() {
			return ic.c
		}
		ic.c.abort()
	}
}

func (i *idleConns) pop(h hop) *idleConn {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := i.conns[h]
	if len(list) == 0 {
		return nil
	}
	ic := list[len(list)-1]
	i.set(h, list[:len(list)-1])
	return ic
}

// set replaces the list of a hop. i.mu is held.
func (i *idleConns) set(h hop, list []*idleConn) {
	if len(list) == 0 {
		delete(i.conns, h)
		return
	}
	i.conns[h] = list
}

// put keeps a connection for a while.
func (i *idleConns) put(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		c.abort()
		return
	}
	if i.conns == nil {
		i.conns, i.quitting = map[hop][]*idleConn{}, map[*conn]bool{}
	}
	ic := &idleConn{c: c}
	i.ending.Add(1)
	ic.timer = time.AfterFunc(idleFor, func() {
		defer i.ending.Done()
		i.quit(ic)
	})
	i.conns[c.hop] = append(i.conns[c.hop], ic)
}

// quit ends an idle connection politely, unless close has come first.
func (i *idleConns) quit(ic *idleConn) {
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		ic.c.abort()
		return
	}
	h := ic.c.hop
	if n := slices.Index(i.conns[h], ic); n >= 0 {
		i.set(h, slices.Delete(i.conns[h], n, n+1))
	}
	i.quitting[ic.c] = true
	i.mu.Unlock()

	ic.c.quit()

	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.quitting, ic.c)
}

// close ends all idle connections at once, those too that wait for the reply to QUIT.
func (i *idleConns) close() {
	i.mu.Lock()
	i.closed = true
	for _, list := range i.conns {
		for _, ic := range list {
			if ic.timer.Stop() {
				ic.c.abort()
				i.ending.Done()
			}
		}
	}
	for c := range i.quitting {
		c.abort()
	}
	i.conns = nil
	i.mu.Unlock()
	i.ending.Wait()
}
