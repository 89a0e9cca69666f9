package mailbox

import (
	"context"
	"strings"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// RenameMailbox renames a mailbox and what is nested in it; UIDs, UIDVALIDITY
// and MAILBOXID stay, and so do sessions. The directories above the new name
// are made. From INBOX, the messages move to a new mailbox and INBOX stays
// (RFC 9051 section 6.3.6); what is nested in INBOX stays too, and so does its ACL. Errors:
// NoMailbox, Exists, Invalid.
func (a *Account) RenameMailbox(ctx context.Context, from, to string) error {
	const op = "mailbox.RenameMailbox"
	from, err := cleanName(strings.TrimSuffix(from, "/"))
	if err != nil {
		return noMailbox(err)
	}
	if to, err = cleanName(strings.TrimSuffix(to, "/")); err != nil {
		return err
	}
	if to == inbox {
		return fault.New(op, fault.Exists, "")
	}
	limit := a.limits().MaxMailboxes
	return a.update(ctx, func(e *edit) error {
		before := e.rec.mailboxes
		from, _, _, err := lookUp(e.tx, a.id, from)
		switch {
		case err != nil:
		case to == from:
			err = fault.New(op, fault.Exists, "")
		case from == inbox:
			err = e.renameInbox(to)
		case strings.HasPrefix(to, from+"/"):
			err = fault.New(op, fault.Invalid, "a mailbox cannot be moved into itself")
		default:
			err = e.renameTree(from, to)
		}
		if n := e.rec.mailboxes; err == nil && n > before && (limit > 0 && n > uint32(limit) || n > maxNames) {
			err = fault.New(op, fault.TooMany, "the account has as many mailboxes as it may")
		}
		return err
	})
}

// renameTree gives a name and those below it new names.
func (e *edit) renameTree(from, to string) error {
	const op = "mailbox.RenameMailbox"
	if _, found, err := e.name(from); err != nil || !found {
		if err == nil {
			err = fault.New(op, fault.NoMailbox, "")
		}
		return err
	}
	names := append([]string{from}, e.children(from)...)
	for _, old := range names { // before anything is written
		name := to + old[len(from):]
		if _, err := cleanName(name); err != nil {
			return err
		}
		rec, _, err := e.name(old)
		if err != nil {
			return err
		}
		there, _, err := e.name(name)
		if err != nil {
			return err
		}
		if rec.mailbox != 0 && there.mailbox != 0 {
			return fault.Newf(op, fault.Exists, "%s exists", name)
		}
	}
	for _, old := range names {
		if err := e.renameOne(old, to+old[len(from):]); err != nil {
			return err
		}
	}
	return e.makeParents(to)
}

// renameOne gives a name's entities to another one, which may have what this
// one has not.
func (e *edit) renameOne(old, name string) error {
	rec, _, err := e.name(old)
	if err != nil {
		return err
	}
	there, _, err := e.name(name)
	if err != nil {
		return err
	}
	if there.mailbox != 0 {
		there.folder = there.folder || rec.folder
	} else {
		rec.folder = rec.folder || there.folder
		there = rec
	}
	if err := e.putName(old, nameRecord{}); err != nil {
		return err
	}
	return e.putName(name, there)
}

// renameInbox moves all messages of INBOX to a new mailbox, in constant time:
// the new mailbox takes over the data. INBOX goes on with its UIDs.
func (e *edit) renameInbox(to string) error {
	rec, found, err := e.name(to)
	if err != nil {
		return err
	}
	if rec.mailbox != 0 {
		return fault.New("mailbox.RenameMailbox", fault.Exists, "")
	}
	if !found {
		if rec.acl, err = e.aclAbove(to); err != nil {
			return err
		}
	}
	x, err := e.box(inboxID)
	if err != nil {
		return err
	}
	n := e.newBox(x.rec.data)
	validity := n.rec.validity
	n.rec = x.rec
	n.rec.validity, n.rec.highest = validity, e.change()
	rec.mailbox = n.id
	if err := e.putName(to, rec); err != nil {
		return err
	}
	if err := e.makeParents(to); err != nil {
		return err
	}
	if err := x.loadKeywords(); err != nil {
		return err
	}
	x.rec = mailboxRecord{data: e.newID(), validity: x.rec.validity, next: x.rec.next,
		highest: e.change(), recentFrom: x.rec.next, floor: x.rec.floor}
	x.dirty, x.emptied = true, true
	if len(x.keywords) > 0 {
		err := e.tx.Put(index.Mail, e.key.numbered(e.account.id, kindKeywords, x.rec.data), marshalKeywords(x.keywords))
		if err != nil {
			return err
		}
	}
	if x.rec.next == 1 {
		return nil
	}
	return x.remember([]imap.UIDRange{{Start: 1, Stop: x.rec.next - 1}})
}
