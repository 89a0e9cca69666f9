package mailbox

import (
	"container/list"
	"sync"
)

// The views cache keeps boxes that nobody has open, so that a client that
// comes back, or goes from mailbox to mailbox, does not load them again.
const (
	maxCachedBoxes    = 1000
	maxCachedMessages = 200_000 // about 20 MB
)

// viewCache is the list of boxes without users, the last one used in front.
type viewCache struct {
	mu       sync.Mutex
	list     list.List
	elements map[*box]*list.Element
	messages int
}

type cached struct {
	box      *box
	messages int
}

// add puts a box in front and returns the ones that have to go.
func (c *viewCache) add(b *box) (out []*box) {
	b.mu.RLock()
	n := len(b.uids)
	b.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.elements == nil {
		c.elements = make(map[*box]*list.Element)
	}
	c.drop(b)
	c.elements[b] = c.list.PushFront(cached{b, n})
	c.messages += n
	for c.list.Len() > maxCachedBoxes || c.messages > maxCachedMessages {
		last := c.list.Back().Value.(cached).box
		c.drop(last)
		out = append(out, last)
	}
	return out
}

// remove takes out a box that is in use again.
func (c *viewCache) remove(b *box) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(b)
}

func (c *viewCache) drop(b *box) {
	if el := c.elements[b]; el != nil {
		c.messages -= c.list.Remove(el).(cached).messages
		delete(c.elements, b)
	}
}
