package mailbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// many returns a view of INBOX with n messages, of which every third is \Seen, every
// fifth \Deleted and every seventh has a keyword.
func (w *world) many(a *Account, n int) *Mailbox {
	w.t.Helper()
	var ds []Delivery
	for i := range n {
		d := w.queued(i + 1)
		if i%3 == 0 {
			d.Flags = append(d.Flags, imap.FlagSeen)
		}
		if i%5 == 0 {
			d.Flags = append(d.Flags, imap.FlagDeleted)
		}
		if i%7 == 0 {
			d.Flags = append(d.Flags, "$Work")
		}
		ds = append(ds, d)
	}
	w.deliver(a, ds...)
	return w.view(a, "INBOX")
}

// records counts the messages that have records, hidden ones too.
func records(a *Account) (n int) {
	_ = a.shard.View(func(tx index.Tx) error {
		return eachSummary(tx, a.id, func(uint32, imap.UID, *summary) bool { n++; return true })
	})
	return n
}

// wantCopies compares a mailbox with the messages that were copied to it.
func wantCopies(t *testing.T, from *Mailbox, to *Mailbox, data CopyData) {
	t.Helper()
	source, ok := data.Source.Nums()
	dest, ok2 := data.Dest.Nums()
	if !ok || !ok2 || len(source) != len(dest) || len(data.Dest) != 1 {
		t.Fatalf("COPYUID %v %v", data.Source, data.Dest)
	}
	for i := range source {
		x, ok := from.Message(source[i])
		y, ok2 := to.Message(dest[i])
		if !ok || !ok2 || x.EmailID != y.EmailID || x.Flags != y.Flags || (x.Keywords == 0) != (y.Keywords == 0) {
			t.Fatalf("the copy of %d %+v is %d %+v", source[i], x, dest[i], y)
		}
	}
	last := len(source) - 1
	if a, b := read(t, from, source[last]), read(t, to, dest[last]); a != b {
		t.Errorf("the copy of %q reads %q", a, b)
	}
}

func TestLargeCopyTakesShortCommitsAndShowsAtOnce(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.many(a, 2*maxChange+300)
	w.append(a, "Trash", 0)
	trash := w.view(a, "Trash")
	before, most, commits := records(a), 0, 0
	stop := a.Watch(func() {
		now := records(a)
		most, before = max(most, now-before), now
		commits++
		if s, err := a.Status(bg, "Trash"); err != nil || s.Messages != 1 && s.Messages != 1+uint32(m.Len()) {
			t.Errorf("after commit %d: %d messages, %v", commits, s.Messages, err)
		}
	})
	data, err := m.Copy(bg, m.UIDs(), "Trash")
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if most > maxChange || commits != 4 {
		t.Errorf("%d commits, the largest with %d messages", commits, most)
	}
	if !signalled(trash) || trash.Sync(true).Exists != 1+m.Len() {
		t.Errorf("the open view has %d messages", trash.Len())
	}
	wantCopies(t, m, trash, data)
	wantCopies(t, m, w.view(a, "Trash"), data)
	next := w.append(a, "Trash", 9)
	if copies, _ := data.Dest.Nums(); next <= copies[len(copies)-1] {
		t.Errorf("UID %d comes after %v", next, data.Dest)
	}
	w.reopen()
	a = w.account(1)
	if trash := w.view(a, "Trash"); trash.Len() != 2+m.Len() {
		t.Errorf("%d messages after the restart", trash.Len())
	}
}

