package mailbox

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

const calendar = "Calendar"

func newCalendar(t *testing.T) (*world, *Account) {
	w := newWorld(t)
	a := w.account(1)
	if _, err := a.CreateMailbox(bg, calendar, CreateOptions{Class: "IPF.Appointment"}); err != nil {
		t.Fatal(err)
	}
	return w, a
}

func itemPut(name, key string, from, to int64) ItemPut {
	return ItemPut{Item: Item{Name: name, Key: key, From: from, To: to, ETag: "e" + key, Summary: []byte("summary of " + name)},
		Body: strings.NewReader("Subject: " + name + "\r\n\r\ntext of " + key + "\r\n")}
}

func (w *world) put(a *Account, p ItemPut) Item {
	w.t.Helper()
	item, _, err := a.PutItem(bg, calendar, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return item
}

func (w *world) changes(a *Account, since uint64, limit int) (text string, modSeq uint64) {
	w.t.Helper()
	state, err := a.ItemsState(bg, calendar)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := a.ItemChanges(bg, calendar, state.Validity, since, limit)
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	for _, i := range c.Changed {
		b.WriteString("+" + i.Name + " ")
	}
	for _, n := range c.Removed {
		b.WriteString("-" + n + " ")
	}
	if c.More {
		b.WriteString("...")
	}
	return strings.TrimSpace(b.String()), c.ModSeq
}

func between(t *testing.T, a *Account, from, to int64) string {
	t.Helper()
	var names []string
	if err := a.ItemsBetween(bg, calendar, from, to, func(i Item) bool { names = append(names, i.Name); return true }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestItemIsReplacedAsAWholeAndSurvivesReopening(t *testing.T) {
	w, a := newCalendar(t)
	first := w.put(a, itemPut("a.ics", "A", 100, 200))
	second := w.put(a, itemPut("a.ics", "A2", 300, MaxTime))
	if second.UID <= first.UID || second.ModSeq <= first.ModSeq || !second.Created.Equal(first.Created) {
		t.Errorf("first %+v, then %+v", first, second)
	}
	w.reopen()
	a = w.account(1)
	item, body, err := a.OpenItem(bg, calendar, "a.ics")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	if err != nil || string(b) != "Subject: a.ics\r\n\r\ntext of A2\r\n" {
		t.Errorf("the message is %q, %v", b, err)
	}
	if item.Key != "A2" || item.ETag != "eA2" || string(item.Summary) != "summary of a.ics" || item.To != MaxTime {
		t.Errorf("the item is %+v", item)
	}
	if _, err := a.ItemByKey(bg, calendar, "A"); !fault.Is(err, fault.NoMessage) {
		t.Errorf("the old key: %v", err)
	}
	if item, err = a.ItemByKey(bg, calendar, "A2"); err != nil || item.Name != "a.ics" {
		t.Errorf("the new key: %+v, %v", item, err)
	}
	m := w.view(a, calendar)
	defer m.Close()
	msg, _ := m.Message(second.UID)
	if m.Len() != 1 || msg.OriginalUID != first.UID || msg.Flags != Seen {
		t.Errorf("%d messages, %+v", m.Len(), msg)
	}
}

func TestConditionOfAnItemIsAskedInTheCommit(t *testing.T) {
	w, a := newCalendar(t)
	refused := errors.New("refused")
	p := itemPut("a.ics", "A", 0, 0)
	p.If = func(present *Item) error {
		if present != nil {
			return refused
		}
		return nil
	}
	w.put(a, p)
	p.Body = strings.NewReader("\r\n")
	if _, _, err := a.PutItem(bg, calendar, p); !errors.Is(err, refused) {
		t.Errorf("a second put: %v", err)
	}
	if err := a.DeleteItem(bg, calendar, "a.ics", func(i Item) error {
		if i.ETag != "other" {
			return refused
		}
		return nil
	}); !errors.Is(err, refused) {
		t.Errorf("delete: %v", err)
	}
	_, _, err := a.PutItem(bg, calendar, itemPut("b.ics", "A", 0, 0))
	if !fault.Is(err, fault.Exists) || KeyTakenBy(err) != "a.ics" {
		t.Errorf("the same key again: %v, taken by %q", err, KeyTakenBy(err))
	}
	if text, _ := w.changes(a, 0, 0); text != "+a.ics" {
		t.Errorf("the items are %s", text)
	}
}

func TestItemsBetweenTimes(t *testing.T) {
	w, a := newCalendar(t)
	w.put(a, itemPut("early", "1", -50, 10))
	w.put(a, itemPut("late", "2", 10, 20))
	w.put(a, itemPut("endless", "3", 15, MaxTime))
	w.put(a, itemPut("timeless", "4", 0, 0))
	for _, c := range []struct {
		from, to int64
		want     string
	}{
		{-100, -50, ""}, {-100, -49, "early"}, {9, 10, "early"}, {10, 11, "late"}, {19, 21, "endless late"},
		{20, 1 << 60, "endless"}, {MaxTime - 1, MaxTime, "endless"}, {-1 << 63, MaxTime, "early endless late"},
	} {
		if got := between(t, a, c.from, c.to); got != c.want {
			t.Errorf("between %d and %d: %q, want %q", c.from, c.to, got, c.want)
		}
	}
}

func TestChangesOfItemsSinceAModSeq(t *testing.T) {
	w, a := newCalendar(t)
	one := w.put(a, itemPut("one", "1", 0, 0))
	w.put(a, itemPut("two", "2", 0, 0))
	three := w.put(a, itemPut("three", "3", 0, 0))
	if text, seq := w.changes(a, 0, 0); text != "+one +two +three" || seq != three.ModSeq {
		t.Errorf("all: %s, %d", text, seq)
	}
	text, seq := w.changes(a, 0, 2)
	if text != "+one +two ..." {
		t.Errorf("the first two: %s", text)
	}
	if text, _ = w.changes(a, seq, 2); text != "+three" {
		t.Errorf("the rest: %s", text)
	}
	if err := a.DeleteItem(bg, calendar, "two", nil); err != nil {
		t.Fatal(err)
	}
	m := w.view(a, calendar)
	if _, err := m.SetFlags(bg, []imap.UID{one.UID}, Add, []imap.Flag{imap.FlagDeleted}, NoCondition); err != nil {
		t.Fatal(err)
	}
	if text, _ := w.changes(a, three.ModSeq, 0); text != "-two" {
		t.Errorf("a flag counts as a change: %s", text)
	}
	if _, err := m.Expunge(bg, nil); err != nil {
		t.Fatal(err)
	}
	m.Close()
	if text, _ := w.changes(a, three.ModSeq, 0); text != "-two -one" {
		t.Errorf("after the deletions: %s", text)
	}
	w.put(a, itemPut("two", "2", 0, 0))
	if text, _ := w.changes(a, three.ModSeq, 0); text != "+two -one" {
		t.Errorf("after two came again: %s", text)
	}
	state, err := a.ItemsState(bg, calendar)
	if err != nil || state.Count != 2 {
		t.Fatalf("state %+v, %v", state, err)
	}
	for _, c := range []struct {
		validity uint32
		since    uint64
	}{{state.Validity + 1, 1}, {state.Validity, state.ModSeq + 1}, {state.Validity, 1<<64 - 1}} {
		if _, err := a.ItemChanges(bg, calendar, c.validity, c.since, 0); !fault.Is(err, fault.Invalid) {
			t.Errorf("changes since %v: %v", c, err)
		}
	}
}

func TestOldTombstonesOfItemsAreForgotten(t *testing.T) {
	w, a := newCalendar(t)
	first := w.put(a, itemPut("one", "1", 0, 0))
	w.put(a, itemPut("two", "2", 0, 0))
	if err := a.DeleteItem(bg, calendar, "one", nil); err != nil {
		t.Fatal(err)
	}
	err := a.update(bg, func(e *edit) error {
		_, l, err := e.items(calendar)
		if err == nil {
			err = l.forgetTombstones(time.Now().Add(time.Hour))
		}
		if err == nil {
			err = l.save()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	state, _ := a.ItemsState(bg, calendar)
	if _, err := a.ItemChanges(bg, calendar, state.Validity, first.ModSeq, 0); !fault.Is(err, fault.Invalid) {
		t.Errorf("changes since a forgotten deletion: %v", err)
	}
	if text, _ := w.changes(a, 0, 0); text != "+two" {
		t.Errorf("all items: %s", text)
	}
}

func TestMessagesThatCameByOtherWaysBecomeItems(t *testing.T) {
	w, a := newCalendar(t)
	w.put(a, itemPut("one", "1", 0, 0))
	if uids, _, err := a.Unnamed(bg, calendar, 10); err != nil || len(uids) != 0 {
		t.Fatalf("unnamed: %v, %v", uids, err)
	}
	for range 3 {
		w.append(a, calendar, 100)
	}
	uids, upTo, err := a.Unnamed(bg, calendar, 2)
	if err != nil || len(uids) != 2 || upTo != uids[1] {
		t.Fatalf("unnamed: %v up to %d, %v", uids, upTo, err)
	}
	// The second one has a key that is taken, and stays a message.
	err = a.NameItems(bg, calendar, []Item{{Name: "x", Key: "x", UID: uids[0], From: 1, To: 2}, {Name: "y", Key: "1", UID: uids[1]}}, upTo)
	if err != nil {
		t.Fatal(err)
	}
	if uids, upTo, err = a.Unnamed(bg, calendar, 2); err != nil || len(uids) != 1 || upTo != uids[0] {
		t.Fatalf("unnamed: %v up to %d, %v", uids, upTo, err)
	}
	if err := a.NameItems(bg, calendar, nil, upTo); err != nil {
		t.Fatal(err)
	}
	if uids, _, err = a.Unnamed(bg, calendar, 2); err != nil || len(uids) != 0 {
		t.Fatalf("unnamed: %v, %v", uids, err)
	}
	if text, _ := w.changes(a, 0, 0); text != "+one +x" {
		t.Errorf("items: %s", text)
	}
}

func TestItemsGoWithTheirMailbox(t *testing.T) {
	w, a := newCalendar(t)
	for i := range 3 {
		w.put(a, itemPut(fmt.Sprint(i), fmt.Sprint(i), 0, 5))
	}
	if err := a.RenameMailbox(bg, calendar, "Old"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Item(bg, "Old", "1"); err != nil {
		t.Error(err)
	}
	if err := a.DeleteMailbox(bg, "Old"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	err := a.shard.View(func(tx index.Tx) error {
		for _, kind := range itemKinds {
			var k keyBuffer
			from := append([]byte(nil), k.key(a.id, kind)...)
			tx.Range(index.Mail, from, after(from), func(k, _ []byte) bool { t.Errorf("a record is left: %x", k); return true })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheckFindsDamagedItems(t *testing.T) {
	w, a := newCalendar(t)
	item := w.put(a, itemPut("one", "1", 1, 2))
	err := a.update(bg, func(e *edit) error {
		_, l, err := e.items(calendar)
		if err != nil {
			return err
		}
		l.rec.count = 7
		if err := l.tx.Delete(index.Mail, itemAt(l.account, l.data, 2, 1, item.UID)); err != nil {
			return err
		}
		if err := l.tx.Put(index.Mail, itemNamed(l.account, kindItemKey, l.data, "other"), []byte("none")); err != nil {
			return err
		}
		var k keyBuffer
		gone := append(k.itemModSeq(l.account, kindItemGone, l.data, l.rec.highest+1), "two"...)
		return errors.Join(l.tx.Put(index.Mail, gone, []byte{1}), l.save())
	})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	if err := w.store.Check(bg, func(f Finding) { found = append(found, f.Text) }); err != nil {
		t.Fatal(err)
	}
	want := []string{"it counts 7 items and has 1", `an index of kind 67 leads to the item "none", which does not fit it`,
		`the record of the deleted item "two", with the ModSeq 4, is damaged or above the last change, 3`, `the item "one" is missing in an index`}
	if !slices.Equal(found, want) {
		t.Errorf("found %q", found)
	}
	w.closed = true
	w.store.Close()
}

func TestNamesOfItems(t *testing.T) {
	_, a := newCalendar(t)
	for _, name := range []string{"", ".", "..", "a/b", "a\x00", "\xff", strings.Repeat("x", 256)} {
		if _, _, err := a.PutItem(bg, calendar, itemPut(name, "", 0, 0)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
