package admin

import (
	"context"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about the mailboxes of an account. Each takes the account with whose
// rights to act, which may be the zero Name; only the owner has rights so far.

// owner returns the account that the operation is about, as the owner of mailboxes.
func (o *operation) owner(as Name) (*accounts.Account, error) {
	acct, err := o.admin.acc.Account(o, o.domain, o.object)
	if err != nil || as == (Name{}) {
		return acct, err
	}
	other := &operation{Actor: o.Actor, Context: o.Context, rights: o.rights}
	err = account(as)(other)
	if err == nil && other.domain == o.domain && other.object == o.object {
		return acct, nil
	}
	if err == nil || !o.rights.Server(accounts.RightUsers) {
		err = denied() // also for a domain that does not exist
	}
	return nil, err
}

// mailbox does something with the mailboxes of an account. The record has the mailbox.
func (a Actor) mailbox(ctx context.Context, call string, n, as Name, box string, act func(*operation, *accounts.Account) error) error {
	return do(ctx, a, call, account(n), func(o *operation) error {
		owner, err := o.owner(as)
		if err != nil {
			return err
		}
		o.old = dataformat.String(box)
		return act(o, owner)
	})
}

// Mailboxes lists the mailboxes of an account.
func (a Actor) Mailboxes(ctx context.Context, n, as Name) ([]mailbox.Info, error) {
	return look(ctx, a, "LISTMAILBOXES", account(n), func(o *operation) ([]mailbox.Info, error) {
		owner, err := o.owner(as)
		if err != nil {
			return nil, err
		}
		return owner.Mail().List(o)
	})
}

// Mailbox tells of one mailbox.
func (a Actor) Mailbox(ctx context.Context, n, as Name, box string) (mailbox.Info, error) {
	return look(ctx, a, "GETMAILBOXINFO", account(n), func(o *operation) (mailbox.Info, error) {
		owner, err := o.owner(as)
		if err != nil {
			return mailbox.Info{}, err
		}
		return owner.Mail().Status(o, box)
	})
}

// CreateMailbox makes a mailbox.
func (a Actor) CreateMailbox(ctx context.Context, n, as Name, box, class string) error {
	return a.mailbox(ctx, "CREATEMAILBOX", n, as, "", func(o *operation, owner *accounts.Account) error {
		o.old, o.new = nil, dataformat.String(box)
		_, err := owner.Mail().CreateMailbox(o, box, mailbox.CreateOptions{Class: class})
		return err
	})
}

// nested lists the mailboxes below a name, deepest first.
func nested(ctx context.Context, m *mailbox.Account, name string) ([]string, error) {
	name = strings.TrimSuffix(name, "/")
	list, err := m.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, box := range list {
		if strings.HasPrefix(box.Name, name+"/") {
			out = append(out, box.Name)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out, nil
}

// DeleteMailbox removes a mailbox, with those below it when all is true.
func (a Actor) DeleteMailbox(ctx context.Context, n, as Name, box string, all bool) error {
	return a.mailbox(ctx, "DELETEMAILBOX", n, as, box, func(o *operation, owner *accounts.Account) error {
		m := owner.Mail()
		if all {
			below, err := nested(o, m, box)
			if err != nil {
				return err
			}
			for _, b := range below {
				if err := m.DeleteMailbox(o, b); err != nil && !fault.Is(err, fault.NoMailbox) {
					return err
				}
			}
		}
		return m.DeleteMailbox(o, box)
	})
}

// RenameMailbox gives a mailbox another name, with those below it. Unless all is true there
// must be none.
func (a Actor) RenameMailbox(ctx context.Context, n, as Name, box, newName string, all bool) error {
	return a.mailbox(ctx, "RENAMEMAILBOX", n, as, box, func(o *operation, owner *accounts.Account) error {
		name := box
		if !all {
			found, err := owner.Mail().Status(o, name)
			switch {
			case err == nil:
				name = found.Name
			case !fault.Is(err, fault.NoMailbox): // which a directory is too
				return err
			}
			below, err := nested(o, owner.Mail(), name)
			if err != nil {
				return err
			}
			if len(below) > 0 {
				return fault.New("admin.RenameMailbox", fault.NotEmpty, "the mailbox has submailboxes, use MAILBOXES")
			}
		}
		o.new = dataformat.String(newName)
		return o.admin.acc.RenameMailbox(o, owner, name, newName)
	})
}

// Subscriptions lists the mailboxes that an account has subscribed to.
func (a Actor) Subscriptions(ctx context.Context, n Name) ([]string, error) {
	return look(ctx, a, "GETMAILBOXSUBSCRIPTION", account(n), func(o *operation) ([]string, error) {
		owner, err := o.owner(Name{})
		if err != nil {
			return nil, err
		}
		return owner.Mail().Subscriptions(o)
	})
}

// SetSubscriptions replaces the list of the mailboxes that an account has subscribed to.
func (a Actor) SetSubscriptions(ctx context.Context, n Name, want []string) error {
	return a.mailbox(ctx, "SETMAILBOXSUBSCRIPTION", n, Name{}, "", func(o *operation, owner *accounts.Account) error {
		m := owner.Mail()
		have, err := m.Subscriptions(o)
		if err != nil {
			return err
		}
		o.old, o.new = texts(have), texts(want)
		set := func(names, unless []string, subscribed bool) error {
			for _, name := range names {
				if slices.Contains(unless, name) {
					continue
				}
				if err := m.Subscribe(o, name, subscribed); err != nil {
					return err
				}
			}
			return nil
		}
		if err := set(have, want, false); err != nil {
			return err
		}
		return set(want, have, true)
	})
}
