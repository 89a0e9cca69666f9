package resolver

import (
	"container/list"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// cache keeps answers, and that there is none. The zero cache is empty.
type cache struct {
	mu      sync.Mutex
	entries map[question]*list.Element // of *entry
	order   list.List                  // what was asked for last is in front
	size    int64
	resets  int
}

type entry struct {
	question
	answer  Answer[dns.RR]
	err     error
	expires time.Time
	size    int64
}

// get returns what is known about a question, with the rest of its TTL.
func (c *cache) get(q question) (Answer[dns.RR], error, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.entries[q]
	if el == nil {
		return Answer[dns.RR]{}, nil, false
	}
	e := el.Value.(*entry)
	rest := time.Until(e.expires)
	if rest <= 0 {
		c.remove(el)
		return Answer[dns.RR]{}, nil, false
	}
	c.order.MoveToFront(el)
	answer := e.answer
	answer.TTL = rest
	return answer, e.err, true
}

// put keeps a result within a limit on the size of all, unless the cache was reset since
// generation.
func (c *cache) put(q question, a Answer[dns.RR], err error, keep time.Duration, limit int64, generation int) {
	e := &entry{q, a, err, time.Now().Add(keep), sizeOf(q, a)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.resets != generation {
		return
	}
	if old := c.entries[q]; old != nil {
		c.remove(old)
	}
	if e.size <= limit/8 { // what is larger would evict too many others
		if c.entries == nil {
			c.entries = map[question]*list.Element{}
		}
		c.entries[q] = c.order.PushFront(e)
		c.size += e.size
	}
	for c.size > max(limit, 0) && c.order.Len() > 0 {
		c.remove(c.order.Back())
	}
}

// remove takes an entry out. c.mu is held.
func (c *cache) remove(el *list.Element) {
	e := c.order.Remove(el).(*entry)
	delete(c.entries, e.question)
	c.size -= e.size
}

// reset empties the cache.
func (c *cache) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries, c.size = nil, 0
	c.order.Init()
	c.resets++
}

// generation changes with every reset.
func (c *cache) generation() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resets
}

// sizeOf estimates the memory of an entry.
func sizeOf(q question, a Answer[dns.RR]) int64 {
	size := 400 + int64(len(q.name)+len(a.Name))
	for _, rr := range a.Records {
		size += 150 + 2*int64(dns.Len(rr))
	}
	return size
}
