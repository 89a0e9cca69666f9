// Package cache keeps immutable snapshots of what files say, a bounded number of each kind.
package cache

import (
	"container/list"
	"sync"
)

// Cache keeps the most recently used snapshots of one kind, at most max of
// them. A loader reads files without a lock; what it read is kept only when
// nothing was dropped meanwhile, so that a snapshot of old files never outlives
// a change of them.
type Cache[K comparable, V any] struct {
	mu      sync.Mutex
	max     int
	entries map[K]*list.Element
	order   *list.List // front: most recently used
	drops   uint64     // counts calls of Drop, DropUnless and DropIf
}

type cacheEntry[K comparable, V any] struct {
	key   K
	value V
}

// New returns a cache of limit snapshots.
func New[K comparable, V any](limit int) *Cache[K, V] {
	return &Cache[K, V]{max: limit, entries: map[K]*list.Element{}, order: list.New()}
}

// Find returns the snapshot of k if it is at hand.
func (c *Cache[K, V]) Find(k K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[k]
	if ok {
		c.order.MoveToFront(e)
		v = e.Value.(*cacheEntry[K, V]).value
	}
	return v, ok
}

// Get returns the snapshot of k, which load reads when it is not at hand.
func (c *Cache[K, V]) Get(k K, load func() (V, error)) (V, error) {
	c.mu.Lock()
	if e, ok := c.entries[k]; ok {
		c.order.MoveToFront(e)
		v := e.Value.(*cacheEntry[K, V]).value
		c.mu.Unlock()
		return v, nil
	}
	drops := c.drops
	c.mu.Unlock()

	v, err := load()
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[k]; ok {
		return e.Value.(*cacheEntry[K, V]).value, nil
	}
	if c.drops == drops {
		c.insert(k, v)
	}
	return v, nil
}

// insert puts v in front; the caller holds the lock and k is not there.
func (c *Cache[K, V]) insert(k K, v V) {
	c.entries[k] = c.order.PushFront(&cacheEntry[K, V]{k, v})
	for c.order.Len() > c.max {
		c.remove(c.order.Back().Value.(*cacheEntry[K, V]).key)
	}
}

// Put replaces the snapshot of k.
func (c *Cache[K, V]) Put(k K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(k)
	c.insert(k, v)
}

// Peek returns the snapshot of k if it is at hand.
func (c *Cache[K, V]) Peek(k K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[k]
	if ok {
		v = e.Value.(*cacheEntry[K, V]).value
	}
	return v, ok
}

// Drop evicts the snapshot of k.
func (c *Cache[K, V]) Drop(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	c.remove(k)
}

// DropUnless evicts the snapshot of k unless it is one that has followed the change;
// others that are being read now are not kept.
func (c *Cache[K, V]) DropUnless(k K, follows func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	if e, ok := c.entries[k]; ok && !follows(e.Value.(*cacheEntry[K, V]).value) {
		c.remove(k)
	}
}

// remove takes k out; the caller holds the lock.
func (c *Cache[K, V]) remove(k K) {
	if e, ok := c.entries[k]; ok {
		c.order.Remove(e)
		delete(c.entries, k)
	}
}

// DropIf evicts the snapshots whose keys match.
func (c *Cache[K, V]) DropIf(match func(K) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	for k := range c.entries {
		if match(k) {
			c.remove(k)
		}
	}
}

// Len returns the number of snapshots.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}
