package accounts

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/nametable"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// ownerOf names an account to the message store.
func (s *Store) ownerFor(id uint64, dir string) mailbox.Owner { return mailbox.Owner{ID: id, Dir: dir} }

// entries lists Pending.
func (s *Store) entries(t *testing.T) []string {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(s.base, pendingDirectory))
	must(t, err)
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

// restart closes a store as a crash would find it, and opens it again; the
// removal of what was pending has ended when it returns.
func (p *baseDir) restart(t *testing.T, s *Store) *Store {
	t.Helper()
	must(t, s.Close())
	s = p.open(t)
	s.removals.Wait()
	if left := s.entries(t); len(left) > 0 {
		t.Errorf("Pending holds %v", left)
	}
	return s
}

func TestCrashWhileAnAccountIsMadeLeavesNothing(t *testing.T) {
	steps := []func(s *Store, dir string, id uint64) error{
		func(s *Store, dir string, id uint64) error { return os.Mkdir(dir, 0o700) },
		func(s *Store, dir string, id uint64) error {
			return dataformat.WriteFile(filepath.Join(dir, accountFile), dataformat.Dict{keyAccountID: identity{id, "Accounts/u.macnt"}.dataValue()}, dataformat.StyleOld)
		},
		func(s *Store, dir string, id uint64) error {
			return s.mail.Create(ctx, s.ownerFor(id, dir), newMailboxes(layers{{BuiltIn, builtInPrefs()}}))
		},
	}
	for stop := 1; stop <= len(steps); stop++ {
		p := newBase(t)
		s := p.open(t)
		id := newID(t, s)
		for _, step := range steps[:stop] {
			must(t, step(s, s.pending(id, newAccount), id))
		}
		s = p.restart(t, s)
		_, err := s.Account(ctx, "", "u")
		wantKind(t, err, fault.NotFound)
		must(t, s.CreateAccount(ctx, "", "u", nil))
	}
}

func TestCrashAfterAnAccountWasDeletedEndsItsRemoval(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	put(t, a, "hello")
	must(t, moved(s.moveDir(a.Dir(), s.pending(a.ID, oldAccount))))
	s = p.restart(t, s)
	_, err = s.Account(ctx, "", "u")
	wantKind(t, err, fault.NotFound)
}

func TestCrashAfterADomainWasDeletedEndsItsRemoval(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	for _, name := range []string{"u", "v"} {
		must(t, s.CreateAccount(ctx, "d.com", name, nil))
		a, err := s.Account(ctx, "d.com", name)
		must(t, err)
		put(t, a, "hello")
	}
	must(t, moved(s.moveDir(filepath.Join(s.base, domainsDirectory, "d.com"), s.pending(newID(t, s), oldDomain))))
	s = p.restart(t, s)
	if _, ok := s.DomainName("d.com"); ok {
		t.Error("the domain is there")
	}
}

func TestCrashWhileADomainIsMadeLeavesNothing(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, os.MkdirAll(filepath.Join(s.pending(newID(t, s), newDomain), settingsDirectory), 0o700))
	s = p.restart(t, s)
	must(t, s.CreateDomain(ctx, "d.com", nil))
}

