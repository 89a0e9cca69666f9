package mailbox

import (
	"context"
	"slices"
	"sort"

	imap "github.com/emersion/go-imap/v2"
)

// Update is what Sync has changed in the view.
type Update struct {
	// Expunged are sequence numbers in the order to send, each counted after
	// the ones before are gone; ExpungedUIDs are the same messages.
	Expunged     []int
	ExpungedUIDs []imap.UID
	// Exists is the new number of messages, or -1 if none has come.
	Exists int
	// Recent is the number of \Recent messages in the view now.
	Recent int
	// Flags are sequence numbers, after the expunges, of messages whose flags
	// were changed by others.
	Flags []int
	// NewKeywords says that the mailbox's keywords are not those that this session was
	// told of: FLAGS goes before the FETCH lines.
	NewKeywords bool
	// HighestModSeq is what a client that has got all of this may remember: it
	// stays below the number of an expunge that is held back (RFC 7162 3.2).
	HighestModSeq uint64
	// Held says that an expunge is held back.
	Held bool
	// Gone says that the mailbox no longer exists.
	Gone bool
}

// Sync brings the view up to date and says what has changed. Without
// allowExpunge messages that are gone stay in the view. It costs next to
// nothing when there is nothing new.
func (m *Mailbox) Sync(allowExpunge bool) Update {
	b := m.box
	m.blocks = nil // an idle session holds none
	u := Update{Exists: -1}
	if m.Load(context.Background()) != nil {
		return u // commands that need the messages tell
	}
	b.mu.Lock()
	if b.gone {
		u.Gone, u.HighestModSeq = true, m.highest()
		b.mu.Unlock()
		return u
	}
	last := m.last()
	if u.NewKeywords = !slices.Equal(m.names, b.keywords); u.NewKeywords {
		m.learnKeywords()
	}
	if allowExpunge && m.expunges < b.expunges {
		m.syncExpunges(&u)
	}
	m.syncNew(&u, last)
	if b.flagSeq > m.flagSeen {
		m.syncFlags(&u, last)
	}
	m.flagSeen, m.own, m.extra = max(m.flagSeen, b.rec.highest), m.own[:0], m.extra[:0]
	save := m.take()
	u.HighestModSeq, u.Held = m.highest(), m.expunges < b.expunges
	b.mu.Unlock()
	if save != 0 {
		b.account.setRecentFrom(b.id, save)
	}
	u.Recent = m.Recent()
	return u
}

// syncExpunges takes what is gone out of the view.
func (m *Mailbox) syncExpunges(u *Update) {
	b := m.box
	live := b.live
	for i, uid := range m.uids {
		if len(live) > 0 && live[0] == uid {
			live = live[1:]
			continue
		}
		u.ExpungedUIDs = append(u.ExpungedUIDs, uid)
		u.Expunged = append(u.Expunged, i+1-len(u.Expunged))
	}
	n := len(m.uids) - len(u.Expunged)
	m.uids, m.gen = b.live[:n], b.liveGen
	m.expunges = b.expunges
	m.tidyRecent()
	b.release()
}

// syncNew adds what has come to the view.
func (m *Mailbox) syncNew(u *Update, last imap.UID) {
	b := m.box
	if n := len(b.live); n == 0 || b.live[n-1] <= last {
		return
	}
	if m.expunges == b.expunges {
		m.uids, m.gen = b.live, b.liveGen
	} else { // the view also shows messages that are gone
		from, _ := slices.BinarySearch(b.live, last+1)
		m.uids = append(slices.Clip(m.uids), b.live[from:]...)
		m.gen = 0
	}
	u.Exists = len(m.uids)
}

// syncFlags finds the messages up to last whose flags others have changed.
func (m *Mailbox) syncFlags(u *Update, last imap.UID) {
	b := m.box
	for i, uid := range b.uids {
		if uid > last {
			break
		}
		if !m.unreported(b.modSeqs[i]) {
			continue
		}
		if seq, ok := m.Seq(uid); ok {
			u.Flags = append(u.Flags, seq)
		}
	}
	for _, uid := range m.extra {
		if seq, ok := m.Seq(uid); ok {
			u.Flags = append(u.Flags, seq)
		}
	}
	slices.Sort(u.Flags)
	u.Flags = slices.Compact(u.Flags)
}

// unreported says of a flag change whether the client does not know it yet.
func (m *Mailbox) unreported(modSeq uint64) bool {
	return modSeq > m.flagSeen && !slices.Contains(m.own, modSeq)
}

// highest is HIGHESTMODSEQ as far as the view shows it. b.mu is held.
func (m *Mailbox) highest() uint64 {
	b := m.box
	first := sort.Search(len(b.held), func(i int) bool { return b.held[i].number > m.expunges })
	if first < len(b.held) {
		return max(min(b.lastModSeq(), b.held[first].modSeq-1), 1)
	}
	return b.lastModSeq()
}
