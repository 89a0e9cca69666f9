package resolver

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

func TestCacheKeepsForTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cache
		q := question{"a.example", dns.TypeA}
		c.put(q, Answer[dns.RR]{Name: "a.example"}, nil, 10*time.Second, 1<<20, c.generation())
		time.Sleep(6 * time.Second)
		if a, err, ok := c.get(q); !ok || err != nil || a.TTL != 4*time.Second {
			t.Errorf("%v, %v, %v", a.TTL, err, ok)
		}
		time.Sleep(4 * time.Second)
		if _, _, ok := c.get(q); ok || c.size != 0 {
			t.Errorf("kept beyond its time, size %d", c.size)
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	var c cache
	const limit = 10_000
	for i := range 1000 {
		c.put(question{fmt.Sprint(i), dns.TypeA}, Answer[dns.RR]{}, nil, time.Hour, limit, 0)
		c.get(question{"0", dns.TypeA}) // asked for again and again
	}
	if c.size > limit || len(c.entries) != c.order.Len() || len(c.entries) < 10 {
		t.Errorf("%d bytes in %d entries, %d in order", c.size, len(c.entries), c.order.Len())
	}
	if _, _, ok := c.get(question{"0", dns.TypeA}); !ok {
		t.Error("what is asked for most was evicted")
	}
	big := Answer[dns.RR]{Records: make([]dns.RR, 100)}
	for i := range big.Records {
		big.Records[i] = &dns.A{A: []byte{192, 0, 2, 1}}
	}
	entries := len(c.entries)
	c.put(question{"big", dns.TypeA}, big, nil, time.Hour, limit, 0)
	if len(c.entries) < entries/2 {
		t.Error("an answer that is not kept has evicted others")
	}
	c.put(question{"x", dns.TypeA}, Answer[dns.RR]{}, nil, time.Hour, 0, 0)
	if len(c.entries) != 0 {
		t.Error("a size of 0 keeps something")
	}
}

func TestAnswersFromBeforeAResetAreNotKept(t *testing.T) {
	var c cache
	before := c.generation()
	c.reset()
	c.put(question{"a.example", dns.TypeA}, Answer[dns.RR]{}, nil, time.Hour, 1<<20, before)
	if len(c.entries) != 0 {
		t.Error("kept")
	}
}

func TestHowLongThingsAreKept(t *testing.T) {
	soa := func(ttl, minimum uint32) dns.RR {
		return &dns.SOA{Hdr: dns.RR_Header{Rrtype: dns.TypeSOA, Ttl: ttl}, Minttl: minimum}
	}
	a := func(ttl uint32) dns.RR {
		return &dns.A{Hdr: dns.RR_Header{Name: "a.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}, A: []byte{192, 0, 2, 1}}
	}
	for name, c := range map[string]struct {
		msg  dns.Msg
		want time.Duration
	}{
		"the least TTL":           {dns.Msg{Answer: []dns.RR{a(100), a(50)}}, 50 * time.Second},
		"a day at most":           {dns.Msg{Answer: []dns.RR{a(1 << 30)}}, 24 * time.Hour},
		"the highest bit":         {dns.Msg{Answer: []dns.RR{a(1 << 31)}}, 0},
		"SOA minimum":             {dns.Msg{Ns: []dns.RR{soa(500, 60)}}, time.Minute},
		"TTL of the SOA":          {dns.Msg{Ns: []dns.RR{soa(30, 60)}}, 30 * time.Second},
		"three hours of nothing":  {dns.Msg{Ns: []dns.RR{soa(90000, 90000)}}, 3 * time.Hour},
		"nothing without a SOA":   {dns.Msg{}, 0},
		"no such name with a SOA": {dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeNameError}, Ns: []dns.RR{soa(500, 60)}}, time.Minute},
	} {
		if got := read(question{"a.example", dns.TypeA}, &c.msg, maxLinks); got.ttl != c.want {
			t.Errorf("%s: %v, not %v", name, got.ttl, c.want)
		}
	}
}

