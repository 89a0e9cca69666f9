package accounts

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// block has a file that can neither be read nor written until unblock is called, as a
// bad disk or the want of descriptors would.
func block(t *testing.T, path string) (unblock func(now string)) {
	t.Helper()
	must(t, os.Rename(path, path+".aside"))
	must(t, os.Mkdir(path, 0o700))
	return func(now string) {
		t.Helper()
		must(t, os.Remove(now))
		must(t, os.Rename(now+".aside", now))
	}
}

// The job of a rename that came to nothing would be done at the next start.
func TestRenameThatFailsIsNotTriedAgain(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	inTheWay := func(name string) { // a file that is no account
		t.Helper()
		must(t, os.WriteFile(filepath.Join(s.base, domainsDirectory, name), nil, 0o600))
	}
	inTheWay("d.com/v.macnt")
	if err := s.RenameAccount(ctx, "d.com", "u", "d.com", "v"); err == nil {
		t.Error("renamed to a name that is taken")
	}
	inTheWay("e.com")
	if err := s.RenameDomain(ctx, "d.com", "e.com"); err == nil {
		t.Error("renamed to a domain that is taken")
	}
	must(t, os.Remove(filepath.Join(s.base, domainsDirectory, "d.com", "v.macnt")))
	s = p.restart(t, s)
	_, err := s.Account(ctx, "d.com", "u")
	must(t, err)
}

func TestRenameOfTheMainDomainThatFailsIsNotTriedAgain(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	file := filepath.Join(s.base, settingsDirectory, mainFile)
	unblock := block(t, file)
	if s.RenameDomain(ctx, "", "new.com") == nil {
		t.Fatal("no error")
	}
	unblock(file)
	must(t, s.CreateDomain(ctx, "new.com", nil))
	s = p.restart(t, s)
	if main := s.MainDomain(); main != "company.com" {
		t.Errorf("the Main Domain is %s", main)
	}
}

// A rename fails after its first step. Whoever changes these names next ends it before.
func TestRenameThatFailsHalfWayIsEndedFirst(t *testing.T) {
	for name, next := range map[string]func(s *Store) error{
		"new account of the old name": func(s *Store) error { return s.CreateAccount(ctx, "d.com", "u", nil) },
		"other rename": func(s *Store) error {
			if err := s.RenameAccount(ctx, "d.com", "v", "d.com", "w"); err != nil {
				return err
			}
			return s.RenameAccount(ctx, "d.com", "w", "d.com", "v")
		},
		"rename of the domain": func(s *Store) error {
			if err := s.RenameDomain(ctx, "d.com", "e.com"); err != nil {
				return err
			}
			return s.RenameDomain(ctx, "e.com", "d.com")
		},
		"rights": func(s *Store) error { return s.SetAccountRights(ctx, "d.com", "v", []string{"CanCreateAccounts"}) },
		"directory made by hand": func(s *Store) error {
			if err := os.Mkdir(filepath.Join(s.base, domainsDirectory, "d.com", "u.macnt"), 0o700); err != nil {
				return err
			}
			s.renames.retry()
			_, err := s.Account(ctx, "d.com", "u")
			return err
		},
		"time":    func(s *Store) error { s.renames.retry(); return nil },
		"restart": func(*Store) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			p := newBase(t)
			s := p.open(t)
			must(t, s.CreateDomain(ctx, "d.com", nil))
			must(t, s.CreateAccount(ctx, "d.com", "u", nil))
			must(t, s.SetAccountAliases(ctx, "d.com", "u", []string{"alias"}))
			must(t, s.SetAccountRights(ctx, "d.com", "u", []string{"Domain"}))
			a, err := s.Account(ctx, "d.com", "u")
			must(t, err)
			_, err = s.domain("d.com") // and its files need not be read again
			must(t, err)
			file := filepath.Join(s.base, domainsDirectory, "d.com", settingsDirectory, accessFile)
			unblock := block(t, file)
			if s.RenameAccount(ctx, "d.com", "u", "d.com", "v") == nil {
				t.Fatal("no error")
			}
			if err := s.CreateAccount(ctx, "d.com", "u", nil); err == nil {
				t.Error("the old name is free while the rename cannot be finished")
			}
			unblock(file)
			must(t, next(s))
			s = p.restart(t, s)
			now, err := s.Account(ctx, "d.com", "v")
			must(t, err)
			list, err := s.AccountAliases(ctx, "d.com", "v")
			wantList(t, list, err, "alias")
			list, err = s.AccountRights(ctx, "d.com", "v")
			if name != "rights" {
				wantList(t, list, err, "Domain")
			} else {
				wantList(t, list, err, "CanCreateAccounts")
			}
			if now.ID != a.ID {
				t.Errorf("v is account %d, not %d", now.ID, a.ID)
			}
		})
	}
}

