package accounts

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"gatepost/accounts/nametable"
	"gatepost/server/dataformat"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file makes, renames, deletes and lists domains.

// Domains lists the real names of all domains: the Main Domain, then the others
// sorted.
func (s *directory) Domains(ctx context.Context) ([]string, error) {
	const op = "accounts.Domains"
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap(op, fault.Canceled, err)
	}
	main := s.MainDomain()
	entries, err := os.ReadDir(filepath.Join(s.base, domainsDirectory))
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	out := []string{main}
	for _, e := range entries {
		if n := e.Name(); n != main && safeDomain(n) && (e.IsDir() || e.Type()&fs.ModeSymlink != 0) {
			out = append(out, n)
		}
	}
	return out, nil
}

// AdminDomains lists the domains that name a domain as their AdminDomain: its
// administrators may administer them too. Errors: NoDomain, Canceled.
func (s *directory) AdminDomains(ctx context.Context, name string) ([]string, error) {
	real, err := s.domain(s.realDomain(name))
	if err != nil {
		return nil, err
	}
	list, err := s.Domains(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, other := range list {
		if err := ctx.Err(); err != nil {
			return nil, fault.Wrap("accounts.AdminDomains", fault.Canceled, err)
		}
		d, err := s.domain(other)
		if fault.Is(err, fault.NoDomain) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		if by := d.settings.AdminDomain; by != "" && other != real.name && s.realDomain(by) == real.name {
			out = append(out, other)
		}
	}
	return out, nil
}

// freeDomain refuses a name that is a domain or an alias of one.
func (s *Store) freeDomain(op, name string) error {
	if _, taken := s.DomainName(name); taken {
		return fault.New(op, fault.Exists, "domain with this name already exists")
	}
	// Somebody may have made it by hand just now.
	if _, err := os.Lstat(filepath.Join(s.base, domainsDirectory, name)); !errors.Is(err, fs.ErrNotExist) {
		return fault.New(op, fault.Exists, "the directory of the domain is there already")
	}
	return nil
}

// CreateDomain makes a secondary domain. Errors: Exists, Invalid.
func (s *Store) CreateDomain(ctx context.Context, name string, given dataformat.Dict) error {
	const op = "accounts.CreateDomain"
	name, err := newDomainName(op, name)
	if err != nil {
		return err
	}
	given, err = validateDomain(op, given)
	if err != nil {
		return err
	}
	given = settings.Merge(nil, given)
	unlock, err := s.renames.lockRealms(op)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.freeDomain(op, name); err != nil {
		return err
	}
	if err := s.freeAddresses(op, name, given); err != nil {
		return err
	}
	id, err := s.nextID()
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	tmp := s.pending(id, newDomain)
	if err := os.MkdirAll(filepath.Join(tmp, settingsDirectory), 0o700); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	err = dataformat.WriteFile(filepath.Join(tmp, settingsDirectory, domainFile), given, dataformat.StyleOld)
	if err == nil {
		err = durable.SyncDir(tmp)
	}
	moved := false
	if err == nil {
		moved, err = s.moveDir(tmp, filepath.Join(s.base, domainsDirectory, name))
	}
	if !moved {
		s.removals.discard(tmp)
	}
	s.dropDomain(name)
	if moved {
		err = errors.Join(err, s.assignAddresses(name, given), s.noteIssuer(name, given))
	}
	return fault.Wrap(op, fault.Internal, err)
}

// dropDomain forgets what is known of a domain and of its accounts.
func (s *directory) dropDomain(name string) {
	s.foreign.Drop(name)
	s.domains.Drop(name)
	s.groups.DropIf(func(k accountKey) bool { return k.domain == name })
	s.forgetIf(func(k accountKey) bool { return k.domain == name })
}

// secondary returns a domain that is not the Main Domain.
func (s *Store) secondary(op, name string) (*domain, error) {
	d, err := s.domain(s.realDomain(name))
	if err != nil {
		return nil, err
	}
	if d.name == s.MainDomain() {
		return nil, fault.New(op, fault.Denied, "this is the main domain")
	}
	return d, nil
}

// DeleteDomain removes a secondary domain and its aliases. Without force it has
// to be empty. It is gone when the call returns; the disk space follows. Errors:
// NoDomain, Denied (the Main Domain), NotEmpty.
func (s *Store) DeleteDomain(ctx context.Context, name string, force bool) error {
	const op = "accounts.DeleteDomain"
	unlock, err := s.renames.lockRealms(op)
	if err != nil {
		return err
	}
	defer unlock()
	d, err := s.secondary(op, name)
	if err != nil {
		return err
	}
	unlockNames, err := s.renames.lockNames(op, d.name)
	if err != nil {
		return err
	}
	defer unlockNames()
	if !force {
		have, err := s.objectNames(d.name)
		if err != nil {
			return err
		}
		lists, err := d.listNames()
		if err != nil {
			return err
		}
		if len(have.accounts)+len(have.groups)+len(lists) > 0 || d.names.Len() > 0 {
			return fault.New(op, fault.NotEmpty, "the domain is not empty")
		}
	}
	id, err := s.nextID()
	if err == nil {
		err = s.editDomainAliases(nametable.Replaced(s.state.Load().domainAliases.Of(d.name), nil, nil))
	}
	if err == nil {
		err = errors.Join(s.editState(domainIPsFile, removeValue(d.name)), s.noteIssuer(d.name, nil))
	}
	if err == nil {
		err = s.telnums.move(accountKey{domain: d.name}, accountKey{})
	}
	var lists []*MailingList
	if err == nil {
		lists, err = s.Lists().all(ctx, d)
	}
	gone := s.pending(id, oldDomain)
	if err == nil {
		s.sessions.endAll(func(k accountKey) bool { return k.domain == d.name }, nil, endDeleted)
		_, err = s.moveDir(d.dir, gone)
	}
	s.dropDomain(d.name)
	if err != nil { // if it has moved, it goes after the next start
		return fault.Wrap(op, fault.Internal, err)
	}
	s.removals.discard(gone)
	for _, l := range lists { // gatepost check names what stays behind after a crash here
		if err := l.subscribers.Remove(s.life); err != nil {
			return fault.Wrap(op, fault.Internal, err)
		}
	}
	return nil
}

// removeValue takes the keys out whose value is v.
func removeValue(v string) func(dataformat.Dict) error { return replaceValue(v, "") }

// replaceValue gives the keys whose value is old another one, or none.
func replaceValue(old, now string) func(dataformat.Dict) error {
	return func(d dataformat.Dict) error {
		changed := false
		for k := range d {
			if d.String(k) != old {
				continue
			}
			changed = true
			if now == "" {
				delete(d, k)
			} else {
				d[k] = dataformat.String(now)
			}
		}
		if !changed {
			return errUnchanged
		}
		return nil
	}
}

// RenameDomain gives a domain another name; its objects and aliases go with it.
// The name of the Main Domain is the name of the server too. Errors: NoDomain,
// Exists, Invalid.
func (s *Store) RenameDomain(ctx context.Context, name, newName string) error {
	const op = "accounts.RenameDomain"
	newName, err := newDomainName(op, newName)
	if err != nil {
		return err
	}
	d, unlock, err := s.holdDomain(op, name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.freeDomain(op, newName); err != nil {
		return err
	}
	unlockNames, err := s.renames.lockNames(op, d.name, newName)
	if err != nil {
		return err
	}
	defer unlockNames()
	do := renameDomain
	if d.name == s.MainDomain() {
		do = renameMain
	} else {
		s.sessions.endAll(func(k accountKey) bool { return k.domain == d.name }, nil, endRenamed)
	}
	return s.renames.run(job{do, accountKey{domain: d.name}, accountKey{domain: newName}})
}

// moveDomain does the steps of a rename, the first one unless it was done; each of the
// others may be repeated. The directory of the Main Domain stays, its name changes in
// Main.settings.
func (s *Store) moveDomain(do, from, to string, moved bool) error {
	const op = "accounts.RenameDomain"
	if !safeDomain(from) || !safeDomain(to) {
		return fault.New(op, fault.Corrupt, "")
	}
	var err error
	dir := filepath.Join(s.base, domainsDirectory)
	switch {
	case do == renameMain:
		err = s.editState(mainFile, func(d dataformat.Dict) error {
			d[keyDomainName] = dataformat.String(to)
			return nil
		})
	case moved:
		err = syncMove(filepath.Join(dir, from), filepath.Join(dir, to))
	default:
		_, err = s.moveDir(filepath.Join(dir, from), filepath.Join(dir, to))
		s.dropDomain(from)
		s.dropDomain(to)
	}
	if err == nil {
		err = s.editDomainAliases(nametable.Replaced(nil, s.state.Load().domainAliases.Of(from), dataformat.String(to)))
	}
	if err == nil {
		err = errors.Join(s.editState(domainIPsFile, replaceValue(from, to)), s.moveIssuer(from, to))
	}
	if err == nil {
		err = errors.Join(s.polled.move(accountKey{domain: from}, accountKey{domain: to}), s.telnums.move(accountKey{domain: from}, accountKey{domain: to}))
	}
	return fault.Wrap(op, fault.Internal, err)
}

// SuspendDomain stops or resumes all services of a domain: nobody can log in, and
// mail for its accounts waits. Errors: NoDomain.
func (s *Store) SuspendDomain(ctx context.Context, name string, suspended bool) error {
	d, leave, err := s.stayInDomain(name)
	if err != nil {
		return err
	}
	defer leave()
	return s.editDomain(d, domainFile, func(e dataformat.Dict) error {
		delete(e, keySuspended)
		if suspended {
			e[keySuspended] = dataformat.String("YES")
		}
		return nil
	})
}

// Suspended reports whether a domain is suspended.
func (s *directory) Suspended(name string) bool {
	d, err := s.domain(s.realDomain(name))
	return err == nil && d.suspended
}

// DomainFile returns the absolute path of a file among the settings of a domain. Errors: NoDomain.
func (s *directory) DomainFile(domain, name string) (string, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return "", err
	}
	return d.file(name), nil
}

// DomainLocation returns the path of a domain below the base directory.
func (s *directory) DomainLocation(name string) (string, error) {
	d, err := s.domain(s.realDomain(name))
	if err != nil {
		return "", err
	}
	return filepath.Rel(s.base, d.dir)
}

// AccountLocation returns the path of an account below the base directory.
func (s *directory) AccountLocation(ctx context.Context, domain, name string) (string, error) {
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return "", err
	}
	return filepath.Rel(s.base, a.dir)
}

