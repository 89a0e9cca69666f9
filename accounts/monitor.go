package accounts

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file has what administrators see of sessions and of logins that are blocked.

// SessionInfo is a session that has logged in.
type SessionInfo struct {
	Number  uint64
	Account string // name@domain
	Service string
	IP      netip.Addr
	TLS     bool
	Since   time.Time
}

// List lists at most so many sessions, by account and then the oldest first.
func (l *Sessions) List(most int) []SessionInfo {
	l.mu.Lock()
	var list []SessionInfo
	for k, set := range l.entries {
		for w := range set {
			list = append(list, w.info(k))
		}
	}
	l.mu.Unlock()
	slices.SortFunc(list, func(a, b SessionInfo) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Number, b.Number))
	})
	return list[:min(len(list), most)]
}

// Of lists the sessions of an account, the oldest first.
func (l *Sessions) Of(domain, name string) (list []SessionInfo) {
	k := accountKey{domain, name}
	l.mu.Lock()
	for w := range l.entries[k] {
		list = append(list, w.info(k))
	}
	l.mu.Unlock()
	slices.SortFunc(list, func(a, b SessionInfo) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

// Find returns a session by its number.
func (l *Sessions) Find(number uint64) (SessionInfo, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, set := range l.entries {
		for w := range set {
			if w.number == number {
				return w.info(k), true
			}
		}
	}
	return SessionInfo{}, false
}

// info describes the session. Sessions.mu is held.
func (w *Watch) info(k accountKey) SessionInfo {
	return SessionInfo{Number: w.number, Account: k.name + "@" + k.domain, Service: w.peer.Service, IP: w.peer.IP, TLS: w.peer.TLS, Since: w.since}
}

// Each calls fn with the service of every session. fn must not call Sessions.
func (l *Sessions) Each(fn func(service string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, set := range l.entries {
		for w := range set {
			fn(w.peer.Service)
		}
	}
}

// End ends one session. Errors: NotFound.
func (l *Sessions) End(number uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, set := range l.entries {
		for w := range set {
			if w.number == number {
				l.remove(w)
				w.end(endKilled)
				return nil
			}
		}
	}
	return fault.New("accounts.EndSession", fault.NotFound, "there is no such session any more")
}

// Block is a limit of failed logins that is reached.
type Block struct {
	Account  string       // name@domain; empty for one about an address
	Network  netip.Prefix // invalid for one about an account from anywhere
	Cause    string
	Failures int
	Until    time.Time
}

// Blocks lists what logins are blocked by now, with the temporary blacklist, the one that ends last first.
func (l *Logins) Blocks(ctx context.Context) []Block {
	now := time.Now()
	var list []Block
	l.failures.Each(func(k failureKey, count int, ends time.Time) {
		if b := (Block{Network: k.network, Cause: string(k.cause), Failures: count, Until: ends}); ends.After(now) {
			if k.cause != ofAddress {
				b.Account = k.account.String()
			}
			list = append(list, b)
		}
	})
	list = slices.DeleteFunc(list, func(b Block) bool {
		limit := l.protection.LoginLimit()
		if b.Cause != string(ofAddress) {
			limit = l.flowOf(ctx, b.Account)
		}
		return limit.Unlimited() || b.Failures < limit.Count
	})
	for _, b := range l.protection.Blocks() {
		list = append(list, Block{Network: b.Network, Cause: string(b.Cause), Failures: b.Count, Until: b.Until})
	}
	slices.SortFunc(list, func(a, b Block) int { return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(a.Account, b.Account)) })
	return list
}

// flowOf is the FailedLoginFlow of an account, or what one of its domain would inherit.
func (l *Logins) flowOf(ctx context.Context, address string) settings.Rate {
	name, domain, ok := strings.Cut(address, "@")
	k := accountKey{domain, name}
	if !ok {
		k = accountKey{address, ""}
	}
	if a, err := l.store.Account(ctx, k.domain, k.name); err == nil {
		return a.settings.FailedLoginFlow
	}
	return l.defaultFlow(k.domain)
}

// Unblock ends the blocks of an account, or that of an address whatever the account; both given, the one of that account
// from that address. It returns how many there were.
func (l *Logins) Unblock(address string, network netip.Prefix) (n int) {
	var keys []failureKey
	l.failures.Each(func(k failureKey, _ int, _ time.Time) {
		name := ""
		if k.cause != ofAddress {
			name = k.account.String()
		}
		if name == address && k.network == network {
			keys = append(keys, k)
		}
	})
	for _, k := range keys {
		l.failures.Reset(k)
		l.wrong.Drop(k)
	}
	n = len(keys)
	if address == "" && l.protection.Lift(network) {
		n++
	}
	return n
}
