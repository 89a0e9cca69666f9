package mailbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
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

// records counts the messages that have records.
func records(a *Account) (n int) {
	_ = a.shard.View(func(tx index.Tx) error {
		return eachSummary(tx, a.id, func(uint32, imap.UID, *summary) bool { n++; return true })
	})
	return n
}

// contents counts the records of index.Content.
func contents(a *Account) (n int) {
	_ = a.shard.View(func(tx index.Tx) error {
		from := appendAccount(nil, a.id)
		tx.Range(index.Content, from, after(from), func(_, _ []byte) bool { n++; return true })
		return nil
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

func TestLargeCopyShowsAtOnceAndMakesNoFiles(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.many(a, 2*maxContents+300)
	w.append(a, "Trash", 0)
	trash := w.view(a, "Trash")
	files, kept := len(w.files(a)), contents(a)
	stop := a.Watch(func() {
		if s, err := a.Status(bg, "Trash"); err != nil || s.Messages != 1 && s.Messages != 1+uint32(m.Len()) {
			t.Errorf("%d messages, %v", s.Messages, err)
		}
	})
	data, err := m.Copy(bg, m.UIDs(), "Trash")
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if !signalled(trash) || trash.Sync(true).Exists != 1+m.Len() {
		t.Errorf("the open view has %d messages", trash.Len())
	}
	wantCopies(t, m, trash, data)
	wantCopies(t, m, w.view(a, "Trash"), data)
	if len(w.files(a)) != files || contents(a) != kept {
		t.Errorf("%d files and %d contents, before %d and %d", len(w.files(a)), contents(a), files, kept)
	}
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

func TestAFileGoesWithItsLastMessage(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.many(a, 20)
	for range 2 { // INBOX has each message three times then
		if _, err := m.Copy(bg, m.UIDs()[:20], "INBOX"); err != nil {
			t.Fatal(err)
		}
		m.Sync(true)
	}
	if _, err := m.Copy(bg, m.UIDs(), "Trash"); err != nil {
		t.Fatal(err)
	}
	trash := w.view(a, "Trash")
	want := read(t, m, 1)
	wantLeft := func(files int) {
		t.Helper()
		w.settle()
		w.check()
		if n, kept := len(w.files(a)), contents(a); n != files || kept != files {
			t.Errorf("%d files and %d contents are left, want %d", n, kept, files)
		}
	}
	set(t, m, Add, imap.FlagDeleted, m.UIDs()...)
	if _, err := m.Expunge(bg, nil); err != nil {
		t.Fatal(err)
	}
	wantLeft(20)
	if got := read(t, m, 1); got != want { // the view still shows it
		t.Errorf("%q", got)
	}
	m.Sync(true)
	wantLeft(20)
	set(t, trash, Add, `\Deleted`, trash.UIDs()[:55]...)
	if _, err := trash.Expunge(bg, nil); err != nil {
		t.Fatal(err)
	}
	wantLeft(20)
	if _, prefix := content(t, trash, 1); !strings.Contains(prefix, "Return-Path") {
		t.Errorf("%q", prefix)
	}
	trash.Sync(true)
	wantLeft(4) // one of the last five had the flag before
	trash.Close()
	if err := a.DeleteMailbox(bg, "Trash"); err != nil {
		t.Fatal(err)
	}
	wantLeft(0)
}

func TestLargeCopiesAndDeliveriesAtOnce(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(1), w.account(2)
	m := w.many(a, maxContents+200)
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

// staged has the files and the content of copies of all messages in another account.
func staged(t *testing.T, m *Mailbox, to *Account) *copiesAcross {
	t.Helper()
	c := &copiesAcross{}
	err := m.gather(m.UIDs(), c)
	if err == nil {
		_, err = m.linkCopies(to, c.list)
	}
	if err == nil {
		err = to.stage(bg, c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatIsWrittenAheadOfACopyGoes(t *testing.T) {
	for name, end := range map[string]func(w *world, b *Account, c *copiesAcross){
		"after an error": func(w *world, b *Account, c *copiesAcross) {
			b.settleCopies(filesOf(c.list), errors.New("no"))
		},
		"after a crash": func(w *world, b *Account, c *copiesAcross) {
			w.crash()
			w.open()
		},
		"with the account": func(w *world, b *Account, c *copiesAcross) {
			b.settleCopies(filesOf(c.list), errors.New("no"))
			if err := w.store.Remove(bg, *b.owner.Load()); err != nil {
				w.t.Error(err)
			}
			w.settle()
			if n := contents(b); n != 0 {
				w.t.Errorf("%d contents of an account that is gone", n)
			}
			delete(w.owners, 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.account(1), w.account(2)
			m := w.many(a, 200)
			c := staged(t, m, b)
			if n := contents(b); n != 200 {
				t.Fatalf("%d contents", n)
			}
			w.check()
			m.Close()
			end(w, b, c)
			b = w.account(2)
			w.append(b, "INBOX", 1) // after a crash what it has left goes before
			w.settle()
			w.check()
			if n, files := contents(b), len(w.files(b)); n != 1 || files != 1 {
				t.Errorf("%d contents and %d files are left", n, files)
			}
			want := 0
			if name == "after a crash" {
				want = 200
			}
			if moved := len(w.moved(b)); moved != want {
				t.Errorf("%d files are in Leftovers, want %d", moved, want)
			}
		})
	}
}

func TestALargeCopyThatFailsLeavesNothing(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(1), w.account(2)
	m := w.many(a, maxContents+100)
	for name, to := range map[string]*Account{"within": a, "across": b} {
		want, _ := to.Usage(bg)
		wantNothing := func() {
			t.Helper()
			w.settle()
			if got, _ := to.Usage(bg); got != want || records(to) != int(want.Messages) || len(w.files(to)) != int(want.Messages) ||
				contents(to) != int(want.Messages) {
				t.Errorf("%s: the account holds %+v, has %d records, %d files and %d contents", name, got, records(to), len(w.files(to)), contents(to))
			}
		}
		w.limits = Limits{MaxSize: want.Bytes + 10_000}
		_, err := m.CopyTo(bg, m.UIDs(), to, "Trash")
		wantKind(t, err, fault.OverQuota)
		wantNothing()
		w.limits.MaxSize = -1
		ctx, cancel := context.WithCancel(bg)
		cancel()
		_, err = m.CopyTo(ctx, m.UIDs(), to, "Trash")
		wantKind(t, err, fault.Canceled)
		wantNothing()
		if data, err := m.CopyTo(bg, m.UIDs(), to, "Trash"); err != nil || len(data.Dest) != 1 {
			t.Errorf("%v, %v", data.Dest, err)
		}
	}
}

func TestLargeChangesTakeSeveralCommits(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.many(a, 300)
	for m.Len() <= maxChange {
		if _, err := m.Copy(bg, m.UIDs(), "INBOX"); err != nil {
			t.Fatal(err)
		}
		m.Sync(true)
	}
	n := m.Len()
	if res, err := m.SetFlags(bg, m.UIDs(), Add, []imap.Flag{"$New"}, NoCondition); err != nil || len(res.Changed) != n {
		t.Errorf("%d flags were changed: %v", len(res.Changed), err)
	}
	data, err := m.Move(bg, m.UIDs(), "Trash")
	if moved, _ := data.Dest.Nums(); err != nil || len(moved) != n {
		t.Errorf("%d messages were moved: %v", len(moved), err)
	}
	m.Sync(true)
	trash := w.view(a, "Trash")
	w.check()
	if _, err := trash.SetFlags(bg, trash.UIDs(), Add, []imap.Flag{imap.FlagDeleted}, NoCondition); err != nil {
		t.Error(err)
	}
	if gone, err := trash.Expunge(bg, nil); err != nil || len(gone) != n || !slices.IsSorted(gone) {
		t.Errorf("%d messages were expunged: %v", len(gone), err)
	}
	trash.Sync(true)
	w.settle()
	if m.Len() != 0 || trash.Len() != 0 || contents(a) != 0 || len(w.files(a)) != 0 {
		t.Errorf("%d and %d messages, %d contents and %d files are left", m.Len(), trash.Len(), contents(a), len(w.files(a)))
	}
}

func TestLargeChangesTakeTurns(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	m := w.many(a, 2*fewMessages)
	set(t, m, Add, imap.FlagDeleted, m.UIDs()...)
	end, err := a.turn(bg, maxChange)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	for name, change := range map[string]func(uids []imap.UID) error{
		"copy":    func(uids []imap.UID) error { _, err := m.Copy(ctx, uids, "Trash"); return err },
		"move":    func(uids []imap.UID) error { _, err := m.Move(ctx, uids, "Trash"); return err },
		"expunge": func([]imap.UID) error { _, err := m.Expunge(ctx, nil); return err },
		"store": func(uids []imap.UID) error {
			_, err := m.SetFlags(ctx, uids, Add, []imap.Flag{imap.FlagFlagged}, NoCondition)
			return err
		},
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

// An item is a message with more than mail has: what it shares with copies, and what goes with it, is as with mail.
func TestACopyOfAnItemKeepsItsMessage(t *testing.T) {
	w, a := newCalendar(t)
	w.put(a, itemPut("late.ics", "L", 300, 400))
	w.put(a, itemPut("early.ics", "E", 100, 200))
	m := w.view(a, calendar)
	if _, err := m.Copy(bg, m.UIDs(), "Trash"); err != nil {
		t.Fatal(err)
	}
	w.put(a, itemPut("early.ics", "E", 350, 360)) // in place of the first, whose message is copied
	m.Sync(true)
	w.settle()
	w.check()
	if files, kept := len(w.files(a)), contents(a); files != 3 || kept != 3 {
		t.Errorf("%d files and %d contents", files, kept)
	}
	if got := between(t, a, 0, 250); got != "" {
		t.Errorf("early: %s", got)
	}
	if got := between(t, a, 340, 380); got != "early.ics late.ics" {
		t.Errorf("late: %s", got)
	}
	for _, name := range []string{"early.ics", "late.ics"} {
		if err := a.DeleteItem(bg, calendar, name, nil); err != nil {
			t.Error(err)
		}
	}
	m.Sync(true)
	w.settle()
	w.check()
	if files, kept := len(w.files(a)), contents(a); files != 2 || kept != 2 {
		t.Errorf("%d files and %d contents are left", files, kept)
	}
	trash := w.view(a, "Trash")
	if got := read(t, trash, trash.UIDs()[1]); !strings.Contains(got, "text of E") {
		t.Errorf("the copy reads %q", got)
	}
}

func TestContentGoesOnce(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.many(a, 600).Close()
	m := w.view(a, "INBOX")
	files := map[imap.UID]msgfile.Ref{}
	for _, uid := range m.UIDs() {
		s, err := m.summary(bg, uid)
		if err != nil {
			t.Fatal(err)
		}
		files[uid] = s.file()
	}
	set(t, m, Add, imap.FlagDeleted, m.UIDs()...)
	if _, err := m.Expunge(bg, nil); err != nil {
		t.Fatal(err)
	}
	// The content of one, the last, is removed on another way before upkeep's turn comes, as before the first file after a crash.
	err := a.shard.Update(bg, func(tx index.Tx) error {
		return dropContent(tx, a.id, []msgfile.Ref{files[600]})
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	w.settle()
	w.check()
	if n, kept := len(w.files(a)), contents(a); n != 0 || kept != 0 {
		t.Errorf("%d files and %d contents are left", n, kept)
	}
}

func TestCopyHasTheStatesOfTheMomentOfItsCommit(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for n := range 200 {
		w.append(a, "INBOX", n)
	}
	m := w.view(a, "INBOX")
	list, data := m.taken(t)
	if _, err := m.SetFlags(bg, []imap.UID{2, 199}, Add, []imap.Flag{imap.FlagSeen, imap.FlagDeleted}, NoCondition); err != nil {
		t.Fatal(err)
	}
	only := imap.UIDSet{{Start: 199, Stop: 199}}
	if _, err := m.Expunge(bg, &only); err != nil {
		t.Fatal(err)
	}
	err := a.shard.View(func(tx index.Tx) error {
		x, err := (&edit{account: a, tx: tx}).box(inboxID)
		if err != nil || x.rec.data != data {
			return errors.Join(errors.New("other data"), err)
		}
		for range 2 { // an edit may run again
			if left, err := x.takeStates(list); err != nil || left != 199 {
				t.Errorf("%d messages are left: %v", left, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.gone != (c.uid == 199) || !c.gone && (c.state.flags&Seen != 0) != (c.uid == 2) {
			t.Errorf("message %d: %+v", c.uid, c)
		}
	}
}

// taken returns all messages of the view as the index has them.
func (m *Mailbox) taken(t *testing.T) (list []taken, data uint32) {
	err := m.box.account.shard.View(func(tx index.Tx) error {
		x, err := (&edit{account: m.box.account, tx: tx}).box(m.box.id)
		if err != nil {
			return err
		}
		data = x.rec.data
		list, err = x.take(m.UIDs())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list, data
}
