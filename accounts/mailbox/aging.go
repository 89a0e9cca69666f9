package mailbox

import (
	"context"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
)

// Aging says which messages leave a mailbox because of their age.
type Aging struct {
	// Mailbox is the name of an own mailbox.
	Mailbox string
	// Before is the time before which messages are old: before which they came into this mailbox (SAVEDATE), or with Received, before which
	// they were received (INTERNALDATE).
	Before   time.Time
	Received bool
	// To is the mailbox into which they are moved. Without it they are expunged.
	To string
}

// Age moves or expunges old messages, in one commit and so not all of them when there are many: more says that there are others. What is
// moved teaches the junk filter nothing. Errors: NoMailbox, NoSpace.
func (a *Account) Age(ctx context.Context, g Aging) (n int, more bool, err error) {
	from, err := cleanName(g.Mailbox)
	if err != nil {
		return 0, false, noMailbox(err)
	}
	to := ""
	if g.To != "" {
		if to, err = cleanName(g.To); err != nil {
			return 0, false, noMailbox(err)
		}
	}
	id, uids, err := a.aged(from, g)
	if err != nil || len(uids) == 0 {
		return 0, false, err
	}
	more = len(uids) == maxChange
	err = inParts(uids, maxChange, func(part []imap.UID) error {
		done, err := a.age(ctx, id, from, to, part)
		n += done
		return err
	})
	return n, more, err
}

// aged lists messages that are old, maxChange at most.
func (a *Account) aged(name string, g Aging) (id uint32, uids []imap.UID, err error) {
	before := g.Before.Unix()
	err = a.shard.View(func(tx index.Tx) error {
		uids = nil
		if id, err = mailboxID(tx, a.id, name); err != nil {
			return err
		}
		rec, err := readMailbox(tx, a.id, id)
		if err != nil {
			return err
		}
		return eachSummaryOf(tx, a.id, rec.data, func(uid imap.UID, s *summary) bool {
			switch {
			case g.Received && s.internal >= before:
			case !g.Received && s.saved >= before:
				return false // those behind it came later
			default:
				uids = append(uids, uid)
			}
			return len(uids) < maxChange
		})
	})
	return id, uids, err
}

// age moves or expunges messages in one commit, unless the mailbox has another name by now.
func (a *Account) age(ctx context.Context, id uint32, name, to string, uids []imap.UID) (n int, err error) {
	end, err := a.turn(ctx, len(uids))
	if err != nil {
		return 0, err
	}
	defer end()
	update := a.update
	if to == "" {
		update = a.updateFreeing
	}
	err = update(ctx, func(e *edit) error {
		n = 0
		present, err := mailboxID(e.tx, a.id, name)
		if err != nil || present != id {
			return err
		}
		from, err := e.box(id)
		if err != nil {
			return err
		}
		if to == "" {
			gone, err := from.remove(uids, false, nil)
			n = len(gone)
			return err
		}
		dest, err := mailboxID(e.tx, a.id, to)
		if err != nil || dest == id {
			return err
		}
		target, err := e.box(dest)
		if err != nil {
			return err
		}
		list, err := from.remove(uids, true, nil)
		if err != nil {
			return err
		}
		n = len(list)
		return new(CopyData).add(from, target, list, EveryFlag)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
