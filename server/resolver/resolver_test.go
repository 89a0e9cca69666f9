package resolver_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatepost/server/fault"
	"gatepost/server/resolver"
	"gatepost/server/resolver/resolvertest"
)

const records = `
	example.org.         MX 10 mx.example.org.
	example.org.         MX 20 backup.example.org.
	example.org.         TXT "v=spf1 " "-all" 
	quoted.example.org.  TXT "a \"b\" \\ \009 \255"
	mx.example.org.      A 192.0.2.1
	mx.example.org.      AAAA 2001:db8::1
	four.example.org.    A 192.0.2.4
	www.example.org.     CNAME web.example.org.
	web.example.org.     CNAME mx.example.org.
	gone.example.org.    CNAME nowhere.example.org.
	round.example.org.   CNAME about.example.org.
	about.example.org.   CNAME round.example.org.
	_25._tcp.mx.example.org. TLSA 3 1 1 AABB
	_imaps._tcp.example.org. SRV 0 1 993 mx.example.org.
	null.example.org.    MX 0 .
	1.2.0.192.in-addr.arpa. PTR MX.example.org.`

// Both a zone without a network and the same zone behind name servers answer alike.
func TestLookups(t *testing.T) {
	zone := resolvertest.New(t, records)
	zone.Fail("broken.example.org")
	zone.Secure("mx.example.org", "www.example.org")
	for name, r := range map[string]*resolver.Resolver{"zone": zone.Resolver(), "served": served(t, zone)} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			for _, c := range []struct {
				what string
				ask  func() (any, error)
				want string
			}{
				{"MX", asked(r.MX(ctx, "Example.ORG.")), "[{10 mx.example.org} {20 backup.example.org}] example.org secure=false"},
				{"null MX", asked(r.MX(ctx, "null.example.org")), "[{0 .}] null.example.org secure=false"},
				{"TXT", asked(r.TXT(ctx, "example.org")), "[v=spf1 -all] example.org secure=false"},
				{"quoted TXT", asked(r.TXT(ctx, "quoted.example.org")), "[a \"b\" \\ \t \xff] quoted.example.org secure=false"},
				{"A", asked(r.A(ctx, "mx.example.org")), "[192.0.2.1] mx.example.org secure=true"},
				{"both families", asked(r.Addresses(ctx, "mx.example.org")), "[2001:db8::1 192.0.2.1] mx.example.org secure=true"},
				{"one family", asked(r.Addresses(ctx, "four.example.org")), "[192.0.2.4] four.example.org secure=false"},
				{"a literal", asked(r.Addresses(ctx, "192.0.2.77")), "[192.0.2.77] 192.0.2.77 secure=false"},
				{"localhost", asked(r.A(ctx, "LocalHost.")), "[127.0.0.1] localhost secure=false"},
				{"CNAMEs, one of them not validated", asked(r.A(ctx, "www.example.org")), "[192.0.2.1] mx.example.org secure=false"},
				{"one CNAME", asked(r.CNAME(ctx, "www.example.org")), "[web.example.org] www.example.org secure=true"},
				{"no data", asked(r.AAAA(ctx, "four.example.org")), "[] four.example.org secure=false"},
				{"no data above a name", asked(r.A(ctx, "_tcp.mx.example.org")), "[] _tcp.mx.example.org secure=false"},
				{"TLSA", asked(r.TLSA(ctx, "_25._tcp.mx.example.org")), "[{3 1 1 aabb}] _25._tcp.mx.example.org secure=false"},
				{"SRV", asked(r.SRV(ctx, "_imaps._tcp.example.org")), "[{0 1 993 mx.example.org}] _imaps._tcp.example.org secure=false"},
				{"PTR", asked(r.PTR(ctx, netip.MustParseAddr("::ffff:192.0.2.1"))), "[mx.example.org] 1.2.0.192.in-addr.arpa secure=false"},
				{"unknown", asked(r.MX(ctx, "unknown.example.org")), "no such host"},
				{"CNAME to nothing", asked(r.A(ctx, "gone.example.org")), "no such host"},
				{"a circle", asked(r.A(ctx, "round.example.org")), "unavailable"},
				{"SERVFAIL", asked(r.A(ctx, "broken.example.org")), "unavailable"},
				{"SERVFAIL for both families", asked(r.Addresses(ctx, "broken.example.org")), "unavailable"},
				{"no name", asked(r.A(ctx, "a..b")), "invalid"},
				{"a long name", asked(r.A(ctx, strings.Repeat("a.", 127)+"bc")), "invalid"},
				{"a long label", asked(r.A(ctx, strings.Repeat("a", 64)+".example")), "invalid"},
				{"escapes", asked(r.A(ctx, `a\.b.example`)), "invalid"},
				{"the root", asked(r.A(ctx, ".")), "invalid"},
			} {
				got, err := c.ask()
				text := fmt.Sprint(got)
				if err != nil {
					text = fault.KindOf(err).String()
				}
				if text != c.want {
					t.Errorf("%s: %s (%v), not %s", c.what, text, err, c.want)
				}
			}
		})
	}
}

// asked makes an answer of any type one that can be compared as text.
func asked[T any](a resolver.Answer[T], err error) func() (any, error) {
	return func() (any, error) {
		list := slices.Clone(a.Records)
		slices.SortStableFunc(list, func(x, y T) int {
			if ip, ok := any(x).(netip.Addr); ok { // IPv6 first, as Addresses says
				other := any(y).(netip.Addr)
				return -ip.Compare(other)
			}
			return strings.Compare(fmt.Sprint(x), fmt.Sprint(y))
		})
		return fmt.Sprintf("%v %s secure=%v", list, a.Name, a.Secure), err
	}
}

func TestNamesInUnicode(t *testing.T) {
	zone := resolvertest.New(t, `xn--mnchen-3ya.example. A 192.0.2.9`)
	a, err := zone.Resolver().A(t.Context(), "München.example")
	if err != nil || len(a.Records) != 1 {
		t.Errorf("%v, %v", a, err)
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, err := resolvertest.New(t, records).Resolver().A(ctx, "mx.example.org")
	if !fault.Is(err, fault.Canceled) {
		t.Error(err)
	}
}

func TestTTLOfAnAnswer(t *testing.T) {
	zone := resolvertest.New(t, "a.example. 300 CNAME b.example.\nb.example. 20 A 192.0.2.1\nb.example. 40 A 192.0.2.2")
	a, err := served(t, zone).A(t.Context(), "a.example")
	if err != nil || a.TTL > 20*time.Second || a.TTL < 10*time.Second {
		t.Errorf("%v, %v", a.TTL, err)
	}
}
