package mailbox

import (
	"fmt"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// forget closes a view and forgets its box that nobody has open, so that the next view loads it.
func (w *world) forget(a *Account, m *Mailbox) {
	m.Close()
	w.store.views.remove(m.box)
	a.evict(m.box)
}

func TestSelectAnswersAsTheLoadedViewDoes(t *testing.T) {
	for name, seen := range map[string][]imap.UID{"none": nil, "some": {1, 2, 3, 70}, "all but the last": uids(1, 149), "all": uids(1, 150)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.account(1)
			for n := range 150 {
				w.append(a, "INBOX", n)
			}
			m := w.view(a, "INBOX")
			if _, err := m.SetFlags(bg, seen, Add, []imap.Flag{imap.FlagSeen, "$Label1"}, NoCondition); err != nil {
				t.Fatal(err)
			}
			w.forget(a, m)
			w.append(a, "INBOX", 151) // the one that is \Recent
			m, err := a.Select(bg, "inbox", false)
			if err != nil {
				t.Fatal(err)
			}
			info, recent, flags := m.Info(), m.Recent(), fmt.Sprint(m.Flags())
			if err := m.Load(bg); err != nil {
				t.Fatal(err)
			}
			if m.Info() != info || m.Recent() != recent || recent != 1 || fmt.Sprint(m.Flags()) != flags {
				t.Errorf("said %+v with %d recent messages and flags %s,\nthe view has %+v with %d and %s", info, recent, flags, m.Info(), m.Recent(), fmt.Sprint(m.Flags()))
			}
			w.forget(a, m)
		})
	}
}

func uids(from, to imap.UID) (all []imap.UID) {
	for ; from <= to; from++ {
		all = append(all, from)
	}
	return all
}

func TestChangesDuringTheLoadComeWithSync(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for n := range 5 {
		w.append(a, "INBOX", n)
	}
	m, id, err := a.newView("INBOX", false)
	if err != nil {
		t.Fatal(err)
	}
	b, first := a.enterBox(id)
	if !first {
		t.Fatal("the mailbox is open")
	}
	m.use(b)
	m.soon = &selected{}
	b.load(m, func(index.Tx) error {
		return a.update(bg, func(e *edit) error {
			x, err := e.box(id)
			if err != nil {
				return err
			}
			_, err = x.remove([]imap.UID{2, 4}, false, nil)
			if err == nil {
				_, err = x.add(Seen, 0, summary{id: w.ids.Add(1)}, nil)
			}
			return err
		})
	})
	if err := m.Load(bg); err != nil {
		t.Fatal(err)
	}
	m.learnKeywords()
	wantView(t, m, "1:Recent 2:Recent 3:Recent 4:Recent 5:Recent")
	if u := m.Sync(true); fmt.Sprint(u.Expunged, u.Exists) != "[2 3] 4" {
		t.Errorf("sync: %+v", u)
	}
	wantView(t, m, "1:Recent 3:Recent 5:Recent 6:Seen,Recent")
	if _, err := m.SetFlags(bg, []imap.UID{6}, Add, []imap.Flag{imap.FlagDeleted}, NoCondition); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Expunge(bg, nil); err != nil { // it has no file
		t.Fatal(err)
	}
	w.forget(a, m)
}

func TestSelectOfADamagedMailboxFailsWhenItIsLoaded(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for n := range 3 {
		w.append(a, "INBOX", n)
	}
	var k keyBuffer
	rec, err := readBox(a, inboxID)
	if err != nil {
		t.Fatal(err)
	}
	key := k.block(a.id, kindState, rec.data, 0)
	var whole []byte
	put := func(value []byte) {
		err := a.shard.Update(bg, func(tx index.Tx) error {
			whole = append([]byte(nil), tx.Get(index.Mail, key)...)
			return tx.Put(index.Mail, key, value)
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	put([]byte{0, 0, 2, 0, 255})
	for range 2 {
		m, err := a.Select(bg, "INBOX", false)
		if err != nil {
			t.Fatal(err)
		}
		wantKind(t, m.Load(bg), fault.Corrupt)
		if u := m.Sync(true); u.Exists != -1 || u.Gone {
			t.Errorf("sync: %+v", u)
		}
		m.Close()
	}
	if len(a.boxes) != 0 {
		t.Errorf("%d mailboxes are open", len(a.boxes))
	}
	put(whole)
	wantView(t, w.view(a, "INBOX"), "1:Recent 2:Recent 3:Recent")
}

func readBox(a *Account, id uint32) (rec mailboxRecord, err error) {
	err = a.shard.View(func(tx index.Tx) error {
		rec, err = readMailbox(tx, a.id, id)
		return err
	})
	return rec, err
}
