package mailbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatepost/server/fault"
)

// copies makes n deliveries of one queued message, to be made together.
func (w *world) copies(n int) []Delivery {
	d := w.queued(1)
	d.Together = true
	ds := make([]Delivery, n)
	for i := range ds {
		ds[i] = d
		ds[i].Copy = uint32(i)
	}
	return ds
}

func TestDeliveriesTogetherAreMadeAllOrNone(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	size := int64(len(text(1)) + len("Return-Path: <me@example.com>\r\n"))
	w.limits = Limits{MaxSize: 2*size + 10}
	ds := w.copies(3)
	alone := w.queued(2)
	errs := a.Deliver(bg, append([]Delivery{alone}, ds...))
	if errs[0] != nil {
		t.Errorf("the other message: %v", errs[0])
	}
	for _, err := range errs[1:] {
		wantKind(t, err, fault.OverQuota)
	}
	w.settle()
	wantView(t, w.view(a, "INBOX"), "1:Recent")
	if n := len(w.files(a)); n != 1 {
		t.Errorf("%d files are left", n)
	}
	w.limits = Limits{MaxSize: 4*size + 10}
	w.deliver(a, ds...)
	w.deliver(a, ds...)
	wantView(t, w.view(a, "INBOX"), "1:- 2:Recent 3:Recent 4:Recent")
}

func TestDeliveriesTogetherFailWithOneThatHasNoFile(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	ds := w.copies(3)
	ds[1].File = filepath.Join(w.base, "Queue", "none.msg")
	for i, err := range a.Deliver(bg, append(ds, w.queued(2))) {
		if (err == nil) != (i == 3) {
			t.Errorf("delivery %d: %v", i, err)
		}
	}
	w.settle()
	wantView(t, w.view(a, "INBOX"), "1:Recent")
	if n := len(w.files(a)); n != 1 {
		t.Errorf("%d files are left", n)
	}
}

func TestRecordsOfDeliveries(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(1), w.account(2)
	d := w.queued(1)
	d.Together = true
	note := Delivery{QueueID: d.QueueID, Copy: 1<<31 | 255, Together: true, RecordOnly: true, Sent: []uint64{900, 7}}
	made := func(a *Account, want string) {
		t.Helper()
		list, err := a.Made(d.QueueID)
		if got := fmt.Sprint(list); err != nil || got != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
	made(a, "[]")
	for range 2 {
		w.deliver(a, d, note)
		made(a, "[{0 []} {2147483903 [900 7]}]")
	}
	only := note
	only.Copy, only.Sent = 5, []uint64{31}
	w.deliver(b, only)
	made(b, "[{5 [31]}]")
	wantView(t, w.view(b, "INBOX"), "")
	w.crash()
	w.open()
	a, b = w.account(1), w.account(2)
	made(a, "[{0 []} {2147483903 [900 7]}]")
	w.deliver(a, d, note)
	wantView(t, w.view(a, "INBOX"), "1:Recent")
	named := map[uint64]bool{}
	err := w.store.EachMade(bg, func(_ uint64, m Made) {
		for _, id := range m.Sent {
			named[id] = true
		}
	})
	if err != nil || fmt.Sprint(named) != "map[7:true 31:true 900:true]" {
		t.Errorf("%v, %v", named, err)
	}
	w.store.Forget([]uint64{d.QueueID})
	w.settle()
	made(a, "[]")
	made(b, "[]")
}

// A copy with another header has a file of its own, and is what readers list.
func TestDeliveryWithAnotherHeader(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	plain := w.queued(1)
	plain.Together = true
	changed := plain
	changed.Copy = 7
	head := strings.Index(text(1), "\r\n\r\n") + 2
	changed.Header, changed.Replaced = []byte("Subject: [list] changed\r\nX: y\r\n"), int64(head)
	for range 2 {
		w.deliver(a, plain, changed)
	}
	if err := w.store.SyncLinks(bg); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(plain.File); err != nil {
		t.Fatal(err)
	}
	m := w.view(a, "INBOX")
	wantView(t, m, "1:Recent 2:Recent")
	if got := read(t, m, 1); got != string(plain.Prefix)+text(1) {
		t.Errorf("unchanged: %q", got)
	}
	if got, want := read(t, m, 2), string(plain.Prefix)+string(changed.Header)+text(1)[head:]; got != want {
		t.Errorf("changed: %q, want %q", got, want)
	}
	c, err := m.Reader().Content(bg, 2)
	if err != nil || string(c.Prefix) != string(plain.Prefix) || !strings.Contains(string(c.Envelope), "[list] changed") {
		t.Errorf("prefix %q, envelope %s, %v", c.Prefix, c.Envelope, err)
	}
	bad := w.queued(2)
	bad.Header, bad.Replaced = []byte("X: y\r\n"), bad.Size+1
	wantKind(t, a.Deliver(bg, []Delivery{bad})[0], fault.Invalid)
	gone := w.queued(3)
	gone.Header, gone.File = []byte("X: y\r\n"), gone.File+"x"
	if err := a.Deliver(bg, []Delivery{gone})[0]; err == nil {
		t.Error("a queue file that is not there is delivered")
	}
	w.settle()
	if n := len(w.files(a)); n != 2 {
		t.Errorf("%d files", n)
	}
}
