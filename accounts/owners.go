package accounts

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/subscribers"
	"gatepost/server/fault"
)

// OpenReadOnly opens the directory and the message store of a base directory that no server
// runs on, or of a copy of one, to be checked: Mail().Check, CheckLists and Close are all that may be called. Nothing is
// written, also not what a crash has left half done.
func OpenReadOnly(base string, log *slog.Logger) (*Store, error) {
	const op = "accounts.Open"
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	s := makeStore(base, Options{Log: log})
	s.readOnly = true
	if err := s.load(nil); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	if s.mail, err = mailbox.Open(base, mailbox.Options{ReadOnly: true, Owners: owners{s}.visit, Log: log}); err != nil {
		return s, err
	}
	dir := filepath.Join(base, subscribersDirectory)
	if isDir(dir) { // an old base directory has none
		s.subscribers, err = subscribers.Open(dir, subscribers.Options{ReadOnly: true, Log: log})
	}
	return s, err
}

// owners are the accounts as the message store asks for them.
type owners struct{ store *Store }

// visit visits every account, for the check of the message store. An account
// that cannot be read is among them, and so is a domain that cannot: as one
// owner without a number, whose accounts are not known. Neither hides the others.
func (o owners) visit(ctx context.Context, visit func(mailbox.Owner) error) error {
	list, err := o.store.Domains(ctx)
	if err != nil {
		return err
	}
	for _, domain := range list {
		accounts, err := o.store.accountNames(domain)
		if fault.Is(err, fault.NoDomain) {
			continue // removed meanwhile
		}
		if err != nil {
			if err := visit(o.unreadDomain(domain, err)); err != nil {
				return err
			}
			continue
		}
		for _, name := range accounts {
			if err := ctx.Err(); err != nil {
				return err
			}
			owner, mail, err := o.ownerOf(accountKey{domain, name})
			if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
				continue // removed meanwhile, or nothing there yet
			}
			if err != nil {
				return err
			}
			err = visit(owner)
			runtime.KeepAlive(mail) // so that it learns when its directory moves
			if err != nil {
				return err
			}
		}
	}
	// Last, since accounts go from the domains to Pending.
	return o.inPending(visit)
}

// unreadDomain stands for the accounts of a domain that cannot be read.
func (o owners) unreadDomain(domain string, err error) mailbox.Owner {
	return mailbox.Owner{Dir: filepath.Join(o.store.base, o.store.state.Load().domainDir(domain)), Damaged: err}
}

// ownerOf returns the owner of an account's messages and their handle, also of an account
// that cannot be read, which has no handle. A directory made by hand that nobody has used yet has none: it
// is NotFound, and gets no number for being looked at.
func (o owners) ownerOf(k accountKey) (mailbox.Owner, *mailbox.Account, error) {
	o.store.moving.RLock()
	defer o.store.moving.RUnlock()
	a, err := o.store.readAccount(k)
	if err == nil && a.unused() {
		return mailbox.Owner{}, nil, fault.New("accounts.owners", fault.NotFound, "")
	}
	switch {
	case err != nil:
	case o.store.readOnly:
		err = o.knownIdentity(a)
	default:
		err = o.store.ids.identify(a)
	}
	switch {
	case err == nil && o.store.readOnly:
		a.mail = o.store.mail.Account(mailbox.Owner{ID: a.ID, Dir: a.dir})
	case err == nil:
		o.store.resolve(a)
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.NoDomain):
		return mailbox.Owner{}, nil, err
	default:
		dir := filepath.Join(o.store.base, o.store.state.Load().domainDir(k.domain), k.name+accountSuffix)
		id, _ := directoryIdentity(dir)
		return mailbox.Owner{ID: id.id, Dir: dir, Damaged: err}, nil, nil
	}
	owner := o.store.owner(a)
	if a.bare {
		owner.Lost = accountFile + " is missing: the account has no password and the default settings; restore the file from a backup"
	}
	return owner, a.mail, nil
}

// knownIdentity finds the number of an account without writing it anywhere.
func (o owners) knownIdentity(a *Account) error {
	id, ok := readIdentity(a.explicit)
	if !ok {
		id, ok = directoryIdentity(a.dir)
	}
	if !ok {
		return a.numberLost()
	}
	a.ID = id.id
	if other := o.store.ids.original(id, a.dir); other != "" {
		return o.store.ids.copied("accounts.owners", a, other)
	}
	return nil
}

// inPending visits the accounts in Pending, which may have messages still or
// already.
func (o owners) inPending(visit func(mailbox.Owner) error) error {
	dir := filepath.Join(o.store.base, pendingDirectory)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap("accounts.owners", fault.Internal, err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch ext := filepath.Ext(path); ext {
		case newAccount, oldAccount:
			id, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), ext), 10, 64)
			if err != nil {
				continue // not ours
			}
			if err := visit(mailbox.Owner{ID: id, Dir: path, Passing: true}); err != nil {
				return err
			}
		case newDomain, oldDomain:
			if err := pendingDomainOwners(path, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// pendingDomainOwners visits the accounts of a domain in Pending.
func pendingDomainOwners(dir string, visit func(mailbox.Owner) error) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile
	}
	if err != nil {
		return fault.Wrap("accounts.owners", fault.Internal, err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		id, ok := directoryIdentity(path)
		if !ok || !strings.HasSuffix(e.Name(), accountSuffix) {
			continue
		}
		if err := visit(mailbox.Owner{ID: id.id, Dir: path, Passing: true}); err != nil {
			return err
		}
	}
	return nil
}
