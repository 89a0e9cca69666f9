package protection

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/resolver"
	"gatepost/server/resolver/resolvertest"
	"gatepost/server/settings"

	"github.com/miekg/dns"
)

// with changes the settings of p.
func (p *Protection) with(change func(*Settings)) {
	set := *p.settings.Get()
	change(&set)
	p.settings.Set(&set)
}

const listZone = `
7.100.51.198.bl.test. A 127.0.0.2
7.100.51.198.grey.test. A 127.0.0.10
8.100.51.198.bl.test. A 127.255.255.254
8.100.51.198.sold.test. A 203.0.113.5
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test. A 127.0.0.4
9.100.51.198.in-addr.arpa. PTR host-9.adsl.isp.test.
10.100.51.198.in-addr.arpa. PTR mail.isp.test.
`

// RFC 5782: only answers in 127/8 are listings, and those by which a list turns this server away are none.
func TestDNSLists(t *testing.T) {
	p := open(t)
	p.UseResolver(resolvertest.New(t, listZone).Resolver())
	var lists DNSLists
	must(t, lists.SetValue(dataformat.Array{dataformat.String("bl.test"), dataformat.Dict{"Zone": dataformat.String("GREY.test."), "Action": dataformat.String("mark")},
		dataformat.String("sold.test"), dataformat.Dict{"Zone": dataformat.String("off.test"), "Action": dataformat.String("off")}}))
	p.with(func(s *Settings) { s.DNSLists, s.Names = lists, []string{"*.adsl.*", "*.dynamic.*"} })
	look := func(address string) string {
		i := p.Inspect(ctx, ip(address))
		defer i.Stop()
		reject, marks := i.Result()
		return strings.TrimSpace(reject + " " + strings.Join(marks, ","))
	}
	for address, want := range map[string]string{
		"198.51.100.7": "bl.test grey.test (127.0.0.10)", "198.51.100.8": "", "198.51.100.6": "", "2001:db8::1": "bl.test",
		"198.51.100.9": "the blacklist of host names", "198.51.100.10": "", "127.0.0.1": "",
	} {
		if got := look(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	must(t, p.SetList(ctx, WhiteHoles, "198.51.100.0/24"))
	if got := look("198.51.100.7"); got != "" {
		t.Errorf("a White Hole is on %s", got)
	}
	n := 0
	p.Listed().Each(func(_ string, k uint64) { n += int(k) })
	if n != 3 {
		t.Errorf("%d are counted", n)
	}
}

// silent never answers.
type silent struct{}

func (silent) Ask(ctx context.Context, _ string, _ uint16) (resolver.Answer[dns.RR], error) {
	<-ctx.Done()
	return resolver.Answer[dns.RR]{}, fault.Wrap("test", fault.Unavailable, ctx.Err())
}

func TestASilentDNSListBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		p.UseResolver(resolver.Of(silent{}))
		p.with(func(s *Settings) {
			s.DNSLists = DNSLists{{Zone: "bl.test", Action: "reject", Timeout: settings.Period(3 * time.Second)}}
		})
		began := time.Now()
		i := p.Inspect(ctx, ip("198.51.100.7"))
		if reject, _ := i.Result(); reject != "" || time.Since(began) != 3*time.Second {
			t.Errorf("%q after %v", reject, time.Since(began))
		}
		i.Stop()
		began = time.Now()
		p.Inspect(ctx, ip("198.51.100.7")).Stop() // the client has gone
		if time.Since(began) != 0 {
			t.Errorf("the end took %v", time.Since(began))
		}
	})
}

func TestDNSListsThatCannotBe(t *testing.T) {
	for _, bad := range []string{`""`, `{Zone="a b";}`, `{Zone=bl.test;Timeout=1h;}`, `{Zone=bl.test;Action=burn;}`, `{Zone="user@bl.test";}`} {
		v, err := dataformat.Parse([]byte("(" + bad + ")"))
		must(t, err)
		if err := new(DNSLists).SetValue(v); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestPatternsOfNames(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*.adsl.*", "h.adsl.isp.test", true}, {"*.adsl.*", "adsl.isp.test", false}, {"mail.test", "mail.test", true}, {"mail.test", "a.mail.test", false},
		{"*", "anything", true}, {"a*a", "a", false}, {"a*b*c", "axxbxxc", true}, {"a*b*c", "axxcxxb", false}, {strings.Repeat("*a", 50), strings.Repeat("a", 200), true},
	} {
		if got := matches(c.pattern, c.name); got != c.want {
			t.Errorf("%s, %s: %v", c.pattern, c.name, got)
		}
	}
}

func TestDomainsOfReturnPaths(t *testing.T) {
	p := open(t)
	zone := resolvertest.New(t, `
good.test. MX 10 mx.good.test.
mx.good.test. A 192.0.2.1
host.test. A 192.0.2.2
text.test. TXT "nothing else"
null.test. MX 0 .
bad.test. MX 10 mx.bad.test.
mx.bad.test. A 203.0.113.1
`)
	zone.Fail("broken.test")
	p.UseResolver(zone.Resolver())
	must(t, p.SetList(ctx, Blacklist, "203.0.113.0/24"))
	for domain, want := range map[string]fault.Kind{"good.test": 0, "host.test": 0, "text.test": fault.Rejected, "null.test": fault.Rejected,
		"missing.test": fault.Rejected, "bad.test": fault.Rejected, "broken.test": fault.Unavailable} {
		err := p.ReturnPath(ctx, domain)
		if err == nil && want != 0 || err != nil && fault.KindOf(err) != want {
			t.Errorf("%s: %v", domain, err)
		}
	}
}
