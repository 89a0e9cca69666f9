package reports

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatepost/protocols/mailauth"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/resolver/resolvertest"
	"gatepost/server/settings"
)

// domains is a Directory.
type domains []string

func (d domains) DomainName(name string) (string, bool) {
	for _, n := range d {
		if n == name {
			return n, true
		}
	}
	return "", false
}

func (d domains) MainDomain() string { return d[0] }

func (domains) OwnIP(netip.Addr) (string, bool) { return "", false }
func (domains) Object(context.Context, string, string) (names.Object, error) {
	return names.Object{}, nil
}
func (domains) UnknownPolicy(string, names.Operation) (names.Policy, error) {
	return names.Policy{}, nil
}

// idle is a transport that is never asked: the queue does not run.
type idle struct{}

func (idle) Deliver(context.Context, *queue.Batch) {}
func (idle) Policy() queue.Policy                  { return queue.Policy{} }

const outsideZone = `
_dmarc.far.test. TXT "v=DMARC1; p=reject; adkim=s; rua=mailto:rua@far.test,mailto:rua@mail.far.test!1k"
_dmarc.silent.test. TXT "v=DMARC1; p=none"
_dmarc.flood.test. TXT "v=DMARC1; p=none; rua=mailto:victim@other.test,https://x.test/"
_dmarc.agreed.test. TXT "v=DMARC1; p=none; rua=mailto:agreed@service.test"
agreed.test._report._dmarc.service.test. TXT "v=DMARC1"
_dmarc.moved.test. TXT "v=DMARC1; p=none; rua=mailto:old@service.test"
moved.test._report._dmarc.service.test. TXT "v=DMARC1; rua=mailto:new@service.test"
`

// outside is an outbox with a real queue.
type outside struct {
	*Outbox
	dir  string
	set  *Settings
	zone *resolvertest.Zone
	q    *queue.Queue
	at   time.Time
	quit []func()
}

func newOutside(t *testing.T) *outside {
	o := &outside{dir: t.TempDir(), set: new(Settings), zone: resolvertest.New(t, outsideZone), at: begin.Add(10 * time.Hour)}
	if err := settings.Load(o.set, nil); err != nil {
		t.Fatal(err)
	}
	o.set.Send = true
	o.start(t)
	t.Cleanup(func() { o.stop() })
	return o
}

// start opens queue and outbox, as after a restart.
func (o *outside) start(t *testing.T) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	counter, err := queue.OpenCounter(filepath.Join(o.dir, "counter"), filepath.Join(o.dir, "Queue"), 0)
	if err != nil {
		t.Fatal(err)
	}
	set, routing := new(queue.Settings), new(router.Settings)
	if err := settings.Load(set, nil); err != nil {
		t.Fatal(err)
	}
	if err := settings.Load(routing, nil); err != nil {
		t.Fatal(err)
	}
	r, err := router.New(settings.NewLive(routing), domains{"main.test"}, log)
	if err != nil {
		t.Fatal(err)
	}
	o.q, err = queue.Open(filepath.Join(o.dir, "Queue"), queue.Options{Settings: settings.NewLive(set), Router: r, Counter: counter,
		MainDomain: func() string { return "main.test" }, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	o.q.Handle(router.SMTP, idle{})
	o.quit = []func(){func() { o.q.Close() }, func() { counter.Close() }}
	o.Outbox = &Outbox{daily: daily{filepath.Join(o.dir, "Reports", "Counted"), o.q, log, func() time.Time { return o.at }}, settings: settings.NewLive(o.set),
		directory: domains{"main.test"}, verifier: &mailauth.Verifier{Resolver: mailauth.DNS(o.zone.Resolver())}}
	if err := o.open(); err != nil {
		t.Fatal(err)
	}
}

func (o *outside) stop() {
	for _, f := range o.quit {
		f()
	}
	o.quit = nil
}

// came counts a message.
func (o *outside) came(domain, ip string, dkim bool) {
	r := &mailauth.Results{SPF: mailauth.SPF{Result: mailauth.Pass, Domain: "list.test"},
		DKIM:  []mailauth.DKIM{{Result: mailauth.Fail, Domain: domain, Selector: "s1"}},
		DMARC: mailauth.DMARC{Result: mailauth.Fail, Author: domain, Record: domain, Policy: "reject", Reports: []string{"mailto:x@y"}, DKIM: dkim}}
	o.Count(Message{Results: r, Client: netip.MustParseAddr(ip), From: "list.test", Disposition: "reject"})
}

// files are the messages in the queue: file extension, recipients and text.
func (o *outside) files(t *testing.T) map[string]string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(o.dir, "Queue", "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range list {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		_, subject, _ := strings.Cut(string(text), "Report Domain: ")
		subject, _, _ = strings.Cut(subject, "\r\n")
		out[subject+filepath.Ext(f)] += string(text)
	}
	return out
}

