package accounts

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/nametable"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file makes, renames, deletes and lists accounts.

// free reports whether a name is free in a domain: Exists when it is not,
// Invalid when mail to it would never come to an object.
func (s *Store) free(op string, d *domain, name string) error {
	if names.Reserved(name, d.name == s.MainDomain()) {
		return fault.Newf(op, fault.Invalid, "the name %s has a meaning of its own for the router", name)
	}
	o, err := s.object(d, name)
	if err != nil {
		return err
	}
	switch o.Kind {
	case names.None:
		// Somebody may have made the directory by hand just now.
		if _, err := os.Lstat(filepath.Join(d.dir, name+accountSuffix)); !errors.Is(err, fs.ErrNotExist) {
			return fault.New(op, fault.Exists, "the directory of the account is there already")
		}
		return nil
	case names.Account:
		return fault.New(op, fault.Exists, "account with this name already exists")
	}
	return fault.New(op, fault.Exists, "object with this name already exists")
}

// CreateAccount makes an account with the template's settings and then the given
// ones. A Password among them is stored as the account's PasswordEncryption
// asks. Errors: NoDomain, Exists, Invalid, TooMany.
func (s *Store) CreateAccount(ctx context.Context, domain, name string, given dataformat.Dict) error {
	const op = "accounts.CreateAccount"
	name, err := validateName(op, name)
	if err != nil {
		return err
	}
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return err
	}
	explicit, err := s.initialSettings(op, d, given)
	if err != nil {
		return err
	}
	if err := s.freeSoon(op, d, name); err != nil {
		return err
	}
	k := accountKey{d.name, name}
	tmp, err := s.prepareAccount(ctx, d, filepath.Join(d.dir, name+accountSuffix), explicit, nil)
	moved := false
	if err == nil {
		moved, err = s.placeAccount(op, k, tmp)
		s.forget(k)
	}
	if !moved && tmp != "" {
		s.removals.discard(tmp)
	}
	return fault.Wrap(op, fault.Internal, err)
}

// freeSoon refuses a name that is taken before anything is written for it; what counts is the look when the account is
// placed. A rename that has failed half way may hold the name, and ends first.
func (s *Store) freeSoon(op string, d *domain, name string) error {
	if s.free(op, d, name) == nil {
		return nil
	}
	unlock, err := s.renames.lockNames(op, d.name)
	if err != nil {
		return err
	}
	defer unlock()
	if d, err = s.domain(d.name); err != nil {
		return err
	}
	return s.free(op, d, name)
}

// CheckNewAccount returns the error that CreateAccount would return, and that SetAccountAliases would return for the new
// account, as far as it can be told without making it. Errors: NoDomain, Exists, Invalid, TooMany.
func (s *Store) CheckNewAccount(ctx context.Context, domain, name string, given dataformat.Dict, aliases []string) error {
	const op = "accounts.CreateAccount"
	if err := ctx.Err(); err != nil {
		return fault.Wrap(op, fault.Canceled, err)
	}
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return err
	}
	name, err = validateName(op, name)
	if err != nil {
		return err
	}
	if given, err = validateAccount(op, given); err != nil {
		return err
	}
	if text, ok := dataformat.Text(given[keyPassword]); ok && !s.IsStoredPassword(text) {
		if err := CheckPassword(text); err != nil {
			return err
		}
	}
	if err := s.free(op, d, name); err != nil {
		return err
	}
	if err := s.withinLimit(op, d); err != nil {
		return err
	}
	for _, alias := range aliases {
		alias, err := validateName(op, alias)
		if err == nil {
			err = s.free(op, d, alias)
		}
		if err != nil {
			return fault.Newf(op, fault.KindOf(err), "alias %s: %s", alias, fault.Text(err))
		}
	}
	return nil
}

// IsStoredPassword reports whether a text that is given as Password is the stored form of a password that logins can be
// compared with, and not the password itself.
func (s *directory) IsStoredPassword(text string) bool { return s.keys.IsStored(text) }

// initialSettings are the explicit settings that an account starts with.
func (s *Store) initialSettings(op string, d *domain, given dataformat.Dict) (dataformat.Dict, error) {
	template, err := dataformat.ReadDict(d.file(templateFile))
	if err != nil {
		return nil, dataformat.Unreadable(op, err)
	}
	given, err = validateAccount(op, given)
	if err != nil {
		return nil, err
	}
	// Only what differs from what the account would inherit is copied.
	// A password that somebody wrote into the file is not.
	start := dataformat.Dict{}
	template = visible(template)
	delete(template, keyPassword)
	for k, v := range template {
		inherited, origin := accountLayers(nil, d).withBuiltIn(builtInAccount()).lookup(k)
		if origin == "" || dataformat.Compact(inherited) != dataformat.Compact(v) {
			start[k] = v
		}
	}
	return s.changed(op, d, start, given)
}

