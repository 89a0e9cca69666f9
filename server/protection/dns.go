package protection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"gatepost/server/counters"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/resolver"
	"gatepost/server/settings"
)

// DNSList is a DNS list of addresses (RFC 5782) and what becomes of the mail of those that are on it. In a file it is a dictionary:
//
//	{Zone="zen.spamhaus.org";Action=reject;Timeout=5s;}
type DNSList struct {
	Zone    string          `key:"Zone" level:"basic" since:"0.3" help:"the domain that is asked, such as zen.spamhaus.org"`
	Action  string          `key:"Action" default:"reject" values:"reject|mark|off" level:"basic" since:"0.3" help:"mail of addresses on the list is refused, or gets a field X-Blacklisted, which rules can look for; off asks nobody"`
	Timeout settings.Period `key:"Timeout" default:"5s" level:"advanced" since:"0.3" help:"how long an answer is waited for, 1s to 30s; without one the address is not on the list"`
}

// Validate checks the values together.
func (l *DNSList) Validate() error {
	zone := strings.TrimSuffix(l.Zone, ".")
	switch d := l.Timeout.Duration(); {
	case zone == "" || len(zone) > 180 || strings.ContainsAny(zone, " \t\r\n@/:"):
		return settings.BadValue("Zone", "%q is not the name of a domain", l.Zone)
	case d < time.Second || d > 30*time.Second:
		return settings.BadValue("Timeout", "%s is not 1s to 30s", l.Timeout)
	}
	return nil
}

// SetValue reads the dictionary, or the name of a zone alone.
func (l *DNSList) SetValue(v dataformat.Value) error {
	if zone, ok := dataformat.Text(v); ok {
		v = dataformat.Dict{"Zone": dataformat.String(zone)}
	}
	d, ok := v.(dataformat.Dict)
	if !ok {
		return errors.New("a dictionary {Zone; Action; Timeout} is expected")
	}
	var n DNSList
	if err := settings.Load(&n, d); err != nil {
		return errors.New(fault.Text(err))
	}
	*l = n
	return nil
}

// DataValue is the dictionary of what differs from the stock values.
func (l DNSList) DataValue() dataformat.Value { return settings.Explicit(&l) }

// maxDNSLists bounds the look-ups for one client.
const maxDNSLists = 20

// DNSLists are the lists that are asked: an array of dictionaries.
type DNSLists []DNSList

// SetValue reads the array; one entry stands for an array of one.
func (l *DNSLists) SetValue(v dataformat.Value) error {
	if text, ok := dataformat.Text(v); ok && text == "" {
		v = dataformat.Array{}
	}
	array, ok := v.(dataformat.Array)
	if !ok {
		array = dataformat.Array{v}
	}
	if len(array) > maxDNSLists {
		return fmt.Errorf("%d lists are more than %d", len(array), maxDNSLists)
	}
	out := make(DNSLists, len(array))
	for i, e := range array {
		if err := out[i].SetValue(e); err != nil {
			return fmt.Errorf("list %d: %w", i+1, err)
		}
	}
	*l = out
	return nil
}

// DataValue is the array.
func (l DNSLists) DataValue() dataformat.Value {
	array := make(dataformat.Array, len(l))
	for i := range l {
		array[i] = l[i].DataValue()
	}
	return array
}

// names is what is asked of the DNS.
type names struct {
	resolver *resolver.Resolver // nil: nothing is asked
	listed   counters.Labelled
}

// UseResolver has the DNS asked by r. It is called before the first client comes.
func (p *Protection) UseResolver(r *resolver.Resolver) { p.names.resolver = r }

// Listed are the addresses that DNS lists had, by zone.
func (p *Protection) Listed() *counters.Labelled { return &p.names.listed }

// Inspection is a look at one client in the DNS, under way. The nil Inspection has found nothing.
type Inspection struct {
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu    sync.Mutex
	found []finding
}

type finding struct {
	list, answer string
	reject       bool
}

// Inspect begins to ask DNS lists, and for the name of an address. Stop ends it. Clients that are trusted are not looked at.
func (p *Protection) Inspect(ctx context.Context, ip netip.Addr) *Inspection {
	set := p.settings.Get()
	if p.names.resolver == nil || !ip.IsValid() || ip.IsLoopback() || p.Exempt(ip) || len(set.DNSLists)+len(set.Names) == 0 {
		return nil
	}
	i := new(Inspection)
	ctx, i.cancel = context.WithCancel(resolver.ForStranger(ctx, ip))
	for _, l := range set.DNSLists {
		if l.Action != "off" {
			i.work.Go(func() { p.askList(ctx, i, l, ip) })
		}
	}
	if len(set.Names) > 0 {
		i.work.Go(func() { p.askName(ctx, i, set.Names, ip) })
	}
	return i
}

// nameTimeout is how long the name of an address is waited for.
const nameTimeout = 5 * time.Second

