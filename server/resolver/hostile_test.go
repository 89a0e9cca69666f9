package resolver_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"gatepost/server/fault"
	"gatepost/server/resolver"
	"gatepost/server/resolver/resolvertest"
)

// server answers over UDP and TCP with what answer writes: nothing, or any packets.
func server(t *testing.T, answer func(q *dns.Msg, tcp bool) [][]byte) netip.AddrPort {
	t.Helper()
	packets, streams := resolvertest.Ports(t)
	var all sync.WaitGroup
	t.Cleanup(func() {
		packets.Close()
		streams.Close()
		all.Wait()
	})
	all.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := packets.ReadFrom(buf)
			if err != nil {
				return
			}
			q := new(dns.Msg)
			if q.Unpack(buf[:n]) != nil {
				continue
			}
			for _, p := range answer(q, false) {
				packets.WriteTo(p, from)
			}
		}
	})
	all.Go(func() {
		for {
			c, err := streams.Accept()
			if err != nil {
				return
			}
			conn := &dns.Conn{Conn: c}
			if q, err := conn.ReadMsg(); err == nil {
				for _, p := range answer(q, true) {
					conn.Write(p)
				}
			}
			c.Close()
		}
	})
	return packets.LocalAddr().(*net.UDPAddr).AddrPort()
}

// reply makes an answer with records, which change may spoil.
func reply(q *dns.Msg, change func(*dns.Msg), records ...string) []byte {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	if change != nil {
		change(m)
	}
	wire, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return wire
}

const good = "mx.example.org. 60 A 192.0.2.1"

func TestWhatIsNoAnswerIsPassedOver(t *testing.T) {
	forged := "mx.example.org. 60 A 203.0.113.66"
	for name, spoil := range map[string]func(*dns.Msg){
		"another id":        func(m *dns.Msg) { m.Id++ },
		"another name":      func(m *dns.Msg) { m.Question[0].Name = "mx.example.com." },
		"another type":      func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeMX },
		"another class":     func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS },
		"no question":       func(m *dns.Msg) { m.Question = nil },
		"two questions":     func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) },
		"a question":        func(m *dns.Msg) { m.Response = false },
		"another operation": func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify },
	} {
		r := asking(t, nil, server(t, func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{reply(q, spoil, forged), []byte("rubbish"), {}, reply(q, nil, good)}
		}))
		a, err := r.A(t.Context(), "mx.example.org")
		if err != nil || fmt.Sprint(a.Records) != "[192.0.2.1]" {
			t.Errorf("%s: %v, %v", name, a.Records, err)
		}
	}
}

func TestRecordsThatDoNotBelongToTheQuestion(t *testing.T) {
	r := asking(t, nil, server(t, func(q *dns.Msg, _ bool) [][]byte {
		return [][]byte{reply(q, func(m *dns.Msg) {
			m.Extra = append(m.Extra, m.Answer[1])
		}, "other.example.org. 60 A 203.0.113.66", "mx.example.org. 60 CH A 203.0.113.67", "mx.example.org. 60 MX 5 evil.example.", good)}
	}))
	a, err := r.A(t.Context(), "mx.example.org")
	if err != nil || fmt.Sprint(a.Records) != "[192.0.2.1]" {
		t.Errorf("%v, %v", a.Records, err)
	}
}

func TestAnswersOfNoUse(t *testing.T) {
	chain := func(q *dns.Msg) []string {
		var list []string
		for i := range 40 {
			list = append(list, fmt.Sprintf("c%d.example. 60 CNAME c%d.example.", i, i+1))
		}
		return append(list, "mx.example.org. 60 CNAME c0.example.", "c40.example. 60 A 192.0.2.1")
	}
	for name, c := range map[string]struct {
		answer func(q *dns.Msg, tcp bool) [][]byte
		want   string
	}{
		"silence": {func(*dns.Msg, bool) [][]byte { return nil }, "time-out"},
		"SERVFAIL": {func(q *dns.Msg, _ bool) [][]byte {
			return one(q, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure })
		}, "SERVFAIL"},
		"REFUSED":         {func(q *dns.Msg, _ bool) [][]byte { return one(q, func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }) }, "REFUSED"},
		"no recursion":    {func(q *dns.Msg, _ bool) [][]byte { return one(q, func(m *dns.Msg) { m.RecursionAvailable = false }) }, "does not look up for others"},
		"many CNAMEs":     {func(q *dns.Msg, _ bool) [][]byte { return [][]byte{reply(q, nil, chain(q)...)} }, "circles"},
		"CNAME to itself": {func(q *dns.Msg, _ bool) [][]byte { return one(q, nil, "mx.example.org. 60 CNAME mx.example.org.") }, "circles"},
		"CNAMEs in pieces": {func(q *dns.Msg, _ bool) [][]byte {
			return one(q, nil, q.Question[0].Name+" 60 CNAME x"+q.Question[0].Name)
		}, "circles"},
		"cut off, TCP gives another answer": {func(q *dns.Msg, tcp bool) [][]byte {
			return one(q, func(m *dns.Msg) {
				m.Truncated = !tcp
				m.Id += uint16(len(m.Answer)) // of the TCP answer alone
				if !tcp {
					m.Answer, m.Id = nil, q.Id
				}
			}, good)
		}, "cannot be reached"},
		"cut off, TCP is closed": {func(q *dns.Msg, tcp bool) [][]byte {
			if tcp {
				return nil
			}
			return one(q, func(m *dns.Msg) { m.Truncated = true })
		}, "cannot be reached"},
	} {
		r := asking(t, nil, server(t, c.answer))
		a, err := r.A(t.Context(), "mx.example.org")
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Text(err), c.want) {
			t.Errorf("%s: %v, %v", name, a.Records, err)
		}
	}
}

