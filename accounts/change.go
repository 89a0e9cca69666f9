package accounts

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"gatepost/accounts/nametable"
	"gatepost/accounts/password"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file reads and changes the settings, passwords and aliases of accounts.

// changed applies an update to explicit settings; a new Password is stored as
// the resulting PasswordEncryption asks.
func (s *Store) changed(op string, d *domain, explicit, update dataformat.Dict) (dataformat.Dict, error) {
	out := settings.Merge(explicit, update)
	v, given := update[keyPassword]
	if !given || settings.IsDefault(v) {
		return out, nil
	}
	password, ok := dataformat.Text(v)
	switch {
	case !ok:
		return nil, fault.New(op, fault.Invalid, "Password: a string is expected")
	case password == "":
		delete(out, keyPassword)
		return out, nil
	case s.keys.IsStored(password):
		return out, s.noteReversible(password)
	}
	stored, err := s.newStored(d, out, password)
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	out[keyPassword] = dataformat.String(stored)
	return out, nil
}

// CheckPassword says whether a password can be stored: fault.Invalid when it
// cannot.
func CheckPassword(password string) error {
	if strings.ContainsRune(password, 0) || len(password) > 1024 {
		return fault.New("accounts.SetPassword", fault.Invalid, "the password is longer than 1024 bytes or has a zero byte")
	}
	return nil
}

// newStored makes the stored form of a new password for explicit settings.
func (s *Store) newStored(d *domain, explicit dataformat.Dict, password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	var effective AccountSettings
	settings.LoadLayers(&effective, accountLayers(explicit, d).dicts(), func(string, error) {})
	stored, err := s.keys.New(password, effective.PasswordEncryption)
	if err != nil {
		return "", err
	}
	return stored, s.noteReversible(stored)
}

// noteReversible remembers that a stored password can be turned back.
func (s *Store) noteReversible(stored string) error {
	p, err := s.keys.Parse(stored)
	if err != nil {
		return nil // nobody logs in with it
	}
	if _, ok := p.(password.Reversible); !ok || s.Reversible() {
		return nil
	}
	return s.editState(domainDefaultFile, func(d dataformat.Dict) error {
		d[keyReversible] = dataformat.String("YES")
		return nil
	})
}

// HasReversible reports whether new passwords of a domain are stored in such a form.
func (s *directory) HasReversible(domain string) bool {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return false
	}
	v, _ := accountLayers(nil, d).lookup("PasswordEncryption")
	e, _ := dataformat.Text(v)
	return password.IsReversible(e)
}

// editAccount changes account.settings of an account that stays where it is.
func (s *Store) editAccount(op string, a *Account, change func(dataformat.Dict) error) error {
	unlock := s.renames.share(a.Domain)
	defer unlock()
	k := accountKey{a.Domain, a.Name}
	now, err := s.account(k)
	if err != nil {
		return err
	}
	if now.ID != a.ID { // it was renamed or deleted, and another one has its name
		return fault.New(op, fault.NotFound, "unknown user account")
	}
	err = s.edit(filepath.Join(now.dir, accountFile), change)
	s.forget(k)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(op, fault.NotFound, "unknown user account")
	}
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	// Read it again, so that new limits hold for mailboxes that sessions have open.
	_, err = s.account(k)
	return err
}

// SetPassword stores a new password. With check the account's own rules hold
// (PWDAllowed, and those of passwordrules.go), as for a user who changes the password; an
// administrator goes without. A user's password is changed where External Authentication knows it, too.
// Errors: NoDomain, NotFound, Denied, Invalid, Unavailable.
func (s *Store) SetPassword(ctx context.Context, domain, name, password string, check bool) error {
	const op = "accounts.SetPassword"
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return err
	}
	if check {
		if !bool(a.settings.PWDAllowed) {
			return fault.New(op, fault.Denied, "the password may not be changed")
		}
		if err := s.rejects(ctx, a, password); err != nil {
			return err
		}
	}
	if check {
		switch here, err := s.setOutside(ctx, a, password); {
		case err != nil:
			return fault.Wrap(op, fault.Internal, err)
		case !here:
			return nil
		}
	}
	var stored string
	if password != "" {
		if stored, err = s.newStored(a.domain, a.explicit, password); err != nil {
			return fault.Wrap(op, fault.Internal, err)
		}
	}
	former, err := s.former(a)
	if err != nil {
		return err
	}
	s.sessions.acceptPassword(ctx, a, stored)
	return s.editAccount(op, a, func(d dataformat.Dict) error {
		putFormer(d, former)
		delete(d, keyPassword)
		if stored != "" {
			d[keyPassword] = dataformat.String(stored)
		}
		return nil
	})
}

