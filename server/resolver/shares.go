package resolver

import (
	"context"
	"net/netip"
)

// ForStranger marks look-ups of names that a client chose. Whoever chooses a name can have its look-up take as long as
// he likes; so all of these together get three quarters of the look-ups under way, those of one network of
// clients a tenth, and further ones wait for their own. The others always have room.
func ForStranger(ctx context.Context, client netip.Addr) context.Context {
	client = client.Unmap().WithZone("")
	bits := 24
	if client.Is6() {
		bits = 48
	}
	network, err := client.Prefix(bits)
	return context.WithValue(ctx, strangerKey{}, stranger{marked: true, network: network, known: err == nil})
}

type strangerKey struct{}

// stranger says for whom a look-up is; the zero value is for the server itself.
type stranger struct {
	marked, known bool
	network       netip.Prefix
}

func strangerOf(ctx context.Context) stranger {
	s, _ := ctx.Value(strangerKey{}).(stranger)
	return s
}

// shares counts the look-ups under way for strangers.
type shares struct {
	all int
	by  map[netip.Prefix]int
}

// take takes a place, of as many as there may be for everybody. It reports false if there is none.
func (s *shares) take(by stranger, most int) bool {
	if !by.marked {
		return true
	}
	if s.all >= max(1, most*3/4) || by.known && s.by[by.network] >= max(2, most/10) {
		return false
	}
	s.all++
	if by.known {
		if s.by == nil {
			s.by = map[netip.Prefix]int{}
		}
		s.by[by.network]++
	}
	return true
}

// give gives a place back.
func (s *shares) give(by stranger) {
	if !by.marked {
		return
	}
	s.all--
	if by.known {
		if s.by[by.network]--; s.by[by.network] == 0 {
			delete(s.by, by.network)
		}
	}
}
