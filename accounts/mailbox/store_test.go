package mailbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/message"
	"gatepost/server/fault"
)

var bg = context.Background()

// world is a base directory with a store, some accounts and queue files.
type world struct {
	t       testing.TB
	base    string
	ids     *atomic.Uint64
	store   *Store
	limits  Limits
	owners  map[uint64]Owner
	lookups sync.Mutex
	closed  bool
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, base: t.TempDir(), ids: &atomic.Uint64{}, limits: Limits{MaxSize: -1}, owners: make(map[uint64]Owner)}
	if err := os.Mkdir(filepath.Join(w.base, "Queue"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.open()
	t.Cleanup(func() {
		if !w.closed {
			w.check()
			w.close()
		}
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	w.store, err = Open(w.base, Options{Shards: 2, NextID: func() (uint64, error) { return w.ids.Add(1), nil }, Owners: w.visit})
	if err != nil {
		w.t.Fatal(err)
	}
	w.closed = false
}

func (w *world) visit(ctx context.Context, fn func(Owner) error) error {
	for _, o := range w.owners {
		if err := fn(o); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) close() {
	w.t.Helper()
	w.closed = true
	if err := w.store.Close(); err != nil {
		w.t.Errorf("close: %v", err)
	}
}

// crash gives up the store as a killed process would: what is committed stays,
// what waits in memory is lost, and the mark of an open store stays.
func (w *world) crash() {
	w.t.Helper()
	s := w.store
	s.upkeep.mu.Lock()
	s.upkeep.files, s.upkeep.content, s.upkeep.drops, s.upkeep.forget = nil, nil, nil, nil
	clear(s.upkeep.dirty)
	clear(s.upkeep.names)
	s.upkeep.mu.Unlock()
	if err := s.upkeep.stop(); err != nil {
		w.t.Fatal(err)
	}
	if err := s.index.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.closed = true
}

// reopen closes the store and opens it again.
func (w *world) reopen() {
	w.t.Helper()
	w.check()
	w.close()
	w.open()
}

func (w *world) check() {
	w.t.Helper()
	err := w.store.Check(bg, func(f Finding) {
		if !f.Note {
			w.t.Errorf("check: %v", f)
		}
	})
	if err != nil {
		w.t.Errorf("check: %v", err)
	}
}

// settle waits until upkeep has nothing to do.
func (w *world) settle() {
	w.t.Helper()
	if err := w.store.upkeep.stop(); err != nil {
		w.t.Fatal(err)
	}
	w.store.upkeep.closing = false
	w.store.upkeep.done = make(chan struct{})
	go w.store.upkeep.run()
}

// account returns account number id, which it creates when it is new.
func (w *world) account(id uint64) *Account {
	w.t.Helper()
	o, there := w.owners[id]
	if !there {
		o = Owner{ID: id, Dir: filepath.Join(w.base, "Accounts", fmt.Sprintf("user%d.macnt", id)), Limits: func() Limits { return w.limits }}
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			w.t.Fatal(err)
		}
		if err := w.store.Create(bg, o, []NewMailbox{{Name: "Trash", Subscribed: true}}); err != nil {
			w.t.Fatal(err)
		}
		w.owners[id] = o
	}
	return w.store.Account(o)
}

func text(n int) string {
	return fmt.Sprintf("From: a@example.com\r\nSubject: message %d\r\n\r\nHello %d\r\n", n, n)
}

func (w *world) append(a *Account, box string, n int, flags ...imap.Flag) imap.UID {
	w.t.Helper()
	got, err := a.Append(bg, box, AppendMessage{Body: strings.NewReader(text(n)), Flags: flags})
	if err != nil {
		w.t.Fatalf("append: %v", err)
	}
	return got.UID
}

const queueHead = "S me\nR you\n\n"

// queued writes a queue file and returns its delivery.
func (w *world) queued(n int) Delivery {
	w.t.Helper()
	id := w.ids.Add(1)
	path := filepath.Join(w.base, "Queue", fmt.Sprintf("%d.msg", id))
	if err := os.WriteFile(path, []byte(queueHead+text(n)), 0o600); err != nil {
		w.t.Fatal(err)
	}
	sum, err := message.Scan(strings.NewReader(text(n)), message.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return Delivery{QueueID: id, File: path, Offset: int64(len(queueHead)), Size: int64(len(text(n))),
		Prefix: []byte("Return-Path: <me@example.com>\r\n"), Summary: sum}
}

func (w *world) deliver(a *Account, ds ...Delivery) {
	w.t.Helper()
	for i, err := range a.Deliver(bg, ds) {
		if err != nil {
			w.t.Fatalf("delivery %d: %v", i, err)
		}
	}
}

func (w *world) view(a *Account, box string) *Mailbox {
	w.t.Helper()
	m, err := a.Open(bg, box, false)
	if err != nil {
		w.t.Fatalf("open %s: %v", box, err)
	}
	w.t.Cleanup(m.Close)
	return m
}

func read(t testing.TB, m *Mailbox, uid imap.UID) string {
	t.Helper()
	b, err := m.OpenBody(uid)
	if err != nil {
		t.Fatalf("message %d: %v", uid, err)
	}
	defer b.Close()
	got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		t.Fatalf("message %d: %v", uid, err)
	}
	return string(got)
}

// show prints a view: "1:Seen 2:- 4:Deleted,$Label1".
func show(m *Mailbox) string {
	var all []string
	for _, uid := range m.UIDs() {
		st, _ := m.State(uid)
		flags := strings.NewReplacer(`\`, "", " ", ",").Replace(string(m.AppendFlags(nil, st)))
		if flags == "" {
			flags = "-"
		}
		all = append(all, fmt.Sprintf("%d:%s", uid, flags))
	}
	return strings.Join(all, " ")
}

func wantView(t testing.TB, m *Mailbox, want string) {
	t.Helper()
	if got := show(m); got != want {
		t.Errorf("the view is %q, want %q", got, want)
	}
}

func wantKind(t testing.TB, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestWhatIsAppendedIsReadBackAfterReopening(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1, imap.FlagSeen, "$Label1")
	w.append(a, "inbox", 2)
	w.deliver(a, w.queued(3))
	for range 2 {
		m := w.view(w.account(1), "INBOX")
		if got := read(t, m, 1) + read(t, m, 2); got != text(1)+text(2) {
			t.Errorf("read %q", got)
		}
		if got := read(t, m, 3); got != "Return-Path: <me@example.com>\r\n"+text(3) {
			t.Errorf("read %q", got)
		}
		if subject, prefix := content(t, m, 3); subject != "message 3" || prefix != "Return-Path: <me@example.com>\r\n" {
			t.Errorf("content of %q with %q", subject, prefix)
		}
		info, ok := m.Message(3)
		if !ok || info.Size != int64(len(read(t, m, 3))) || info.InternalDate.IsZero() || info.OriginalUID != 3 {
			t.Errorf("message: %+v", info)
		}
		m.Close()
		w.reopen()
	}
	wantView(t, w.view(w.account(1), "INBOX"), "1:Seen,$Label1 2:- 3:-")
}
