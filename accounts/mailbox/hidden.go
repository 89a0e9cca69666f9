package mailbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// A COPY is all or nothing (RFC 9051 section 6.4.7), and a commit is short. So a copy of
// many messages is made out of sight: its first commit claims a range of UIDs above
// UIDNEXT, each one writes some of the messages there, and the last one moves UIDNEXT
// behind them and counts them, which shows them all. Until then the range is in
// index.Dropped: everybody who reads the mailbox passes over it, and whatever ends
// the copy too early, upkeep removes it as it removes the messages of a deleted
// mailbox.
//
// Messages that come in meanwhile get the UIDs below the range. When these are used
// up they get those behind it, and ModSeqs pass the claimed one in the same way. Then
// the copies can be shown no more, since both rise, and are made again in a range with
// more room below.

// span is a range of hidden UIDs: from start to before end, both at the beginning of blocks.
type span struct{ start, end imap.UID }

// inSpan returns the one of spans that holds a UID.
func inSpan(spans []span, uid imap.UID) (span, bool) {
	for _, s := range spans {
		if s.start <= uid && uid < s.end {
			return s, true
		}
	}
	return span{}, false
}

// hiddenSpans returns the hidden ranges of a mailbox's data.
func hiddenSpans(tx index.Tx, account uint64, data uint32) (spans []span, err error) {
	var k keyBuffer
	from := k.dropped(account, data)
	// The record without a UID says that the data belongs to a deleted mailbox.
	tx.Range(index.Dropped, from, nil, func(k, v []byte) bool {
		if !bytes.HasPrefix(k, from) {
			return false
		}
		if len(k) == len(from) {
			return true
		}
		var s span
		s, err = unmarshalSpan(k, v)
		spans = append(spans, s)
		return err == nil
	})
	return spans, err
}

func (s span) marshal() []byte { return binary.AppendUvarint(nil, uint64(s.end)) }

func unmarshalSpan(key, value []byte) (span, error) {
	d := decoder{b: value}
	s := span{imap.UID(lastUint32(key)), imap.UID(d.uint32())}
	d.bad = d.bad || s.end <= s.start
	return s, d.err("range of hidden messages")
}

const (
	// blockUIDs is how many UIDs share a block, of states or of summaries.
	blockUIDs = 1 << max(stateBits, summaryBits)
	// modSeqRoom is how many changes the account can see during a copy.
	modSeqRoom = 1 << 20
	// maxRoom is up to how many UIDs are left below a range for each message in it.
	maxRoom = 64
)

// errOvertaken says that messages or changes have come for which a hidden range has no room.
var errOvertaken = errors.New("overtaken by other changes")

// hiddenCopy is a copy of many messages on its way.
type hiddenCopy struct {
	to    *Account
	dest  string
	flags FlagSet // that copies keep
	room  int     // how many UIDs to leave below the range
	most  int     // how many messages it may have
	size  int64   // of them

	box, data uint32 // 0 before the first commit
	span      span
	modSeq    uint64
	next      imap.UID
	counts    mailboxRecord // of what was written
}

// claim takes a range of UIDs and a ModSeq.
func (h *hiddenCopy) claim(e *edit) error {
	id, err := mailboxID(e.tx, h.to.id, h.dest)
	if err != nil {
		return err
	}
	x, err := e.box(id)
	if err != nil {
		return err
	}
	if err := e.fits(h.size, h.to.limits().MaxSize); err != nil { // better known before
		return err
	}
	start := uint64(x.rec.next)
	for _, s := range x.hidden {
		start = max(start, uint64(s.end))
	}
	start = roundUp(start + uint64(h.room))
	end := roundUp(start + uint64(h.most))
	if end > 1<<32-blockUIDs {
		return fault.New("mailbox.Copy", fault.TooMany, "the mailbox has used up its message numbers")
	}
	h.box, h.data, h.modSeq = id, x.rec.data, e.rec.modSeq+modSeqRoom
	h.span = span{imap.UID(start), imap.UID(end)}
	h.next = h.span.start
	return e.tx.Put(index.Dropped, e.key.hidden(h.to.id, h.data, h.span.start), h.span.marshal())
}

func roundUp(uid uint64) uint64 { return (uid + blockUIDs - 1) &^ (blockUIDs - 1) }

// check returns the mailbox if the range can still be shown there.
func (h *hiddenCopy) check(e *edit) (*boxEdit, error) {
	x, err := e.box(h.box)
	if err != nil {
		return nil, err
	}
	if x.rec.data != h.data || x.rec.next > h.span.start || e.rec.modSeq >= h.modSeq {
		return nil, errOvertaken
	}
	return x, nil
}

