package resolver

import (
	"cmp"
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"gatepost/server/fault"
)

// Answer is what the DNS says to one question.
type Answer[T any] struct {
	// Records are those of the type that was asked for, in the order in which they came. There may
	// be none: the name exists, and has no records of the type.
	Records []T
	// Name is the name that has the records: that of the question, or where its CNAMEs lead.
	// It is in lower case and has no dot at its end.
	Name string
	// Secure says that DNSSEC has validated the answer, all CNAMEs included.
	Secure bool
	// TTL is how long the answer holds from now on.
	TTL time.Duration
}

// Source answers questions: New has one over name servers, package resolvertest one with fixed answers.
type Source interface {
	// Ask looks up a name, absolute and in lower case without a dot at its end, with the errors of
	// the package comment. The caller does not change the records.
	Ask(ctx context.Context, name string, qtype uint16) (Answer[dns.RR], error)
}

// Resolver makes look-ups. It is safe for use by many goroutines.
type Resolver struct {
	source Source
	hosts  *hosts // nil: only the DNS is asked
	close  func()
}

// Of returns a resolver over any source.
func Of(source Source) *Resolver { return &Resolver{source: source, close: func() {}} }

// Close ends look-ups that are under way; they fail.
func (r *Resolver) Close() { r.close() }

// MX is one mail exchanger of a domain.
type MX struct {
	// Preference is smaller for a better exchanger.
	Preference uint16
	// Host is its name; "." in a null MX (RFC 7505).
	Host string
}

// SRV is one server of a service (RFC 2782).
type SRV struct {
	Priority, Weight, Port uint16
	// Host is its name; "." says that there is no such service.
	Host string
}

// TLSA says which certificate a server has (RFC 6698).
type TLSA struct {
	Usage, Selector, MatchingType uint8
	// Data is the certificate, key or hash in lower-case hexadecimal.
	Data string
}

// MX returns the mail exchangers of a domain, in no order.
func (r *Resolver) MX(ctx context.Context, domain string) (Answer[MX], error) {
	return lookup(ctx, r, domain, dns.TypeMX, func(rr *dns.MX) (MX, bool) {
		return MX{Preference: rr.Preference, Host: plainName(rr.Mx)}, true
	})
}

// TXT returns texts; the strings of each record are joined (RFC 7208 section 3.3).
func (r *Resolver) TXT(ctx context.Context, name string) (Answer[string], error) {
	return lookup(ctx, r, name, dns.TypeTXT, func(rr *dns.TXT) (string, bool) { return unescape(strings.Join(rr.Txt, "")), true })
}

// PTR returns the names of an address.
func (r *Resolver) PTR(ctx context.Context, ip netip.Addr) (Answer[string], error) {
	name, err := dns.ReverseAddr(ip.Unmap().WithZone("").String())
	if err != nil {
		return Answer[string]{}, fault.Newf("resolver.PTR", fault.Invalid, "%q is not an address", ip)
	}
	return lookup(ctx, r, name, dns.TypePTR, func(rr *dns.PTR) (string, bool) { return plainName(rr.Ptr), true })
}

// SRV returns the servers of a service, named as _imaps._tcp.example.org.
func (r *Resolver) SRV(ctx context.Context, name string) (Answer[SRV], error) {
	return lookup(ctx, r, name, dns.TypeSRV, func(rr *dns.SRV) (SRV, bool) {
		return SRV{Priority: rr.Priority, Weight: rr.Weight, Port: rr.Port, Host: plainName(rr.Target)}, true
	})
}

// TLSA returns the certificates of a server, named as _25._tcp.mx.example.org.
func (r *Resolver) TLSA(ctx context.Context, name string) (Answer[TLSA], error) {
	return lookup(ctx, r, name, dns.TypeTLSA, func(rr *dns.TLSA) (TLSA, bool) {
		return TLSA{Usage: rr.Usage, Selector: rr.Selector, MatchingType: rr.MatchingType, Data: strings.ToLower(rr.Certificate)}, true
	})
}

// CNAME returns where a name points to, one step far.
func (r *Resolver) CNAME(ctx context.Context, name string) (Answer[string], error) {
	return lookup(ctx, r, name, dns.TypeCNAME, func(rr *dns.CNAME) (string, bool) { return plainName(rr.Target), true })
}

// NS returns the names of a domain's authoritative servers.
func (r *Resolver) NS(ctx context.Context, domain string) (Answer[string], error) {
	return lookup(ctx, r, domain, dns.TypeNS, func(rr *dns.NS) (string, bool) { return plainName(rr.Ns), true })
}

// A returns the IPv4 addresses of a name.
func (r *Resolver) A(ctx context.Context, host string) (Answer[netip.Addr], error) {
	if a, ok := local(host, netip.AddrFrom4([4]byte{127, 0, 0, 1})); ok {
		return a, nil
	}
	return lookup(ctx, r, host, dns.TypeA, func(rr *dns.A) (netip.Addr, bool) {
		ip, ok := netip.AddrFromSlice(rr.A)
		return ip.Unmap(), ok && ip.Unmap().Is4()
	})
}

