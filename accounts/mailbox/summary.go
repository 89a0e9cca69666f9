package mailbox

import (
	"context"
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// blockRead is a block of summaries that was read. Summaries never change and UIDs never
// come back, so what it has stays right, and it may lack messages that came since.
type blockRead struct {
	data, number uint32
	list         [1 << summaryBits]summary // of which those without a file are none
}

// read reads a block, unless it has it with this message already, and returns the message's summary.
func (r *blockRead) read(tx index.Tx, account uint64, data uint32, uid imap.UID) (*summary, error) {
	if s := r.has(data, uid); s != nil {
		return s, nil
	}
	*r = blockRead{data: data, number: summaryBlock(uid)}
	var k keyBuffer
	for b := tx.Get(index.Mail, k.block(account, kindSummary, data, r.number)); len(b) > 0; {
		u, s, rest, ok := nextSummary(b, r.number)
		if !ok {
			*r = blockRead{}
			return nil, corrupt("block of message summaries")
		}
		r.list[u&(1<<summaryBits-1)], b = s, rest
	}
	return r.has(data, uid), nil
}

// has returns the summary of a message, or nil.
func (r *blockRead) has(data uint32, uid imap.UID) *summary {
	s := &r.list[uid&(1<<summaryBits-1)]
	if r.data != data || r.number != summaryBlock(uid) || s.id == 0 {
		return nil
	}
	return s
}

// blocksRead are the blocks that a view has read last, as many as a Reader reads ahead and one more.
type blocksRead [maxAhead>>summaryBits + 1]blockRead

// of returns where the block of a message is, or is to be read to.
func (b *blocksRead) of(uid imap.UID) *blockRead { return &b[summaryBlock(uid)%uint32(len(b))] }

// summaries returns the blocks that the view has read.
func (m *Mailbox) summaries() *blocksRead {
	if m.blocks == nil {
		m.blocks = &blocksRead{}
	}
	return m.blocks
}

// summary returns the summary of a message of the view. Errors: NoMessage, Corrupt.
func (m *Mailbox) summary(ctx context.Context, uid imap.UID) (summary, error) {
	if _, ok := m.Seq(uid); !ok {
		return summary{}, fault.New("mailbox.summary", fault.NoMessage, "")
	}
	b := m.box
	for settled := false; ; settled = true {
		b.mu.RLock()
		h, data := b.heldByUID[uid], b.rec.data
		b.mu.RUnlock()
		if h != nil {
			return h.summary, nil
		}
		block := m.summaries().of(uid)
		s := block.has(data, uid)
		if s == nil {
			err := b.account.shard.View(func(tx index.Tx) (err error) {
				if s, err = block.read(tx, b.account.id, data, uid); err == nil {
					err = m.readAhead(tx, data, uid)
				}
				return err
			})
			if err != nil {
				return summary{}, err
			}
		}
		switch {
		case s != nil:
			return *s, nil
		case settled:
			return summary{}, fault.New("mailbox.summary", fault.NoMessage, "")
		}
		// It was expunged between the two looks. When the writer has announced that, the message is held.
		if err := b.account.shard.Settle(ctx); err != nil {
			return summary{}, err
		}
	}
}

// readAhead reads the blocks behind that of a message if the one before it was read too.
func (m *Mailbox) readAhead(tx index.Tx, data uint32, uid imap.UID) error {
	const size = 1 << summaryBits
	if before := uid - size; uid <= size || m.blocks.of(before).data != data || m.blocks.of(before).number != summaryBlock(before) {
		return nil
	}
	for range len(m.blocks) - 2 {
		if uid += size; uid > m.last()|(size-1) {
			break
		}
		if _, err := m.blocks.of(uid).read(tx, m.box.account.id, data, uid); err != nil {
			return err
		}
	}
	return nil
}

func readSummary(tx index.Tx, account uint64, data uint32, uid imap.UID) (summary, bool, error) {
	var r blockRead
	s, err := r.read(tx, account, data, uid)
	if s == nil {
		return summary{}, false, err
	}
	return *s, true, nil
}

// eachSummary visits the summaries of all messages of an account until visit
// returns false.
func eachSummary(tx index.Tx, account uint64, visit func(data uint32, uid imap.UID, s *summary) bool) error {
	var k keyBuffer
	return rangeSummaries(tx, k.key(account, kindSummary), visit)
}

// eachSummaryOf is eachSummary for one mailbox's data.
func eachSummaryOf(tx index.Tx, account uint64, data uint32, visit func(uid imap.UID, s *summary) bool) error {
	var k keyBuffer
	return rangeSummaries(tx, k.numbered(account, kindSummary, data), func(_ uint32, uid imap.UID, s *summary) bool { return visit(uid, s) })
}

func rangeSummaries(tx index.Tx, prefix []byte, visit func(data uint32, uid imap.UID, s *summary) bool) (err error) {
	from := slices.Clone(prefix)
	tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
		data := lastUint32(k[:len(k)-4])
		for len(v) > 0 {
			uid, s, rest, ok := nextSummary(v, lastUint32(k))
			if !ok {
				err = corrupt("block of message summaries")
				return false
			}
			if !visit(data, uid, &s) {
				return false
			}
			v = rest
		}
		return true
	})
	return err
}
