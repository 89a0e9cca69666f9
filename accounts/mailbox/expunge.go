package mailbox

import (
	"context"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

// Expunge removes the messages with \Deleted: all, or those in uids. The view
// shows them until Sync(true). Messages that other sessions have marked and
// this view does not show yet are removed as well when uids is nil. The result
// is in order. Errors: ReadOnly, NoMailbox; messages of earlier commits are gone
// even then, and in the result.
func (m *Mailbox) Expunge(ctx context.Context, uids *imap.UIDSet) ([]imap.UID, error) {
	if m.readOnly {
		return nil, fault.New("mailbox.Expunge", fault.ReadOnly, "")
	}
	var all []imap.UID
	err := inParts(m.marked(uids), maxChange, func(part []imap.UID) error {
		done, err := m.expunge(ctx, part)
		all = append(all, done...)
		return err
	})
	return all, err
}

// expunge removes those of some messages that have \Deleted, in one commit.
func (m *Mailbox) expunge(ctx context.Context, uids []imap.UID) (done []imap.UID, err error) {
	end, err := m.box.account.turn(ctx, len(uids))
	if err != nil {
		return nil, err
	}
	defer end()
	err = m.box.account.updateFreeing(ctx, func(e *edit) error {
		done = done[:0]
		x, err := e.box(m.box.id)
		if err != nil {
			return err
		}
		x.origin = m
		gone, err := x.remove(uids, false, func(_ imap.UID, st state) bool {
			return st.flags&Deleted != 0 // else somebody has changed his mind
		})
		for i := range gone {
			done = append(done, gone[i].uid)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return done, nil
}

// marked returns the messages with \Deleted, by what is in memory.
func (m *Mailbox) marked(set *imap.UIDSet) (uids []imap.UID) {
	b := m.box
	b.mu.RLock()
	defer b.mu.RUnlock()
	next := 0
	for i, uid := range b.uids {
		if next == len(b.live) || b.live[next] != uid {
			continue // held
		}
		next++
		if b.flags[i]&Deleted != 0 && (set == nil || set.Contains(uid)) {
			uids = append(uids, uid)
		}
	}
	return uids
}
