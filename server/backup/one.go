package backup

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// One says which account or mailbox of a backup is restored into a running server.
type One struct {
	// Path is that of the backup.
	Path string
	// Domain and Name are those of the account in it, AsDomain and AsName what it is called now.
	Domain, Name     string
	AsDomain, AsName string
	// Mailbox, if it is not empty, is all that is restored: into AsMailbox of the account AsName, which is there.
	Mailbox, AsMailbox string
}

// Counts is what came over.
type Counts struct{ Accounts, Mailboxes, Messages, Damaged int64 }

// atOnce is how many messages are copied in one commit.
const atOnce = 200

// Into restores an account, or one of its mailboxes, into a store. Nothing that is there is replaced: the account, or the mailbox, must be
// new. Mailboxes are new ones for clients: with a UIDVALIDITY of their own. Messages that are damaged in the backup are passed to report, and the
// rest comes. Errors: NotFound, NoMailbox for what is not in the backup; Exists.
func Into(ctx context.Context, live, kept *accounts.Store, o One, report func(name, text string)) (*Counts, error) {
	const op = "backup.Into"
	k, err := kept.Kept(o.Domain, o.Name)
	switch kind := fault.KindOf(err); {
	case kind == fault.NotFound, kind == fault.NoDomain:
		return nil, fault.Newf(op, fault.NotFound, "the backup has no account %s@%s", o.Name, o.Domain)
	case err != nil:
		return nil, err
	}
	r := &into{ctx: ctx, kept: k, report: report}
	if o.Mailbox != "" {
		return &r.counts, r.mailboxInto(live, &o)
	}
	if err := live.RestoreAccount(ctx, o.AsDomain, o.AsName, k, r.files); err != nil {
		return nil, err
	}
	a, err := live.Account(ctx, o.AsDomain, o.AsName)
	if err != nil {
		return nil, err
	}
	r.counts.Accounts++
	return &r.counts, r.account(a.Mail())
}

type into struct {
	ctx    context.Context
	kept   *accounts.Kept
	report func(name, text string)
	counts Counts
}

func (r *into) damaged(name, text string) {
	r.counts.Damaged++
	r.report(name, text)
}

// files copies what is in the account's directory beside messages and settings.
func (r *into) files(dir string) error {
	names, err := r.kept.KeptFiles()
	if err != nil {
		return err
	}
	for _, name := range names {
		err := filepath.WalkDir(filepath.Join(r.kept.Dir, name), func(path string, e fs.DirEntry, err error) error {
			if err == nil {
				err = r.ctx.Err()
			}
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(r.kept.Dir, path)
			switch {
			case err != nil:
				return err
			case e.IsDir():
				if err := os.Mkdir(filepath.Join(dir, rel), 0o700); err != nil {
					return err
				}
				return copyAttributes(path, filepath.Join(dir, rel))
			case e.Type().IsRegular():
				_, err := copyFile(path, filepath.Join(dir, rel), nil)
				return err
			}
			return nil
		})
		if err != nil {
			return fault.Wrap("backup.Into", fault.Internal, err)
		}
	}
	return syncAll(dir)
}

// account restores all mailboxes, and what belongs to the account as a whole.
func (r *into) account(to *mailbox.Account) error {
	list, err := r.kept.Mail.List(r.ctx)
	if err != nil {
		return err
	}
	for _, i := range list {
		if err := r.mailbox(to, &i, i.Name); err != nil {
			return err
		}
	}
	names, err := r.kept.Mail.Subscriptions(r.ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := to.Subscribe(r.ctx, name, true); err != nil {
			return err
		}
	}
	if err := r.acl(to, "", ""); err != nil {
		return err
	}
	if err := r.properties(to, "", ""); err != nil {
		return err
	}
	return r.datasets(to)
}

// mailboxInto restores one mailbox into an account that is there.
func (r *into) mailboxInto(live *accounts.Store, o *One) error {
	a, err := live.Account(r.ctx, o.AsDomain, o.AsName)
	if err != nil {
		return err
	}
	i, err := r.kept.Mail.Status(r.ctx, o.Mailbox)
	if fault.Is(err, fault.NoMailbox) {
		return fault.Newf("backup.Into", fault.NoMailbox, "the backup has no mailbox %s of that account", o.Mailbox)
	}
	if err != nil {
		return err
	}
	as := o.AsMailbox
	if as == "" {
		as = o.Mailbox
	}
	switch _, err := a.Mail().Status(r.ctx, as); {
	case err == nil:
		return fault.Newf("backup.Into", fault.Exists, "the account has a mailbox %s: nothing is put into one that is there, give another name", as)
	case !fault.Is(err, fault.NoMailbox):
		return err
	}
	return r.mailbox(a.Mail(), &i, as)
}

