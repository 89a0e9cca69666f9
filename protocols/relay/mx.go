package relay

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/fault"
	"gatepost/server/resolver"
)

// Directory is what has to be known of this server: what it is called and where it is, as mail must not go from
// here to here, and its passwords at other servers.
type Directory interface {
	// DomainName returns the real name of a domain of ours, given its name or an alias.
	DomainName(name string) (real string, ok bool)
	// OwnIP reports whether an address is one of this server's.
	OwnIP(ip netip.Addr) (domain string, own bool)
	// Unseal returns a password that was stored in a reversible form.
	Unseal(stored string) (string, error)
}

const (
	// maxExchangers is how many hosts of a domain count, those of the best preference first.
	maxExchangers = 20
	// maxTries is how many addresses are tried for one connection.
	maxTries = 10
	// maxTrying is how long further addresses are tried for one connection.
	maxTrying = 5 * time.Minute
)

// finder finds the hosts that take mail for a domain (RFC 5321 section 5).
type finder struct {
	dns  *resolver.Resolver
	own  Directory
	helo func() string
}

// exchanger is a host that takes mail, with its addresses in the order in which they are tried.
type exchanger struct {
	name string
	ips  []netip.Addr
}

// noWay says that the DNS leads nowhere, now or for good.
type noWay struct{ status envelope.Status }

func (e *noWay) Error() string { return e.status.Text }

// fails makes the failure of all mail for a domain.
func fails(code envelope.Code, text string) *noWay {
	return &noWay{envelope.Status{Action: envelope.ActionFailed, Code: code, Text: text}}
}

// waits makes the delay of a queue.
func waits(text string) *noWay {
	return &noWay{envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 4, 3}, Text: text, Queue: true}}
}

// exchangers returns the names of the hosts that take mail for a domain, those of the same
// preference together and in a random order, the best first: its MX records, or the domain itself
// if it has none (the implicit MX).
func (f *finder) exchangers(ctx context.Context, domain string) ([][]string, error) {
	answer, err := f.dns.MX(ctx, domain)
	switch {
	case fault.Is(err, fault.NoHost), fault.Is(err, fault.Invalid):
		return nil, fails(envelope.Code{5, 1, 2}, fault.Text(err))
	case err != nil:
		return nil, waits(fault.Text(err))
	case len(answer.Records) == 0:
		return [][]string{{domain}}, nil
	}
	list := slices.Clone(answer.Records)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b resolver.MX) int { return cmp.Compare(a.Preference, b.Preference) })
	var groups [][]string
	seen := map[string]bool{".": true} // of a null MX beside others nothing follows (RFC 7505 section 3)
	last := uint16(0)
	for _, mx := range list {
		if mx.Host == "" || seen[mx.Host] {
			continue
		}
		if len(groups) == 0 || mx.Preference != last {
			groups = append(groups, nil)
		}
		seen[mx.Host], last = true, mx.Preference
		groups[len(groups)-1] = append(groups[len(groups)-1], mx.Host)
		if len(seen) > maxExchangers {
			break
		}
	}
	if len(groups) == 0 {
		return nil, fails(envelope.Code{5, 1, 10}, domain+" does not take mail (null MX)")
	}
	return groups, nil
}

