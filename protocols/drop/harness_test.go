package drop

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// bench is a queue and an Intake with one drop folder.
type bench struct {
	t       *testing.T
	base    string
	path    string // of the drop folder
	set     *Settings
	queue   *queue.Queue
	in      *Intake
	folder  *folder
	counter *queue.Counter
	log     *lines
	mail    chan delivered
	busy    bool // the queue takes nothing
}

// delivered is what the transport got.
type delivered struct{ from, to, text string }

func newBench(t *testing.T, more string) *bench {
	b := &bench{t: t, base: t.TempDir(), path: t.TempDir(), set: new(Settings), mail: make(chan delivered, 100)}
	v, err := dataformat.Parse([]byte(`{Folders={Reminders={Path=` + dataformat.Quote(b.path) + `;` + more + `};};}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := settings.Load(b.set, v.(dataformat.Dict)); err != nil {
		t.Fatal(err)
	}
	b.open()
	t.Cleanup(b.close)
	return b
}

func (b *bench) Route(_ context.Context, _ names.Operation, a address.Address) (router.Route, error) {
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
			b.mail <- delivered{it.Envelope.ReturnPath.String(), it.Envelope.Recipients[r].Address.String(), string(text[it.Offset:])}
			it.Report(r, envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "there"})
		}
	}
}

// open opens the directories, as a start of the server does.
func (b *bench) open() {
	b.t.Helper()
	var err error
	dir := filepath.Join(b.base, "Queue")
	if err = os.MkdirAll(dir, 0o700); err != nil {
		b.t.Fatal(err)
	}
	if b.counter, err = queue.OpenCounter(filepath.Join(b.base, "counter"), dir, 0); err != nil {
		b.t.Fatal(err)
	}
	set := new(queue.Settings)
	if err := settings.Load(set, nil); err != nil {
		b.t.Fatal(err)
	}
	b.log = new(lines)
	log := logs.New(b.log, func() *logs.Levels { return &logs.Levels{Default: 5} })
	main := func() string { return "here.org" }
	b.queue, err = queue.Open(dir, queue.Options{Settings: settings.NewLive(set), Router: b, Counter: b.counter, MainDomain: main, Log: log})
	if err != nil {
		b.t.Fatal(err)
	}
	b.queue.Handle(router.LOCAL, b)
	b.in, err = Open(Options{Base: b.base, Queue: sometimes{b.queue, b}, Settings: settings.NewLive(b.set), MainDomain: main, Log: log,
		MaySend: func(_ context.Context, a address.Address) (bool, error) { return a.Domain == "example.com", nil }})
	if err != nil {
		b.t.Fatal(err)
	}
	for name, s := range b.set.Folders {
		b.folder = newFolder(b.in, name, s)
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

// reopen is a crash and a start.
func (b *bench) reopen() {
	b.t.Helper()
	b.close()
	b.open()
}

// sweep makes one pass at a time.
func (b *bench) sweep(when time.Time) Counts {
	b.t.Helper()
	n, err := b.folder.sweep(context.Background(), when, "", false)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// delivers runs the queue until n recipients have their message.
func (b *bench) delivers(n int) []delivered {
	b.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- b.queue.Run(ctx) }()
	var got []delivered
	for range n {
		got = append(got, <-b.mail)
	}
	stop()
	if err := <-ended; err != nil {
		b.t.Fatal(err)
	}
	if len(b.mail) > 0 {
		b.t.Fatalf("more than %d messages: %+v", n, <-b.mail)
	}
	if b.queue.Len() > 0 || len(b.queue.Held()) > 0 {
		b.t.Fatalf("%d messages are left in the queue, held are %v", b.queue.Len(), b.queue.Held())
	}
	slices.SortFunc(got, func(x, y delivered) int { return strings.Compare(x.to, y.to) })
	return got
}

func (b *bench) put(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.path, name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// files lists the files below the drop folder.
func (b *bench) files() string {
	b.t.Helper()
	var names []string
	err := filepath.WalkDir(b.path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(b.path, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func (b *bench) read(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.path, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// records is the number of records.
func (b *bench) records() int {
	b.t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.base, "Drop"))
	if err != nil {
		b.t.Fatal(err)
	}
	return len(entries)
}

// item is one item in XML.
func item(from, to, topic, content string) string {
	text := string(AppendItems(nil, []Item{{"17.10.2011 00:00:11", from, to, topic, content}}))
	_, text, _ = strings.Cut(text, "<list>\n")
	return strings.TrimSuffix(text, "</list>\n")
}

func list(items ...string) string { return "<list>" + strings.Join(items, "") + "</list>" }

// sometimes takes nothing while the bench is busy.
type sometimes struct {
	*queue.Queue
	b *bench
}

func (q sometimes) Begin(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error) {
	if q.b.busy {
		return nil, errBusy
	}
	return q.Queue.Begin(ctx, env)
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