// TestReportIsWhatItsReaderWants: the report of a day reads back, goes to those who agree, and has no return-path.
func TestReportsOfADay(t *testing.T) {
	o := newOutside(t)
	for range 3 {
		o.came("far.test", "192.0.2.1", false)
	}
	o.came("far.test", "2001:db8::1", true)
	for _, d := range []string{"silent.test", "flood.test", "agreed.test", "moved.test", "gone.test"} {
		o.came(d, "192.0.2.1", false)
	}
	o.sendAll(t.Context())
	if got := o.files(t); len(got) > 0 {
		t.Fatalf("before the day has ended: %v", got)
	}
	o.at = begin.Add(25 * time.Hour)
	o.sendAll(t.Context())
	got := o.files(t)
	if len(got) != 3 {
		t.Errorf("%d messages", len(got))
	}
	text := got["far.test.msg"]
	for _, want := range []string{"\r\nTo: <rua@far.test>,\r\n\t<rua@mail.far.test>\r\n", "From: <dmarc-reports@main.test>", "Report-ID: <20261130.far.test@main.test>", "Auto-Submitted: auto-generated",
		`filename="main.test!far.test!` + fmt.Sprint(begin.Unix()) + "!"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	r, err := read(text[strings.Index(text, "From: "):])
	if err != nil || r.Reporter != "main.test" || r.Domain != "far.test" || len(r.Rows) != 2 || r.Rows[0].Count+r.Rows[1].Count != 4 {
		t.Errorf("%+v, %v", r, err)
	}
	if !strings.Contains(got["agreed.test.msg"], "<agreed@service.test>") || !strings.Contains(got["moved.test.msg"], "To: <new@service.test>\r\n") {
		t.Errorf("%v", got)
	}
	if days, _ := dayNames(o.Outbox.dir, dayFile); len(days) != 0 {
		t.Errorf("left: %v", days)
	}
}

// TestReportIsSentOnce: a crash between any two steps neither loses a report nor sends it twice.
func TestReportIsSentOnce(t *testing.T) {
	o := newOutside(t)
	o.came("far.test", "192.0.2.1", false)
	o.flush(t.Context())
	o.at = begin.Add(25 * time.Hour)
	keep, err := os.ReadFile(o.path("2026-11-30", dayFile))
	if err != nil {
		t.Fatal(err)
	}
	back := func() {
		if err := os.WriteFile(o.path("2026-11-30", dayFile), keep, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// It is held, and the server ends before that is noted.
	env := &envelope.Envelope{Source: envelope.Source{Tag: logTag, Trusted: true}, Recipients: []envelope.Recipient{{Address: address.Address{Local: "rua", Domain: "far.test"}}}}
	held := func() envelope.QueueID {
		s, err := o.q.BeginHeld(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(s, "Subject: Report Domain: far.test\r\n\r\ntext\r\n")
		if err := s.Hold(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s.ID()
	}
	lost := held()
	o.stop()
	o.start(t)
	if list := o.q.Held(); len(list) != 1 || list[0] != lost {
		t.Fatalf("held: %v", list) // for others to drop
	}
	if err := o.q.Drop(lost); err != nil {
		t.Fatal(err)
	}
	// It is held and noted, and not published.
	id := held()
	list, err := openSent(o.path("2026-11-30", sentFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := list.note("far.test", id); err != nil {
		t.Fatal(err)
	}
	list.f.WriteString("half of a li") // and a line that a power cut has left
	list.Close()
	o.stop()
	o.start(t)
	back()
	o.sendAll(t.Context())
	if got := o.files(t); len(got) != 1 || strings.Count(got["far.test.msg"], "Report Domain") != 1 {
		t.Errorf("%v", got)
	}
	// The days' file is gone before the list.
	if err := os.WriteFile(o.path("2026-11-29", sentFile), []byte("far.test 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.sendAll(t.Context())
	if days, _ := dayNames(o.Outbox.dir, sentFile); len(days) != 0 {
		t.Errorf("left: %v", days)
	}
}

// TestReportsWithoutDNS: a report waits for the DNS, and is dropped after some days.
func TestReportsWithoutDNS(t *testing.T) {
	o := newOutside(t)
	o.came("far.test", "192.0.2.1", false)
	o.zone.Fail("_dmarc.far.test")
	o.at = begin.Add(25 * time.Hour)
	o.sendAll(t.Context())
	if days, _ := dayNames(o.Outbox.dir, dayFile); len(days) != 1 {
		t.Fatalf("it does not wait: %v", days)
	}
	o.zone.Work("_dmarc.far.test")
	o.sendAll(t.Context())
	if got := o.files(t); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// TestCountsAreBounded: by domain and day; what is counted outlives a restart.
func TestCountsAreBounded(t *testing.T) {
	o := newOutside(t)
	for i := range maxOfDomain + 10 {
		o.came("far.test", fmt.Sprintf("2001:db8::%x", i), false)
	}
	o.came("agreed.test", "192.0.2.1", false)
	o.flush(t.Context())
	o.stop()
	o.start(t)
	if n := len(o.count.domains["far.test"]); n != maxOfDomain || o.count.rows != maxOfDomain+1 {
		t.Errorf("%d rows", n)
	}
	o.set.Send = false
	o.came("agreed.test", "192.0.2.2", false)
	if n := len(o.count.domains["agreed.test"]); n != 1 {
		t.Errorf("switched off: %d", n)
	}
}