// Somebody has waited for the names since before the rename failed.
func TestRenameThatFailsHalfWayIsEndedByWhoWaits(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	for _, d := range []string{"d.com", "e.com"} {
		must(t, s.CreateDomain(ctx, d, nil))
	}
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	must(t, s.SetAccountAliases(ctx, "d.com", "u", []string{"alias"}))
	unlock := s.renames.lockAll([]string{"d.com", "e.com"})
	created := make(chan error)
	go func() { created <- s.CreateAccount(ctx, "d.com", "u", nil) }()
	waits := func() bool {
		s.renames.names.mu.Lock()
		defer s.renames.names.mu.Unlock()
		return s.renames.names.held["d.com"].users > 1
	}
	for !waits() {
		runtime.Gosched()
	}
	from, to := accountKey{"d.com", "u"}, accountKey{"e.com", "v"}
	j := job{renameAccount, from, to}
	path := s.pending(newID(t, s), jobFile)
	must(t, dataformat.WriteFile(path, j.dict(), dataformat.StyleOld))
	must(t, moved(s.moveDir(s.accountDir(from), s.accountDir(to))))
	s.renames.leave(path, j, os.ErrInvalid)
	s.forget(from)
	unlock()
	must(t, <-created)
	list, err := s.AccountAliases(ctx, "e.com", "v")
	wantList(t, list, err, "alias")
	if left := s.entries(t); len(left) > 0 {
		t.Errorf("Pending holds %v", left)
	}
}

// What is to be renamed was removed by hand.
func TestRenameOfWhatIsGoneIsGivenUp(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	for _, j := range []job{
		{renameAccount, accountKey{"d.com", "u"}, accountKey{"d.com", "v"}},
		{renameAccount, accountKey{"none.com", "u"}, accountKey{"d.com", "v"}},
		{renameDomain, accountKey{domain: "none.com"}, accountKey{domain: "e.com"}},
	} {
		path := s.pending(newID(t, s), jobFile)
		must(t, dataformat.WriteFile(path, j.dict(), dataformat.StyleOld))
	}
	s = p.restart(t, s)
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	must(t, s.CreateDomain(ctx, "e.com", nil))
}

// A job that is damaged does not keep the server from starting, and is never carried out.
func TestDamagedJobIsSetAside(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	path := s.pending(newID(t, s), jobFile)
	must(t, os.WriteFile(path, []byte("{"), 0o600))
	must(t, s.Close())
	p.open(t)
	must(t, os.Remove(strings.TrimSuffix(path, jobFile)+badJobFile))
	if !strings.Contains(p.log.String(), "damaged file of a rename set aside") {
		t.Error("nobody is told")
	}
}

// A directory is made by hand after somebody has asked for the name in vain.
func TestRenameToWhatWasMadeByHand(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	if _, ok := s.DomainName("new.com"); ok {
		t.Fatal("new.com is there")
	}
	must(t, os.Mkdir(filepath.Join(s.base, domainsDirectory, "new.com"), 0o700))
	wantKind(t, s.RenameDomain(ctx, "d.com", "new.com"), fault.Exists)
	wantKind(t, s.CreateDomain(ctx, "new.com", nil), fault.Exists)
	if _, err := s.Account(ctx, "d.com", "u"); err != nil {
		t.Error(err)
	}
}

// A domain is a link to another one. Its deletion takes the link away.
func TestDeletedLinkToADomain(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "e.com", nil))
	must(t, s.CreateAccount(ctx, "e.com", "u", nil))
	a, err := s.Account(ctx, "e.com", "u")
	must(t, err)
	put(t, a, "hello")
	dir := filepath.Join(s.base, domainsDirectory)
	must(t, os.Symlink(filepath.Join(dir, "e.com"), filepath.Join(dir, "d.com")))
	_, err = s.Account(ctx, "d.com", "u")
	must(t, err)
	must(t, s.DeleteDomain(ctx, "d.com", true))
	s = p.restart(t, s)
	a, err = s.Account(ctx, "e.com", "u")
	must(t, err)
	if n := messages(t, a); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestRenameOfADomainThatFailsHalfWayIsEndedFirst(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", dict(t, "{IPAddresses=(127.0.0.9);}")))
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	file := filepath.Join(s.base, settingsDirectory, domainIPsFile)
	unblock := block(t, file)
	if s.RenameDomain(ctx, "d.com", "e.com") == nil {
		t.Fatal("no error")
	}
	if s.CreateDomain(ctx, "d.com", nil) == nil {
		t.Error("the old name is free while the rename cannot be finished")
	}
	unblock(file)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	s = p.restart(t, s)
	if d, own := s.OwnIP(loopback9); d != "e.com" || !own {
		t.Errorf("the address is %s's, %v", d, own)
	}
	if _, err := s.Account(ctx, "e.com", "u"); err != nil {
		t.Error(err)
	}
}
