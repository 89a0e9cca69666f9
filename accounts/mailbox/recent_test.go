package mailbox

import (
	"math/rand/v2"
	"testing"

	imap "github.com/emersion/go-imap/v2"
)

// wantRecent compares \Recent with the messages that a session has got, those that are gone
// left out.
func wantRecent(t *testing.T, m *Mailbox, got map[imap.UID]bool) {
	t.Helper()
	n := 0
	for _, uid := range m.UIDs() {
		st, _ := m.State(uid)
		if st.Recent != got[uid] {
			t.Errorf("message %d is recent: %v", uid, st.Recent)
		}
		if got[uid] {
			n++
		}
	}
	if m.Recent() != n {
		t.Errorf("RECENT %d, want %d", m.Recent(), n)
	}
}

func TestRecentIsKeptOfMessagesThatAreThere(t *testing.T) {
	w := newWorld(t)
	a := w.account(1)
	sessions := []*Mailbox{w.view(a, "INBOX"), w.view(a, "INBOX")}
	got := []map[imap.UID]bool{{}, {}}
	r := rand.New(rand.NewPCG(1, 14))
	for n := range 80 {
		i := r.IntN(2)
		m := sessions[i]
		if r.IntN(3) == 0 && m.Len() > 0 {
			uid := m.UID(1 + r.IntN(m.Len())) // which the other may have expunged
			set(t, m, Add, imap.FlagDeleted, uid)
			if _, err := m.Expunge(bg, nil); err != nil {
				t.Fatal(err)
			}
		} else {
			for range 1 + r.IntN(2) {
				w.append(a, "INBOX", n)
			}
		}
		last := m.last()
		m.Sync(r.IntN(4) > 0)
		for _, uid := range m.UIDs() {
			if uid > last && !got[1-i][uid] {
				got[i][uid] = true
			}
		}
		wantRecent(t, sessions[0], got[0])
		wantRecent(t, sessions[1], got[1])
	}
	for _, m := range sessions {
		m.Sync(true)
		if n := len(m.recent); n > m.Recent() {
			t.Errorf("%d ranges for %d messages", n, m.Recent())
		}
	}
	wantRecent(t, sessions[0], got[0])
	// One message in two goes to each session, and goes away.
	for n := range 20 {
		w.append(a, "INBOX", n)
		sessions[n%2].Sync(true)
		sessions[1-n%2].Sync(true)
		expunge(t, sessions[0], sessions[0].last())
	}
	sessions[0].Sync(true)
	expunge(t, sessions[0], sessions[0].UIDs()...)
	w.append(a, "INBOX", 1)
	w.append(a, "INBOX", 2)
	for i, m := range sessions {
		m.Sync(true)
		if want := 2 * (1 - i); m.Recent() != want || len(m.recent) > 1 {
			t.Errorf("session %d has %d recent messages in %d ranges", i, m.Recent(), len(m.recent))
		}
	}
}