// DomainAliases lists the other names of a domain, sorted. Errors: NoDomain.
func (s *directory) DomainAliases(name string) ([]string, error) {
	d, err := s.domain(s.realDomain(name))
	if err != nil {
		return nil, err
	}
	return s.state.Load().domainAliases.Of(d.name), nil
}

// SetDomainAliases replaces the other names of a domain. Errors: NoDomain,
// Exists, Invalid.
func (s *Store) SetDomainAliases(ctx context.Context, name string, aliases []string) error {
	const op = "accounts.SetDomainAliases"
	d, unlock, err := s.holdDomain(op, name)
	if err != nil {
		return err
	}
	defer unlock()
	list := make([]string, len(aliases))
	for i, alias := range aliases {
		if list[i], err = validateDomainName(op, alias); err != nil {
			return err
		}
		if real, ok := s.state.Load().domainAliases.Get(list[i]); ok && real == d.name {
			continue
		}
		if _, err := newDomainName(op, list[i]); err != nil {
			return err
		}
		if err := s.freeDomain(op, list[i]); err != nil {
			return err
		}
	}
	have := s.state.Load().domainAliases.Of(d.name)
	return fault.Wrap(op, fault.Internal, s.editDomainAliases(nametable.Replaced(have, list, dataformat.String(d.name))))
}

