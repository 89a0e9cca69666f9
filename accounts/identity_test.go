package accounts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

func TestAccountInfoMayBeDeleted(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	put(t, a, "hello")
	must(t, os.Remove(filepath.Join(a.Dir(), infoFile)))
	must(t, s.Reload())
	again, err := s.Account(ctx, "", "u")
	must(t, err)
	if again.ID != a.ID || messages(t, again) != 1 {
		t.Errorf("ID %d, was %d", again.ID, a.ID)
	}
	loginSucceeded(t, s, stranger, "", "u")
	s.info.flush()
	info, err := dataformat.ReadDict(filepath.Join(a.Dir(), infoFile))
	must(t, err)
	if id, ok := readIdentity(info); !ok || id.id != a.ID {
		t.Errorf("rebuilt %s: %v", infoFile, info)
	}
}

func TestAccountInfoMayBeDamaged(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(a.Dir(), infoFile), []byte("{x"), 0o600))
	must(t, s.Reload())
	_, err = s.AccountInfo(ctx, "", "u")
	must(t, err)
}

func TestAccountSettingsMayLoseTheNumber(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	put(t, a, "hello")
	path := filepath.Join(a.Dir(), accountFile)
	must(t, dataformat.WriteFile(path, dict(t, "{RealName=x;}"), dataformat.StyleOld))
	must(t, s.Reload())
	again, err := s.Account(ctx, "", "u")
	must(t, err)
	if again.ID != a.ID || messages(t, again) != 1 || again.Settings().RealName != "x" {
		t.Errorf("ID %d, was %d", again.ID, a.ID)
	}
	// It was put back: now account.info may go.
	must(t, os.Remove(filepath.Join(a.Dir(), infoFile)))
	must(t, s.Reload())
	if again, err = s.Account(ctx, "", "u"); err != nil || again.ID != a.ID {
		t.Errorf("ID %d, %v", again.ID, err)
	}
}

func TestAccountThatLostItsNumberTwiceIsNotEmptied(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	put(t, a, "hello")
	good, err := os.ReadFile(filepath.Join(a.Dir(), accountFile))
	must(t, err)
	must(t, os.Remove(filepath.Join(a.Dir(), accountFile)))
	must(t, os.Remove(filepath.Join(a.Dir(), infoFile)))
	must(t, s.Reload())
	_, err = s.Account(ctx, "", "u")
	wantKind(t, err, fault.Corrupt)
	must(t, os.WriteFile(filepath.Join(a.Dir(), accountFile), good, 0o600))
}

func TestDirectoryMadeByHandBecomesAnAccount(t *testing.T) {
	s := newStore(t)
	dir := filepath.Join(s.base, "Accounts", "hand.macnt")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, accountFile), []byte("{\n Password = secret;\n RealName = Hand;\n}\n"), 0o600))
	must(t, s.logins.VerifyPassword(ctx, "", "hand", "secret"))
	a, err := s.Account(ctx, "", "hand")
	must(t, err)
	put(t, a, "hello")
	must(t, s.Reload())
	again, err := s.Account(ctx, "", "hand")
	must(t, err)
	if again.ID != a.ID || messages(t, again) != 1 || again.Settings().RealName != "Hand" {
		t.Errorf("ID %d, was %d", again.ID, a.ID)
	}
}

func TestCheckLeavesAnUnusedDirectoryAlone(t *testing.T) {
	s := newStore(t)
	dir := filepath.Join(s.base, "Accounts", "hand.macnt")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, accountFile), []byte("{RealName = Hand;}\n"), 0o600))
	must(t, s.mail.Check(ctx, func(f mailbox.Finding) { t.Error(f) }))
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("the check left %v", entries)
	}
}

func TestAdoptionIsResumedAfterACrash(t *testing.T) {
	for name, setUp := range map[string]func(s *Store, dir string, id identity) error{
		"after the number was written": func(s *Store, dir string, id identity) error { return nil },
		"after the message store": func(s *Store, dir string, id identity) error {
			return s.mail.Create(ctx, s.ownerFor(id.id, dir), newMailboxes(layers{{BuiltIn, builtInPrefs()}}))
		},
		"after account.settings": func(s *Store, dir string, id identity) error {
			if err := s.mail.Create(ctx, s.ownerFor(id.id, dir), newMailboxes(layers{{BuiltIn, builtInPrefs()}})); err != nil {
				return err
			}
			return dataformat.WriteFile(filepath.Join(dir, accountFile), dataformat.Dict{keyAccountID: id.dataValue()}, dataformat.StyleOld)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			dir := filepath.Join(s.base, "Accounts", "hand.macnt")
			must(t, os.Mkdir(dir, 0o700))
			id := identity{newID(t, s), filepath.Join("Accounts", "hand.macnt")}
			must(t, dataformat.WriteFile(filepath.Join(dir, infoFile), dataformat.Dict{keyAccountID: id.dataValue(), keyAdopting: dataformat.String("YES")}, dataformat.StyleOld))
			must(t, setUp(s, dir, id))
			a, err := s.Account(ctx, "", "hand")
			must(t, err)
			if a.ID != id.id {
				t.Errorf("ID %d, want %d", a.ID, id.id)
			}
			put(t, a, "hello")
		})
	}
}

