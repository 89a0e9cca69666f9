package mailbox

import (
	"context"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

// Move moves messages of the view to a mailbox of the same account (RFC 6851).
// Each message is in exactly one of the mailboxes after any crash; large moves
// take several commits. The files stay where they are. The view shows the
// messages until Sync(true). Messages that were expunged elsewhere are skipped.
// Errors: ReadOnly, NoMailbox, NoSpace; the data says what was moved even then.
func (m *Mailbox) Move(ctx context.Context, uids []imap.UID, dest string) (data CopyData, err error) {
	if m.readOnly {
		return CopyData{}, fault.New("mailbox.Move", fault.ReadOnly, "")
	}
	if dest, err = cleanName(dest); err != nil {
		return CopyData{}, noMailbox(err)
	}
	for todo := m.inView(uids); len(todo) > 0; {
		part := todo[:min(len(todo), maxChange)]
		todo = todo[len(part):]
		before := data
		end, err := m.box.account.turn(ctx, len(part))
		if err != nil {
			return before, err
		}
		err = m.box.account.update(ctx, func(e *edit) error {
			data = CopyData{UIDValidity: before.UIDValidity,
				Source: append(imap.UIDSet(nil), before.Source...), Dest: append(imap.UIDSet(nil), before.Dest...)}
			return e.move(m, part, dest, &data)
		})
		end()
		if err != nil {
			return before, err
		}
	}
	m.box.account.filed(Filing{From: m.name, To: dest, UIDs: each(data.Dest)})
	return data, nil
}

// move moves messages within one edit.
func (e *edit) move(m *Mailbox, uids []imap.UID, dest string, data *CopyData) error {
	id, err := mailboxID(e.tx, e.account.id, dest)
	if err != nil {
		return err
	}
	from, err := e.box(m.box.id)
	if err != nil {
		return err
	}
	to, err := e.box(id)
	if err != nil {
		return err
	}
	from.origin = m
	data.UIDValidity = to.rec.validity
	list, err := from.remove(uids, true, nil)
	if err != nil {
		return err
	}
	return data.add(from, to, list, EveryFlag)
}