// A rename is stopped after each of its steps; the next start ends it.
func TestCrashWhileAnAccountIsRenamed(t *testing.T) {
	from, to := accountKey{"company.com", "u"}, accountKey{"d.com", "v"}
	steps := []func(s *Store) error{
		func(s *Store) error {
			source, err := s.domain(from.domain)
			if err != nil {
				return err
			}
			target, err := s.domain(to.domain)
			if err != nil {
				return err
			}
			return moved(s.moveDir(filepath.Join(source.dir, "u.macnt"), filepath.Join(target.dir, "v.macnt")))
		},
		func(s *Store) error {
			target, err := s.domain(to.domain)
			if err != nil {
				return err
			}
			return s.editNames(target, dataformat.Dict{"alias": object{account: "v"}.dataValue()})
		},
		func(s *Store) error { return s.moveAccount(from, to, true) },
	}
	for stop := 0; stop <= len(steps); stop++ {
		p := newBase(t)
		s := p.open(t)
		must(t, s.CreateDomain(ctx, "d.com", nil))
		must(t, s.CreateAccount(ctx, "", "u", nil))
		must(t, s.SetAccountAliases(ctx, "", "u", []string{"alias"}))
		must(t, s.SetAccountRights(ctx, "", "u", []string{"Monitor"}))
		a, err := s.Account(ctx, "", "u")
		must(t, err)
		put(t, a, "hello")
		must(t, dataformat.WriteFile(s.pending(newID(t, s), jobFile), job{renameAccount, from, to}.dict(), dataformat.StyleOld))
		for _, step := range steps[:stop] {
			must(t, step(s))
		}
		s = p.restart(t, s)
		_, err = s.Account(ctx, "", "u")
		wantKind(t, err, fault.NotFound)
		again, err := s.Account(ctx, "d.com", "v")
		must(t, err)
		if again.ID != a.ID || messages(t, again) != 1 {
			t.Errorf("stopped after %d: ID %d, was %d", stop, again.ID, a.ID)
		}
		list, err := s.AccountAliases(ctx, "d.com", "v")
		wantList(t, list, err, "alias")
		if o, err := s.Object(ctx, "company.com", "alias"); err != nil || o.Kind != 0 {
			t.Errorf("stopped after %d: the old alias is %v, %v", stop, o, err)
		}
		must(t, s.CreateAccount(ctx, "", "u", nil))
		list, err = s.AccountRights(ctx, "", "u")
		wantList(t, list, err)
	}
}

func TestCrashWhileADomainIsRenamed(t *testing.T) {
	for stop := range 3 {
		p := newBase(t)
		s := p.open(t)
		must(t, s.CreateDomain(ctx, "d.com", dict(t, "{IPAddresses=(127.0.0.9);}")))
		must(t, s.SetDomainAliases(ctx, "d.com", []string{"mail.d.com"}))
		must(t, s.CreateAccount(ctx, "d.com", "u", nil))
		must(t, dataformat.WriteFile(s.pending(newID(t, s), jobFile), job{renameDomain, accountKey{domain: "d.com"}, accountKey{domain: "e.com"}}.dict(), dataformat.StyleOld))
		if stop > 0 {
			must(t, moved(s.moveDir(filepath.Join(s.base, domainsDirectory, "d.com"), filepath.Join(s.base, domainsDirectory, "e.com"))))
		}
		if stop > 1 {
			must(t, s.editDomainAliases(nametable.Replaced(nil, s.state.Load().domainAliases.Of("d.com"), dataformat.String("e.com"))))
		}
		s = p.restart(t, s)
		list, err := s.Domains(ctx)
		wantList(t, list, err, "company.com", "e.com")
		list, err = s.DomainAliases("e.com")
		wantList(t, list, err, "mail.d.com")
		if _, err := s.Account(ctx, "mail.d.com", "u"); err != nil {
			t.Error(err)
		}
		if d := s.DomainForIP(stranger.LocalIP); d != "company.com" {
			t.Errorf("domain %s", d)
		}
		if d, own := s.OwnIP(loopback9); d != "e.com" || !own {
			t.Errorf("OwnIP %s %v", d, own)
		}
	}
}

func TestWhatIsNotOursInPendingStays(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	stray := filepath.Join(s.base, pendingDirectory, "notes.txt")
	must(t, os.WriteFile(stray, nil, 0o600))
	must(t, s.Close())
	s = p.open(t)
	s.removals.Wait()
	if left := s.entries(t); !slices.Equal(left, []string{"notes.txt"}) {
		t.Errorf("Pending holds %v", left)
	}
}

func newID(t *testing.T, s *Store) uint64 {
	t.Helper()
	id, err := s.nextID()
	must(t, err)
	return id
}

func moved(_ bool, err error) error { return err }
