package mailbox

import (
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
)

// apply brings the box up to date with a commit and tells the sessions. It
// runs in the shard's writer.
func (b *box) apply(x *boxEdit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.loaded {
		b.pending = append(b.pending, x)
		return
	}
	b.applyLocked(x)
}

// applyLocked is apply with the lock held, after loading. What the box has from its
// snapshot is left out: a commit can be announced after the box was loaded.
func (b *box) applyLocked(x *boxEdit) {
	if b.gone || x.edit.before(b.since) {
		return
	}
	if x.newKeys {
		b.applyKeywords(x.keywords)
	}
	b.applyFlags(x)
	if len(x.expunged) > 0 {
		b.applyExpunges(x)
	}
	if x.emptied {
		b.applyDeletion(x.edit.changed)
	}
	b.grow(len(x.added))
	for i := range x.added {
		b.applyMessage(&x.added[i])
	}
	b.rec = x.rec
	if x.deleted {
		b.gone = true
		b.applyDeletion(x.edit.changed)
	}
	if len(x.added)+len(x.flagged)+len(x.expunged) > 0 || x.emptied || x.deleted || x.newKeys || x.regranted {
		for _, m := range b.sessions {
			if m != x.origin {
				m.signal()
			}
		}
	}
}

// applyKeywords takes over the list of keywords. Where a bit has another one now, no
// message had the old one, except those that are gone.
func (b *box) applyKeywords(names []string) {
	same := sameKeywords(b.keywords, names)
	for i := range b.bits {
		b.bits[i] &= same
	}
	b.keywords = names
	for _, m := range b.sessions {
		m.told = sameKeywords(m.names, names)
	}
}

// sameKeywords returns the bits that say the same in two lists.
func sameKeywords(a, b []string) (bits uint64) {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			bits |= 1 << i
		}
	}
	return bits
}

func (b *box) applyFlags(x *boxEdit) {
	if len(x.flagged) == 0 {
		return
	}
	for _, f := range x.flagged {
		i, ok := b.find(f.uid)
		if !ok {
			continue
		}
		if m := x.origin; m != nil && m.unreported(b.modSeqs[i]) {
			// Others have changed it before, and the session was not told yet.
			m.extra = append(m.extra, f.uid)
		}
		b.flags[i], b.modSeqs[i] = f.state.flags, f.state.modSeq
		b.setBits(i, f.state.keywords)
	}
	b.flagSeq = x.edit.changed
	if x.origin != nil {
		x.origin.own = append(x.origin.own, x.edit.changed)
	}
}

// grow makes room for n messages if they are many, which come one by one then.
func (b *box) grow(n int) {
	if n <= fewMessages {
		return
	}
	shared := b.gen == b.liveGen
	b.uids, b.flags, b.modSeqs = slices.Grow(b.uids, n), slices.Grow(b.flags, n), slices.Grow(b.modSeqs, n)
	if shared {
		b.live = b.uids
	} else {
		b.live = slices.Grow(b.live, n)
	}
}

func (b *box) applyMessage(n *uidState) {
	shared := b.gen == b.liveGen
	b.append(n.uid, n.state)
	if shared {
		b.live = b.uids
	} else {
		b.live = append(b.live, n.uid)
	}
}

// applyExpunges makes messages held, or drops them at once if no session can
// show them.
func (b *box) applyExpunges(x *boxEdit) {
	b.expunges++
	out := make([]imap.UID, 0, len(x.expunged))
	for i := range x.expunged {
		g := &x.expunged[i]
		if _, ok := b.find(g.uid); !ok {
			continue
		}
		out = append(out, g.uid)
		b.hold(&held{uid: g.uid, modSeq: x.edit.changed, summary: g.summary})
	}
	b.splitLive(out)
	b.release()
}

// applyDeletion makes all messages held: they are gone from here together. Their
// summaries are still in the index. Where nobody shows them, they need not be read.
func (b *box) applyDeletion(modSeq uint64) {
	b.expunges++
	if len(b.sessions) == 0 {
		b.splitLive(b.live)
		b.uids, b.gen = b.live, b.liveGen
		b.flags, b.modSeqs, b.bits = nil, nil, nil
		return
	}
	live := b.live
	err := b.account.shard.View(func(tx index.Tx) error {
		return eachSummaryOf(tx, b.account.id, b.rec.data, func(uid imap.UID, s *summary) bool {
			if len(live) > 0 && live[0] == uid {
				live = live[1:]
				b.hold(&held{uid: uid, modSeq: modSeq, summary: *s})
			}
			return true
		})
	})
	if err != nil { // views find these messages damaged
		b.account.store.upkeep.report("reading of a deleted mailbox", b.account.id, err)
	}
	b.splitLive(b.live)
	b.release()
}

func (b *box) hold(h *held) {
	h.number = b.expunges
	if b.heldByUID == nil {
		b.heldByUID = make(map[imap.UID]*held)
	}
	b.heldByUID[h.uid] = h
	b.account.files.Hold(h.summary.id)
	b.held = append(b.held, h)
}

// splitLive takes UIDs, which ascend, out of live.
func (b *box) splitLive(out []imap.UID) {
	live := make([]imap.UID, 0, len(b.live)-len(out)+4)
	for _, uid := range b.live {
		if len(out) > 0 && out[0] == uid {
			out = out[1:]
			continue
		}
		live = append(live, uid)
	}
	b.live = live
	b.liveGen = max(b.gen, b.liveGen) + 1
}

// release drops the held messages that no session shows any more.
func (b *box) release() {
	least := b.expunges
	for _, m := range b.sessions {
		least = min(least, m.expunges)
	}
	n := 0
	for n < len(b.held) && b.held[n].number <= least {
		n++
	}
	if n == 0 {
		return
	}
	indexes := make([]int, 0, n)
	for _, h := range b.held[:n] {
		delete(b.heldByUID, h.uid)
		if at, ok := b.find(h.uid); ok {
			indexes = append(indexes, at)
		}
		if b.account.files.Release(h.summary.id) {
			b.account.store.upkeep.unlink(b.account, h.summary.file())
		}
	}
	slices.Sort(indexes)
	b.removeAt(indexes)
	if n == len(b.held) {
		b.held, b.heldByUID = nil, nil
		b.uids, b.gen = b.live, b.liveGen
		return
	}
	b.held = append([]*held(nil), b.held[n:]...)
	b.uids = withoutIndexes(b.uids, indexes)
	b.gen = max(b.gen, b.liveGen) + 1
}