func TestSystemFiles(t *testing.T) {
	dir := t.TempDir()
	conf, hostsPath := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "hosts")
	write := func(path, text string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	told := 0
	s := &system{path: conf, changed: func(Servers, error) { told++ }}
	list := func() string {
		s.file.looked = time.Time{} // a second has passed
		servers, trust := s.servers()
		return fmt.Sprint(dataformat.Compact(servers.DataValue()), " ", trust)
	}
	if got := list(); got != `(127.0.0.1) false` {
		t.Errorf("without a file: %s", got)
	}
	write(conf, "# x\nsearch example.org\nnameserver 192.0.2.53 ; first\nnameserver x\nnameserver ::1\noptions edns0 trust-ad\n", time.Hour)
	if got := list(); got != `(192.0.2.53,"::1") true` {
		t.Errorf("with a file: %s", got)
	}
	list()
	if told != 2 {
		t.Errorf("told %d times", told)
	}
	write(conf, "nameserver 192.0.2.54\n", time.Minute)
	if got := list(); got != `(192.0.2.54) false` || told != 3 {
		t.Errorf("after a change: %s, told %d times", got, told)
	}

	write(hostsPath, "127.0.1.1 Mail.example.org mail # this machine\n192.0.2.7\tpeer.example\n2001:db8::7 peer.example\nbad line\n", time.Hour)
	r := NewForTest(settings.NewLive(&Settings{Requests: 1, Attempts: 1}), slog.New(slog.DiscardHandler), conf, hostsPath)
	defer r.Close()
	a, err := r.Addresses(t.Context(), "PEER.example.")
	if err != nil || fmt.Sprint(a.Records) != "[192.0.2.7 2001:db8::7]" {
		t.Errorf("%v, %v", a, err)
	}
}

func TestSettings(t *testing.T) {
	if err := settings.Check(new(Settings)); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{Servers=("127.0.0.1:5300");}`:                             `{Servers=("127.0.0.1:5300");}`,
		`{Servers=127.0.0.1;}`:                                      `{Servers=("127.0.0.1");}`,
		`{Servers=("2001:db8::53","[2001:db8::54]:5300","[::1]");}`: `{Servers=("2001:db8::53","[2001:db8::54]:5300","::1");}`,
		`{Servers="";}`:                                             `{}`,
		`{Servers=(dns.example);}`:                                  "",
		`{Servers=("1.2.3.4:0");}`:                                  "",
		`{Servers=("1.2.3.4:x");}`:                                  "",
		`{TimeOut=0;}`:                                              "",
		`{TimeOut=never;}`:                                          "",
		`{Attempts=0;}`:                                             "",
		`{ConcurrentRequests=0;}`:                                   "",
		`{CacheSize=unlimited;}`:                                    "",
		`{TrustAD=always;}`:                                         `{TrustAD=Always;}`,
	} {
		v, err := dataformat.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		s := new(Settings)
		got := ""
		if err = settings.Load(s, v.(dataformat.Dict)); err == nil {
			got = dataformat.Compact(settings.Explicit(s))
		}
		wanted := want
		if want != "" {
			w, err := dataformat.Parse([]byte(want))
			if err != nil {
				t.Fatal(err)
			}
			wanted = dataformat.Compact(w)
		}
		if got != wanted {
			t.Errorf("%s: %s (%v), not %s", text, got, err, wanted)
		}
	}
}

// While no name server answers, a name is asked for again after as long as that took.
func TestFailuresAreKeptAsLongAsTheyTook(t *testing.T) {
	for took, keep := range map[time.Duration]time.Duration{0: 2 * time.Second, 9 * time.Second: 9 * time.Second, time.Minute: 30 * time.Second} {
		if got := keepFailure(took); got != keep {
			t.Errorf("a failure after %v is kept for %v, want %v", took, got, keep)
		}
	}
}
