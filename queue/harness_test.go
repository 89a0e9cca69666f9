package queue

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatepost/queue/envelope"
	"gatepost/queue/internal/disk"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// table is a router: company.com is local, other domains are remote; some names fail.
type table struct {
	mu  sync.Mutex
	err map[string]error // by address
	to  map[string]router.Route
}

func (r *table) Route(_ context.Context, _ names.Operation, a address.Address) (router.Route, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.err[a.String()]; err != nil {
		return router.Route{}, err
	}
	if to, ok := r.to[a.String()]; ok {
		return to, nil
	}
	switch {
	case a.Domain == "company.com" || a.Domain == "":
		switch {
		case strings.HasPrefix(a.Local, "unknown"):
			return router.Route{}, fault.New("table", fault.NotFound, "unknown user account")
		case a.Local == "bounced":
			return router.Route{Module: router.LOCAL, Queue: "bounced@company.com", Unknown: true}, nil
		case a.Local == "all":
			return router.Route{Module: router.LOCAL, Queue: "all@company.com", Domain: "company.com", Address: a, All: true}, nil
		case a.Local == "nobody":
			return router.Route{Module: router.SYSTEM, Queue: "NULL"}, nil
		}
		return router.Route{Module: router.LOCAL, Queue: a.Local + "@company.com", Address: a}, nil
	}
	return router.Route{Module: router.SMTP, Queue: a.Domain, Address: a}, nil
}

func (r *table) set(addr string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = map[string]error{}
	}
	r.err[addr] = err
}

// sink is a transport that keeps what it gets. decide, if set, gives the status.
type sink struct {
	mu      sync.Mutex
	policy  Policy
	decide  func(it *Item, rcpt int) envelope.Status
	got     map[string][]string // recipient → message texts
	tries   []try
	running int
	most    int
	block   chan struct{} // if set, Deliver waits for it
	seen    map[string]bool
	links   []string // keys of seen whose messages sync has not made durable
	onSync  func() error
}

// mailboxes is a sink as LOCAL is: it may be asked twice.
type mailboxes struct{ *sink }

func (m mailboxes) Sync(context.Context) error {
	if m.onSync != nil {
		if err := m.onSync(); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.links = nil
	return nil
}

func (m mailboxes) Forget(ids []envelope.QueueID) { m.forget(ids) }

type try struct {
	at    time.Time
	queue string
	ids   []envelope.QueueID
}

func newSink() *sink {
	return &sink{policy: Policy{Workers: 4, Retry: remoteSchedule, Warn: []time.Duration{4 * time.Hour, 24 * time.Hour}},
		got: map[string][]string{}, seen: map[string]bool{}}
}

var remoteSchedule = Schedule{
	First: []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute},
	Every: 30 * time.Minute, EveryFor: 4 * time.Hour, Then: 2 * time.Hour, Expire: 5 * 24 * time.Hour,
}

func (s *sink) Policy() Policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy
}

func (s *sink) Deliver(ctx context.Context, b *Batch) {
	t := try{at: time.Now(), queue: b.Queue}
	for _, it := range b.Items {
		t.ids = append(t.ids, it.ID)
	}
	s.mu.Lock()
	s.tries = append(s.tries, t)
	s.running++
	s.most = max(s.most, s.running)
	block, decide := s.block, s.decide
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return
		}
	}
	for _, it := range b.Items {
		for i, rcpt := range it.Recipients {
			st := envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "Delivered to the user mailbox"}
			if b.Module == router.SMTP {
				st = envelope.Status{Action: envelope.ActionRelayed, Code: envelope.Code{2, 0, 0}, Text: "relayed via mx." + b.Queue}
			}
			if decide != nil {
				st = decide(it, rcpt)
			}
			if st.Action == envelope.ActionDelivered || st.Action == envelope.ActionRelayed {
				s.take(it, it.Routes[i].Address.String())
			}
			it.Report(rcpt, st)
		}
	}
}

// take stores a message once per recipient and queue ID, as a mailbox does.
func (s *sink) take(it *Item, rcpt string) {
	data, err := os.ReadFile(it.File)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := rcpt + " " + it.ID.String()
	if s.seen[key] {
		return
	}
	s.seen[key] = true
	s.got[rcpt] = append(s.got[rcpt], string(data[it.Offset:it.Offset+it.Size]))
	s.links = append(s.links, key)
}

// lose takes back the messages that sync has not made durable, as a power failure
// takes links. Another delivery makes them again.
func (s *sink) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.links) - 1; i >= 0; i-- {
		rcpt, _, _ := strings.Cut(s.links[i], " ")
		delete(s.seen, s.links[i])
		s.got[rcpt] = s.got[rcpt][:len(s.got[rcpt])-1]
	}
	s.links = nil
}

func (s *sink) messages(rcpt string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got[rcpt])
}

func (s *sink) setDecide(f func(it *Item, rcpt int) envelope.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decide = f
}

func (s *sink) attempts() []try {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tries)
}