func (p *Protection) askList(ctx context.Context, i *Inspection, l DNSList, ip netip.Addr) {
	ctx, cancel := context.WithTimeout(ctx, l.Timeout.Duration())
	defer cancel()
	zone := strings.ToLower(strings.TrimSuffix(l.Zone, "."))
	a, err := p.names.resolver.A(ctx, reversed(ip)+"."+zone)
	if err != nil {
		if !fault.Is(err, fault.NoHost) && ctx.Err() != context.Canceled {
			p.log.LogAttrs(ctx, logs.LevelLowLevel, "no answer of a DNS list", slog.String("zone", zone), slog.String(logs.AttrPeer, ip.String()), slog.Any(logs.AttrError, err))
		}
		return
	}
	for _, answer := range a.Records {
		if isListing(answer) {
			p.names.listed.Inc(zone)
			i.add(finding{zone, answer.String(), l.Action == "reject"})
			return
		}
	}
	if len(a.Records) > 0 {
		p.log.LogAttrs(ctx, logs.LevelProblem, "a DNS list does not answer this server, or has ended", slog.String("zone", zone), slog.String("answer", a.Records[0].String()))
	}
}

// isListing reports whether an answer says that an address is on a list (RFC 5782 sections 2.1 and 2.3). Lists answer
// 127.255.255.x to who may not ask them, and a domain that was sold answers anything.
func isListing(a netip.Addr) bool {
	b := a.As4()
	return b[0] == 127 && !(b[1] == 255 && b[2] == 255)
}

// reversed is an address as it stands before the zone of a DNS list (RFC 5782 sections 2.1 and 2.4).
func reversed(ip netip.Addr) string {
	var parts []string
	if ip.Is4() {
		for _, b := range ip.As4() {
			parts = append(parts, fmt.Sprint(b))
		}
	} else {
		for _, b := range ip.As16() {
			parts = append(parts, fmt.Sprintf("%x", b>>4), fmt.Sprintf("%x", b&15))
		}
	}
	slices.Reverse(parts)
	return strings.Join(parts, ".")
}

func (p *Protection) askName(ctx context.Context, i *Inspection, patterns []string, ip netip.Addr) {
	ctx, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	a, err := p.names.resolver.PTR(ctx, ip)
	if err != nil {
		return
	}
	for _, name := range a.Records {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		for _, pattern := range patterns {
			if matches(strings.ToLower(pattern), name) {
				i.add(finding{"the blacklist of host names", name, true})
				return
			}
		}
	}
}

// matches compares a name with a pattern, in which * stands for any text.
func matches(pattern, name string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return strings.HasSuffix(name, last)
}

func (i *Inspection) add(f finding) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.found = append(i.found, f)
}

// Result waits for all answers. reject is the list for which mail is refused, or empty; marks are the other lists
// with their answers, as zone (answer).
func (i *Inspection) Result() (reject string, marks []string) {
	if i == nil {
		return "", nil
	}
	i.work.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, f := range i.found {
		switch {
		case !f.reject:
			marks = append(marks, f.list+" ("+f.answer+")")
		case reject == "" || f.list < reject:
			reject = f.list
		}
	}
	slices.Sort(marks)
	return reject, marks
}

// Stop ends the look-ups.
func (i *Inspection) Stop() {
	if i != nil {
		i.cancel()
		i.work.Wait()
	}
}

// HostExists reports whether the DNS knows a host. Errors: Unavailable, Canceled.
func (p *Protection) HostExists(ctx context.Context, host string) (bool, error) {
	if p.names.resolver == nil {
		return true, nil
	}
	a, err := p.names.resolver.Addresses(ctx, host)
	switch {
	case fault.Is(err, fault.NoHost), fault.Is(err, fault.Invalid):
		return false, nil
	case err != nil:
		return false, err
	case len(a.Records) > 0:
		return true, nil
	}
	mx, err := p.names.resolver.MX(ctx, host)
	return len(mx.Records) > 0, err
}

// maxHosts is how many mail servers of a domain are looked up.
const maxHosts = 5

// ReturnPath reports why a domain cannot be that of a return-path, as nobody could be answered there: it does not exist, takes no mail
// (RFC 7505), or only through hosts that are blacklisted. Errors: Rejected, Unavailable, Canceled.
func (p *Protection) ReturnPath(ctx context.Context, domain string) error {
	const op = "protection.ReturnPath"
	r := p.names.resolver
	if r == nil {
		return nil
	}
	mx, err := r.MX(ctx, domain)
	switch {
	case fault.Is(err, fault.NoHost), fault.Is(err, fault.Invalid):
		return fault.New(op, fault.Rejected, "the domain does not exist")
	case err != nil:
		return err
	}
	if len(mx.Records) == 1 && strings.Trim(mx.Records[0].Host, ".") == "" {
		return fault.New(op, fault.Rejected, "the domain takes no mail")
	}
	if len(mx.Records) == 0 {
		switch exists, err := p.HostExists(ctx, domain); {
		case err != nil:
			return err
		case !exists:
			return fault.New(op, fault.Rejected, "the domain has no mail server")
		}
		return nil
	}
	if p.List(Blacklist).Empty() {
		return nil
	}
	known := false
	for _, m := range mx.Records[:min(len(mx.Records), maxHosts)] {
		a, err := r.Addresses(ctx, m.Host)
		if err != nil {
			return nil // one that may be a good one
		}
		for _, ip := range a.Records {
			if known = true; !p.Blacklisted(ip) {
				return nil
			}
		}
	}
	if known {
		return fault.New(op, fault.Rejected, "the mail servers of the domain are blacklisted")
	}
	return nil
}
