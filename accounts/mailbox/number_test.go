package mailbox

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
)

// The counter of numbers has a disk of its own trouble: what needs a number fails
// whole, leaves no file, and works again when the counter does.
func TestNothingIsStoredWithoutANumber(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(1), w.account(2)
	ctx := context.Background()
	left := -1 // numbers until the counter fails; below 0: it works
	w.store.o.NextID = func() (uint64, error) {
		if left == 0 {
			return 0, fault.Wrap("queue.Counter", fault.Unavailable, &os.PathError{Op: "write", Err: syscall.ENOSPC})
		}
		left--
		return w.ids.Add(1), nil
	}
	message := func() AppendMessage { return AppendMessage{Body: strings.NewReader("Subject: x\r\n\r\nx\r\n")} }
	three := func(yield func(AppendMessage) bool) {
		for range 3 {
			if !yield(message()) {
				return
			}
		}
	}
	if _, err := a.AppendAll(ctx, "INBOX", three); err != nil {
		t.Fatal(err)
	}
	m, err := a.Open(ctx, "INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	queued := filepath.Join(t.TempDir(), "1.msg")
	if err := os.WriteFile(queued, []byte("x\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ds := []Delivery{{QueueID: 1_000_000, Copy: 1, File: queued, Size: 3}, {QueueID: 1_000_000, Copy: 2, File: queued, Size: 3}}
	for name, do := range map[string]func() error{
		"append":  func() error { _, err := a.AppendAll(ctx, "INBOX", three); return err },
		"copy":    func() error { _, err := m.CopyTo(ctx, m.UIDs(), b, "INBOX"); return err },
		"deliver": func() error { return errors.Join(a.Deliver(ctx, ds)...) },
	} {
		before := messageFiles(t, w)
		left = 1
		if err := do(); err == nil || !fault.KindOf(err).Temporary() {
			t.Errorf("%s without a number: %v", name, err)
		}
		want := before
		if name == "deliver" {
			want++ // the first had its number
		}
		if got := messageFiles(t, w); got != want {
			t.Errorf("%s: %d files, want %d", name, got, want)
		}
		left = -1
		if err := do(); err != nil {
			t.Errorf("%s with numbers again: %v", name, err)
		}
	}
}

// messageFiles counts the message files below the base directory.
func messageFiles(t *testing.T, w *world) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.base, "Accounts", "*", msgfile.Directory, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(slices.DeleteFunc(files, isEmpty))
}

var errBroken = errors.New("the client is gone")

// A body that breaks off with an error of any kind leaves nothing of the messages before it.
func TestAppendThatBreaksOffLeavesNoFile(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	_, err := a.AppendAll(context.Background(), "INBOX", func(yield func(AppendMessage) bool) {
		if yield(AppendMessage{Body: strings.NewReader("Subject: x\r\n\r\nx\r\n")}) {
			yield(AppendMessage{Body: io.MultiReader(strings.NewReader("Subject: y\r\n"), brokenBody{})})
		}
	})
	if !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
	if n := messageFiles(t, w); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) {
	return 0, fault.Wrap("wire.Read", fault.Unavailable, errBroken)
}
