package mailbox

import (
	"sort"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
)

// A message is \Recent for the first read-write session that sees it (RFC 3501
// section 2.3.2). A mailbox keeps one number for that: messages from that UID on
// have been shown to nobody. Sessions take them in memory; the number is saved
// with the next commit that writes the mailbox's record, or when the store is
// closed, so that SELECT never commits. After a crash a message may be \Recent
// twice.

// recentFrom returns the number if it is not saved yet, else 0.
func (a *Account) recentFrom(id uint32) imap.UID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.recents[id]
}

// setRecentFrom keeps the number until it is saved.
func (a *Account) setRecentFrom(id uint32, from imap.UID) {
	a.mu.Lock()
	if a.recents == nil {
		a.recents = make(map[uint32]imap.UID)
	}
	a.recents[id] = max(a.recents[id], from)
	a.mu.Unlock()
	a.store.upkeep.unsaved(a)
}

// saveRecent writes the numbers that are not saved yet.
func (e *edit) saveRecent() error {
	a := e.account
	a.mu.Lock()
	ids := make([]uint32, 0, len(a.recents))
	for id := range a.recents {
		ids = append(ids, id)
	}
	a.mu.Unlock()
	for _, id := range ids {
		x, err := e.box(id) // takes the number over
		if err != nil {
			continue // deleted meanwhile
		}
		x.dirty = true
	}
	return nil
}

// countRecent returns the number of messages that are \Recent for nobody yet.
// What arrives while a read-write session is there is as good as taken.
func (a *Account) countRecent(tx index.Tx, id uint32, rec mailboxRecord) (n uint32, err error) {
	if b := a.box(id); b != nil && b.writers.Load() > 0 {
		return 0, nil
	}
	return rec.countFrom(tx, a.id, max(rec.recentFrom, a.recentFrom(id)))
}

// countFrom returns how many messages have a UID from one on.
func (r *mailboxRecord) countFrom(tx index.Tx, account uint64, uid imap.UID) (n uint32, err error) {
	switch {
	case uid >= r.next:
		return 0, nil
	case uid <= 1:
		return r.messages, nil
	}
	err = eachState(tx, account, r.data, uid, func(imap.UID, state) bool {
		n++
		return true
	})
	return n, err
}

// take gives the session what is \Recent up to the end of its view, and
// returns the number to be saved, or 0. b.mu is held.
func (m *Mailbox) take() (save imap.UID) {
	b := m.box
	from := m.before(b.recentFrom)
	if m.readOnly {
		m.recent = append(m.recent[:0], imap.UIDRange{Start: b.recentFrom, Stop: 1<<32 - 1})
		m.recents = len(m.uids) - from
		return 0
	}
	if from == len(m.uids) {
		return 0
	}
	last := m.last()
	// UIDs between the ranges that no message of the view has don't keep them apart.
	if n := len(m.recent); n > 0 && m.before(m.recent[n-1].Stop+1) == from {
		m.recent[n-1].Stop = last
	} else {
		m.recent = append(m.recent, imap.UIDRange{Start: b.recentFrom, Stop: last})
	}
	m.recents += len(m.uids) - from
	b.recentFrom = last + 1
	return b.recentFrom
}

// tidyRecent drops ranges of which no message is in the view any more, and joins those that
// have none between them, so that a session that lasts for weeks does not remember
// more than it shows.
func (m *Mailbox) tidyRecent() {
	if m.readOnly {
		return // take makes the one range anew
	}
	kept := m.recent[:0]
	end := 0 // of the last range that is kept, in the view
	m.recents = 0
	for _, r := range m.recent {
		from, to := m.before(r.Start), m.before(r.Stop+1)
		switch {
		case from == to:
			continue
		case len(kept) > 0 && from == end:
			kept[len(kept)-1].Stop = r.Stop
		default:
			kept = append(kept, r)
		}
		m.recents += to - from
		end = to
	}
	if m.recent = kept; cap(kept) > 4*len(kept)+8 {
		m.recent = append([]imap.UIDRange(nil), kept...)
	}
}

// isRecent reports whether a message is \Recent for this session.
func (m *Mailbox) isRecent(uid imap.UID) bool {
	i := sort.Search(len(m.recent), func(i int) bool { return m.recent[i].Stop >= uid })
	return i < len(m.recent) && m.recent[i].Start <= uid
}

// Recent returns the number of messages in the view that are \Recent for this session.
func (m *Mailbox) Recent() int {
	if m.soon != nil {
		return m.soon.recent
	}
	return m.recents
}
