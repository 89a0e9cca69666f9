package mailbox

import (
	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
)

// removed is a message that has been taken out of a mailbox, with all that is
// needed to put it elsewhere.
type removed struct {
	uid     imap.UID
	state   state
	summary summary
	content []byte // in the transaction's memory
}

// remove takes messages out of the mailbox: those of uids, which must ascend,
// that exist and that want says yes to. What became of the files is the
// caller's business; with moved they live on in this account.
func (x *boxEdit) remove(uids []imap.UID, moved bool, want func(imap.UID, state) bool, got func(removed) error) error {
	if err := x.flushStates(); err != nil {
		return err
	}
	if err := x.flushSummaries(); err != nil {
		return err
	}
	gone, err := x.removeStates(uids, want)
	if err != nil {
		return err
	}
	if err := x.removeSummaries(gone); err != nil {
		return err
	}
	e := x.edit
	shown := e.account.hasBox(x.id)
	for i := range gone {
		g := &gone[i]
		key := e.key.content(e.account.id, x.rec.data, g.uid)
		if g.summary.prefix > 0 || got != nil {
			g.content = e.tx.Get(index.Content, key)
			if int(g.summary.prefix) > len(g.content) {
				return corrupt("content record")
			}
		}
		if err := e.tx.Delete(index.Content, key); err != nil {
			return err
		}
		out := expunged{uid: g.uid, file: g.summary.file(), moved: moved}
		if shown {
			out.prefix = append(out.prefix, g.content[:g.summary.prefix]...)
		}
		x.expunged = append(x.expunged, out)
		x.count(g.state.flags, g.summary.size, -1)
		x.changed()
		if got != nil {
			if err := got(*g); err != nil {
				return err
			}
		}
	}
	return x.dropItems(gone)
}

// removeStates takes the wanted messages out of their blocks of states.
func (x *boxEdit) removeStates(uids []imap.UID, want func(imap.UID, state) bool) ([]removed, error) {
	e := x.edit
	var gone []removed
	for len(uids) > 0 {
		block := stateBlock(uids[0])
		old := e.tx.Get(index.Mail, e.key.block(e.account.id, kindState, x.rec.data, block))
		value := make([]byte, 0, len(old))
		before := len(gone)
		for b := old; len(b) > 0; {
			uid, st, rest, ok := nextState(b, block)
			if !ok {
				return nil, corrupt("block of message states")
			}
			for len(uids) > 0 && uids[0] < uid {
				uids = uids[1:]
			}
			if len(uids) > 0 && uids[0] == uid && (want == nil || want(uid, st)) {
				gone = append(gone, removed{uid: uid, state: st})
			} else {
				value = append(value, b[:len(b)-len(rest)]...)
			}
			b = rest
		}
		for len(uids) > 0 && stateBlock(uids[0]) == block {
			uids = uids[1:]
		}
		if len(gone) > before {
			if err := x.putBlock(kindState, block, value); err != nil {
				return nil, err
			}
		}
	}
	return gone, nil
}

// removeSummaries takes the messages out of their blocks of summaries and
// fills in what they said.
func (x *boxEdit) removeSummaries(gone []removed) error {
	e := x.edit
	for len(gone) > 0 {
		block := summaryBlock(gone[0].uid)
		old := e.tx.Get(index.Mail, e.key.block(e.account.id, kindSummary, x.rec.data, block))
		value := make([]byte, 0, len(old))
		for b := old; len(b) > 0; {
			uid, s, rest, ok := nextSummary(b, block)
			if !ok {
				return corrupt("block of message summaries")
			}
			if len(gone) > 0 && gone[0].uid == uid {
				gone[0].summary = s
				gone = gone[1:]
			} else {
				value = append(value, b[:len(b)-len(rest)]...)
			}
			b = rest
		}
		if len(gone) > 0 && summaryBlock(gone[0].uid) == block {
			return corrupt("pair of state and summary of a message")
		}
		if err := x.putBlock(kindSummary, block, value); err != nil {
			return err
		}
	}
	return nil
}

// putBlock writes a block, or removes it when it is empty.
func (x *boxEdit) putBlock(kind byte, block uint32, value []byte) error {
	key := x.edit.key.block(x.edit.account.id, kind, x.rec.data, block)
	if len(value) == 0 {
		return x.edit.tx.Delete(index.Mail, key)
	}
	return x.edit.tx.Put(index.Mail, key, value)
}
