package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// world is the Internet of a test: what happens at each address. An address without a word takes
// mail; "refused" refuses connections, "silent" does not answer; else the word is a greeting.
type world map[string]string

func (w world) dial(s *station) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, to string) (net.Conn, error) {
		s.mu.Lock()
		s.dialed = append(s.dialed, to)
		host, _, err := net.SplitHostPort(to)
		word := w[host]
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		client, server := net.Pipe()
		switch word {
		case "refused":
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		case "silent":
			<-ctx.Done()
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
		case "":
			p := &peer{ehlo: pipelining, say: func(_ int, line string) string { return fine(line) }}
			go p.session(1, server)
		default:
			go func() {
				defer server.Close()
				io.WriteString(server, word+"\r\n")
			}()
		}
		return client, nil
	}
}

func TestMailServersOfADomain(t *testing.T) {
	const two = `
		far.org.     MX 20 b.far.org.
		far.org.     MX 10 a.far.org.
		a.far.org.   A 192.0.2.1
		b.far.org.   A 192.0.2.2`
	for name, c := range map[string]struct {
		zone, failing string
		to            string // a@far.org if empty
		world         world
		dialed        string // in order
		want          string // without the address and "SMTP(queue)"
	}{
		"the best preference": {zone: two, dialed: "192.0.2.1:25", want: "relayed: relayed via a.far.org 2.0.0"},
		"the next one, a connection is refused": {zone: two, world: world{"192.0.2.1": "refused"}, dialed: "192.0.2.1:25 192.0.2.2:25",
			want: "relayed: relayed via b.far.org 2.0.0"},
		"the next one, nobody answers": {zone: two, world: world{"192.0.2.1": "silent"}, dialed: "192.0.2.1:25 192.0.2.2:25",
			want: "relayed: relayed via b.far.org 2.0.0"},
		"the next one after 421": {zone: two, world: world{"192.0.2.1": "421 busy"}, dialed: "192.0.2.1:25 192.0.2.2:25",
			want: "relayed: relayed via b.far.org 2.0.0"},
		"the next one after 554": {zone: two, world: world{"192.0.2.1": "554 no"}, dialed: "192.0.2.1:25 192.0.2.2:25",
			want: "relayed: relayed via b.far.org 2.0.0"},
		"all refuse for good": {zone: two, world: world{"192.0.2.1": "554 no", "192.0.2.2": "554 never"}, dialed: "192.0.2.1:25 192.0.2.2:25",
			want: "failed: connection refused by a.far.org: 554 no 5.0.0"},
		"one refuses for good, one does not answer": {zone: two, world: world{"192.0.2.1": "554 no", "192.0.2.2": "refused"}, dialed: "192.0.2.1:25 192.0.2.2:25",
			want: "delayed: cannot connect to b.far.org: connection refused 4.4.1"},
		"what a server says counts more than silence": {zone: two, world: world{"192.0.2.1": "450 later", "192.0.2.2": "refused"}, dialed: "192.0.2.1:25 192.0.2.2:25",
			want: "delayed: connection refused by a.far.org: 450 later 4.0.0"},
		"many addresses, both families": {zone: "far.org. MX 1 a.far.org.\na.far.org. A 192.0.2.1\na.far.org. AAAA 2001:db8::1",
			world: world{"192.0.2.1": "refused", "2001:db8::1": "refused"}, dialed: "[2001:db8::1]:25 192.0.2.1:25",
			want: "delayed: cannot connect to a.far.org: connection refused 4.4.1"},
		"no MX: the domain itself":           {zone: "far.org. A 192.0.2.3", dialed: "192.0.2.3:25", want: "relayed: relayed via far.org 2.0.0"},
		"no MX: the domain itself over IPv6": {zone: "far.org. AAAA 2001:db8::3", dialed: "[2001:db8::3]:25", want: "relayed: relayed via far.org 2.0.0"},
		"MX, and the domain's own address is not asked": {zone: "far.org. A 192.0.2.9\n" + two, world: world{"192.0.2.1": "refused", "192.0.2.2": "refused"},
			dialed: "192.0.2.1:25 192.0.2.2:25", want: "delayed: cannot connect to a.far.org: connection refused 4.4.1"},
		"null MX":               {zone: "far.org. MX 0 .\nfar.org. A 192.0.2.9", want: "failed: far.org does not take mail (null MX) 5.1.10"},
		"null MX beside others": {zone: "far.org. MX 0 .\n" + two, dialed: "192.0.2.1:25", want: "relayed: relayed via a.far.org 2.0.0"},
		"the domain is a CNAME": {zone: "far.org. CNAME near.org.\nnear.org. MX 1 a.far.org.\na.far.org. A 192.0.2.1", dialed: "192.0.2.1:25",
			want: "relayed: relayed via a.far.org 2.0.0"},
		"the domain is a CNAME of a host": {zone: "far.org. CNAME near.org.\nnear.org. A 192.0.2.4", dialed: "192.0.2.4:25", want: "relayed: relayed via far.org 2.0.0"},
		"the server is a CNAME": {zone: "far.org. MX 1 www.far.org.\nwww.far.org. CNAME a.far.org.\na.far.org. A 192.0.2.1", dialed: "192.0.2.1:25",
			want: "relayed: relayed via www.far.org 2.0.0"},
		"the domain does not exist":      {zone: "near.org. A 192.0.2.1", want: "failed: far.org does not exist 5.1.2"},
		"neither server nor address":     {zone: "far.org. TXT x", want: "failed: far.org has neither a mail server nor an address 5.4.4"},
		"no server has an address":       {zone: "far.org. MX 1 a.far.org.\nfar.org. MX 2 b.far.org.", want: "failed: none of the mail servers of far.org has an address 5.4.4"},
		"one server does not exist":      {zone: "far.org. MX 1 none.far.org.\n" + two, dialed: "192.0.2.1:25", want: "relayed: relayed via a.far.org 2.0.0"},
		"an MX that is an address":       {zone: "far.org. MX 1 192.0.2.1.", dialed: "192.0.2.1:25", want: "relayed: relayed via [192.0.2.1] 2.0.0"},
		"the DNS is silent":              {zone: two, failing: "far.org", want: "delayed: no answer from the DNS for the MX of far.org: SERVFAIL 4.4.3"},
		"the DNS is silent about a host": {zone: "far.org. MX 1 a.far.org.\na.far.org. A 192.0.2.1", failing: "a.far.org", want: "delayed: no answer from the DNS for the A of a.far.org: SERVFAIL 4.4.3"},
		"the DNS knows another host":     {zone: two, failing: "a.far.org", dialed: "192.0.2.2:25", want: "relayed: relayed via b.far.org 2.0.0"},

		// RFC 5321 section 5.1
		"we are the best, by name":    {zone: "far.org. MX 1 company.com.\nfar.org. MX 2 a.far.org.\na.far.org. A 192.0.2.1\ncompany.com. A 192.0.2.9", want: loop},
		"we are the best, as in EHLO": {zone: "far.org. MX 1 Mail.Company.com.\nmail.company.com. A 192.0.2.9", want: loop},
		"we are the best, by address": {zone: "far.org. MX 1 x.far.org.\nx.far.org. A 198.51.100.1\nfar.org. MX 2 a.far.org.\na.far.org. A 192.0.2.1", want: loop},
		"we are the domain itself":    {zone: "far.org. A 198.51.100.1", want: loop},
		"a server on this machine":    {zone: "far.org. MX 1 x.far.org.\nx.far.org. A 127.0.0.1", want: loop},
		"any address":                 {zone: "far.org. MX 1 x.far.org.\nx.far.org. A 0.0.0.0", want: loop},
		"an IPv4 address as IPv6":     {zone: "far.org. MX 1 x.far.org.\nx.far.org. AAAA ::ffff:127.0.0.1", want: loop},
		"we are as good as another":   {zone: "far.org. MX 1 company.com.\nfar.org. MX 1 a.far.org.\na.far.org. A 192.0.2.1", want: loop},
		"we are the backup": {zone: two + "\nfar.org. MX 15 company.com.", world: world{"192.0.2.1": "refused"}, dialed: "192.0.2.1:25",
			want: "delayed: cannot connect to a.far.org: connection refused 4.4.1"},
		"we are the backup, and the others are not known now": {zone: "far.org. MX 1 a.far.org.\nfar.org. MX 2 company.com.", failing: "a.far.org",
			want: "delayed: no answer from the DNS for the A of a.far.org: SERVFAIL 4.4.3"},

		// hosts that a record names
		"a named host, by MX":                   {zone: strings.ReplaceAll(two, "far.org", "x.direct"), to: "a@x.direct", dialed: "192.0.2.1:25", want: "relayed: relayed via a.x.direct 2.0.0"},
		"a named host that does not exist":      {to: "a@x.direct", want: "delayed: x.direct does not exist 4.4.3"},
		"a named host without an address":       {zone: "x.direct. TXT x", to: "a@x.direct", want: "delayed: x.direct has neither a mail server nor an address 4.4.3"},
		"a named host with a port":              {zone: "x.direct. MX 1 a.far.org.\nx.direct. A 192.0.2.5", to: "a@x.direct.2525", dialed: "192.0.2.5:2525", want: "relayed: relayed via x.direct 2.0.0"},
		"a named host with a port, and no host": {zone: "x.direct. MX 1 a.far.org.", to: "a@x.direct.2525", want: "delayed: x.direct has no address 4.4.3"},
		"a named host with a port, ourselves":   {zone: "x.direct. A 127.0.0.1", to: "a@x.direct.2525", dialed: "127.0.0.1:2525", want: "relayed: relayed via x.direct 2.0.0"},
		"a named host whose best server we are": {zone: "x.direct. MX 1 company.com.", to: "a@x.direct", want: strings.ReplaceAll(loop, "far.org", "x.direct")},
		"a literal":                             {to: "a@[192.0.2.7]", dialed: "192.0.2.7:25", want: "relayed: relayed via [192.0.2.7] 2.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStation(t, nil)
				defer s.stop()
				s.zone.Set(t, c.zone)
				s.zone.Fail(strings.Fields(c.failing)...)
				s.transport.dialer.dial = c.world.dial(s)
				to := c.to
				if to == "" {
					to = "a@far.org"
				}
				s.send(mailText, nil, to)
				time.Sleep(59 * time.Second) // longer than a connection is waited for, shorter than the next attempt
				synctest.Wait()
				s.results.mu.Lock()
				defer s.results.mu.Unlock()
				want := fmt.Sprintf("SMTP(%s) ", strings.TrimPrefix(to, "a@"))
				i := strings.LastIndex(c.want, " ")
				want += c.want[:i] + " " + to + c.want[i:]
				if got := strings.Join(s.results.lines, "\n"); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
				if got := strings.Join(s.dialed, " "); got != c.dialed {
					t.Errorf("dialed %s, not %s", got, c.dialed)
				}
			})
		})
	}
}

