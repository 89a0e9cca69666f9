// Package resolvertest has a DNS for tests: a zone in the form of master files, asked without a
// network, or served on a port of this machine.
//
//	zone := resolvertest.New(t, `
//		example.org.    MX 10 mx.example.org.
//		mx.example.org. A 192.0.2.1`)
//	zone.Fail("slow.example")
//	r := zone.Resolver()
package resolvertest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"gatepost/server/fault"
	"gatepost/server/resolver"
)

// Zone is all that the DNS of a test knows. A name that has no record, and is above none, does not
// exist. Records without a TTL have an hour.
type Zone struct {
	mu      sync.Mutex
	records []dns.RR
	failing map[string]bool
	secure  map[string]bool
	asked   map[string]int
}

// New returns a zone with records in the form of master files (RFC 1035 section 5), names complete.
func New(t testing.TB, records string) *Zone {
	t.Helper()
	z := &Zone{failing: map[string]bool{}, secure: map[string]bool{}, asked: map[string]int{}}
	z.Set(t, records)
	return z
}

// Set replaces the records.
func (z *Zone) Set(t testing.TB, records string) {
	t.Helper()
	var list []dns.RR
	for line := range strings.Lines(records) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == ';' {
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("record %q: %v", line, err)
		}
		list = append(list, rr)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records = list
}

// Fail makes questions about names fail as if no name server answered.
func (z *Zone) Fail(names ...string) { z.mark(z.failing, true, names) }

// Work ends Fail.
func (z *Zone) Work(names ...string) { z.mark(z.failing, false, names) }

// Secure makes answers about names validated ones.
func (z *Zone) Secure(names ...string) { z.mark(z.secure, true, names) }

// Insecure ends Secure.
func (z *Zone) Insecure(names ...string) { z.mark(z.secure, false, names) }

func (z *Zone) mark(set map[string]bool, value bool, names []string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, n := range names {
		set[plain(n)] = value
	}
}

// Asked counts the questions of a type, such as "MX", about a name.
func (z *Zone) Asked(name, qtype string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[plain(name)+" "+qtype]
}

// Resolver returns a resolver that asks the zone.
func (z *Zone) Resolver() *resolver.Resolver { return resolver.Of(z) }

// Ask answers from the zone (resolver.Source).
func (z *Zone) Ask(ctx context.Context, name string, qtype uint16) (resolver.Answer[dns.RR], error) {
	if err := ctx.Err(); err != nil {
		return resolver.Answer[dns.RR]{}, fault.Wrap("resolvertest.Ask", fault.Canceled, err)
	}
	chain, found, at, secure, failed := z.find(name, qtype)
	switch {
	case failed:
		return resolver.Answer[dns.RR]{}, fault.Newf("resolvertest.Ask", fault.Unavailable,
			"no answer from the DNS for the %s of %s: SERVFAIL", dns.TypeToString[qtype], name)
	case !found:
		return resolver.Answer[dns.RR]{}, fault.Newf("resolvertest.Ask", fault.NoHost, "%s does not exist", at)
	}
	a := resolver.Answer[dns.RR]{Name: at, Secure: secure, TTL: time.Hour}
	for _, rr := range chain {
		a.TTL = min(a.TTL, time.Duration(rr.Header().Ttl)*time.Second)
		if rr.Header().Rrtype == qtype {
			a.Records = append(a.Records, rr)
		}
	}
	return a, nil
}

// find returns the records of a type with the CNAMEs before them, and the name where these lead.
func (z *Zone) find(name string, qtype uint16) (chain []dns.RR, found bool, at string, secure, failed bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	at, secure = plain(name), true
	z.asked[at+" "+dns.TypeToString[qtype]]++
	for range 16 {
		if z.failing[at] {
			return nil, false, at, false, true
		}
		secure = secure && z.secure[at]
		next, hit, exists := "", false, false
		for _, rr := range z.records {
			owner := plain(rr.Header().Name)
			exists = exists || owner == at || strings.HasSuffix(owner, "."+at)
			if owner != at {
				continue
			}
			switch cname, is := rr.(*dns.CNAME); {
			case rr.Header().Rrtype == qtype:
				chain, hit = append(chain, rr), true
			case is:
				chain, next = append(chain, rr), plain(cname.Target)
			}
		}
		if hit || next == "" {
			return chain, exists, at, secure, false
		}
		at = next
	}
	return nil, false, at, false, true
}

func plain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Serve answers for the zone over UDP and TCP on a loopback port until the test ends.
func (z *Zone) Serve(t testing.TB) netip.AddrPort {
	t.Helper()
	packets, streams := Ports(t)
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: z}, {Listener: streams, Handler: z}} {
		started, ended := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			s.Shutdown()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	return packets.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Ports returns a port of this machine for UDP and TCP. Somebody else may have the one without the other.
func Ports(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	var failed error
	for range 20 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		streams, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, streams
		}
		failed = errors.Join(err, packets.Close())
	}
	t.Fatal(failed)
	return nil, nil
}

// ServeDNS answers one question (dns.Handler).
func (z *Zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	chain, found, at, secure, failed := z.find(q.Question[0].Name, q.Question[0].Qtype)
	m.Answer, m.AuthenticatedData = chain, secure
	switch {
	case failed:
		m.Rcode = dns.RcodeServerFailure
	case !found:
		m.Rcode = dns.RcodeNameError
	}
	if !failed {
		m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: at + ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
			Ns: "ns.invalid.", Mbox: "hostmaster.invalid.", Minttl: 60}}
	}
	size := dns.MinMsgSize
	if o := q.IsEdns0(); o != nil {
		size = int(o.UDPSize())
		m.SetEdns0(4096, false)
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		m.Truncate(size)
	}
	w.WriteMsg(m)
}
