package accounts

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// Kept is an account of a base directory that is only looked at, such as a backup.
type Kept struct {
	Domain, Name string
	Dir          string
	Mail         *mailbox.Account
	explicit     dataformat.Dict
}

// Kept returns an account of a store that was opened with OpenReadOnly. Errors: NoDomain, NotFound, Corrupt.
func (s *Store) Kept(domain, name string) (*Kept, error) {
	const op = "accounts.Kept"
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, err
	}
	name = fold(name)
	k := &Kept{Domain: d.name, Name: name, Dir: filepath.Join(d.dir, name+accountSuffix)}
	if !validObject(name) || !isDir(k.Dir) {
		return nil, fault.New(op, fault.NotFound, "")
	}
	id, ok := directoryIdentity(k.Dir)
	if !ok {
		return nil, fault.Newf(op, fault.Corrupt, "%s has lost its number", k.Dir)
	}
	if k.explicit, err = dataformat.ReadDict(filepath.Join(k.Dir, accountFile)); err != nil {
		return nil, dataformat.Unreadable(op, err)
	}
	k.Mail = s.mail.Account(mailbox.Owner{ID: id.id, Dir: k.Dir})
	return k, nil
}

// AccountNames lists the accounts of a domain. Errors: NoDomain.
func (s *Store) AccountNames(domain string) ([]string, error) {
	return s.accountNames(s.realDomain(domain))
}

// RestoreAccount makes an account with the settings of a kept one, as they are: with its password as it is stored. It has INBOX alone; prepare
// may put files into its directory before it can be seen. Errors: those of CreateAccount.
func (s *Store) RestoreAccount(ctx context.Context, domain, name string, k *Kept, prepare func(dir string) error) error {
	const op = "accounts.RestoreAccount"
	name, err := validateName(op, name)
	if err != nil {
		return err
	}
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return err
	}
	explicit := dataformat.Dict{}
	for key, v := range k.explicit {
		if key != keyAccountID {
			explicit[key] = v
		}
	}
	unlock, err := s.renames.lockNames(op, d.name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.free(op, d, name); err != nil {
		return err
	}
	if err := s.withinLimit(op, d); err != nil {
		return err
	}
	key := accountKey{d.name, name}
	err = s.makeAccount(ctx, d, filepath.Join(d.dir, name+accountSuffix), explicit, prepare)
	s.forget(key)
	return fault.Wrap(op, fault.Internal, err)
}

// KeptFiles lists what of an account's directory is neither messages nor settings of its own: stored files, rules, what was learned.
func (k *Kept) KeptFiles() (names []string, err error) {
	entries, err := os.ReadDir(k.Dir)
	if err != nil {
		return nil, fault.Wrap("accounts.Kept", fault.Internal, err)
	}
	for _, e := range entries {
		switch n := e.Name(); {
		case n == accountFile, n == infoFile, n == messagesDirectory, n == "Leftovers", strings.HasSuffix(n, ".tmp"):
		default:
			names = append(names, n)
		}
	}
	return names, nil
}
