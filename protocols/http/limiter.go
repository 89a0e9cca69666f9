package http

import (
	"net/netip"
	"sync"

	"gatepost/server/fault"
)

// limiter counts the requests under way. Connections have their own limits; one of HTTP/2 carries
// many requests at a time, and one of a proxy those of many clients.
type limiter struct {
	mu        sync.Mutex
	all       int
	strangers int                  // of them, those of strangers
	perIP     map[netip.Prefix]int // entries of 0 are removed
}

// take takes a place for a request of an address, which the caller gives back. exempt addresses
// have the total alone to respect. The requests of strangers, to parts without a login, have half of the
// total at most: a body that comes slowly holds a place for minutes. Errors: Busy, RateLimited.
func (l *limiter) take(ip netip.Addr, exempt, login bool, total, each int) (give func(), err error) {
	const op = "http.Limit"
	l.mu.Lock()
	defer l.mu.Unlock()
	stranger := !exempt && !login
	if total > 0 && (l.all >= total || stranger && l.strangers >= total-total/2) {
		return nil, fault.New(op, fault.Busy, "")
	}
	key, counted := netip.Prefix{}, false
	if !exempt && each > 0 {
		key, counted = network(ip)
	}
	if counted {
		if l.perIP[key] >= each {
			return nil, fault.New(op, fault.RateLimited, "")
		}
		if l.perIP == nil {
			l.perIP = map[netip.Prefix]int{}
		}
		l.perIP[key]++
	}
	l.all++
	if stranger {
		l.strangers++
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all--
		if stranger {
			l.strangers--
		}
		if counted {
			if l.perIP[key]--; l.perIP[key] <= 0 {
				delete(l.perIP, key)
			}
		}
	}, nil
}

// network is what an address counts under: IPv6 addresses by their /64, as connections do.
func network(ip netip.Addr) (netip.Prefix, bool) {
	if !ip.IsValid() {
		return netip.Prefix{}, false
	}
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.WithZone("").Prefix(bits)
	return p, err == nil
}