// add writes copies in one commit. The first one claims the range.
func (h *hiddenCopy) add(ctx context.Context, list []copied) error {
	var after hiddenCopy
	err := h.to.update(ctx, func(e *edit) error {
		after = *h
		if h.data == 0 {
			if err := after.claim(e); err != nil {
				return err
			}
		}
		x, err := after.check(e)
		if err != nil {
			return err
		}
		for i := range list {
			if err := after.put(x, &list[i]); err != nil {
				return err
			}
		}
		e.saveDir()
		return nil
	})
	if err == nil {
		*h = after
	}
	return err
}

func (h *hiddenCopy) put(x *boxEdit, c *copied) error {
	// A copy does not fail because the other mailbox's keywords are used up.
	bits, _, err := x.keywordBits(c.keywords, true)
	if err != nil {
		return err
	}
	c.summary.saved = x.edit.now.Unix()
	st := state{flags: c.flags, keywords: bits, modSeq: h.modSeq}
	if err := x.store(h.next, st, &c.summary, c.content); err != nil {
		return err
	}
	h.next++
	h.counts.count(st.flags, c.summary.size, 1)
	return nil
}

// show makes the copies messages of the mailbox and returns its UIDVALIDITY.
func (h *hiddenCopy) show(ctx context.Context) (validity uint32, err error) {
	limits := h.to.limits()
	err = h.to.update(ctx, func(e *edit) error {
		x, err := h.check(e)
		if err != nil {
			return err
		}
		if err := e.fits(h.counts.size, limits.MaxSize); err != nil {
			return err
		}
		if err := e.tx.Delete(index.Dropped, e.key.hidden(h.to.id, h.data, h.span.start)); err != nil {
			return err
		}
		e.rec.modSeq = h.modSeq - 1
		x.changed()
		n := &h.counts
		e.rec.messages += int64(n.messages)
		e.rec.bytes += n.size
		x.rec.messages += n.messages
		x.rec.unseen += n.unseen
		x.rec.deleted += n.deleted
		x.rec.size += n.size
		x.rec.deletedSize += n.deletedSize
		x.rec.next = h.next
		x.shown = span{h.span.start, h.next}
		validity = x.rec.validity
		return nil
	})
	return validity, err
}

// giveUp has what was written removed.
func (h *hiddenCopy) giveUp() {
	if h.data != 0 {
		h.to.store.upkeep.dropped(h.to, h.data, h.span.start)
	}
}

// readShown reads the messages that the edit has shown at once, for the open box. It
// runs in the writer after the commit, so a snapshot has what the commit had.
func (x *boxEdit) readShown() error {
	if x.shown == (span{}) {
		return nil
	}
	x.added = make([]added, 0, x.shown.end-x.shown.start)
	return x.edit.account.shard.View(func(tx index.Tx) error {
		err := x.eachShown(tx, kindState, func(block uint32, v []byte) (rest []byte, ok bool) {
			var n added
			n.uid, n.state, rest, ok = nextState(v, block)
			if ok && n.uid < x.shown.end {
				x.added = append(x.added, n)
			}
			return rest, ok
		})
		if err != nil {
			return err
		}
		i := 0
		err = x.eachShown(tx, kindSummary, func(block uint32, v []byte) (rest []byte, ok bool) {
			uid, s, rest, ok := nextSummary(v, block)
			if ok && uid < x.shown.end {
				if ok = i < len(x.added) && x.added[i].uid == uid; ok {
					x.added[i].summary = s
					i++
				}
			}
			return rest, ok
		})
		if err == nil && i < len(x.added) {
			err = corrupt("pair of state and summary of a message")
		}
		return err
	})
}

// eachShown visits the blocks of one kind that messages to be shown lie in. next reads an
// entry of a value and returns the rest.
func (x *boxEdit) eachShown(tx index.Tx, kind byte, next func(block uint32, v []byte) (rest []byte, ok bool)) (err error) {
	first, last := stateBlock(x.shown.start), stateBlock(x.shown.end-1)
	if kind == kindSummary {
		first, last = summaryBlock(x.shown.start), summaryBlock(x.shown.end-1)
	}
	account := x.edit.account.id
	var from, to keyBuffer
	tx.Range(index.Mail, from.block(account, kind, x.rec.data, first), to.block(account, kind, x.rec.data, last+1), func(k, v []byte) bool {
		block := lastUint32(k)
		for len(v) > 0 {
			var ok bool
			if v, ok = next(block, v); !ok {
				err = corrupt("block of copied messages")
				return false
			}
		}
		return true
	})
	return err
}
