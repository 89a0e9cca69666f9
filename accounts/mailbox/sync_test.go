package mailbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

func set(t testing.TB, m *Mailbox, op Op, flag imap.Flag, uids ...imap.UID) SetResult {
	t.Helper()
	r, err := m.SetFlags(bg, uids, op, []imap.Flag{flag}, NoCondition)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func expunge(t testing.TB, m *Mailbox, uids ...imap.UID) {
	t.Helper()
	set(t, m, Add, imap.FlagDeleted, uids...)
	got, err := m.Expunge(bg, nil)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(uids) {
		t.Fatalf("expunged %v, %v", got, err)
	}
}

func signalled(m *Mailbox) bool {
	select {
	case <-m.Changed():
		return true
	default:
		return false
	}
}

func wantUpdate(t testing.TB, m *Mailbox, allowExpunge bool, want string) {
	t.Helper()
	u := m.Sync(allowExpunge)
	var got []string
	if len(u.Expunged) > 0 {
		got = append(got, fmt.Sprintf("expunged %v", u.Expunged))
	}
	if u.Exists >= 0 {
		got = append(got, fmt.Sprintf("exists %d", u.Exists))
	}
	if len(u.Flags) > 0 {
		got = append(got, fmt.Sprintf("flags %v", u.Flags))
	}
	if u.NewKeywords {
		got = append(got, "keywords")
	}
	if u.Gone {
		got = append(got, "gone")
	}
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("the update says %q, want %q", s, want)
	}
}

func TestASessionIsToldOfWhatOthersDoAndNotOfItsOwn(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	w.append(a, "INBOX", 2)
	mine, other := w.view(a, "INBOX"), w.view(a, "INBOX")
	wantUpdate(t, mine, true, "")

	set(t, mine, Add, imap.FlagSeen, 1)
	if signalled(mine) || !signalled(other) {
		t.Error("the change of flags went to the wrong session")
	}
	wantUpdate(t, mine, true, "")
	wantUpdate(t, other, true, "flags [1]")

	w.deliver(a, w.queued(3))
	if !signalled(mine) || !signalled(other) {
		t.Error("a delivery was not signalled")
	}
	wantUpdate(t, mine, false, "exists 3")
	wantUpdate(t, other, false, "exists 3")
	set(t, other, Add, imap.FlagFlagged, 3) // the arrivals are no flag changes
	wantUpdate(t, mine, true, "flags [3]")

	expunge(t, other, 2)
	if !signalled(mine) {
		t.Error("an expunge was not signalled")
	}
	wantUpdate(t, mine, false, "flags [2]")
	wantUpdate(t, mine, true, "expunged [2]")
	wantUpdate(t, other, true, "expunged [2]")
	wantUpdate(t, mine, true, "")
}

func TestAChangeOfOthersUnderAnOwnOneIsReported(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	mine, other := w.view(a, "INBOX"), w.view(a, "INBOX")
	set(t, other, Add, imap.FlagFlagged, 1)
	set(t, mine, Add, imap.FlagSeen, 1)
	wantUpdate(t, mine, true, "flags [1]")
	wantUpdate(t, other, true, "flags [1]")
}