const loop = "failed: DNS loop: the mail server of far.org is this server, and the domain is not one of its own 5.4.6"

// Hosts of one preference are tried in a random order, each of its addresses once, ten in all.
func TestEqualMailServersShareTheMail(t *testing.T) {
	var zone strings.Builder
	for i := range 30 {
		fmt.Fprintf(&zone, "far.org. MX 5 m%d.far.org.\nm%d.far.org. A 192.0.2.%d\n", i, i, i+1)
	}
	first := map[string]bool{}
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, nil)
			defer s.stop()
			s.zone.Set(t, zone.String())
			s.refuse = errors.New("connection refused")
			s.send(mailText, nil, "a@far.org")
			synctest.Wait()
			first[s.dialed[0]] = true
			if len(s.dialed) != maxTries || len(slices.Compact(slices.Sorted(slices.Values(s.dialed)))) != maxTries {
				t.Errorf("dialed %v", s.dialed)
			}
		})
	}
	if len(first) < 5 {
		t.Errorf("20 first tries at %d of 30 hosts", len(first))
	}
}

// A host that did not answer is not waited for again by each connection.
func TestSilentAddressIsTriedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		defer s.stop()
		s.zone.Set(t, "far.org. MX 1 a.far.org.\nfar.org. MX 2 b.far.org.\na.far.org. A 192.0.2.1\nb.far.org. A 192.0.2.2")
		w := world{"192.0.2.1": "silent"}
		s.transport.dialer.dial = w.dial(s)
		for range 2 {
			s.send(mailText, nil, "a@far.org")
			time.Sleep(time.Minute) // longer than a connection is kept
		}
		s.mu.Lock()
		w["192.0.2.2"] = "refused"
		s.mu.Unlock()
		s.send(mailText, nil, "a@far.org")
		time.Sleep(50 * time.Second)
		synctest.Wait()
		if got, want := strings.Join(s.dialed, " "), "192.0.2.1:25 192.0.2.2:25 192.0.2.2:25 192.0.2.2:25 192.0.2.1:25"; got != want {
			t.Errorf("dialed %s, not %s", got, want)
		}
		s.mu.Lock()
		delete(w, "192.0.2.1")
		s.mu.Unlock()
		time.Sleep(2 * deadFor)
		s.send(mailText, nil, "b@far.org")
		synctest.Wait()
		if last := s.dialed[len(s.dialed)-1]; last != "192.0.2.1:25" {
			t.Errorf("dialed %v", s.dialed)
		}
	})
}