// bench is one queue under test.
type bench struct {
	t      testing.TB
	dir    string
	q      *Queue
	routes *table
	local  *sink
	remote *sink
	set    *settings.Live[Settings]
	rules  Rules
	ctr    *Counter
	stop   func()
}

func testSettings(t testing.TB, explicit dataformat.Dict) *settings.Live[Settings] {
	t.Helper()
	s := new(Settings)
	if err := settings.Load(s, explicit); err != nil {
		t.Fatal(err)
	}
	return settings.NewLive(s)
}

// open opens a queue in a directory; run starts it.
func open(t testing.TB, dir string) *bench {
	t.Helper()
	b := &bench{t: t, dir: dir, routes: &table{}, local: newSink(), remote: newSink(), set: testSettings(t, nil)}
	b.reopen(nil)
	return b
}

// reopen opens the queue again, on another disk if one is given. The sinks stay.
func (b *bench) reopen(wrap func(disk.Disk) disk.Disk) {
	b.t.Helper()
	var err error
	queueDir := filepath.Join(b.dir, "Queue")
	if err := os.MkdirAll(queueDir, 0o700); err != nil {
		b.t.Fatal(err)
	}
	if b.ctr, err = OpenCounter(filepath.Join(b.dir, "counter"), queueDir, 0); err != nil {
		b.t.Fatal(err)
	}
	d, err := disk.Open(queueDir)
	if err != nil {
		b.t.Fatal(err)
	}
	if wrap != nil {
		d = wrap(d)
	}
	b.q = newQueue(queueDir, d, Options{
		Settings: b.set, Router: b.routes, Counter: b.ctr, MainDomain: func() string { return "company.com" },
		AllAccounts: b.allAccounts, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	b.q.Handle(router.LOCAL, mailboxes{b.local})
	b.q.Handle(router.SMTP, b.remote)
	if b.rules != nil {
		b.q.UseRules(b.rules)
	}
	if err := b.q.recover(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { d.Close() })
}

// allAccounts lets all but "stranger@..." write to ann and bob.
func (b *bench) allAccounts(_ context.Context, src *envelope.Source, domain string) ([]address.Address, error) {
	if strings.HasPrefix(src.Account, "stranger@") {
		return nil, errNotToAll
	}
	return []address.Address{b.addr("ann@" + domain), b.addr("bob@" + domain)}, nil
}

// run starts the queue until halt.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.q.Run(ctx); err != nil {
			b.t.Error(err)
		}
	}()
	b.stop = func() {
		cancel()
		<-done
		b.stop = func() {}
	}
}

func (b *bench) halt() {
	b.stop()
	if err := b.ctr.Close(); err != nil {
		b.t.Error(err)
	}
}

// env makes an envelope from somebody to recipients.
func (b *bench) env(from string, rcpts ...string) *envelope.Envelope {
	e := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP", Trusted: true}}
	if from != "" {
		e.ReturnPath = b.addr(from)
	}
	for _, r := range rcpts {
		e.Recipients = append(e.Recipients, envelope.Recipient{Address: b.addr(r), Notify: envelope.NotifyDefault})
	}
	return e
}

func (b *bench) addr(s string) address.Address {
	a, err := address.Parse(s)
	if err != nil {
		b.t.Fatalf("%q: %v", s, err)
	}
	return a
}

const testMessage = "From: joe@far.org\r\nSubject: hello\r\n\r\nbody\r\n"

// submit accepts a message and returns its ID.
func (b *bench) submit(e *envelope.Envelope, text string) (envelope.QueueID, error) {
	s, err := b.q.Begin(context.Background(), e)
	if err != nil {
		return 0, err
	}
	defer s.Abort()
	if _, err := io.WriteString(s, text); err != nil {
		return 0, err
	}
	return s.ID(), s.Commit(context.Background())
}

func (b *bench) mustSubmit(e *envelope.Envelope, text string) envelope.QueueID {
	b.t.Helper()
	id, err := b.submit(e, text)
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// files lists the queue directory.
func (b *bench) files() string {
	entries, err := os.ReadDir(filepath.Join(b.dir, "Queue"))
	if err != nil {
		b.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func (b *bench) list() string {
	var out strings.Builder
	err := b.q.List(context.Background(), func(e Entry) bool {
		wait := time.Duration(0)
		if !e.NextTry.IsZero() {
			wait = time.Until(e.NextTry).Round(time.Second)
		}
		fmt.Fprintf(&out, "%s %d <%s> <%s> %s(%s) in %v: %s\n", e.ID, e.Size, e.ReturnPath, e.Recipient, e.Module, e.Queue, wait, e.LastError)
		return true
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.String()
}

func nextID(t testing.TB, c *Counter) envelope.QueueID {
	t.Helper()
	id, err := c.NextID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func deferred(text string) envelope.Status {
	return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 4, 1}, Text: text}
}

func hostDown(text string) envelope.Status {
	st := deferred(text)
	st.Queue = true
	return st
}

func refused(text string) envelope.Status {
	return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 1, 1}, Text: text}
}