func one(q *dns.Msg, change func(*dns.Msg), records ...string) [][]byte {
	return [][]byte{reply(q, change, records...)}
}

func TestCNAMEToWhatIsNoName(t *testing.T) {
	r := asking(t, nil, server(t, func(q *dns.Msg, _ bool) [][]byte { return one(q, nil, `mx.example.org. 60 CNAME a\010b.example.`) }))
	_, err := r.A(t.Context(), "mx.example.org")
	if !fault.Is(err, fault.NoHost) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%q", err)
	}
}

func TestCNAMEsAreFollowedByFurtherQuestions(t *testing.T) {
	r := asking(t, nil, server(t, func(q *dns.Msg, _ bool) [][]byte {
		if q.Question[0].Name == "www.example.org." {
			return one(q, nil, "www.example.org. 60 CNAME mx.example.org.")
		}
		return one(q, nil, good)
	}))
	a, err := r.A(t.Context(), "www.example.org")
	if err != nil || fmt.Sprint(a.Records) != "[192.0.2.1]" || a.Name != "mx.example.org" {
		t.Errorf("%v, %v", a, err)
	}
}

func TestGiantSetsComeOverTCP(t *testing.T) {
	r := asking(t, func(s *resolver.Settings) { s.TimeOut *= 50 }, server(t, func(q *dns.Msg, tcp bool) [][]byte {
		var list []string
		for i := range 3000 {
			list = append(list, fmt.Sprintf("mx.example.org. 60 A 192.0.%d.%d", i/250, i%250))
		}
		return [][]byte{reply(q, func(m *dns.Msg) {
			m.Compress = true
			if !tcp {
				m.Truncate(512)
			}
		}, list...)}
	}))
	a, err := r.A(t.Context(), "mx.example.org")
	if err != nil || len(a.Records) != 1000 {
		t.Errorf("%d records, %v", len(a.Records), err)
	}
}

func TestNameServerWithoutEDNS(t *testing.T) {
	r := asking(t, nil, server(t, func(q *dns.Msg, _ bool) [][]byte {
		if q.IsEdns0() != nil {
			return one(q, func(m *dns.Msg) { m.Rcode, m.Question = dns.RcodeFormatError, nil })
		}
		return one(q, nil, good)
	}))
	if a, err := r.A(t.Context(), "mx.example.org"); err != nil || len(a.Records) != 1 {
		t.Errorf("%v, %v", a, err)
	}
}

func TestTheNextNameServer(t *testing.T) {
	var asked atomic.Int32
	silent := server(t, func(*dns.Msg, bool) [][]byte {
		asked.Add(1)
		return nil
	})
	refusing := server(t, func(q *dns.Msg, _ bool) [][]byte { return one(q, func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }) })
	answering := server(t, func(q *dns.Msg, _ bool) [][]byte { return one(q, nil, q.Question[0].Name+" 60 A 192.0.2.1") })
	r := asking(t, nil, silent, refusing, answering)
	for _, name := range []string{"a.example", "b.example", "c.example"} {
		begun := time.Now()
		if _, err := r.A(t.Context(), name); err != nil {
			t.Errorf("%s: %v after %s", name, err, time.Since(begun))
		}
	}
	if asked.Load() != 1 {
		t.Errorf("the silent name server was asked %d times before the others", asked.Load())
	}
}

func TestTheADBitOfOthers(t *testing.T) {
	secure := server(t, func(q *dns.Msg, _ bool) [][]byte {
		return one(q, func(m *dns.Msg) { m.AuthenticatedData = q.AuthenticatedData }, good)
	})
	for trust, want := range map[string]bool{"Loopback": true, "Always": true, "Never": false} {
		r := asking(t, func(s *resolver.Settings) { s.TrustAD = trust }, secure)
		if a, err := r.A(t.Context(), "mx.example.org"); err != nil || a.Secure != want {
			t.Errorf("%s: %v, %v", trust, a.Secure, err)
		}
	}
}

func TestEqualLookupsAreOne(t *testing.T) {
	asked, release := make(chan struct{}, 100), make(chan struct{})
	r := asking(t, func(s *resolver.Settings) { s.TimeOut *= 50 }, server(t, func(q *dns.Msg, _ bool) [][]byte {
		asked <- struct{}{}
		<-release
		return one(q, nil, good)
	}))
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			if _, err := r.A(t.Context(), "mx.example.org"); err != nil {
				t.Error(err)
			}
		})
	}
	<-asked
	close(release)
	all.Wait()
	if len(asked) > 0 {
		t.Errorf("asked %d times more", len(asked))
	}
}

func TestCloseEndsLookups(t *testing.T) {
	asked := make(chan struct{}, 8)
	r := asking(t, func(s *resolver.Settings) { s.TimeOut *= 50 }, server(t, func(*dns.Msg, bool) [][]byte {
		asked <- struct{}{}
		return nil
	}))
	failed := make(chan error)
	go func() {
		_, err := r.A(t.Context(), "mx.example.org")
		failed <- err
	}()
	<-asked
	r.Close()
	if err := <-failed; !fault.Is(err, fault.Canceled) {
		t.Error(err)
	}
	if _, err := r.A(t.Context(), "other.example.org"); !fault.Is(err, fault.Canceled) {
		t.Error(err)
	}
}

// Any bytes that look like an answer to our question are read without harm.
func FuzzAnswer(f *testing.F) {
	q := new(dns.Msg)
	q.SetQuestion("mx.example.org.", dns.TypeA)
	f.Add(reply(q, nil, good))
	f.Add(reply(q, nil, "mx.example.org. 60 CNAME b.example.", "b.example. 60 A 192.0.2.1"))
	f.Fuzz(func(t *testing.T, wire []byte) { resolver.ReadForTest(wire) })
}
