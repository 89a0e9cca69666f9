package accounts

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// Whoever has looked an account up goes on with it when its domain gets another name
// and another domain takes the old one.
func TestDomainRenamedUnderItsAccounts(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	a, err := s.Account(ctx, "d.com", "u")
	must(t, err)
	put(t, a, "before")
	must(t, s.RenameDomain(ctx, "d.com", "e.com"))
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	put(t, a, "after")
	for domain, want := range map[string]uint32{"d.com": 0, "e.com": 2} {
		a, err := s.Account(ctx, domain, "u")
		must(t, err)
		if n := messages(t, a); n != want {
			t.Errorf("u@%s has %d messages", domain, n)
		}
	}
}

// Accounts are looked up while others rename and delete what has their names.
func TestLookUpsDuringRenames(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	end := make(chan struct{})
	var readers sync.WaitGroup
	for _, name := range []string{"u", "v"} {
		readers.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				a, err := s.Account(ctx, "d.com", name)
				if err == nil {
					_, err = a.Mail().Append(ctx, "INBOX", appended())
				}
				if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.NoDomain) && !errors.Is(err, os.ErrNotExist) {
					t.Error(err)
				}
				s.forget(accountKey{"d.com", name}) // the next one reads it
			}
		})
	}
	for range 15 {
		must(t, s.RenameAccount(ctx, "d.com", "u", "d.com", "v"))
		must(t, s.CreateAccount(ctx, "d.com", "u", nil))
		must(t, s.RenameDomain(ctx, "d.com", "e.com"))
		must(t, s.RenameDomain(ctx, "e.com", "d.com"))
		must(t, s.DeleteAccount(ctx, "d.com", "v"))
	}
	close(end)
	readers.Wait() // and the test's end checks the store
}

func TestLoginIsNotedOnlyForTheAccountThatItWas(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	s.info.note(a, stranger, nil)
	must(t, s.RenameAccount(ctx, "", "u", "", "v"))
	must(t, s.CreateAccount(ctx, "", "u", nil))
	s.info.flush()
	info, err := s.AccountInfo(ctx, "", "u")
	must(t, err)
	if v, ok := info["LastLogin"]; ok {
		t.Errorf("the new account's last login was %v", v)
	}
}

// A user changes the password, and the name is another account's when it is hashed.
func TestPasswordIsNotSetForAnotherAccountOfTheName(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	must(t, s.RenameAccount(ctx, "", "u", "", "v"))
	must(t, s.CreateAccount(ctx, "", "u", nil))
	err = s.editAccount("", a, func(dataformat.Dict) error {
		t.Error("the other account is changed")
		return nil
	})
	wantKind(t, err, fault.NotFound)
}

// The directory is renamed, and there is no descriptor to make that durable with.
func TestAccountThatWasDeletedWithAnErrorGetsNoMail(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	_, err := s.Account(ctx, "", "u")
	must(t, err)
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	none := limit
	none.Cur = 3
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none))
	err = s.DeleteAccount(ctx, "", "u")
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	if err == nil {
		t.Fatal("no error")
	}
	_, err = s.Account(ctx, "", "u")
	wantKind(t, err, fault.NotFound)
}