// RevealPassword returns a password that is stored in a reversible form. Errors:
// NoDomain, NotFound, Unsupported.
func (s *directory) RevealPassword(ctx context.Context, domain, name string) (string, error) {
	const op = "accounts.RevealPassword"
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return "", err
	}
	r, ok := a.password.(password.Reversible)
	if !ok {
		return "", fault.New(op, fault.Unsupported, "the password is not stored in a reversible form")
	}
	plain, err := r.Reveal()
	return plain, fault.Wrap(op, fault.Corrupt, err)
}

// AccountAliases lists the aliases of an account, sorted.
func (s *directory) AccountAliases(ctx context.Context, domain, name string) ([]string, error) {
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	d, err := s.domain(a.Domain)
	if err != nil {
		return nil, err
	}
	return d.names.Of(a.Name), nil
}

// SetAccountAliases replaces the aliases of an account. Errors: NoDomain,
// NotFound, Exists, Invalid.
func (s *Store) SetAccountAliases(ctx context.Context, domain, name string, aliases []string) error {
	const op = "accounts.SetAccountAliases"
	var list []string
	for _, alias := range aliases {
		n, err := validateName(op, alias)
		if err != nil {
			return err
		}
		list = append(list, n)
	}
	a, d, unlock, err := s.holdAccount(ctx, op, domain, name)
	if err != nil {
		return err
	}
	defer unlock()
	for _, alias := range list {
		if o, ok := d.names.Get(alias); ok && o.account == a.Name {
			continue
		}
		if err := s.free(op, d, alias); err != nil {
			return err
		}
	}
	return fault.Wrap(op, fault.Internal, s.setAliases(d, a.Name, list))
}

// AccountNames are an account and aliases for it.
type AccountNames struct {
	Account string
	Aliases []string
}

// AddAliases gives accounts of a domain aliases besides those that they have, in one step for all of them. An account one
// of whose aliases cannot be given gets none: its error is at its index. Errors: NoDomain; of accounts NotFound,
// Exists, Invalid.
func (s *Store) AddAliases(ctx context.Context, domain string, list []AccountNames) (failed []error, err error) {
	const op = "accounts.AddAliases"
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap(op, fault.Canceled, err)
	}
	real := s.realDomain(domain)
	unlock, err := s.renames.lockNames(op, real)
	if err != nil {
		return nil, err
	}
	defer unlock()
	d, err := s.domain(real)
	if err != nil {
		return nil, err
	}
	failed = make([]error, len(list))
	update := dataformat.Dict{}
	for i, one := range list {
		account := fold(one.Account)
		there, err := s.object(d, account) // without reading its settings
		if err == nil && there.Kind != names.Account {
			err = fault.New(op, fault.NotFound, "unknown user account")
		}
		var given []string
		for _, alias := range one.Aliases {
			if err != nil {
				break
			}
			var n string
			if n, err = validateName(op, alias); err != nil {
				break
			}
			if o, ok := d.names.Get(n); ok && o.account == account {
				continue
			}
			if err = s.free(op, d, n); err == nil && update[n] != nil {
				err = fault.New(op, fault.Exists, "object with this name already exists")
			}
			given = append(given, n)
		}
		if failed[i] = err; err == nil {
			for _, n := range given {
				update[n] = object{account: account}.dataValue()
			}
		}
	}
	return failed, fault.Wrap(op, fault.Internal, s.editNames(d, update))
}

// holdAccount returns an account and its domain, and holds the name space of the domain.
func (s *Store) holdAccount(ctx context.Context, op, domain, name string) (a *Account, d *domain, unlock func(), err error) {
	if a, err = s.Account(ctx, domain, name); err != nil {
		return nil, nil, nil, err
	}
	if unlock, err = s.renames.lockNames(op, a.Domain); err != nil {
		return nil, nil, nil, err
	}
	if a, err = s.account(accountKey{a.Domain, a.Name}); err == nil {
		d, err = s.domain(a.Domain)
	}
	if err != nil {
		unlock()
		return nil, nil, nil, err
	}
	return a, d, unlock, nil
}

// setAliases replaces the aliases of an account; the caller holds the name space.
func (s *Store) setAliases(d *domain, account string, aliases []string) error {
	return s.editNames(d, nametable.Replaced(d.names.Of(account), aliases, object{account: account}.dataValue()))
}

// editNames changes aliases and forwarders of a domain; the caller holds the name
// space. A snapshot of the domain that somebody reads meanwhile may not have the
// change: only this one stays.
func (s *Store) editNames(d *domain, update dataformat.Dict) error {
	const op = "accounts.EditNames"
	if err := d.makeSettings(); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	err := d.names.Change(update)
	s.domains.DropUnless(d.name, func(kept *domain) bool { return kept == d && err == nil })
	return fault.Wrap(op, fault.Internal, err)
}