func TestLargeCopiesAndDeliveriesAtOnce(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(1), w.account(2)
	m := w.many(a, maxChange+200)
	other := w.view(a, "INBOX")
	var deliveries []Delivery
	for i := range 200 {
		d := w.queued(i)
		d.Mailbox = "Trash"
		deliveries = append(deliveries, d)
	}
	trash := w.view(a, "Trash")
	var all sync.WaitGroup
	all.Go(func() {
		for part := range slices.Chunk(deliveries, 5) {
			w.deliver(a, part...)
		}
	})
	var data [3]CopyData
	for i, c := range []func() (CopyData, error){
		func() (CopyData, error) { return m.Copy(bg, m.UIDs(), "Trash") },
		func() (CopyData, error) { return other.Copy(bg, other.UIDs(), "Trash") },
		func() (CopyData, error) { return other.CopyTo(bg, other.UIDs(), b, "INBOX") },
	} {
		if i == 2 { // a view belongs to one goroutine
			all.Wait()
		}
		all.Go(func() {
			var err error
			if data[i], err = c(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	trash.Sync(true)
	fresh := w.view(a, "Trash")
	if want := 2*m.Len() + len(deliveries); trash.Len() != want || !slices.Equal(trash.UIDs(), fresh.UIDs()) {
		t.Errorf("%d and %d messages, want %d", trash.Len(), fresh.Len(), want)
	}
	wantCopies(t, m, trash, data[0])
	wantCopies(t, m, trash, data[1])
	wantCopies(t, m, w.view(b, "INBOX"), data[2])
	w.settle()
	if n := records(a); n != m.Len()+trash.Len() {
		t.Errorf("%d records for %d messages", n, m.Len()+trash.Len())
	}
}

// half makes the first part of a large copy of all messages to Trash.
func half(t *testing.T, m *Mailbox, room int) *hiddenCopy {
	t.Helper()
	h := &hiddenCopy{to: m.box.account, dest: "Trash", room: room, most: m.Len(), size: m.sizeOf(m.UIDs())}
	more(t, m, h, m.UIDs()[:m.Len()/2])
	return h
}

func more(t *testing.T, m *Mailbox, h *hiddenCopy, uids []imap.UID) {
	t.Helper()
	if err := m.copyPart(bg, uids, EveryFlag, h.to, func(list []copied) error { return h.add(bg, list) }); err != nil {
		t.Fatal(err)
	}
}

func TestHalfACopyIsSeenByNobody(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.many(a, 200)
	w.append(a, "Trash", 0)
	usage, _ := a.Usage(bg)
	h := half(t, m, 0)
	if now, _ := a.Usage(bg); now != usage {
		t.Errorf("the account holds %+v, before %+v", now, usage)
	}
	if s, err := a.Status(bg, "Trash"); err != nil || s.Messages != 1 || s.Recent != 1 || s.UIDNext != 2 {
		t.Errorf("status %+v, %v", s, err)
	}
	trash := w.view(a, "Trash")
	wantView(t, trash, "1:Recent")
	w.check()
	// What comes in between comes before it.
	if uid := w.append(a, "Trash", 5); uid != 2 {
		t.Errorf("UID %d", uid)
	}
	trash.Sync(true)
	seen := trash.Info().HighestModSeq
	more(t, m, h, m.UIDs()[100:])
	if _, err := h.show(bg); err != nil {
		t.Fatal(err)
	}
	trash.Sync(true)
	for _, uid := range trash.UIDs()[2:] {
		if st, ok := trash.State(uid); !ok || st.ModSeq <= seen || !st.Recent {
			t.Fatalf("%d: %+v, and the client knows all up to %d", uid, st, seen)
		}
	}
	if trash.Len() != 202 {
		t.Errorf("%d messages", trash.Len())
	}
	w.append(a, "Trash", 6)
	w.reopen()
	if n := w.view(w.account(1), "Trash").Len(); n != 203 {
		t.Errorf("%d messages after the restart", n)
	}
}

func TestHalfACopyGoes(t *testing.T) {
	for name, c := range map[string]func(w *world, a *Account, h *hiddenCopy){
		"after an error": func(w *world, a *Account, h *hiddenCopy) { h.giveUp() },
		"after a crash": func(w *world, a *Account, h *hiddenCopy) {
			w.crash()
			w.open()
			w.account(1)
		},
		"after a crash under its removal": func(w *world, a *Account, h *hiddenCopy) {
			d := drop{shard: a.shard, account: a.id, handle: a, data: h.data, start: h.span.start}
			err := a.shard.Update(bg, func(tx index.Tx) error {
				ranges, _, err := d.keys(tx)
				return errors.Join(err, tx.Delete(index.Mail, ranges[1].from))
			}, nil)
			if err != nil {
				w.t.Error(err)
			}
			w.check()
			w.crash()
			w.open()
			w.account(1)
		},
		"with its mailbox": func(w *world, a *Account, h *hiddenCopy) {
			if err := a.DeleteMailbox(bg, "Trash"); err != nil {
				w.t.Error(err)
			}
			if _, err := h.show(bg); !fault.Is(err, fault.NoMailbox) {
				w.t.Errorf("shown in a deleted mailbox: %v", err)
			}
			h.giveUp()
			if _, err := a.CreateMailbox(bg, "Trash", CreateOptions{}); err != nil {
				w.t.Error(err)
			}
		},
		"with its mailbox and a crash": func(w *world, a *Account, h *hiddenCopy) {
			w.store.upkeep.pause()
			if err := a.DeleteMailbox(bg, "Trash"); err != nil {
				w.t.Error(err)
			}
			w.crash()
			w.open()
			if _, err := w.account(1).CreateMailbox(bg, "Trash", CreateOptions{}); err != nil {
				w.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.account(1)
			m := w.many(a, 200)
			h := half(t, m, 0)
			m.Close()
			c(w, a, h)
			a = w.account(1)
			w.check()
			w.append(a, "Trash", 5)
			w.settle()
			if n, files := records(a), len(w.files(a)); n != 201 || files != 201 {
				t.Errorf("%d records and %d files are left", n, files)
			}
			want := 0 // removed
			if strings.Contains(name, "crash") {
				want = 100
			}
			if moved := w.moved(a); len(moved) != want {
				t.Errorf("%d files are in Leftovers, want %d", len(moved), want)
			}
			if n := hiddenIn(a); n != 0 {
				t.Errorf("%d hidden ranges are left", n)
			}
			if n := w.view(a, "Trash").Len(); n != 1 {
				t.Errorf("%d messages", n)
			}
		})
	}
}

func hiddenIn(a *Account) (n int) {
	_ = a.shard.View(func(tx index.Tx) error {
		tx.Range(index.Dropped, appendAccount(nil, a.id), appendAccount(nil, a.id+1), func(_, _ []byte) bool { n++; return true })
		return nil
	})
	return n
}

func TestACopyThatIsOvertakenIsMadeAgain(t *testing.T) {
	for name, overtake := range map[string]func(w *world, a *Account) int{
		"by messages": func(w *world, a *Account) int {
			for i := range blockUIDs + 5 {
				w.append(a, "Trash", i)
			}
			return blockUIDs + 5
		},
		"by changes": func(w *world, a *Account) int {
			err := a.update(bg, func(e *edit) error {
				e.rec.modSeq += modSeqRoom
				return e.subscribe("x", true)
			})
			if err != nil {
				w.t.Error(err)
			}
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.account(1)
			m := w.many(a, 200)
			trash := w.view(a, "Trash")
			h := half(t, m, 0)
			n := overtake(w, a)
			if _, err := h.show(bg); !errors.Is(err, errOvertaken) {
				t.Errorf("shown: %v", err)
			}
			w.check()
			again := half(t, m, 50) // beside what the first has left
			h.giveUp()
			w.settle()
			more(t, m, again, m.UIDs()[100:])
			if _, err := again.show(bg); err != nil {
				t.Error(err)
			}
			trash.Sync(true)
			if trash.Len() != n+200 {
				t.Errorf("%d messages", trash.Len())
			}
			w.reopen()
			if got := len(w.files(w.account(1))); got != n+400 {
				t.Errorf("%d files", got)
			}
		})
	}
}

func TestRenamingINBOXLeavesNoHalfCopyInIt(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.many(a, 200)
	h := &hiddenCopy{to: a, dest: "INBOX", most: m.Len()}
	more(t, m, h, m.UIDs()[:100])
	if err := a.RenameMailbox(bg, "INBOX", "Old"); err != nil {
		t.Fatal(err)
	}
	w.append(a, "INBOX", 1)
	for range blockUIDs {
		w.append(a, "Old", 2)
	}
	if _, err := h.show(bg); !errors.Is(err, errOvertaken) {
		t.Errorf("shown: %v", err)
	}
	w.check()
	h.giveUp()
	w.settle()
	if n, old := w.view(a, "INBOX").Len(), w.view(a, "Old").Len(); n != 1 || old != 200+blockUIDs || records(a) != n+old {
		t.Errorf("INBOX has %d, Old %d messages, the account %d records", n, old, records(a))
	}
}

func TestALargeCopyThatFailsLeavesNothing(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.many(a, maxChange+100)
	want, _ := a.Usage(bg)
	ctx, cancel := context.WithCancel(bg)
	stop := a.Watch(cancel) // with its first commit
	_, err := m.Copy(ctx, m.UIDs(), "Trash")
	wantKind(t, err, fault.Canceled)
	stop()
	w.limits = Limits{MaxSize: want.Bytes + 10_000}
	_, err = m.Copy(bg, m.UIDs(), "Trash")
	wantKind(t, err, fault.OverQuota)
	// The account fills up meanwhile.
	w.limits.MaxSize = -1
	h := half(t, m, 0)
	w.limits.MaxSize = want.Bytes + h.counts.size + 10
	w.append(a, "INBOX", 1)
	_, err = h.show(bg)
	wantKind(t, err, fault.OverQuota)
	h.giveUp()
	w.settle()
	if got, _ := a.Usage(bg); got.Messages != want.Messages+1 || records(a) != int(got.Messages) || len(w.files(a)) != int(got.Messages) {
		t.Errorf("the account holds %+v, has %d records and %d files", got, records(a), len(w.files(a)))
	}
	if s, err := a.Status(bg, "Trash"); err != nil || s.Messages != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	m.Sync(true)
	w.limits.MaxSize = -1
	if data, err := m.Copy(bg, m.UIDs(), "Trash"); err != nil || len(data.Dest) != 1 {
		t.Errorf("%v, %v", data.Dest, err)
	}
}

func TestLargeChangesTakeTurns(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.many(a, 2*fewMessages)
	end, err := a.turn(bg, maxChange)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	for name, change := range map[string]func(uids []imap.UID) error{
		"copy":    func(uids []imap.UID) error { _, err := m.Copy(ctx, uids, "Trash"); return err },
		"move":    func(uids []imap.UID) error { _, err := m.Move(ctx, uids, "Trash"); return err },
		"expunge": func([]imap.UID) error { _, err := m.turnedExpunge(ctx); return err },
	} {
		if err := change(m.UIDs()); !fault.Is(err, fault.Canceled) {
			t.Errorf("%s while another has its turn: %v", name, err)
		}
	}
	if _, err := m.Copy(bg, m.UIDs()[:fewMessages], "Trash"); err != nil {
		t.Error(err)
	}
	end()
	if _, err := m.Copy(bg, m.UIDs(), "Trash"); err != nil {
		t.Error(err)
	}
}

// turnedExpunge marks all messages and expunges them.
func (m *Mailbox) turnedExpunge(ctx context.Context) ([]imap.UID, error) {
	if _, err := m.SetFlags(bg, m.UIDs(), Add, []imap.Flag{imap.FlagDeleted}, NoCondition); err != nil {
		return nil, fmt.Errorf("mark: %w", err)
	}
	return m.Expunge(ctx, nil)
}

// An administrator restores an index that was saved while a copy was being made; then the
// copies are all that is left of the mail.
func TestIndexSavedDuringACopyLosesNoMail(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.many(a, 200)
	h := half(t, m, 0)
	dir := filepath.Join(w.base, "Index")
	saved := t.TempDir()
	if err := os.CopyFS(saved, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	more(t, m, h, m.UIDs()[100:])
	if _, err := h.show(bg); err != nil {
		t.Fatal(err)
	}
	if _, err := m.turnedExpunge(bg); err != nil {
		t.Fatal(err)
	}
	m.Sync(true)
	m.Close()
	w.check()
	w.close()
	if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(saved))); err != nil {
		t.Fatal(err)
	}
	w.open()
	a = w.account(1)
	a.moveLeftoversOnce()
	if n, moved := len(w.files(a)), len(w.moved(a)); n != 0 || moved != 200 {
		t.Errorf("%d messages are where they belong and %d in Leftovers", n, moved)
	}
	if n := records(a); n != 200 { // of the restored index
		t.Errorf("%d records", n)
	}
	w.close() // the check reports what the index names and is not there
}
