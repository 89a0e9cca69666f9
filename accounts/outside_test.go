package accounts

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"gatepost/server/fault"
)

// While nobody outside can tell, the password that is stored here cannot be guessed on and on; one who is right, and tries again and again, is no guesser.
func TestGuessesWhileNobodyOutsideCanTell(t *testing.T) {
	s, m := newStore(t), &system{down: true}
	s.system = m
	must(t, s.CreateAccount(ctx, "", "ann", dict(t, "{Password=here;UseSysPassword=YES;FailedLoginFlow=(3,3600);}")))
	for range 10 {
		_, err := s.logins.CheckPassword(ctx, stranger, "", "ann", "the right one")
		wantKind(t, err, fault.Unavailable)
	}
	n := 0
	for i := range 10 {
		if _, err := s.logins.CheckPassword(ctx, stranger, "", "ann", fmt.Sprint("guess", i)); fault.Is(err, fault.Unavailable) {
			n++
		}
	}
	if n > 3 {
		t.Errorf("%d guesses", n)
	}
	_, err := s.logins.CheckPassword(ctx, stranger, "", "ann", "here")
	wantKind(t, err, fault.BadCredentials)
}

// A right password is not asked about with each request.
func TestTheSystemIsNotAskedEachTime(t *testing.T) {
	s, m := newStore(t), &system{}
	s.system = m
	must(t, s.CreateAccount(ctx, "", "ann", dict(t, "{UseSysPassword=YES;}")))
	login := func() (err error) { _, err = s.logins.CheckPassword(ctx, stranger, "", "ann", "unix"); return err }
	for range 10 {
		must(t, login())
	}
	if len(m.asked) != 1 {
		t.Errorf("asked %d times", len(m.asked))
	}
	// What was right for one user of the system says nothing of another one, nor of an account that does not want it.
	must(t, s.AccountSettings("", "ann").Update(ctx, dict(t, "{OSUserName=another;}")))
	wantKind(t, login(), fault.BadCredentials)
	must(t, s.AccountSettings("", "ann").Update(ctx, dict(t, "{OSUserName=default;UseSysPassword=NO;}")))
	wantKind(t, login(), fault.BadCredentials)
}

// A user whose password is that of the operating system alone is not told that it was changed here.
func TestChangeOfASystemPassword(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "ann", dict(t, "{UseSysPassword=YES;UseAppPassword=NO;}")))
	must(t, s.CreateAccount(ctx, "", "ben", dict(t, "{UseSysPassword=YES;}")))
	wantKind(t, s.SetPassword(ctx, "", "ann", "Quite-another-1", true), fault.Denied)
	must(t, s.SetPassword(ctx, "", "ben", "Quite-another-1", true))
}

// slowSystem answers guesses when it is told to.
type slowSystem struct {
	asked  chan string
	answer chan struct{}
}

func (s *slowSystem) Verify(_ context.Context, user, password string) error {
	if password == "unix" {
		return nil
	}
	s.asked <- user
	<-s.answer
	return fault.New("test", fault.BadCredentials, "")
}

// Strangers who guess do not take all turns of a slow system.
func TestGuessersKeepNobodyOut(t *testing.T) {
	s, m := newStore(t), &slowSystem{make(chan string, 100), make(chan struct{})}
	s.system = m
	must(t, s.CreateAccount(ctx, "", "ann", dict(t, "{UseSysPassword=YES;}")))
	known := from("192.0.2.200")
	_, err := s.logins.CheckPassword(ctx, known, "", "ann", "unix")
	must(t, err)
	var guesses sync.WaitGroup
	for i := range 10 {
		must(t, s.CreateAccount(ctx, "", fmt.Sprint("u", i), dict(t, "{UseSysPassword=YES;}")))
		guesses.Go(func() {
			_, err := s.logins.CheckPassword(ctx, from(fmt.Sprint("192.0.2.", i+1)), "", fmt.Sprint("u", i), "guess")
			wantKind(t, err, fault.BadCredentials)
		})
	}
	for range maxAskers {
		<-m.asked
	}
	must(t, s.AccountSettings("", "ann").Update(ctx, dict(t, "{OSUserName=elsewhere;}"))) // not remembered
	_, err = s.logins.CheckPassword(ctx, known, "", "ann", "unix")
	must(t, err)
	if n := len(m.asked); n != 0 {
		t.Errorf("%d guesses more are asked about", n)
	}
	close(m.answer)
	guesses.Wait()
}
