package transporttest

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/queue/internal/disk"
	"gatepost/queue/internal/disk/disktest"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// sender is the domain of those who hear of results: joe+SUBJECT@sender.test for each
// message, by which a far end can tell one that it has not read.
const sender = "sender.test"

// bench is a queue with the subject's transport.
type bench struct {
	t         *testing.T
	s         *Subject
	dir       string
	stopped   bool // Deliver gets a context that has ended
	disk      *disktest.Disk
	q         *queue.Queue
	transport queue.Transport
	box       *box
	log       *results
	sent      []*sent
	close     func()

	mu       sync.Mutex
	subjects map[envelope.QueueID]string
	reported map[string]int // recipient and subject: what Met said when it was reported
}

type sent struct {
	subject  string
	to       []string
	accepted bool
}

func newBench(t *testing.T, s *Subject) *bench {
	return &bench{t: t, s: s, dir: t.TempDir(), box: new(box), log: &results{module: s.Module},
		subjects: map[envelope.QueueID]string{}, reported: map[string]int{}}
}

// Route sends reports to the box.
func (b *bench) Route(_ context.Context, _ names.Operation, a address.Address) (router.Route, error) {
	if a.Domain == sender {
		return router.Route{Module: reports, Queue: "box", Address: a}, nil
	}
	return b.s.Route(a), nil
}

// open opens the queue on a disk that stops at a step, and runs it until close.
func (b *bench) open(stopAt int) {
	b.t.Helper()
	dir := filepath.Join(b.dir, "Queue")
	real, err := disk.Open(dir)
	if err != nil {
		b.t.Fatal(err)
	}
	b.disk = disktest.New(real, dir, stopAt)
	counter, err := queue.OpenCounter(filepath.Join(b.dir, "counter"), dir, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	set := new(queue.Settings)
	if err := settings.Load(set, dataformat.Dict{"CopyFailureReportsTo": dataformat.String("")}); err != nil {
		b.t.Fatal(err)
	}
	b.q, err = queue.Open(dir, queue.Options{Settings: settings.NewLive(set), Router: b, Counter: counter,
		MainDomain: func() string { return "server.test" }, Log: slog.New(b.log), Disk: b.disk})
	if err != nil {
		b.t.Fatal(err)
	}
	transport, closeTransport := b.s.Open(b.q, counter)
	b.transport = transport
	b.q.Handle(b.s.Module, b.watch(transport))
	b.q.Handle(reports, b.box)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.q.Run(ctx); err != nil {
			b.t.Error(err)
		}
	}()
	b.close = sync.OnceFunc(func() {
		cancel()
		<-done
		closeTransport()
		b.q.Close()
		counter.Close()
	})
}

func (b *bench) watch(t queue.Transport) queue.Transport {
	w := watched{t, b}
	if r, ok := t.(queue.Repeatable); ok {
		return watchedRepeatable{w, r}
	}
	return w
}

// send sends a message. The sender wants to know of all results.
func (b *bench) send(subject string, to ...string) {
	b.t.Helper()
	m := &sent{subject: subject, to: to}
	b.sent = append(b.sent, m)
	env := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP", Trusted: true}, ReturnPath: b.addr("joe+" + subject + "@" + sender)}
	for _, r := range to {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: b.addr(r), Notify: envelope.NotifySuccess | envelope.NotifyFailure})
	}
	s, err := b.q.Begin(context.Background(), env)
	if err != nil {
		return
	}
	defer s.Abort()
	b.mu.Lock()
	b.subjects[s.ID()] = subject
	b.mu.Unlock()
	if _, err := io.WriteString(s, "From: joe@"+sender+"\r\nSubject: "+subject+"\r\n\r\nbody of "+subject+"\r\n"); err != nil {
		return
	}
	m.accepted = s.Commit(context.Background()) == nil
}

func (b *bench) addr(s string) address.Address {
	a, err := address.Parse(s)
	if err != nil {
		b.t.Fatalf("%q: %v", s, err)
	}
	return a
}

func (b *bench) accepted(subject string) bool {
	return slices.ContainsFunc(b.sent, func(m *sent) bool { return m.subject == subject && m.accepted })
}

// told reports whether a report tells of a recipient.
func (b *bench) told(what, rcpt string) bool {
	b.box.mu.Lock()
	defer b.box.mu.Unlock()
	return slices.ContainsFunc(b.box.mail, func(m string) bool { return strings.Contains(m, what+rcpt+"'") })
}

func (b *bench) files() (names []string) {
	entries, err := os.ReadDir(filepath.Join(b.dir, "Queue"))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// reports is the module of the sender.
const reports router.Module = "REPORTS"

// box takes the reports.
type box struct {
	mu   sync.Mutex
	mail []string
}

func (*box) Policy() queue.Policy          { return queue.Policy{Workers: 1} }
func (*box) Sync(context.Context) error    { return nil }
func (*box) Forget(ids []envelope.QueueID) {}

func (x *box) Deliver(_ context.Context, b *queue.Batch) {
	for _, it := range b.Items {
		data, err := os.ReadFile(it.File)
		if err != nil {
			return
		}
		x.mu.Lock()
		x.mail = append(x.mail, string(data[it.Offset:]))
		x.mu.Unlock()
		it.ReportAll(it.Recipients, envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}})
	}
}

// results keeps what the log says of the module's results.
type results struct {
	module router.Module
	mu     sync.Mutex
	all    []verdict
}

type verdict struct{ rcpt, verb, status string }

func (*results) Enabled(context.Context, slog.Level) bool { return true }
func (r *results) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r *results) WithGroup(string) slog.Handler          { return r }

func (r *results) Handle(_ context.Context, rec slog.Record) error {
	_, verb, ok := strings.Cut(rec.Message, ") ")
	if !ok || !strings.HasPrefix(rec.Message, string(r.module)+"(") {
		return nil
	}
	v := verdict{verb: verb[:strings.IndexAny(verb+" ", ": ")]}
	rec.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case logs.AttrRecipient:
			v.rcpt = a.Value.String()
		case logs.AttrStatus:
			v.status = a.Value.String()
		}
		return true
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, v)
	return nil
}

func (r *results) of(rcpt string) (list []verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.all {
		if v.rcpt == rcpt {
			list = append(list, v)
		}
	}
	return list
}
