package pickup

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// bench is a queue in a directory, with the folder Submitted beside it.
type bench struct {
	t       *testing.T
	dir     string
	set     *Settings
	queue   *queue.Queue
	folder  *Folder
	counter *queue.Counter
	log     *lines
	mail    chan delivered
}

// delivered is what the transport got.
type delivered struct {
	from, to, text string
	notify         envelope.Notify
	env            *envelope.Envelope
}

func newBench(t *testing.T) *bench {
	set := new(Settings)
	if err := settings.Load(set, nil); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, dir: t.TempDir(), set: set, mail: make(chan delivered, 100)}
	b.open()
	t.Cleanup(b.close)
	return b
}

// Route knows everybody but nobody@.
func (b *bench) Route(_ context.Context, _ names.Operation, a address.Address) (router.Route, error) {
	if a.Local == "nobody" {
		return router.Route{}, fault.New("router.Route", fault.NotFound, "unknown user account")
	}
	return router.Route{Module: router.LOCAL, Queue: a.String(), Address: a}, nil
}

func (b *bench) Policy() queue.Policy { return queue.Policy{Workers: 1} }

func (b *bench) Deliver(_ context.Context, batch *queue.Batch) {
	for _, it := range batch.Items {
		text, err := os.ReadFile(it.File)
		if err != nil {
			b.t.Error(err)
		}
		for _, r := range it.Recipients {
			rcpt := it.Envelope.Recipients[r]
			b.mail <- delivered{it.Envelope.ReturnPath.String(), rcpt.Address.String(), string(text[it.Offset:]), rcpt.Notify, it.Envelope}
			it.Report(r, envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "there"})
		}
	}
}

func main() string { return "company.com" }

// open opens the directories, as a start of the server does.
func (b *bench) open() {
	b.t.Helper()
	var err error
	dir := filepath.Join(b.dir, "Queue")
	if err = os.MkdirAll(dir, 0o700); err != nil {
		b.t.Fatal(err)
	}
	if b.counter, err = queue.OpenCounter(filepath.Join(b.dir, "counter"), dir, 0); err != nil {
		b.t.Fatal(err)
	}
	set := new(queue.Settings)
	if err := settings.Load(set, nil); err != nil {
		b.t.Fatal(err)
	}
	b.log = new(lines)
	log := logs.New(b.log, func() *logs.Levels { return &logs.Levels{Default: 5} })
	b.queue, err = queue.Open(dir, queue.Options{Settings: settings.NewLive(set), Router: b, Counter: b.counter, MainDomain: main, Log: log})
	if err != nil {
		b.t.Fatal(err)
	}
	b.queue.Handle(router.LOCAL, b)
	b.folder, err = Open(filepath.Join(b.dir, "Submitted"), b.queue, settings.NewLive(b.set), main, log)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, id := range b.queue.Held() { // as LOCAL does
		if err := b.queue.Drop(id); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) close() {
	if err := b.queue.Close(); err != nil {
		b.t.Error(err)
	}
	if err := b.counter.Close(); err != nil {
		b.t.Error(err)
	}
}

// run scans once and runs the queue until n recipients have their message.
func (b *bench) run(n int) []delivered {
	b.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- b.queue.Run(ctx) }()
	b.folder.scan(ctx)
	var got []delivered
	for range n {
		got = append(got, <-b.mail)
	}
	stop()
	if err := <-ended; err != nil {
		b.t.Fatal(err)
	}
	if len(b.mail) > 0 {
		b.t.Fatalf("more than %d recipients got mail: %+v", n, <-b.mail)
	}
	if b.queue.Len() > 0 {
		b.t.Fatalf("%d messages are left in the queue", b.queue.Len())
	}
	slices.SortFunc(got, func(x, y delivered) int { return strings.Compare(x.to, y.to) })
	return got
}

func (b *bench) put(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.folder.path(name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) names() []string {
	b.t.Helper()
	entries, err := os.ReadDir(b.folder.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// fullQueue takes nothing.
type fullQueue struct{ *queue.Queue }

func (fullQueue) Begin(context.Context, *envelope.Envelope) (*queue.Submission, error) {
	return nil, fault.New("queue.Begin", fault.Busy, "the queue is full, try again later")
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Line(line []byte, _ bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}