func TestMovedDirectoryKeepsItsMailAndACopyIsRefused(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	put(t, a, "hello")
	copied := filepath.Join(s.base, "Accounts", "copy.macnt")
	must(t, os.CopyFS(copied, os.DirFS(a.Dir())))
	_, err = s.Account(ctx, "", "copy")
	wantKind(t, err, fault.Corrupt)
	if !strings.Contains(err.Error(), "is a copy of") {
		t.Errorf("%v", err)
	}
	must(t, os.RemoveAll(copied))
	moved := filepath.Join(s.base, "Accounts", "moved.macnt")
	must(t, os.Rename(a.Dir(), moved))
	must(t, s.Reload())
	again, err := s.Account(ctx, "", "moved")
	must(t, err)
	if again.ID != a.ID || messages(t, again) != 1 {
		t.Errorf("ID %d, was %d", again.ID, a.ID)
	}
	put(t, again, "again")
}

// A backup is put back under the old name of a domain that has another one now.
func TestCopyUnderTheOldNameOfADomainIsRefused(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	must(t, s.RenameDomain(ctx, "d.com", "e.com"))
	must(t, s.CreateDomain(ctx, "d.com", nil))
	a, err := s.Account(ctx, "e.com", "u")
	must(t, err)
	put(t, a, "hello")
	copied := filepath.Join(s.base, domainsDirectory, "d.com", "u.macnt")
	must(t, os.CopyFS(copied, os.DirFS(a.Dir())))
	_, err = s.Account(ctx, "d.com", "u")
	wantKind(t, err, fault.Corrupt)
	// The domain goes, and the account of the copy keeps its mail.
	must(t, s.DeleteDomain(ctx, "d.com", true))
	s = p.restart(t, s)
	a, err = s.Account(ctx, "e.com", "u")
	must(t, err)
	if n := messages(t, a); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// account.settings may have lost the number, which account.info has.
func TestDeletedCopyOfAnAccountWithoutItsNumberTakesNothingAlong(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	put(t, a, "hello")
	must(t, os.CopyFS(filepath.Join(s.base, domainsDirectory, "d.com", "u.macnt"), os.DirFS(a.Dir())))
	must(t, dataformat.WriteFile(filepath.Join(a.Dir(), accountFile), dataformat.Dict{}, dataformat.StyleOld))
	s.forget(accountKey{"company.com", "u"})
	_, err = s.Account(ctx, "d.com", "u")
	wantKind(t, err, fault.Corrupt)
	must(t, s.DeleteDomain(ctx, "d.com", true))
	s = p.restart(t, s)
	a, err = s.Account(ctx, "", "u")
	must(t, err)
	if n := messages(t, a); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// A backup from before a domain's rename is put back under its old name.
func TestBackupUnderTheOldNameOfADomainIsRefused(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	a, err := s.Account(ctx, "d.com", "u")
	must(t, err)
	put(t, a, "hello")
	backup := t.TempDir()
	must(t, os.CopyFS(backup, os.DirFS(a.Dir())))
	must(t, s.RenameDomain(ctx, "d.com", "e.com"))
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, os.CopyFS(filepath.Join(s.base, domainsDirectory, "d.com", "u.macnt"), os.DirFS(backup)))
	a, err = s.Account(ctx, "e.com", "u")
	must(t, err)
	_, err = s.Account(ctx, "d.com", "u")
	wantKind(t, err, fault.Corrupt)
	must(t, s.DeleteDomain(ctx, "d.com", true))
	s.removals.Wait()
	if n := messages(t, a); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestCopyStaysOneWhenItsDomainGetsAnotherName(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	must(t, os.CopyFS(filepath.Join(s.base, domainsDirectory, "d.com", "u.macnt"), os.DirFS(a.Dir())))
	must(t, s.RenameDomain(ctx, "d.com", "e.com"))
	s.removals.Wait()
	must(t, s.Close())
	s = p.open(t)
	_, err = s.Account(ctx, "e.com", "u")
	wantKind(t, err, fault.Corrupt)
	_, err = s.Account(ctx, "", "u")
	must(t, err)
	must(t, s.DeleteDomain(ctx, "e.com", true))
	s.removals.Wait()
	_, err = s.Account(ctx, "", "u")
	must(t, err)
}
