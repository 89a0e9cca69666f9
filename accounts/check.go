package accounts

import (
	"context"
	"log/slog"
	"path/filepath"
	"runtime"

	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// OpenReadOnly opens the directory and the message store of a base directory that no server
// runs on, or of a copy of one, to be checked: Mail().Check and Close are all that may be called. Nothing is
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
	s.mail, err = mailbox.Open(base, mailbox.Options{ReadOnly: true, Owners: s.owners, Log: log})
	return s, err
}

// owners visits every account, for the check of the message store. An account
// that cannot be read is among them, and so is a domain that cannot: as one
// owner without a number, whose accounts are not known. Neither hides the others.
func (s *Store) owners(ctx context.Context, visit func(mailbox.Owner) error) error {
	list, err := s.Domains(ctx)
	if err != nil {
		return err
	}
	for _, domain := range list {
		accounts, err := s.accountNames(domain)
		if fault.Is(err, fault.NoDomain) {
			continue // removed meanwhile
		}
		if err != nil {
			if err := visit(s.unreadDomain(domain, err)); err != nil {
				return err
			}
			continue
		}
		for _, name := range accounts {
			if err := ctx.Err(); err != nil {
				return err
			}
			owner, mail, err := s.ownerOf(accountKey{domain, name})
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
	return s.pendingOwners(visit)
}

// unreadDomain stands for the accounts of a domain that cannot be read.
func (s *Store) unreadDomain(domain string, err error) mailbox.Owner {
	return mailbox.Owner{Dir: filepath.Join(s.base, s.state.Load().domainDir(domain)), Damaged: err}
}

// ownerOf returns the owner of an account's messages and their handle, also of an account
// that cannot be read, which has no handle. A directory made by hand that nobody has used yet has none: it
// is NotFound, and gets no number for being looked at.
func (s *Store) ownerOf(k accountKey) (mailbox.Owner, *mailbox.Account, error) {
	s.places.RLock()
	defer s.places.RUnlock()
	a, err := s.readAccount(k)
	if err == nil && a.unused() {
		return mailbox.Owner{}, nil, fault.New("accounts.owners", fault.NotFound, "")
	}
	switch {
	case err != nil:
	case s.readOnly:
		err = s.knownIdentity(a)
	default:
		err = s.identify(a)
	}
	switch {
	case err == nil && s.readOnly:
		a.mail = s.mail.Account(mailbox.Owner{ID: a.ID, Dir: a.dir})
	case err == nil:
		s.resolve(a)
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.NoDomain):
		return mailbox.Owner{}, nil, err
	default:
		dir := filepath.Join(s.base, s.state.Load().domainDir(k.domain), k.name+accountSuffix)
		id, _ := directoryIdentity(dir)
		return mailbox.Owner{ID: id.id, Dir: dir, Damaged: err}, nil, nil
	}
	o := s.owner(a)
	if a.bare {
		o.Lost = accountFile + " is missing: the account has no password and the default settings; restore the file from a backup"
	}
	return o, a.mail, nil
}

// knownIdentity finds the number of an account without writing it anywhere.
func (s *Store) knownIdentity(a *Account) error {
	id, ok := readIdentity(a.explicit)
	if !ok {
		id, ok = directoryIdentity(a.dir)
	}
	if !ok {
		return a.numberLost()
	}
	a.ID = id.id
	if other := s.original(id, a.dir); other != "" {
		return s.copied("accounts.owners", a, other)
	}
	return nil
}
