package accounts

import (
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"gatepost/server/dataformat"
)

// The addresses from which an account lately logged in are known: what fails elsewhere does
// not block a login from them. account.info keeps them, so that a restart in the middle of
// an attack does not lock the owners out.
const (
	maxKnown      = 16 // addresses of an account
	knownFor      = 30 * 24 * time.Hour
	knownRefresh  = time.Hour // the time of a known address is not noted more often
	maxKnownCache = 50_000    // accounts
)

// knownAddress is one of them. Lists are ordered, the latest first, and never changed.
type knownAddress struct {
	network netip.Prefix
	at      time.Time
}

// known returns the addresses of an account.
func (l *Logins) known(a *Account) []knownAddress {
	list, _ := l.addresses.Get(a.ID, func() ([]knownAddress, error) { // never fails
		if last, ok := l.store.info.pending(a); ok {
			return last.known, nil
		}
		return readKnown(readInfo(filepath.Join(a.dir, infoFile))), nil
	})
	return list
}

// noteKnown notes that an account has logged in from an address. It returns the addresses.
func (l *Logins) noteKnown(a *Account, ip netip.Addr) []knownAddress {
	l.known(a) // reads the file without the lock
	l.noting.Lock()
	defer l.noting.Unlock()
	before := l.known(a)
	after := withKnown(before, ip)
	if len(after) != len(before) || len(after) > 0 && after[0] != before[0] {
		l.addresses.Put(a.ID, after)
	}
	return after
}

// isKnown reports whether an account lately logged in from an address.
func (l *Logins) isKnown(a *Account, ip netip.Addr) bool {
	n := network(ip)
	return slices.ContainsFunc(l.known(a), func(k knownAddress) bool {
		return k.network == n && time.Since(k.at) < knownFor
	})
}

// withKnown returns a list with an address that was used now.
func withKnown(list []knownAddress, ip netip.Addr) []knownAddress {
	now := time.Now().UTC().Truncate(time.Second)
	n := network(ip)
	i := slices.IndexFunc(list, func(k knownAddress) bool { return k.network == n })
	switch {
	case !n.IsValid(), i >= 0 && now.Sub(list[i].at) < knownRefresh:
		return list
	}
	out := append(make([]knownAddress, 0, len(list)+1), knownAddress{n, now})
	for j, k := range list {
		if j != i && now.Sub(k.at) < knownFor && len(out) < maxKnown {
			out = append(out, k)
		}
	}
	return out
}

// keyKnown holds them in account.info: {"192.0.2.1" = time; "2001:db8::/64" = time;}.
const keyKnown = "#LoginAddresses"

func knownValue(list []knownAddress) dataformat.Dict {
	d := dataformat.Dict{}
	for _, k := range list {
		text := k.network.String()
		if k.network.IsSingleIP() {
			text = k.network.Addr().String()
		}
		d[text] = dataformat.Time{T: k.at}
	}
	return d
}

func readKnown(info dataformat.Dict) []knownAddress {
	d, _ := info[keyKnown].(dataformat.Dict)
	var list []knownAddress
	for text, v := range d {
		at, ok := v.(dataformat.Time)
		p, err := netip.ParsePrefix(text)
		if ip, bad := netip.ParseAddr(text); bad == nil {
			p, err = network(ip), nil
		}
		if ok && err == nil {
			list = append(list, knownAddress{p, at.T})
		}
	}
	slices.SortFunc(list, func(a, b knownAddress) int { return b.at.Compare(a.at) })
	return list[:min(len(list), maxKnown)]
}
