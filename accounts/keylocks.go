package accounts

import "sync"

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