// withinLimit checks AccountsLimit.
func (s *Store) withinLimit(op string, d *domain) error {
	limit := d.settings.AccountsLimit
	if limit < 0 {
		return nil
	}
	have, err := s.accountNames(d.name)
	if err != nil {
		return err
	}
	if len(have) >= limit {
		return fault.New(op, fault.TooMany, "the domain has as many accounts as it may have")
	}
	return nil
}

// makeAccount puts an account together and moves it to dir. The caller holds the name space.
// prepare, if any, puts more files into its directory.
func (s *Store) makeAccount(ctx context.Context, d *domain, dir string, explicit dataformat.Dict, prepare func(dir string) error) error {
	tmp, err := s.prepareAccount(ctx, d, dir, explicit, prepare)
	moved := false
	if err == nil {
		moved, err = s.moveDir(tmp, dir)
	}
	if !moved && tmp != "" {
		s.removals.discard(tmp)
	}
	return err
}

// prepareAccount puts an account for dir together in Pending, where it is durable when the call returns. The message
// store knows it before it can be seen. It takes no lock: several can be prepared at a time, and share the syncs of
// the disk. After an error tmp is to be discarded unless it is empty. more, if it is not nil,
// puts more files into the directory.
func (s *Store) prepareAccount(ctx context.Context, d *domain, dir string, explicit dataformat.Dict, more func(dir string) error) (tmp string, err error) {
	id, err := s.nextID()
	if err != nil {
		return "", err
	}
	here, err := filepath.Rel(s.base, dir)
	if err != nil {
		return "", err
	}
	tmp = s.pending(id, newAccount)
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return "", err
	}
	explicit[keyAccountID] = identity{id, here}.dataValue()
	err = dataformat.WriteNewFile(filepath.Join(tmp, accountFile), explicit, dataformat.StyleOld)
	if err == nil {
		err = dataformat.WriteNewFile(filepath.Join(tmp, infoFile), dataformat.Dict{keyAccountID: explicit[keyAccountID]}, dataformat.StyleOld)
	}
	if err == nil && more != nil {
		err = more(tmp)
	}
	if err == nil { // this makes the names in the directory durable, too
		err = s.mail.Create(ctx, mailbox.Owner{ID: id, Dir: tmp}, newMailboxes(prefLayers(explicit, d)))
	}
	return tmp, err
}

// placeAccount moves a prepared account to its place, if its name is free and the domain has room for it.
func (s *Store) placeAccount(op string, k accountKey, tmp string) (moved bool, err error) {
	unlock, err := s.renames.lockNames(op, k.domain)
	if err != nil {
		return false, err
	}
	defer unlock()
	d, err := s.domain(k.domain)
	if err != nil {
		return false, err
	}
	if err := s.free(op, d, k.name); err != nil {
		return false, err
	}
	if err := s.withinLimit(op, d); err != nil {
		return false, err
	}
	return s.moveDir(tmp, filepath.Join(d.dir, k.name+accountSuffix))
}

// Postmaster is the account of the Main Domain that always is: it holds the right
// Master, and mail for the role names of all domains ends there (RFC 5321 4.5.1).
const Postmaster = "postmaster"

// staysPut refuses to take the Main Domain's postmaster away.
func (s *Store) staysPut(op string, k accountKey) error {
	if k.name == Postmaster && k.domain == s.MainDomain() {
		return fault.New(op, fault.Denied, "the postmaster of the main domain stays")
	}
	return nil
}

// DeleteAccount removes an account with its mailboxes, aliases and rights. It is
// gone when the call returns; the disk space follows. Errors: NoDomain, NotFound,
// Denied for the Main Domain's postmaster.
func (s *Store) DeleteAccount(ctx context.Context, domain, name string) error {
	const op = "accounts.DeleteAccount"
	a, d, unlock, err := s.holdAccount(ctx, op, domain, name)
	if err != nil {
		return err
	}
	defer unlock()
	k := accountKey{a.Domain, a.Name}
	if err := s.staysPut(op, k); err != nil {
		return err
	}
	if err := s.Lists().ownsNone(ctx, op, k); err != nil {
		return err
	}
	if err := s.setAliases(d, a.Name, nil); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	if err := s.telnums.move(k, accountKey{}); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	if err := s.setRights(d, a.Name, nil); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	// Its sessions end first, so that none of them meets a directory that is not there.
	s.sessions.endAll(func(w accountKey) bool { return w == k }, nil, endDeleted)
	gone := s.pending(a.ID, oldAccount)
	_, err = s.moveDir(a.dir, gone)
	s.forget(k)
	if err != nil { // if it has moved, it goes after the next start
		return fault.Wrap(op, fault.Internal, err)
	}
	s.removals.discard(gone)
	return nil
}