// mailbox restores a mailbox, which may be there with nothing in it.
func (r *into) mailbox(to *mailbox.Account, i *mailbox.Info, as string) error {
	name := as
	if !i.Selectable {
		name += "/" // a directory alone
	}
	_, err := to.CreateMailbox(r.ctx, name, mailbox.CreateOptions{Class: i.Class})
	if err != nil && !fault.Is(err, fault.Exists) {
		return err
	}
	if i.Selectable {
		r.counts.Mailboxes++
		if fault.Is(err, fault.Exists) && i.Class != "" {
			if err := to.SetClass(r.ctx, as, i.Class); err != nil {
				return err
			}
		}
		if err := r.messages(to, i.Name, as); err != nil {
			return err
		}
	}
	return r.acl(to, i.Name, as)
}

// messages copies the messages of a mailbox, and makes items of those that were some.
func (r *into) messages(to *mailbox.Account, from, as string) error {
	m, err := r.kept.Mail.Open(r.ctx, from, true)
	if err != nil {
		return err
	}
	defer m.Close()
	moved := map[imap.UID]imap.UID{} // items, from the old UID to the new one
	items := []mailbox.Item{}
	if err := r.kept.Mail.Items(r.ctx, from, func(i mailbox.Item) bool { items = append(items, i); moved[i.UID] = 0; return true }); err != nil {
		return err
	}
	var last imap.UID
	copied := func(uids []imap.UID) error {
		data, err := m.CopyTo(r.ctx, uids, to, as)
		if err != nil {
			return err
		}
		old, fresh := numbers(data.Source), numbers(data.Dest)
		for n, uid := range old {
			if _, is := moved[uid]; is {
				moved[uid] = fresh[n]
			}
			last = fresh[n]
		}
		r.counts.Messages += int64(len(old))
		return nil
	}
	for some := range slices.Chunk(m.UIDs(), atOnce) {
		err := copied(some)
		if !isDamage(err) {
			if err != nil {
				return err
			}
			continue
		}
		for _, uid := range some { // all but the damaged ones
			if err := copied([]imap.UID{uid}); isDamage(err) {
				r.damaged(from, fault.Explain(err))
			} else if err != nil {
				return err
			}
		}
	}
	if len(items) > 0 {
		items = slices.DeleteFunc(items, func(i mailbox.Item) bool { return moved[i.UID] == 0 })
		for n := range items {
			items[n].UID = moved[items[n].UID]
		}
		if err := to.NameItems(r.ctx, as, items, last); err != nil {
			return err
		}
	}
	return r.properties(to, from, as)
}

// properties restores those that the owner has given a mailbox or, without a name, the account.
func (r *into) properties(to *mailbox.Account, from, as string) error {
	properties, err := r.kept.Mail.Properties(r.ctx, from, r.kept.Mail.ID())
	if err != nil || len(properties) == 0 {
		return err
	}
	change := map[string]*string{}
	for name, v := range properties {
		change[name] = &v
	}
	return to.SetProperties(r.ctx, as, to.ID(), change)
}

func isDamage(err error) bool {
	return fault.Is(err, fault.Corrupt) || fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoMessage) || fault.Is(err, fault.Internal)
}

func numbers(set imap.UIDSet) []imap.UID {
	list, _ := set.Nums()
	return list
}

// acl restores an ACL. It names accounts of the server as it is now.
func (r *into) acl(to *mailbox.Account, from, as string) error {
	l, err := r.kept.Mail.ACL(r.ctx, from)
	if err != nil || len(l) == 0 {
		return err
	}
	return to.ChangeACL(r.ctx, as, func(mailbox.ACL) (mailbox.ACL, error) { return slices.Clone(l), nil })
}

// datasets restores lists of addresses.
func (r *into) datasets(to *mailbox.Account) error {
	sets, err := r.kept.Mail.Datasets(r.ctx)
	if err != nil {
		return err
	}
	for _, set := range sets {
		if err := to.CreateDataset(r.ctx, set); err != nil && !fault.Is(err, fault.Exists) {
			return err
		}
		list, err := r.kept.Mail.Dataset(r.ctx, set)
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := to.SetDatasetEntry(r.ctx, set, e.Address, e.Data); err != nil {
				return err
			}
		}
	}
	return nil
}
