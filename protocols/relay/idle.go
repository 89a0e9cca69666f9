package relay

import (
	"sync"
	"time"
)

// idleFor is how long a connection waits for another batch.
const idleFor = 2 * time.Second

// idleConns keeps connections between batches.
type idleConns struct {
	mu     sync.Mutex
	conns  map[hop][]*idleConn
	closed bool
	ending sync.WaitGroup // timers that were started
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
		ic.c.net.Close()
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
		c.net.Close()
		return
	}
	if i.conns == nil {
		i.conns = map[hop][]*idleConn{}
	}
	ic := &idleConn{c: c}
	i.ending.Add(1)
	ic.timer = time.AfterFunc(idleFor, func() {
		defer i.ending.Done()
		i.forget(ic)
		c.quit()
	})
	i.conns[c.hop] = append(i.conns[c.hop], ic)
}

func (i *idleConns) forget(ic *idleConn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	h := ic.c.hop
	for n, other := range i.conns[h] {
		if other == ic {
			i.set(h, append(i.conns[h][:n], i.conns[h][n+1:]...))
			return
		}
	}
}

// close ends all idle connections and waits for those that are ending.
func (i *idleConns) close() {
	i.mu.Lock()
	i.closed = true
	for _, list := range i.conns {
		for _, ic := range list {
			if ic.timer.Stop() {
				ic.c.net.Close()
				i.ending.Done()
			}
		}
	}
	i.conns = nil
	i.mu.Unlock()
	i.ending.Wait()
}