func TestAnExpungedMessageStaysUntilTheLastViewLetsGo(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	d := w.queued(1)
	w.deliver(a, d)
	w.append(a, "INBOX", 2)
	first, second, expunger := w.view(a, "INBOX"), w.view(a, "INBOX"), w.view(a, "INBOX")
	s, _ := first.summary(bg, 1)
	path := a.path(s.file())
	modSeq := first.Info().HighestModSeq
	expunge(t, expunger, 1)
	wantUpdate(t, expunger, true, "expunged [1]")

	wantUpdate(t, first, false, "flags [1]")
	wantView(t, first, `1:Deleted,Recent 2:Recent`)
	if got := read(t, first, 1); got != string(d.Prefix)+text(1) {
		t.Errorf("read %q", got)
	}
	if subject, prefix := content(t, first, 1); subject != "message 1" || prefix != string(d.Prefix) {
		t.Errorf("content of %q with %q", subject, prefix)
	}
	if r := set(t, first, Add, imap.FlagFlagged, 1, 2); len(r.Changed) != 2 {
		t.Errorf("STORE changed %v", r.Changed)
	}
	wantView(t, first, `1:Flagged,Deleted,Recent 2:Flagged,Recent`)
	if data, err := first.Copy(bg, []imap.UID{1, 2}, "Trash"); err != nil || data.Source.String() != "2" {
		t.Errorf("copied %v, %v", data, err)
	}
	if u := first.Sync(false); u.HighestModSeq > modSeq+1 {
		t.Errorf("HIGHESTMODSEQ %d passes the expunge that is held back", u.HighestModSeq)
	}
	b, err := second.OpenBody(1)
	if err != nil {
		t.Fatal(err)
	}
	w.settle()
	if _, err := os.Stat(path); err != nil {
		t.Fatal("the file went too early: ", err)
	}
	wantUpdate(t, first, true, "expunged [1]")
	second.Close()
	w.settle()
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is still there")
	}
	if got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size())); err != nil || string(got) != string(d.Prefix)+text(1) {
		t.Errorf("an open body: %q, %v", got, err)
	}
	b.Close()
	if _, err := first.OpenBody(1); !fault.Is(err, fault.NoMessage) {
		t.Errorf("open after all: %v", err)
	}
}

func TestSequenceNumbersAreThoseOfTheViewNotOfTheMailbox(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for i := range 6 {
		w.append(a, "INBOX", i)
	}
	m, other := w.view(a, "INBOX"), w.view(a, "INBOX")
	expunge(t, other, 1, 2, 5)
	w.append(a, "INBOX", 7)
	wantUpdate(t, m, false, "exists 7, flags [1 2 5]")
	for seq, want := range []imap.UID{1, 2, 3, 4, 5, 6, 7} {
		if st, ok := m.StateAt(seq + 1); !ok || st.UID != want || m.UID(seq+1) != want {
			t.Errorf("number %d is message %d", seq+1, st.UID)
		}
	}
	kept := m.UIDs()
	wantUpdate(t, m, true, "expunged [1 1 3]")
	if fmt.Sprint(kept, m.UIDs()) != "[1 2 3 4 5 6 7] [3 4 6 7]" {
		t.Errorf("UIDs are %v and then %v", kept, m.UIDs())
	}
	if _, ok := m.StateAt(5); ok || m.UID(0) != 0 || m.UID(5) != 0 {
		t.Error("numbers outside of the view have messages")
	}
	if seq, ok := m.Seq(6); seq != 3 || !ok {
		t.Errorf("message 6 is number %d", seq)
	}
}

func TestANewKeywordShowsAfterItWasAnnounced(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	mine, other := w.view(a, "INBOX"), w.view(a, "INBOX")
	set(t, other, Add, "urgent", 1)
	wantView(t, mine, "1:Recent")
	wantUpdate(t, mine, false, "flags [1], keywords")
	wantView(t, mine, "1:Recent,urgent")
	all, permanent := mine.Flags()
	if fmt.Sprint(all) != `[\Seen \Answered \Flagged \Deleted \Draft urgent]` || permanent[len(permanent)-1] != imap.FlagWildcard {
		t.Errorf("FLAGS %v, PERMANENTFLAGS %v", all, permanent)
	}
	set(t, other, Remove, "URGENT", 1) // their case does not count
	wantUpdate(t, mine, false, "flags [1]")
	wantView(t, mine, "1:Recent")
}

func TestRecentGoesToOneReadWriteSession(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	recent := func(want uint32) {
		t.Helper()
		if i, err := a.Status(bg, "INBOX"); err != nil || i.Recent != want {
			t.Errorf("STATUS says %d, %v; want %d", i.Recent, err, want)
		}
	}
	w.append(a, "INBOX", 1)
	w.append(a, "INBOX", 2)
	recent(2)
	examine, err := a.Open(bg, "INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	defer examine.Close()
	if examine.Recent() != 2 {
		t.Errorf("EXAMINE shows %d", examine.Recent())
	}
	recent(2)
	first := w.view(a, "INBOX")
	second := w.view(a, "INBOX")
	if first.Recent() != 2 || second.Recent() != 0 {
		t.Errorf("sessions show %d and %d", first.Recent(), second.Recent())
	}
	recent(0)
	w.append(a, "INBOX", 3)
	recent(0)
	second.Sync(true)
	first.Sync(true)
	if first.Recent() != 2 || second.Recent() != 1 {
		t.Errorf("sessions show %d and %d", first.Recent(), second.Recent())
	}
	wantView(t, second, "1:- 2:- 3:Recent")
	first.Close()
	second.Close()
	w.append(a, "INBOX", 4)
	recent(1)
	examine.Close()
	w.reopen() // the number was saved
	a = w.account(1)
	recent(1)
	m := w.view(a, "INBOX")
	if m.Recent() != 1 {
		t.Errorf("after reopening: %d", m.Recent())
	}
}

func TestSelectingCommitsNothing(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1)
	before := w.commits(a)
	m := w.view(a, "INBOX")
	m.Sync(true)
	m.Close()
	if n := w.commits(a); n != before {
		t.Errorf("SELECT made %d commits", n-before)
	}
}

