package mailbox

import (
	"strings"
	"testing"

	imap "github.com/emersion/go-imap/v2"
)

// After Renew no UID is given again, every message counts as changed, and the index is sound.
func TestRenew(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	for n := range 300 {
		w.append(a, inbox, n, imap.FlagSeen)
	}
	put := func(name string, n int) {
		t.Helper()
		p := ItemPut{Item: Item{Name: name, Key: name, ETag: "1", Size: 5}, Body: strings.NewReader(text(n))}
		if _, _, err := a.PutItem(bg, inbox, p); err != nil {
			t.Fatal(err)
		}
	}
	put("one", 1000)
	before, err := a.Status(bg, inbox)
	if err != nil {
		t.Fatal(err)
	}
	state, err := a.ItemsState(bg, inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.RenewAll(bg, func(o Owner, err error) { t.Errorf("%s: %v", o.Dir, err) }); err != nil {
		t.Fatal(err)
	}
	w.check()
	after, err := a.Status(bg, inbox)
	if err != nil {
		t.Fatal(err)
	}
	if after.UIDValidity != before.UIDValidity || after.UIDNext < before.UIDNext+lostUIDs || after.HighestModSeq < before.HighestModSeq+lostChanges {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if after.Messages != before.Messages || after.Unseen != before.Unseen {
		t.Errorf("before %+v, after %+v", before, after)
	}
	m := w.view(a, inbox)
	defer m.Close()
	for _, uid := range m.UIDs() {
		if st, _ := m.State(uid); st.ModSeq < before.HighestModSeq+lostChanges {
			t.Fatalf("message %d has not changed: %d", uid, st.ModSeq)
		}
	}
	if got := read(t, m, 7); got != text(6) {
		t.Errorf("message 7 is %q", got)
	}
	// What clients know of the items is not enough any more.
	changes, err := a.ItemChanges(bg, inbox, state.Validity, state.ModSeq, 100)
	if err == nil {
		t.Errorf("changes since an old state: %+v", changes)
	}
	put("two", 1001)
	if uid := w.append(a, inbox, 2000); uid <= before.UIDNext+lostUIDs {
		t.Errorf("a new message has the UID %d", uid)
	}
	w.check()
}
