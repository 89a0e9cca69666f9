package accounts

import (
	"container/list"
	"sync"
)

// cache keeps the most recently used snapshots of one kind, at most max of
// them. A loader reads files without a lock; what it read is kept only when
// nothing was dropped meanwhile, so that a snapshot of old files never outlives
// a change of them.
type cache[K comparable, V any] struct {
	mu      sync.Mutex
	max     int
	entries map[K]*list.Element
	order   *list.List // front: most recently used
	drops   uint64     // counts calls of drop and dropAll
}

type cacheEntry[K comparable, V any] struct {
	key   K
	value V
}

func newCache[K comparable, V any](limit int) *cache[K, V] {
	return &cache[K, V]{max: limit, entries: map[K]*list.Element{}, order: list.New()}
}

// find returns the snapshot of k if it is at hand.
func (c *cache[K, V]) find(k K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[k]
	if ok {
		c.order.MoveToFront(e)
		v = e.Value.(*cacheEntry[K, V]).value
	}
	return v, ok
}

// get returns the snapshot of k, which load reads when it is not at hand.
func (c *cache[K, V]) get(k K, load func() (V, error)) (V, error) {
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
func (c *cache[K, V]) insert(k K, v V) {
	c.entries[k] = c.order.PushFront(&cacheEntry[K, V]{k, v})
	for c.order.Len() > c.max {
		c.remove(c.order.Back().Value.(*cacheEntry[K, V]).key)
	}
}

// put replaces the snapshot of k.
func (c *cache[K, V]) put(k K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(k)
	c.insert(k, v)
}

// peek returns the snapshot of k if it is at hand.
func (c *cache[K, V]) peek(k K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[k]
	if ok {
		v = e.Value.(*cacheEntry[K, V]).value
	}
	return v, ok
}

// drop forgets the snapshot of k.
func (c *cache[K, V]) drop(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	c.remove(k)
}

// dropUnless forgets the snapshot of k unless it is one that has followed the change;
// others that are being read now are not kept.
func (c *cache[K, V]) dropUnless(k K, follows func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	if e, ok := c.entries[k]; ok && !follows(e.Value.(*cacheEntry[K, V]).value) {
		c.remove(k)
	}
}

// remove takes k out; the caller holds the lock.
func (c *cache[K, V]) remove(k K) {
	if e, ok := c.entries[k]; ok {
		c.order.Remove(e)
		delete(c.entries, k)
	}
}

// dropIf forgets the snapshots whose keys match.
func (c *cache[K, V]) dropIf(match func(K) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	for k := range c.entries {
		if match(k) {
			c.remove(k)
		}
	}
}

// keyLocks is one lock per name, for as long as somebody uses it.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]*keyLock
}

type keyLock struct {
	sync.RWMutex
	users int
}

// lock waits for the lock of name and returns its release.
func (l *keyLocks) lock(name string) (unlock func()) {
	k := l.use(name)
	k.Lock()
	return func() {
		k.Unlock()
		l.leave(name, k)
	}
}

// share waits for the lock of name, together with others that share it.
func (l *keyLocks) share(name string) (unlock func()) {
	k := l.use(name)
	k.RLock()
	return func() {
		k.RUnlock()
		l.leave(name, k)
	}
}

func (l *keyLocks) use(name string) *keyLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[string]*keyLock{}
	}
	k := l.held[name]
	if k == nil {
		k = new(keyLock)
		l.held[name] = k
	}
	k.users++
	return k
}

func (l *keyLocks) leave(name string, k *keyLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.held, name)
	}
}