// RenameAccount gives an account another name, in the same domain or in another
// one. Its mailboxes and aliases go with it; its rights stay behind when it
// leaves the domain. Errors: NoDomain, NotFound, Exists, Invalid, Denied for the
// Main Domain's postmaster.
func (s *Store) RenameAccount(ctx context.Context, domain, name, newDomain, newName string) error {
	const op = "accounts.RenameAccount"
	newName, err := validateName(op, newName)
	if err != nil {
		return err
	}
	from := accountKey{s.realDomain(domain), fold(name)}
	to := accountKey{s.realDomain(newDomain), newName}
	unlock, err := s.renames.lockNames(op, from.domain, to.domain)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := s.Account(ctx, from.domain, from.name); err != nil {
		return err
	}
	d, err := s.domain(to.domain)
	if err != nil {
		return err
	}
	if err := s.free(op, d, to.name); err != nil {
		return err
	}
	if err := s.staysPut(op, from); err != nil {
		return err
	}
	if from.domain != to.domain {
		if err := s.mayEnter(op, d, from); err != nil {
			return err
		}
		if err := s.Lists().ownsNone(ctx, op, from); err != nil {
			return err
		}
	}
	s.sessions.endAll(func(k accountKey) bool { return k == from }, nil, endRenamed)
	return s.renames.run(job{renameAccount, from, to})
}

// mayEnter reports whether a domain has room for an account of another one and
// for its aliases.
func (s *Store) mayEnter(op string, d *domain, from accountKey) error {
	source, err := s.domain(from.domain)
	if err != nil {
		return err
	}
	for _, alias := range source.names.Of(from.name) {
		if err := s.free(op, d, alias); err != nil {
			return err
		}
	}
	return s.withinLimit(op, d)
}

// moveAccount does the steps of a rename, the first one unless it was done; each of the
// others may be repeated. The caller holds the name spaces, or nobody else runs yet.
func (s *Store) moveAccount(from, to accountKey, moved bool) error {
	const op = "accounts.RenameAccount"
	target, err := s.domain(to.domain)
	if err != nil {
		return err
	}
	dir := s.accountDir(to)
	defer s.forgetIf(func(k accountKey) bool { return k == from || k == to })
	if moved {
		err = syncMove(s.accountDir(from), dir)
	} else {
		_, err = s.moveDir(s.accountDir(from), dir)
	}
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	s.ids.noteDirectory(to.String(), dir)
	if err := errors.Join(s.polled.move(from, to), s.telnums.move(from, to)); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	source, err := s.domain(from.domain)
	if fault.Is(err, fault.NoDomain) {
		return nil // with all that the name had there
	}
	if err != nil {
		return err
	}
	if from.domain == to.domain {
		if err := s.Lists().giveTo(s.life, source, from.name, to.name); err != nil {
			return fault.Wrap(op, fault.Internal, err)
		}
	}
	aliases := source.names.Of(from.name)
	if len(aliases) > 0 {
		if err := s.moveAliases(source, target, to.name, aliases); err != nil {
			return fault.Wrap(op, fault.Internal, err)
		}
	}
	rights := source.rights[from.name]
	if len(rights) == 0 {
		return nil
	}
	if from.domain == to.domain {
		if err := s.setRights(target, to.name, rights); err != nil {
			return fault.Wrap(op, fault.Internal, err)
		}
	}
	return fault.Wrap(op, fault.Internal, s.setRights(source, from.name, nil))
}

// moveAliases gives aliases to an account in target, first there, then not here.
func (s *Store) moveAliases(source, target *domain, account string, aliases []string) error {
	err := s.editNames(target, nametable.Replaced(nil, aliases, object{account: account}.dataValue()))
	if err != nil || source.name == target.name {
		return err
	}
	return s.editNames(source, nametable.Replaced(aliases, nil, nil))
}

// Accounts lists the names of a domain's accounts, sorted.
func (s *directory) Accounts(ctx context.Context, domain string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap("accounts.Accounts", fault.Canceled, err)
	}
	list, err := s.accountNames(s.realDomain(domain))
	return slices.Clone(list), err
}

// Resolve returns the account with a name or an alias in a domain.
func (s *directory) Resolve(ctx context.Context, domain, name string) (*Account, error) {
	a, err := s.Account(ctx, domain, name)
	if !fault.Is(err, fault.NotFound) {
		return a, err
	}
	d, derr := s.domain(s.realDomain(domain))
	if derr != nil {
		return nil, derr
	}
	if o, ok := d.names.Get(fold(name)); ok && o.account != "" {
		return s.account(accountKey{d.name, o.account})
	}
	return nil, err
}
