package mailbox

import (
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// boxEdit is the part of an edit that concerns one mailbox, and afterwards the
// news for its views.
type boxEdit struct {
	edit  *edit
	id    uint32
	rec   mailboxRecord
	dirty bool // rec is to be written

	origin    *Mailbox // whose session makes the change, or nil
	created   bool
	deleted   bool
	regranted bool // the ACL has changed
	added     []uidState
	flagged   []uidState
	expunged  []expunged
	emptied   bool // all messages are gone from here at once, but live on elsewhere
	keywords  []string
	knowsKeys bool   // keywords has been read
	newKeys   bool   // keywords is not as before
	given     uint64 // bits of keywords that the edit has asked for
	used      uint64 // bits that messages have, as soon as that matters
	knowsUsed bool

	// sizes are the ones of the block of summaries that recount read last.
	sizes      [1 << summaryBits]int64
	sizesBlock uint32
	sizesRead  bool

	// The blocks that added messages are appended to.
	states, summaries     []byte
	stateBlock, summBlock uint32
}

// uidState is the state of a message that has come or whose state has changed.
type uidState struct {
	uid   imap.UID
	state state
}

// expunged is a message that has gone.
type expunged struct {
	uid     imap.UID
	summary summary
	last    bool // no record names its file any more
}

// changed makes this edit the mailbox's last change.
func (x *boxEdit) changed() uint64 {
	x.rec.highest = x.edit.change()
	x.dirty = true
	return x.rec.highest
}

// add stores a message and returns its UID. content is kept for its file, see index.Content.
func (x *boxEdit) add(flags Flags, keywords uint64, s summary, content []byte) (imap.UID, error) {
	uid := x.rec.next
	if uid == 1<<32-1 {
		return 0, fault.New("mailbox.add", fault.TooMany, "the mailbox has used up its message numbers")
	}
	st := state{flags: flags, keywords: keywords, modSeq: x.changed()}
	if s.original == 0 {
		s.original = uid
	}
	if err := x.appendState(uid, st, 1); err != nil {
		return 0, err
	}
	if err := x.appendSummary(uid, &s, 1); err != nil {
		return 0, err
	}
	x.rec.next = uid + 1
	x.count(st.flags, s.size, 1)
	x.added = append(x.added, uidState{uid, st})
	e := x.edit
	e.highest = max(e.highest, s.id)
	e.noteStored(&s)
	return uid, putContent(e.tx, e.account.id, s.id, content)
}

// addAll stores messages that have their files and content, without those that are gone, and returns the UID of the first; the others follow.
// The states come first: where both kinds of blocks lie in one page of the index, each is then added behind the one before.
func (x *boxEdit) addAll(list []taken) (imap.UID, error) {
	first := x.rec.next
	if len(list) >= 1<<32-1-int(first) {
		return 0, fault.New("mailbox.add", fault.TooMany, "the mailbox has used up its message numbers")
	}
	x.added = slices.Grow(x.added, len(list))
	for i := range list {
		if c := &list[i]; !c.gone {
			uid := x.rec.next
			c.state.modSeq = x.changed()
			if err := x.appendState(uid, c.state, len(list)-i); err != nil {
				return 0, err
			}
			x.rec.next = uid + 1
			x.added = append(x.added, uidState{uid, c.state})
		}
	}
	uid := first
	for i := range list {
		if c := &list[i]; !c.gone {
			c.summary.saved, c.summary.original = x.edit.now.Unix(), uid
			if err := x.appendSummary(uid, &c.summary, len(list)-i); err != nil {
				return 0, err
			}
			x.count(c.state.flags, c.summary.size, 1)
			x.edit.highest = max(x.edit.highest, c.summary.id)
			uid++
		}
	}
	return first, nil
}

func putContent(tx index.Tx, account, file uint64, content []byte) error {
	if len(content) == 0 {
		return nil
	}
	var k keyBuffer
	return tx.Put(index.Content, k.content(account, file), content)
}

// count adds (or with n = -1 subtracts) a message to the counters.
func (x *boxEdit) count(flags Flags, size int64, n int) {
	x.rec.count(flags, size, n)
	x.edit.rec.messages += int64(n)
	x.edit.rec.bytes += int64(n) * size
	x.edit.dirty = true
}

// appendState adds a message to the last block of states, which the edit holds until flush. It is one of n that are added.
func (x *boxEdit) appendState(uid imap.UID, st state, n int) error {
	if block := stateBlock(uid); x.states == nil || block != x.stateBlock {
		if err := x.flushStates(); err != nil {
			return err
		}
		x.states, x.stateBlock = x.lastBlock(kindState, block, uint32(uid)&(1<<stateBits-1), 8*min(n, 1<<stateBits)), block
	}
	x.states = appendState(x.states, uid, st)
	return nil
}

// appendSummary is appendState for the summary.
func (x *boxEdit) appendSummary(uid imap.UID, s *summary, n int) error {
	if block := summaryBlock(uid); x.summaries == nil || block != x.summBlock {
		if err := x.flushSummaries(); err != nil {
			return err
		}
		x.summaries, x.summBlock = x.lastBlock(kindSummary, block, uint32(uid)&(1<<summaryBits-1), 48*min(n, 1<<summaryBits)), block
	}
	x.summaries = appendSummary(x.summaries, uid, s)
	return nil
}

// lastBlock returns the value of a block, of which before UIDs are taken, with room for so many bytes behind it.
func (x *boxEdit) lastBlock(kind byte, block, before uint32, room int) []byte {
	if before == 0 { // nothing is there yet
		return make([]byte, 0, room)
	}
	old := x.edit.tx.Get(index.Mail, x.edit.key.block(x.edit.account.id, kind, x.rec.data, block))
	return append(make([]byte, 0, len(old)+room), old...)
}

func (x *boxEdit) flushBlocks() error {
	if err := x.flushStates(); err != nil {
		return err
	}
	return x.flushSummaries()
}

func (x *boxEdit) flushStates() error {
	if x.states == nil {
		return nil
	}
	b := x.states
	x.states = nil
	return x.edit.tx.Put(index.Mail, x.edit.key.block(x.edit.account.id, kindState, x.rec.data, x.stateBlock), b)
}

func (x *boxEdit) flushSummaries() error {
	if x.summaries == nil {
		return nil
	}
	b := x.summaries
	x.summaries = nil
	return x.edit.tx.Put(index.Mail, x.edit.key.block(x.edit.account.id, kindSummary, x.rec.data, x.summBlock), b)
}

// setFlags lets fn change the states of messages; uids must ascend. A state
// that fn leaves as it is keeps its ModSeq. UIDs that do not exist are passed to missing.
func (x *boxEdit) setFlags(uids []imap.UID, fn func(uid imap.UID, st *state), missing func(imap.UID)) error {
	if err := x.flushStates(); err != nil {
		return err
	}
	e := x.edit
	for len(uids) > 0 {
		block := stateBlock(uids[0])
		n := 1
		for n < len(uids) && stateBlock(uids[n]) == block {
			n++
		}
		old := e.tx.Get(index.Mail, e.key.block(e.account.id, kindState, x.rec.data, block))
		value, err := x.setBlockFlags(block, old, uids[:n], fn, missing)
		if err != nil {
			return err
		}
		if value != nil {
			if err := e.tx.Put(index.Mail, e.key.block(e.account.id, kindState, x.rec.data, block), value); err != nil {
				return err
			}
		}
		uids = uids[n:]
	}
	return nil
}

// setBlockFlags applies fn to one block's value and returns the new value, or
// nil if nothing has changed.
func (x *boxEdit) setBlockFlags(block uint32, old []byte, uids []imap.UID, fn func(imap.UID, *state), missing func(imap.UID)) ([]byte, error) {
	value := make([]byte, 0, len(old)+16)
	some := false
	for b := old; len(b) > 0; {
		uid, st, rest, ok := nextState(b, block)
		if !ok {
			return nil, corrupt("block of message states")
		}
		b = rest
		for len(uids) > 0 && uids[0] < uid {
			missing(uids[0])
			uids = uids[1:]
		}
		if len(uids) > 0 && uids[0] == uid {
			uids = uids[1:]
			was := st
			if fn(uid, &st); st != was {
				some = true
				st.modSeq = x.changed()
				if err := x.recount(uid, was.flags, st.flags); err != nil {
					return nil, err
				}
				x.flagged = append(x.flagged, uidState{uid, st})
			}
		}
		value = appendState(value, uid, st)
	}
	for _, uid := range uids {
		missing(uid)
	}
	if !some {
		return nil, nil
	}
	return value, nil
}

// recount keeps the counters right when a message's flags change.
func (x *boxEdit) recount(uid imap.UID, was, is Flags) error {
	var size int64
	if (was^is)&Deleted != 0 { // only then is the size of interest
		var err error
		if size, err = x.size(uid); err != nil {
			return err
		}
	}
	x.rec.countFlags(was, size, -1)
	x.rec.countFlags(is, size, 1)
	return nil
}

// size returns the size of a message.
func (x *boxEdit) size(uid imap.UID) (int64, error) {
	block, at := summaryBlock(uid), uint32(uid)&(1<<summaryBits-1)
	if x.sizesRead && x.sizesBlock == block && x.sizes[at] >= 0 {
		return x.sizes[at], nil
	}
	if err := x.flushSummaries(); err != nil {
		return 0, err
	}
	for i := range x.sizes {
		x.sizes[i] = -1
	}
	x.sizesBlock, x.sizesRead = block, true
	e := x.edit
	for b := e.tx.Get(index.Mail, e.key.block(e.account.id, kindSummary, x.rec.data, block)); len(b) > 0; {
		u, s, rest, ok := nextSummary(b, block)
		if !ok {
			return 0, corrupt("block of message summaries")
		}
		x.sizes[uint32(u)&(1<<summaryBits-1)] = s.size
		b = rest
	}
	if x.sizes[at] < 0 {
		return 0, corrupt("pair of state and summary of a message")
	}
	return x.sizes[at], nil
}

// flush writes the mailbox's records.
func (x *boxEdit) flush() error {
	if x.deleted {
		return nil
	}
	if err := x.flushBlocks(); err != nil {
		return err
	}
	if len(x.expunged) > 0 {
		slices.SortFunc(x.expunged, func(a, b expunged) int { return int(int64(a.uid) - int64(b.uid)) })
		var ranges []imap.UIDRange
		for i := range x.expunged {
			ranges = appendRange(ranges, x.expunged[i].uid)
		}
		if err := x.remember(ranges); err != nil {
			return err
		}
	}
	if !x.dirty {
		return nil
	}
	return x.edit.tx.Put(index.Mail, x.edit.key.numbered(x.edit.account.id, kindMailbox, x.id), x.rec.marshal())
}
