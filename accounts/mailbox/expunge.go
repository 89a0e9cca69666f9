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
	for todo := m.marked(uids); len(todo) > 0; {
		part := todo[:min(len(todo), maxChange)]
		todo = todo[len(part):]
		var done []imap.UID
		end, err := m.box.account.turn(ctx, len(part))
		if err != nil {
			return all, err
		}
		err = m.box.account.updateFreeing(ctx, func(e *edit) error {
			done = done[:0]
			x, err := e.box(m.box.id)
			if err != nil {
				return err
			}
			x.origin = m
			gone, err := x.remove(part, false, func(_ imap.UID, st state) bool {
				return st.flags&Deleted != 0 // else somebody has changed his mind
			})
			for i := range gone {
				done = append(done, gone[i].uid)
			}
			return err
		})
		end()
		if err != nil {
			return all, err
		}
		all = append(all, done...)
	}
	return all, nil
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
