package mailbox

import (
	"slices"
	"sync"
	"sync/atomic"

	imap "github.com/emersion/go-imap/v2"
)

// box is an open mailbox: what all its sessions share. It holds the last
// commit's states in parallel slices, ordered by UID, so that flags are
// answered without the index and an idle session costs next to nothing. Summaries are
// read when they are needed (summary.go).
//
// Messages that are gone, but that some session still shows, stay in the
// slices; they are held. A session's own view is a slice of UIDs: a part of
// live, or of what live was before the last expunge. live is only ever
// appended to or replaced, so that sessions read their part without a lock.
type box struct {
	account *Account
	id      uint32

	ready   chan struct{} // closed when the box is loaded
	failed  error         // why it could not be; read after ready
	users   int           // sessions and openers; guarded by account.mu
	writers atomic.Int32  // read-write sessions

	// mu guards what follows. No disk is waited for under it; of other locks
	// only that of account.files and upkeep's are taken under it.
	mu      sync.RWMutex
	pending []*boxEdit // what was committed during loading
	loaded  bool
	since   uint64 // the account's ModSeq in the snapshot that the box was loaded from
	gone    bool   // deleted

	uids    []imap.UID
	flags   []Flags
	modSeqs []uint64
	bits    []uint64 // keywords; nil as long as no message has any

	// live are the UIDs of messages that are not held. gen and liveGen name the
	// contents of uids and live: equal numbers mean that one begins with the other.
	live         []imap.UID
	gen, liveGen uint64
	held         []*held // in the order of their expunges
	heldByUID    map[imap.UID]*held
	expunges     uint64 // number of the last expunge

	rec        mailboxRecord
	keywords   []string // replaced, never changed
	recentFrom imap.UID
	flagSeq    uint64 // ModSeq of the last flag change
	sessions   []*Mailbox
}

// held is a message that is gone and that some session still shows.
type held struct {
	uid     imap.UID
	number  uint64 // of the expunge
	modSeq  uint64 // of the expunge
	summary summary
}

// find returns the index of a UID in the slices.
func (b *box) find(uid imap.UID) (int, bool) { return slices.BinarySearch(b.uids, uid) }

// findSeq is find for a sequence number of a session's view.
func (b *box) findSeq(m *Mailbox, seq int) (int, bool) {
	if m.gen == b.gen {
		return seq - 1, true
	}
	return b.find(m.uids[seq-1])
}

// keywordsAt returns the keywords of the message at an index.
func (b *box) keywordsAt(i int) uint64 {
	if b.bits == nil {
		return 0
	}
	return b.bits[i]
}

// append adds a message at the end. It does not touch live.
func (b *box) append(uid imap.UID, st state) {
	b.uids = append(b.uids, uid)
	b.flags = append(b.flags, st.flags)
	b.modSeqs = append(b.modSeqs, st.modSeq)
	if st.keywords != 0 || b.bits != nil {
		b.setBits(len(b.uids)-1, st.keywords)
	}
}

// hasRoomForKeyword reports whether the mailbox takes one more keyword.
func (b *box) hasRoomForKeyword() bool {
	if len(b.keywords) < maxKeywords {
		return true
	}
	var used uint64
	for i, bits := range b.bits {
		if used|bits != used && b.heldByUID[b.uids[i]] == nil {
			used |= bits
		}
	}
	return used != 1<<maxKeywords-1
}

// setBits sets the keywords of the message at an index.
func (b *box) setBits(i int, keywords uint64) {
	if b.bits == nil && keywords == 0 {
		return
	}
	if n := len(b.uids) - len(b.bits); n > 0 {
		b.bits = append(b.bits, make([]uint64, n)...)
	}
	b.bits[i] = keywords
}

// removeAt removes indexes, which ascend, from all slices but uids, in place.
// Only uids is read without the lock.
func (b *box) removeAt(indexes []int) {
	b.flags = deleteIndexes(b.flags, indexes)
	b.modSeqs = deleteIndexes(b.modSeqs, indexes)
	if b.bits != nil {
		b.bits = deleteIndexes(b.bits, indexes)
	}
}

func deleteIndexes[T any](s []T, indexes []int) []T {
	if len(indexes) == 0 {
		return s
	}
	to := indexes[0]
	for n, from := range indexes {
		end := len(s)
		if n+1 < len(indexes) {
			end = indexes[n+1]
		}
		to += copy(s[to:], s[from+1:end])
	}
	clear(s[to:])
	return s[:to]
}

// withoutIndexes is deleteIndexes into a new slice.
func withoutIndexes(s []imap.UID, indexes []int) []imap.UID {
	return deleteIndexes(append(make([]imap.UID, 0, len(s)), s...), indexes)
}

// lastModSeq is HIGHESTMODSEQ.
func (b *box) lastModSeq() uint64 { return max(b.rec.highest, 1) }
