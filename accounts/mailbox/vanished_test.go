package mailbox

import (
	"testing"

	imap "github.com/emersion/go-imap/v2"
)

func TestExpungedUIDsAreRemembered(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for i := range 10 {
		w.append(a, "INBOX", i)
	}
	m := w.view(a, "INBOX")
	start := m.Info().HighestModSeq
	expunge(t, m, 2, 3, 9)
	m.Sync(false)
	wantVanished := func(m *Mailbox, since uint64, want string) {
		t.Helper()
		got, err := m.Vanished(bg, since)
		if err != nil || got.String() != want {
			t.Errorf("since %d: got %s, %v; want %s", since, got, err, want)
		}
	}
	wantVanished(m, start, "") // the view shows them
	middle := m.Sync(true).HighestModSeq
	wantVanished(m, start, "2:3,9")
	expunge(t, m, 4, 10)
	m.Sync(true)
	w.append(a, "INBOX", 11)
	fresh := w.view(a, "INBOX")
	wantVanished(fresh, 0, "2:4,9:10")
	wantVanished(fresh, start, "2:4,9:10")
	wantVanished(fresh, middle, "4,10")
	wantVanished(fresh, fresh.Info().HighestModSeq, "")
	wantVanished(fresh, ^uint64(0), "")
}

func TestTheHistoryOfExpungesIsBounded(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	var ds []Delivery
	for i := range 60 {
		ds = append(ds, w.queued(i))
	}
	w.deliver(a, ds...)
	m := w.view(a, "INBOX")
	start := m.Info().HighestModSeq
	expunge(t, m, 1, 3, 5)
	expunge(t, m, 7, 9)
	last := m.Sync(true).HighestModSeq
	// Pretend that there are almost too many.
	err := a.update(bg, func(e *edit) error {
		x, err := e.box(inboxID)
		if err != nil {
			return err
		}
		x.rec.ranges = maxHistory - 1
		x.dirty = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	expunge(t, m, 11, 13)
	m.Sync(true)
	var rec mailboxRecord
	err = a.update(bg, func(e *edit) error {
		x, err := e.box(inboxID)
		if err != nil {
			return err
		}
		rec = x.rec
		x.rec.ranges, x.dirty = 0, true // what is really left
		return nil
	})
	if err != nil || rec.floor <= last {
		t.Errorf("the history begins after %d, %v", rec.floor, err)
	}
	got, err := m.Vanished(bg, start)
	if err != nil || got.String() != "1,3,5,7,9,11,13" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestWithout(t *testing.T) {
	for _, c := range []struct {
		ranges []imap.UIDRange
		uids   []imap.UID
		want   string
	}{
		{[]imap.UIDRange{{Start: 1, Stop: 10}}, nil, "1:10"},
		{[]imap.UIDRange{{Start: 1, Stop: 10}}, []imap.UID{1, 5, 10, 11}, "2:4,6:9"},
		{[]imap.UIDRange{{Start: 1, Stop: 4}, {Start: 2, Stop: 6}, {Start: 7, Stop: 8}}, []imap.UID{3}, "1:2,4:8"},
		{[]imap.UIDRange{{Start: 5, Stop: 5}}, []imap.UID{5}, ""},
	} {
		if got := without(c.ranges, c.uids); got.String() != c.want {
			t.Errorf("%v without %v: got %s, want %s", c.ranges, c.uids, got, c.want)
		}
	}
}
