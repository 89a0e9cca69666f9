package admin

import (
	"context"
	"maps"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about the mailboxes of an account. Each takes the account with whose
// rights to the mailboxes to act, which may be the zero Name: then all that the owner may do is allowed.

// owner returns the account that the operation is about, as the owner of mailboxes.
func (o *operation) owner(as Name) (access.Owner, error) {
	acct, err := o.admin.acc.Account(o, o.domain, o.object)
	if err != nil {
		return access.Owner{}, err
	}
	user := acct
	if as != (Name{}) {
		other := &operation{Actor: o.Actor, Context: o.Context, rights: o.rights}
		if err = account(as)(other); err == nil {
			user, err = o.admin.acc.Account(o, other.domain, other.object)
		}
		if err != nil && !o.rights.Server(accounts.RightUsers) && !fault.Is(err, fault.Canceled) {
			err = denied() // what exists is for those who may administer it
		}
	}
	return o.admin.access.Between(user, acct), err
}

// box returns a mailbox of the account that the operation is about, if who acts has the rights to it.
func (o *operation) box(as Name, name string, rights access.Rights) (m access.Mailbox, err error) {
	if m.Owner, err = o.owner(as); err != nil {
		return m, err
	}
	m.Name = name
	if m.Rights, err = m.RightsTo(o, name); err == nil {
		err = m.Require(rights)
	}
	return m, err
}

// mailbox does something with the mailboxes of an account. The record has the mailbox.
func (a Actor) mailbox(ctx context.Context, call string, n Name, box string, act func(*operation) error) error {
	return do(ctx, a, call, account(n), func(o *operation) error {
		o.old = dataformat.String(box)
		return act(o)
	})
}

// Mailboxes lists the mailboxes of an account: those that may be looked up. One that may not be read cannot be
// selected.
func (a Actor) Mailboxes(ctx context.Context, n, as Name) ([]mailbox.Info, error) {
	return look(ctx, a, "LISTMAILBOXES", account(n), func(o *operation) ([]mailbox.Info, error) {
		owner, err := o.owner(as)
		if err != nil {
			return nil, err
		}
		all, err := owner.Mail().List(o)
		if err != nil || !owner.Foreign() {
			return all, err
		}
		var list []mailbox.Info
		for _, box := range all {
			rights, err := owner.RightsTo(o, box.Name)
			if err != nil {
				return nil, err
			}
			if rights.Has(access.Lookup) {
				box.Selectable = box.Selectable && rights.Has(access.Read)
				list = append(list, box)
			}
		}
		return list, nil
	})
}

// Mailbox tells of one mailbox.
func (a Actor) Mailbox(ctx context.Context, n, as Name, box string) (mailbox.Info, error) {
	return look(ctx, a, "GETMAILBOXINFO", account(n), func(o *operation) (mailbox.Info, error) {
		m, err := o.box(as, box, access.Read)
		if err != nil {
			return mailbox.Info{}, err
		}
		return m.Mail().Status(o, box)
	})
}

// CreateMailbox makes a mailbox.
func (a Actor) CreateMailbox(ctx context.Context, n, as Name, box, class string) error {
	return a.mailbox(ctx, "CREATEMAILBOX", n, "", func(o *operation) error {
		o.old, o.new = nil, dataformat.String(box)
		m, err := o.box(as, box, 0)
		if err == nil {
			err = m.RequireCreate(o)
		}
		if err == nil {
			_, err = m.Mail().CreateMailbox(o, box, mailbox.CreateOptions{Class: class})
		}
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

// removable is box for one that is to be deleted or renamed: it takes the right to its outer mailbox too.
func (o *operation) removable(as Name, name string) (access.Mailbox, error) {
	m, err := o.box(as, name, access.Delete)
	if err == nil {
		err = m.RequireCreate(o)
	}
	return m, err
}

// DeleteMailbox removes a mailbox, with those below it when all is true.
func (a Actor) DeleteMailbox(ctx context.Context, n, as Name, box string, all bool) error {
	return a.mailbox(ctx, "DELETEMAILBOX", n, box, func(o *operation) error {
		m, err := o.removable(as, box)
		if err != nil {
			return err
		}
		if all {
			below, err := nested(o, m.Mail(), box)
			if err != nil {
				return err
			}
			for _, b := range below { // nothing is deleted when one of them may not be
				if _, err := o.removable(as, b); err != nil && !fault.Is(err, fault.NoMailbox) {
					return err
				}
			}
			for _, b := range below {
				if _, err = o.removable(as, b); err == nil {
					err = m.Mail().DeleteMailbox(o, b)
				}
				if err != nil && !fault.Is(err, fault.NoMailbox) {
					return err
				}
			}
		}
		return m.Mail().DeleteMailbox(o, box)
	})
}

// RenameMailbox gives a mailbox another name, with those below it. Unless all is true there
// must be none.
func (a Actor) RenameMailbox(ctx context.Context, n, as Name, box, newName string, all bool) error {
	return a.mailbox(ctx, "RENAMEMAILBOX", n, box, func(o *operation) error {
		m, err := o.removable(as, box)
		if err != nil {
			return err
		}
		to, err := o.box(as, newName, 0)
		if err == nil {
			err = to.RequireCreate(o)
		}
		if err != nil {
			return err
		}
		name := box
		if !all {
			found, err := m.Mail().Status(o, name)
			switch {
			case err == nil:
				name = found.Name
			case !fault.Is(err, fault.NoMailbox): // which a directory is too
				return err
			}
			below, err := nested(o, m.Mail(), name)
			if err != nil {
				return err
			}
			if len(below) > 0 {
				return fault.New("admin.RenameMailbox", fault.NotEmpty, "the mailbox has submailboxes, use MAILBOXES")
			}
		}
		o.new = dataformat.String(newName)
		return o.admin.acc.RenameMailbox(o, m.Account, name, newName)
	})
}

// SetMailboxClass says what a mailbox is meant for; "" is mail.
func (a Actor) SetMailboxClass(ctx context.Context, n, as Name, box, class string) error {
	return a.mailbox(ctx, "SETMAILBOXCLASS", n, box, func(o *operation) error {
		o.new = dataformat.String(class)
		m, err := o.box(as, box, access.Administer)
		if err != nil {
			return err
		}
		return m.Mail().SetClass(o, box, class)
	})
}

// MailboxACL returns the ACL of a mailbox: letters of rights by identifiers.
func (a Actor) MailboxACL(ctx context.Context, n, as Name, box string) (dataformat.Dict, error) {
	return look(ctx, a, "GETMAILBOXACL", account(n), func(o *operation) (dataformat.Dict, error) { return o.acl(as, box) })
}

// SetMailboxACL changes the ACL of a mailbox: the letters of rights that an identifier has, or with a + or - before
// them, those that it gets or loses. Identifiers that are not given keep theirs.
func (a Actor) SetMailboxACL(ctx context.Context, n, as Name, box string, change dataformat.Dict) error {
	return a.mailbox(ctx, "SETMAILBOXACL", n, box, func(o *operation) error { return o.setACL(as, box, change) })
}

// MailboxRights returns the letters of the rights that an account has to a mailbox.
func (a Actor) MailboxRights(ctx context.Context, n, as Name, box string) (string, error) {
	return look(ctx, a, "GETMAILBOXRIGHTS", account(n), func(o *operation) (string, error) { return o.rightsTo(as, box) })
}

// AccountACL returns the ACL of the account itself, as MailboxACL does.
func (a Actor) AccountACL(ctx context.Context, n, as Name) (dataformat.Dict, error) {
	return look(ctx, a, "GETACCOUNTACL", account(n), func(o *operation) (dataformat.Dict, error) { return o.acl(as, "") })
}

// SetAccountACL changes the ACL of the account itself, as SetMailboxACL does.
func (a Actor) SetAccountACL(ctx context.Context, n, as Name, change dataformat.Dict) error {
	return do(ctx, a, "SETACCOUNTACL", account(n), func(o *operation) error { return o.setACL(as, "", change) })
}

// AccountACLRights returns the letters of the rights that an account has to another one.
func (a Actor) AccountACLRights(ctx context.Context, n, as Name) (string, error) {
	return look(ctx, a, "GETACCOUNTACLRIGHTS", account(n), func(o *operation) (string, error) { return o.rightsTo(as, "") })
}

func (o *operation) acl(as Name, box string) (dataformat.Dict, error) {
	m, err := o.box(as, box, access.Administer)
	if err != nil {
		return nil, err
	}
	acl, err := m.Mail().ACL(o, box)
	out := dataformat.Dict{}
	for _, e := range acl {
		out[e.Identifier] = dataformat.String(access.Rights(e.Rights).String())
	}
	return out, err
}

func (o *operation) setACL(as Name, box string, change dataformat.Dict) error {
	o.new = change
	m, err := o.box(as, box, access.Administer)
	if err != nil {
		return err
	}
	return m.Mail().ChangeACL(o, box, func(acl mailbox.ACL) (mailbox.ACL, error) {
		for _, identifier := range slices.Sorted(maps.Keys(change)) {
			letters, ok := dataformat.Text(change[identifier])
			if !ok {
				return nil, fault.Newf("admin.SetACL", fault.Invalid, "the rights of %s must be a string of letters", identifier)
			}
			var err error
			if acl, err = access.Change(acl, identifier, letters); err != nil {
				return nil, err
			}
		}
		return acl, nil
	})
}

func (o *operation) rightsTo(as Name, box string) (string, error) {
	owner, err := o.owner(as)
	if err != nil {
		return "", err
	}
	if _, err := owner.Mail().ACL(o, box); err != nil { // the owner and administrators have rights to what does not exist too
		return "", err
	}
	rights, err := owner.RightsTo(o, box)
	return rights.String(), err
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
	return a.mailbox(ctx, "SETMAILBOXSUBSCRIPTION", n, "", func(o *operation) error {
		owner, err := o.owner(Name{})
		if err != nil {
			return err
		}
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

// MailboxAliases returns the mailbox aliases of an account, each with what it stands for.
func (a Actor) MailboxAliases(ctx context.Context, n Name) (dataformat.Dict, error) {
	return look(ctx, a, "GETMAILBOXALIASES", account(n), func(o *operation) (dataformat.Dict, error) {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return nil, err
		}
		return aliasesOf(acct), nil
	})
}

func aliasesOf(a *accounts.Account) dataformat.Dict {
	d := dataformat.Dict{}
	for alias, target := range a.MailboxAliases() {
		d[alias] = dataformat.String(target)
	}
	return d
}

// SetMailboxAliases replaces the mailbox aliases of an account.
func (a Actor) SetMailboxAliases(ctx context.Context, n Name, aliases dataformat.Dict) error {
	return do(ctx, a, "SETMAILBOXALIASES", account(n), func(o *operation) error {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return err
		}
		o.old, o.new = aliasesOf(acct), aliases
		return o.admin.acc.SetMailboxAliases(o, o.domain, o.object, aliases)
	})
}