// commits returns the account's change number.
func (w *world) commits(a *Account) uint64 {
	rec, err := a.record()
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.modSeq
}

func TestAStoreThatChangesNothingTakesNoModSeq(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1, imap.FlagSeen, "work")
	m := w.view(a, "INBOX")
	before := w.commits(a)
	for _, c := range []struct {
		op    Op
		flags []imap.Flag
		since uint64
	}{
		{Add, []imap.Flag{imap.FlagSeen}, NoCondition},
		{Add, []imap.Flag{"WORK"}, NoCondition},
		{Set, []imap.Flag{imap.FlagSeen, "work"}, NoCondition},
		{Remove, []imap.Flag{imap.FlagDeleted, "unknown"}, NoCondition},
		{Add, []imap.Flag{imap.FlagSeen}, before},
		{Add, []imap.Flag{imap.FlagDeleted}, before - 1},
	} {
		r, err := m.SetFlags(bg, []imap.UID{1, 77}, c.op, c.flags, c.since)
		if err != nil || len(r.Changed) > 0 || (c.since < before) != (len(r.Modified) == 1) {
			t.Errorf("%+v: %+v, %v", c, r, err)
		}
	}
	if n := w.commits(a); n != before {
		t.Errorf("%d changes were counted", n-before)
	}
	if r := set(t, m, Add, imap.FlagDeleted, 1); r.ModSeq != before+1 {
		t.Errorf("a change took ModSeq %d after %d", r.ModSeq, before)
	}
}

