package mailbox

import (
	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
)

// taken is a message of a mailbox, with all that is needed to put it elsewhere.
type taken struct {
	uid     imap.UID
	state   state
	summary summary
	gone    bool // see takeStates
}

// remove takes messages out of the mailbox: those of uids, which must ascend,
// that exist and that want says yes to. With moved the caller puts them into another mailbox
// of the account.
func (x *boxEdit) remove(uids []imap.UID, moved bool, want func(imap.UID, state) bool) ([]taken, error) {
	if err := x.flushBlocks(); err != nil {
		return nil, err
	}
	gone, err := x.removeStates(uids, want)
	if err != nil {
		return nil, err
	}
	if err := x.removeSummaries(gone); err != nil {
		return nil, err
	}
	unnamed := map[uint64]bool{}
	if !moved {
		files, err := changeRefs(x.edit.tx, x.edit.account.id, filesOf(gone), -1)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			unnamed[f.ID] = true
		}
	}
	for i := range gone {
		g := &gone[i]
		x.expunged = append(x.expunged, expunged{uid: g.uid, summary: g.summary, last: unnamed[g.summary.id]})
		x.count(g.state.flags, g.summary.size, -1)
		x.changed()
	}
	return gone, x.dropItems(gone)
}

// take returns messages of the mailbox and leaves them there; uids must ascend. Those that do
// not exist are left out.
func (x *boxEdit) take(uids []imap.UID) (list []taken, err error) {
	if err := x.flushBlocks(); err != nil {
		return nil, err
	}
	e := x.edit
	list = make([]taken, 0, len(uids))
	var summaries blockRead
	for len(uids) > 0 {
		block := stateBlock(uids[0])
		for b := e.tx.Get(index.Mail, e.key.block(e.account.id, kindState, x.rec.data, block)); len(b) > 0; {
			uid, st, rest, ok := nextState(b, block)
			if !ok {
				return nil, corrupt("block of message states")
			}
			b = rest
			for len(uids) > 0 && uids[0] < uid {
				uids = uids[1:]
			}
			if len(uids) == 0 || uids[0] != uid {
				continue
			}
			s, err := summaries.read(e.tx, e.account.id, x.rec.data, uid)
			if err == nil && s == nil {
				err = corrupt("pair of state and summary of a message")
			}
			if err != nil {
				return nil, err
			}
			list = append(list, taken{uid: uid, state: st, summary: *s})
		}
		for len(uids) > 0 && stateBlock(uids[0]) == block {
			uids = uids[1:]
		}
	}
	return list, nil
}

// takeStates gives messages that were taken in an earlier snapshot their states of now. Those that do not exist any more are gone; left
// is the number of the others.
func (x *boxEdit) takeStates(list []taken) (left int, err error) {
	if err := x.flushStates(); err != nil {
		return 0, err
	}
	e := x.edit
	for len(list) > 0 {
		block := stateBlock(list[0].uid)
		b := e.tx.Get(index.Mail, e.key.block(e.account.id, kindState, x.rec.data, block))
		for len(list) > 0 && stateBlock(list[0].uid) == block {
			c := &list[0]
			list = list[1:]
			c.gone = true
			for len(b) > 0 {
				uid, st, rest, ok := nextState(b, block)
				if !ok {
					return 0, corrupt("block of message states")
				}
				if uid > c.uid {
					break
				}
				b = rest
				if uid == c.uid {
					c.state, c.gone = st, false
					left++
					break
				}
			}
		}
	}
	return left, nil
}

// filesOf returns the files of messages that are not gone.
func filesOf(list []taken) []msgfile.Ref {
	files := make([]msgfile.Ref, 0, len(list))
	for i := range list {
		if !list[i].gone {
			files = append(files, list[i].summary.file())
		}
	}
	return files
}

// removeStates takes the wanted messages out of their blocks of states.
func (x *boxEdit) removeStates(uids []imap.UID, want func(imap.UID, state) bool) ([]taken, error) {
	e := x.edit
	var gone []taken
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
				gone = append(gone, taken{uid: uid, state: st})
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
func (x *boxEdit) removeSummaries(gone []taken) error {
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