// makeSettings makes the Settings directory of a domain that has none yet.
func (d *domain) makeSettings() error {
	err := os.Mkdir(filepath.Join(d.dir, settingsDirectory), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// holdDomain returns a domain by any of its names, and holds the set of domains and their aliases.
func (s *Store) holdDomain(op, name string) (d *domain, unlock func(), err error) {
	if unlock, err = s.renames.lockRealms(op); err != nil {
		return nil, nil, err
	}
	if d, err = s.domain(s.realDomain(name)); err != nil {
		unlock()
		return nil, nil, err
	}
	return d, unlock, nil
}

// stayInDomain returns a domain by any of its names, which stays where it is until leave is called.
func (s *directory) stayInDomain(name string) (d *domain, leave func(), err error) {
	real := s.realDomain(name)
	leave = s.renames.share(real)
	if d, err = s.domain(real); err != nil {
		leave()
		return nil, nil, err
	}
	return d, leave, nil
}

// editDomain changes a file of a domain's Settings directory.
func (s *Store) editDomain(d *domain, file string, change func(dataformat.Dict) error) error {
	if err := d.makeSettings(); err != nil {
		return fault.Wrap("accounts.EditDomain", fault.Internal, err)
	}
	err := s.edit(d.file(file), change)
	s.domains.Drop(d.name)
	if file == domainFile {
		s.dropDomain(d.name)
	}
	return err
}