func TestADeletedMailboxIsGoneForItsSessions(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	if _, err := a.CreateMailbox(bg, "work", CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.append(a, "work", 1)
	m := w.view(a, "work")
	old := m.Info()
	if err := a.DeleteMailbox(bg, "work"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if !signalled(m) {
		t.Error("not signalled")
	}
	wantUpdate(t, m, true, "gone")
	if got := read(t, m, 1); got != text(1) { // a FETCH under way
		t.Errorf("read %q", got)
	}
	_, err := m.SetFlags(bg, []imap.UID{1}, Add, []imap.Flag{imap.FlagSeen}, NoCondition)
	wantKind(t, err, fault.NoMailbox)
	_, err = m.Expunge(bg, nil)
	if err != nil && !fault.Is(err, fault.NoMailbox) {
		t.Error(err)
	}
	i, err := a.CreateMailbox(bg, "work", CreateOptions{})
	if err != nil || i.UIDValidity <= old.UIDValidity || i.ID == old.ID {
		t.Errorf("created again: %+v after %+v, %v", i, old, err)
	}
	m.Close()
	w.settle()
	if u, _ := a.Usage(bg); u.Messages != 0 || u.Bytes != 0 {
		t.Errorf("the account still holds %+v", u)
	}
}

func TestRenamingINBOXMovesItsMessages(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.deliver(a, w.queued(1))
	w.append(a, "INBOX", 2, "work")
	if _, err := a.CreateMailbox(bg, "INBOX/sub", CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	m := w.view(a, "INBOX")
	before, email := m.Info(), func() uint64 { e, _ := m.Message(1); return e.EmailID }()
	if err := a.RenameMailbox(bg, "inbox", "Old/Mail"); err != nil {
		t.Fatal(err)
	}
	if !signalled(m) {
		t.Error("the session in INBOX was not signalled")
	}
	wantUpdate(t, m, false, "")
	if got := read(t, m, 1); !strings.HasSuffix(got, text(1)) {
		t.Errorf("read %q", got)
	}
	old := w.view(a, "Old/Mail")
	wantView(t, old, "1:- 2:work")
	if e, _ := old.Message(1); e.EmailID != email {
		t.Error("the EMAILID has changed")
	}
	if i := old.Info(); i.UIDValidity == before.UIDValidity || i.ID == before.ID {
		t.Errorf("the new mailbox has the identity of INBOX: %+v", i)
	}
	expunge(t, old, 1) // the session in INBOX still shows it
	old.Sync(true)
	w.settle()
	if _, err := m.OpenBody(2); err != nil {
		t.Error(err)
	}
	wantUpdate(t, m, true, "expunged [1 1]")
	if i := m.Info(); i.UIDValidity != before.UIDValidity || i.UIDNext != before.UIDNext || i.ID != before.ID || i.Exists != 0 {
		t.Errorf("INBOX was %+v and is %+v", before, i)
	}
	if uid := w.append(a, "INBOX", 3, "work"); uid != 3 {
		t.Errorf("the next message has UID %d", uid)
	}
	wantUpdate(t, m, true, "exists 1")
	wantView(t, m, "3:Recent,work")
	if _, err := a.Status(bg, "INBOX/sub"); err != nil {
		t.Errorf("what was nested in INBOX: %v", err)
	}
	wantKind(t, a.RenameMailbox(bg, "INBOX", "Old/Mail"), fault.Exists)
}

func TestAReadOnlyViewRefusesChanges(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	w.append(a, "INBOX", 1, imap.FlagDeleted)
	m, err := a.Open(bg, "INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	_, err = m.SetFlags(bg, m.UIDs(), Add, []imap.Flag{imap.FlagSeen}, NoCondition)
	wantKind(t, err, fault.ReadOnly)
	_, err = m.Expunge(bg, nil)
	wantKind(t, err, fault.ReadOnly)
	_, err = m.Move(bg, m.UIDs(), "Trash")
	wantKind(t, err, fault.ReadOnly)
	if _, permanent := m.Flags(); len(permanent) != 0 {
		t.Errorf("PERMANENTFLAGS %v", permanent)
	}
	if data, err := m.Copy(bg, m.UIDs(), "Trash"); err != nil || data.Dest.String() != "1" {
		t.Errorf("copy: %+v, %v", data, err)
	}
}

func TestMovingWithinTheMailboxGivesNewUIDs(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	d := w.queued(1)
	w.deliver(a, d)
	w.append(a, "INBOX", 2, imap.FlagSeen, "work")
	m := w.view(a, "INBOX")
	data, err := m.Move(bg, []imap.UID{2, 1}, "INBOX")
	if err != nil || data.Source.String() != "1:2" || data.Dest.String() != "3:4" {
		t.Errorf("moved %+v, %v", data, err)
	}
	wantUpdate(t, m, true, "expunged [1 1], exists 2")
	wantView(t, m, "3:Recent 4:Seen,Recent,work")
	if read(t, m, 3) != string(d.Prefix)+text(1) || read(t, m, 4) != text(2) {
		t.Error("the messages are not the same")
	}
}

// A box that is loaded between a commit and its announcement has what the
// commit changed already.
func TestViewOpenedBeforeTheAnnouncementShowsEachMessageOnce(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	id := w.ids.Add(1)
	w.write(a, fmt.Sprint("0/", id))
	var m *Mailbox
	late := func(ctx context.Context, fn func(index.Tx) error, committed func()) error {
		return a.shard.Update(ctx, fn, func() {
			m = w.view(a, "INBOX")
			committed()
		})
	}
	err := a.submit(bg, late, func(e *edit) error {
		x, err := e.box(inboxID)
		if err == nil {
			_, err = x.add(0, 0, summary{id: id, email: id, size: int64(len(text(1)))}, nil)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Sync(true)
	if uids := m.UIDs(); len(uids) != 1 {
		t.Errorf("the view shows %v", uids)
	}
	expunge(t, m, m.UIDs()[0])
	m.Sync(true)
	if uids := m.UIDs(); len(uids) != 0 {
		t.Errorf("after the expunge the view shows %v", uids)
	}
}
