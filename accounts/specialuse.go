package accounts

import (
	"context"
	"errors"
	"strings"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// This file gives mailboxes their special use (RFC 6154). A use is not kept with the
// mailbox: a preference names the mailbox that has it, so that an administrator who
// changes the preference changes what clients find, all protocols agree, and a
// mailbox that is deleted and made anew has its use again.

// uses are the uses that preferences give, each to one mailbox at most. \All and
// \Flagged are for views of other mailboxes, which there are none of.
var uses = [...]struct {
	attr imap.MailboxAttr
	pref string
}{
	{imap.MailboxAttrSent, "SentBox"},
	{imap.MailboxAttrDrafts, "DraftsBox"},
	{imap.MailboxAttrTrash, "TrashBox"},
	{imap.MailboxAttrJunk, "JunkBox"},
	{imap.MailboxAttrArchive, "ArchiveBox"},
}

// trashUse is the index of \Trash in uses.
const trashUse = 2

// usedBoxes are names of mailboxes in the order of uses; "" where there is none.
type usedBoxes [len(uses)]string

// used reads from layers of preferences which mailboxes they name. A value that cannot
// be the name of an own mailbox names none.
func used(prefs layers) (names usedBoxes) {
	for i, u := range uses {
		v, _ := prefs.lookup(u.pref)
		if text, ok := dataformat.Text(v); ok {
			names[i], _ = mailbox.CleanName(text) // "" with an error
		}
	}
	return names
}

// SpecialUses returns the special uses of mailboxes by their names, as the preferences
// were when the snapshot was made. The mailboxes need not exist.
func (a *Account) SpecialUses() map[string][]imap.MailboxAttr {
	out := make(map[string][]imap.MailboxAttr, len(uses))
	for i, name := range used(a.prefLayers()) {
		if name != "" {
			out[name] = append(out[name], uses[i].attr)
		}
	}
	return out
}

// SpecialMailbox returns the name of the mailbox that has a special use, or "". The mailbox need not exist.
func (a *Account) SpecialMailbox(use imap.MailboxAttr) string {
	names := used(a.prefLayers())
	for i, u := range uses {
		if u.attr == use {
			return names[i]
		}
	}
	return ""
}

// newMailboxes are the mailboxes that a new account has besides INBOX: those to which its
// preferences give a use.
func newMailboxes(prefs layers) (boxes []mailbox.NewMailbox) {
	seen := map[string]bool{"": true, "INBOX": true}
	for _, name := range used(prefs) {
		if !seen[name] {
			seen[name] = true
			boxes = append(boxes, mailbox.NewMailbox{Name: name, Subscribed: true})
		}
	}
	return boxes
}

// CreateUsedMailbox creates a mailbox and gives it a special use, which another mailbox
// loses by that. When the preference cannot be written, the mailbox is there without its
// use. Errors: Unsupported (there is no such use, or the name is of a directory), those
// of mailbox.Account.CreateMailbox.
func (s *Store) CreateUsedMailbox(ctx context.Context, a *Account, name string, use imap.MailboxAttr) (box mailbox.Info, err error) {
	const op = "accounts.CreateUsedMailbox"
	i := 0
	for i < len(uses) && !strings.EqualFold(string(uses[i].attr), string(use)) {
		i++
	}
	if i == len(uses) {
		return box, fault.Newf(op, fault.Unsupported, "no mailbox can have the use %s", use)
	}
	if strings.HasSuffix(name, "/") {
		return box, fault.New(op, fault.Unsupported, "a directory cannot have a use")
	}
	if a, err = s.Current(ctx, a); err != nil {
		return box, err
	}
	if box, err = a.mail.CreateMailbox(ctx, name, mailbox.CreateOptions{}); err != nil {
		return box, err
	}
	if used(a.prefLayers())[i] == box.Name {
		return box, nil
	}
	return box, s.changeUses(op, a, func(names *usedBoxes) { names[i] = box.Name })
}

// RenameMailbox is mailbox.Account.RenameMailbox and has the preferences follow: a
// mailbox keeps its use under its new name, and so do those that are nested in it. Only
// in the Trash, where clients move what their user deletes, it has none: then the use
// stays with the old name, as it does when a mailbox is deleted.
func (s *Store) RenameMailbox(ctx context.Context, a *Account, from, to string) error {
	const op = "accounts.RenameMailbox"
	a, err := s.Current(ctx, a)
	if err != nil {
		return err
	}
	moving, err := a.movingUses(ctx, from, to)
	if err != nil {
		return err
	}
	if err := a.mail.RenameMailbox(ctx, from, to); err != nil || len(moving) == 0 {
		return err
	}
	// The mailbox has its new name whatever happens now: that the preference does not
	// follow is no answer to the command.
	if err := s.moveUses(ctx, op, a, moving); err != nil {
		s.log.Log(ctx, logs.LevelFailure, "the special use of a renamed mailbox is lost", logs.AttrAccount, a.Address(), logs.AttrError, err)
	}
	return nil
}

// A movingUse is a use whose mailbox is about to get another name.
type movingUse struct {
	use      int    // in uses
	id       uint32 // of the mailbox
	from, to string
}

// movingUses returns the uses that a rename concerns.
func (a *Account) movingUses(ctx context.Context, from, to string) (moving []movingUse, err error) {
	from, fromErr := mailbox.CleanName(strings.TrimSuffix(from, "/"))
	to, toErr := mailbox.CleanName(strings.TrimSuffix(to, "/"))
	if fromErr != nil || toErr != nil {
		return nil, nil // the rename says so
	}
	box, err := a.mail.Status(ctx, from)
	switch {
	case err == nil:
		from = box.Name
	case !fault.Is(err, fault.NoMailbox): // which a directory is too
		return nil, err
	}
	names := used(a.prefLayers())
	for i, name := range names {
		if name != from && !strings.HasPrefix(name, from+"/") {
			continue
		}
		box, err := a.mail.Status(ctx, name)
		if fault.Is(err, fault.NoMailbox) {
			continue
		}
		if err != nil {
			return nil, err
		}
		m := movingUse{use: i, id: box.ID, from: name, to: to + name[len(from):]}
		if trash := names[trashUse]; trash == "" || !strings.HasPrefix(m.to, trash+"/") {
			moving = append(moving, m)
		}
	}
	return moving, nil
}

// moveUses changes the preferences after a rename, as far as they are what they were
// and the mailbox is the same.
func (s *Store) moveUses(ctx context.Context, op string, a *Account, moving []movingUse) error {
	var moved []movingUse
	var errs []error
	for _, m := range moving {
		box, err := a.mail.Status(ctx, m.to)
		switch {
		case err == nil && box.ID == m.id:
			moved = append(moved, m)
		case err != nil && !fault.Is(err, fault.NoMailbox):
			errs = append(errs, err)
		}
	}
	if len(moved) > 0 {
		errs = append(errs, s.changeUses(op, a, func(names *usedBoxes) {
			for _, m := range moved {
				if names[m.use] == m.from {
					names[m.use] = m.to
				}
			}
		}))
	}
	return errors.Join(errs...)
}

// changeUses changes which mailboxes the account's preferences name. What the account
// inherits anyway is not made its own.
func (s *Store) changeUses(op string, a *Account, change func(*usedBoxes)) error {
	return s.editAccount(op, a, func(d dataformat.Dict) error {
		prefs := prefLayers(d, a.domain)
		before, inherited := used(prefs), used(prefs[1:])
		after := before
		change(&after)
		own := clone(nested(d, keyPrefs))
		for i, u := range uses {
			switch after[i] {
			case before[i]:
			case inherited[i]:
				delete(own, u.pref)
			default:
				own[u.pref] = dataformat.String(after[i])
			}
		}
		if d[keyPrefs] = own; len(own) == 0 {
			delete(d, keyPrefs)
		}
		return nil
	})
}