// AAAA returns the IPv6 addresses of a name.
func (r *Resolver) AAAA(ctx context.Context, host string) (Answer[netip.Addr], error) {
	if a, ok := local(host, netip.IPv6Loopback()); ok {
		return a, nil
	}
	return lookup(ctx, r, host, dns.TypeAAAA, func(rr *dns.AAAA) (netip.Addr, bool) {
		ip, ok := netip.AddrFromSlice(rr.AAAA)
		return ip, ok && ip.Is6()
	})
}

// local answers for this machine's own name (RFC 6761 section 6.3).
func local(host string, ip netip.Addr) (Answer[netip.Addr], bool) {
	name := plainName(host)
	if name != "localhost" && !strings.HasSuffix(name, ".localhost") {
		return Answer[netip.Addr]{}, false
	}
	return Answer[netip.Addr]{Records: []netip.Addr{ip}, Name: name, TTL: time.Hour}, true
}

// Addresses returns the addresses of a host to connect to: IPv6 first, then IPv4. A name that /etc/hosts
// has is not looked up in the DNS; an address is its own answer. If only one of the two questions
// is answered, its addresses are what there is.
func (r *Resolver) Addresses(ctx context.Context, host string) (Answer[netip.Addr], error) {
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		return Answer[netip.Addr]{Records: []netip.Addr{ip}, Name: host, TTL: time.Hour}, nil
	}
	if r.hosts != nil {
		if ips := r.hosts.addresses(plainName(host)); ips != nil {
			return Answer[netip.Addr]{Records: ips, Name: plainName(host), TTL: time.Minute}, nil
		}
	}
	type result struct {
		Answer[netip.Addr]
		err error
	}
	other := make(chan result, 1)
	go func() {
		a, err := r.AAAA(ctx, host)
		other <- result{a, err}
	}()
	v4, err4 := r.A(ctx, host)
	v6 := <-other
	switch {
	case err4 == nil && v6.err == nil:
		return Answer[netip.Addr]{Records: append(v6.Records[:len(v6.Records):len(v6.Records)], v4.Records...), Name: v4.Name,
			Secure: v4.Secure && v6.Secure, TTL: min(v4.TTL, v6.TTL)}, nil
	case err4 == nil && len(v4.Records) > 0:
		v4.Secure = false
		return v4, nil
	case v6.err == nil && len(v6.Records) > 0:
		v6.Secure = false
		return v6.Answer, nil
	case err4 != nil && fault.KindOf(err4).Temporary():
		return Answer[netip.Addr]{}, err4
	}
	return Answer[netip.Addr]{}, cmp.Or(v6.err, err4)
}

// lookup asks for one type and converts its records. Those that convert refuses are left out.
func lookup[R dns.RR, T any](ctx context.Context, r *Resolver, name string, qtype uint16, convert func(R) (T, bool)) (Answer[T], error) {
	name, err := absolute(name)
	if err != nil {
		return Answer[T]{}, err
	}
	found, err := r.source.Ask(ctx, name, qtype)
	if err != nil {
		return Answer[T]{}, err
	}
	out := Answer[T]{Name: found.Name, Secure: found.Secure, TTL: found.TTL}
	for _, rr := range found.Records {
		typed, ok := rr.(R)
		if !ok {
			continue
		}
		if v, ok := convert(typed); ok {
			out.Records = append(out.Records, v)
		}
	}
	return out, nil
}

// The limits of a name in its text form (RFC 1035 section 2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

// absolute returns a name as it is asked for: in ASCII and lower case, without a dot at its end.
func absolute(name string) (string, error) {
	bad := func() (string, error) {
		return "", fault.Newf("resolver.Name", fault.Invalid, "%.100q is not a name that the DNS could have", name)
	}
	plain := plainName(name)
	for _, c := range []byte(plain) {
		if c >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(plain)
			if err != nil {
				return bad()
			}
			plain = strings.ToLower(ascii)
			break
		}
	}
	if plain == "" || len(plain) > maxName {
		return bad()
	}
	for label := range strings.SplitSeq(plain, ".") {
		if label == "" || len(label) > maxLabel {
			return bad()
		}
		for _, c := range []byte(label) {
			if c <= ' ' || c >= 0x7f || c == '\\' {
				return bad()
			}
		}
	}
	return plain, nil
}

// plainName is a name in lower case without the dot at its end; the root stays ".".
func plainName(name string) string {
	if name == "." {
		return name
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// unescape turns a text of the library, in which some octets are written \DDD or \X, into what it means.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		if i+3 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3]) {
			out = append(out, (s[i+1]-'0')*100+(s[i+2]-'0')*10+(s[i+3]-'0'))
			i += 3
			continue
		}
		i++
		out = append(out, s[i])
	}
	return string(out)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