// each calls try with the hosts of a way that have addresses, one preference after the other, until try
// says that it is enough. Hosts of our own preference and worse ones are left out (RFC 5321 section
// 5.1). The error, a *noWay, says why try was never called.
func (f *finder) each(ctx context.Context, w way, try func([]exchanger) (enough bool)) error {
	groups := [][]string{{w.name}}
	if w.mx {
		var err error
		if groups, err = f.exchangers(ctx, w.name); err != nil {
			return w.excuse(err)
		}
	}
	tried, own := false, false
	var unknown error // why the addresses of a host are not known now
	for _, names := range groups {
		hosts, failed := f.addresses(ctx, names)
		unknown = cmp.Or(unknown, failed)
		if own = w.mx && slices.ContainsFunc(names, f.isOwnName) || w.mx && slices.ContainsFunc(hosts, f.isOwn); own {
			break
		}
		hosts = slices.DeleteFunc(hosts, func(h exchanger) bool { return len(h.ips) == 0 })
		if len(hosts) == 0 {
			continue
		}
		tried = true
		if try(hosts) {
			return nil
		}
	}
	switch {
	case tried:
		return nil
	case unknown != nil:
		return waits(fault.Text(unknown))
	case own:
		return fails(envelope.Code{5, 4, 6}, "DNS loop: the mail server of "+w.name+" is this server, and the domain is not one of its own")
	case w.mx && len(groups) == 1 && groups[0][0] == w.name:
		return w.excuse(fails(envelope.Code{5, 4, 4}, w.name+" has neither a mail server nor an address"))
	case w.mx:
		return w.excuse(fails(envelope.Code{5, 4, 4}, "none of the mail servers of "+w.name+" has an address"))
	}
	return w.excuse(fails(envelope.Code{5, 4, 4}, w.name+" has no address"))
}

// excuse makes a delay of the failure of a host that somebody here has named: mail can wait until
// the name is corrected.
func (w way) excuse(err error) error {
	if no, ok := err.(*noWay); ok && w.named && no.status.Action == envelope.ActionFailed && no.status.Code != (envelope.Code{5, 1, 10}) {
		return waits(no.status.Text)
	}
	return err
}

// addresses looks up hosts at the same time. A host that does not exist has no addresses; failed
// is the failure of one that may have some.
func (f *finder) addresses(ctx context.Context, names []string) (hosts []exchanger, failed error) {
	hosts = make([]exchanger, len(names))
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() {
			answer, err := f.dns.Addresses(ctx, name)
			if err != nil && fault.KindOf(err).Temporary() {
				errs[i] = err
			}
			hosts[i] = exchanger{name, shuffled(answer.Records)}
		})
	}
	all.Wait()
	for _, err := range errs {
		failed = cmp.Or(failed, err)
	}
	return hosts, failed
}

// shuffled returns addresses in a random order in which the two families take turns, so that
// a family that leads nowhere from here costs one try for each address of the other.
func shuffled(ips []netip.Addr) []netip.Addr {
	var v4, v6 []netip.Addr
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() {
			v4 = append(v4, ip)
		} else {
			v6 = append(v6, ip)
		}
	}
	for _, list := range [][]netip.Addr{v4, v6} {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	out := make([]netip.Addr, 0, len(ips))
	for i := range max(len(v4), len(v6)) {
		if i < len(v6) {
			out = append(out, v6[i])
		}
		if i < len(v4) {
			out = append(out, v4[i])
		}
	}
	return out
}

func (f *finder) isOwnName(host string) bool {
	if strings.EqualFold(host, f.helo()) {
		return true
	}
	_, ours := f.own.DomainName(host)
	return ours
}

func (f *finder) isOwn(h exchanger) bool { return slices.ContainsFunc(h.ips, f.isOwnIP) }

// isOwnIP reports whether an address leads to this server, as in router.
func (f *finder) isOwnIP(ip netip.Addr) bool {
	if _, own := f.own.OwnIP(ip); own {
		return true
	}
	return ip.IsUnspecified() || ip == netip.IPv6Loopback() || ip == netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// BacksUp reports whether this server is among the mail servers of a domain, behind better ones.
// Errors: what the DNS cannot tell now.
func (t *Transport) BacksUp(ctx context.Context, domain string) (bool, error) {
	const op = "relay.BacksUp"
	groups, err := t.finder.exchangers(ctx, domain)
	if err != nil {
		if no, ok := err.(*noWay); ok && no.status.Action == envelope.ActionFailed {
			return false, nil
		}
		return false, &fault.Error{Op: op, Kind: fault.Unavailable, Text: err.Error()}
	}
	var unknown error
	for i, names := range groups {
		hosts, failed := t.finder.addresses(ctx, names)
		if slices.ContainsFunc(names, t.finder.isOwnName) || slices.ContainsFunc(hosts, t.finder.isOwn) {
			return i > 0, nil
		}
		unknown = cmp.Or(unknown, failed)
	}
	return false, unknown
}
