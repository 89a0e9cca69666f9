package relay

import (
	"net/netip"
	"sync"
	"time"
)

// deadFor is how long an address that could not be connected to is tried after all others.
const deadFor = 5 * time.Minute

// maxDead bounds the memory of such addresses.
const maxDead = 10_000

// deadAddresses are those that could not be connected to lately. A connection to a host of
// several addresses does not wait again for one that is silent.
type deadAddresses struct {
	mu    sync.Mutex
	until map[netip.AddrPort]time.Time
}

func (d *deadAddresses) has(a netip.AddrPort) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	until, ok := d.until[a]
	if ok && !until.After(time.Now()) {
		delete(d.until, a)
		return false
	}
	return ok
}

func (d *deadAddresses) add(a netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if len(d.until) >= maxDead {
		for other, until := range d.until {
			if !until.After(now) {
				delete(d.until, other)
			}
		}
		if len(d.until) >= maxDead {
			clear(d.until)
		}
	}
	if d.until == nil {
		d.until = map[netip.AddrPort]time.Time{}
	}
	d.until[a] = now.Add(deadFor)
}

func (d *deadAddresses) remove(a netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.until, a)
}