// Servers that take a connection and say nothing cost five minutes each: not ten of them in a row.
func TestServersThatSayNothingDoNotAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		defer s.stop()
		var zone strings.Builder
		for i := range 10 {
			fmt.Fprintf(&zone, "far.org. MX 5 m%d.far.org.\nm%d.far.org. A 192.0.2.%d\n", i, i, i+1)
		}
		s.zone.Set(t, zone.String())
		s.send(mailText, nil, "a@far.org")
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		if n := len(s.dialed); n != 2 {
			t.Errorf("%d tries", n)
		}
		close(s.waiting)
		for c := range s.waiting {
			c.Close()
		}
	})
}

func TestDomainsWithOneMailServerShareItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		defer s.stop()
		s.zone.Set(t, "far.org. MX 1 mx.test.\nnear.org. MX 1 mx.test.\n"+mxTest)
		s.transport.dialer.dial = world{}.dial(s)
		for _, to := range []string{"a@far.org", "a@near.org"} {
			s.send(mailText, nil, to)
			synctest.Wait()
		}
		s.want("SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(near.org) relayed: relayed via mx.test a@near.org 2.0.0")
		if len(s.dialed) != 1 {
			t.Errorf("dialed %v", s.dialed)
		}
	})
}

func TestGroupNamesTheHosts(t *testing.T) {
	s := newStation(t, nil)
	defer s.stop()
	s.zone.Set(t, "far.org. MX 5 b.far.org.\nfar.org. MX 5 A.far.org.\nfar.org. MX 7 c.far.org.\nnear.org. A 192.0.2.1")
	s.zone.Fail("slow.org")
	for route, want := range map[router.Route]string{
		{Address: address.Address{Local: "a", Domain: "far.org"}}:  "a.far.org,b.far.org",
		{Address: address.Address{Local: "a", Domain: "near.org"}}: "near.org",
		{Address: address.Address{Local: "a", Domain: "slow.org"}}: "",
		{Address: address.Address{Local: "a", Domain: "none.org"}}: "",
		{Host: "far.org"}:               "a.far.org,b.far.org",
		{Host: "Far.org", Port: 2525}:   "far.org:2525",
		{Host: "[IPv6:2001:db8::1]"}:    "2001:db8::1",
		{Host: "192.0.2.1", Port: 2525}: "192.0.2.1:2525",
	} {
		if got := s.transport.Group(t.Context(), &queue.Batch{Items: []*queue.Item{{Envelope: new(envelope.Envelope), Routes: []router.Route{route}}}}); got != want {
			t.Errorf("%v: %q, not %q", route, got, want)
		}
	}
	for text, want := range map[string]string{"Smart.test": "smart.test", "smart.test:587": "smart.test:587"} {
		set := new(Settings)
		if err := settings.Load(set, dataformat.Dict{"SmartHost": dataformat.String(text)}); err != nil {
			t.Fatal(err)
		}
		s.set.Set(set)
		route := router.Route{Address: address.Address{Local: "a", Domain: "far.org"}}
		if got := s.transport.Group(t.Context(), &queue.Batch{Items: []*queue.Item{{Envelope: new(envelope.Envelope), Routes: []router.Route{route}}}}); got != want {
			t.Errorf("smart host %s: %q", text, got)
		}
	}
}

func TestWhomWeBackUp(t *testing.T) {
	s := newStation(t, nil)
	defer s.stop()
	s.zone.Set(t, `
		backed.org. MX 1 a.backed.org.
		backed.org. MX 2 company.com.
		byaddr.org. MX 1 a.backed.org.
		byaddr.org. MX 2 x.byaddr.org.
		x.byaddr.org. A 198.51.100.1
		best.org. MX 1 company.com.
		best.org. MX 2 a.backed.org.
		other.org. MX 1 a.backed.org.
		null.org. MX 0 .
		a.backed.org. A 192.0.2.1`)
	s.zone.Fail("slow.org")
	for domain, want := range map[string]string{"backed.org": "true", "byaddr.org": "true", "best.org": "false", "other.org": "false",
		"null.org": "false", "none.org": "false", "slow.org": "no answer from the DNS for the MX of slow.org: SERVFAIL"} {
		ok, err := s.transport.BacksUp(t.Context(), domain)
		got := fmt.Sprint(ok)
		if err != nil {
			got = strings.TrimPrefix(err.Error(), "relay.BacksUp: ")
		}
		if got != want {
			t.Errorf("%s: %s, not %s", domain, got, want)
		}
	}
}
