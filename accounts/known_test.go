package accounts

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// guess fails n logins of an account, each from another address.
func guess(t *testing.T, s *Store, name string, n int) {
	t.Helper()
	for i := range n {
		loginFailed(t, s, from("198.51.100."+strconv.Itoa(i+1)), "", name)
	}
}

func TestFailuresFromElsewhereDoNotLockOwnersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBase(t)
		s := p.open(t)
		defer p.close(t, s)
		must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;}")))
		must(t, s.CreateAccount(ctx, "", "v", dict(t, "{Password=right;}")))
		try := func(p Peer, name, password string) error {
			_, err := s.logins.CheckPassword(ctx, p, "", name, password)
			return err
		}
		must(t, try(from("192.0.2.1"), "u", "right"))
		must(t, try(from("2001:db8::1"), "u", "right"))
		guess(t, s, "u", 10)
		wantKind(t, try(from("192.0.2.9"), "u", "right"), fault.BadCredentials)
		for _, known := range []string{"127.0.0.1", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::2"} {
			must(t, try(from(known), "u", "right"))
		}
		must(t, try(from("192.0.2.9"), "v", "right"))
		// An address that is blocked for its failures is open to who lately logged in there.
		for i := range 20 {
			loginFailed(t, s, from("192.0.2.1"), "", "name"+strconv.Itoa(i))
		}
		wantKind(t, try(from("192.0.2.1"), "v", "right"), fault.BadCredentials)
		must(t, try(from("192.0.2.1"), "u", "right"))
		// What fails at a known address blocks the account there, and nowhere else.
		for range 10 {
			loginFailed(t, s, from("192.0.2.1"), "", "u")
		}
		wantKind(t, try(from("192.0.2.1"), "u", "right"), fault.BadCredentials)
		must(t, try(from("127.0.0.1"), "u", "right"))
		must(t, try(from("2001:db8::1"), "u", "right"))
		// The owner's logins do not give the guessers more tries.
		wantKind(t, try(from("198.51.100.99"), "u", "right"), fault.BadCredentials)
		time.Sleep(61 * time.Second)
		must(t, try(from("192.0.2.9"), "u", "right"))
		time.Sleep(31 * 24 * time.Hour)
		guess(t, s, "u", 10)
		wantKind(t, try(from("192.0.2.1"), "u", "right"), fault.BadCredentials)
	})
}

// A device with an old password does not block the others at its address.
func TestTheSameWrongPasswordCountsOnceAtAKnownAddress(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;FailedLoginFlow=(3,10m);}")))
	try := func(ip, password string) error {
		_, err := s.logins.CheckPassword(ctx, from(ip), "", "u", password)
		return err
	}
	must(t, try("192.0.2.1", "right"))
	for range 8 {
		wantKind(t, try("192.0.2.1", "old"), fault.BadCredentials)
	}
	must(t, try("192.0.2.1", "right"))
	for i := range 3 {
		wantKind(t, try("192.0.2.1", "guess"+strconv.Itoa(i)), fault.BadCredentials)
	}
	wantKind(t, try("192.0.2.1", "right"), fault.BadCredentials)
	// An unknown address has no such device.
	must(t, try("127.0.0.1", "right"))
	for range 3 {
		wantKind(t, try("192.0.2.2", "old"), fault.BadCredentials)
	}
	wantKind(t, try("192.0.2.3", "right"), fault.BadCredentials)
}

func TestKnownAddressesOutliveARestart(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;}")))
	for _, ip := range []string{"192.0.2.1", "2001:db8::1"} {
		_, err := s.logins.CheckPassword(ctx, from(ip), "", "u", "right")
		must(t, err)
	}
	for range 2 {
		info, err := s.AccountInfo(ctx, "", "u")
		must(t, err)
		d, _ := info["LoginAddresses"].(dataformat.Dict)
		if len(d) != 2 || d["192.0.2.1"] == nil || d["2001:db8::/64"] == nil {
			t.Errorf("LoginAddresses %v", d)
		}
		p.close(t, s)
		s = p.open(t)
	}
	guess(t, s, "u", 10)
	for _, ip := range []string{"192.0.2.1", "2001:db8::2"} {
		_, err := s.logins.CheckPassword(ctx, from(ip), "", "u", "right")
		must(t, err)
	}
}

func TestKnownAddressesAreBounded(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", nil))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() { s.logins.noteKnown(a, from("192.0.2."+strconv.Itoa(i)).IP) })
	}
	wg.Wait()
	last := from("203.0.113.1").IP
	list := s.logins.noteKnown(a, last)
	if len(list) != maxKnown || list[0].network != network(last) || !s.logins.isKnown(a, last) {
		t.Errorf("%d addresses are known, %v first", len(list), list[0])
	}
}

func TestEveryBlockIsLoggedWithItsCause(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{FailedLoginFlow=(3,1m);}")))
	for range 3 {
		loginFailed(t, s, from("127.0.0.1"), "", "u")
	}
	guess(t, s, "u", 3)
	for i := range 20 {
		loginFailed(t, s, from("203.0.113.1"), "", "name"+strconv.Itoa(i))
	}
	for _, c := range []struct{ account, peer, cause, attrs string }{
		{"u@company.com", "127.0.0.1", string(ofBoth), "failures=3 for=1m0s last_peer=127.0.0.1"},
		{"u@company.com", "203.0.113.9", string(ofAccount), "failures=3 for=1m0s last_peer=198.51.100.3"},
		{"x@company.com", "203.0.113.1", string(ofAddress), "failures=20 for=15m0s last_peer=203.0.113.1"},
	} {
		begins := `msg="logins blocked" tag=ACCOUNT account=` + c.account + ` cause="` + c.cause + `" ` + c.attrs
		if c.cause == string(ofAddress) {
			begins = strings.Replace(begins, "account="+c.account+" ", "", 1)
		}
		if n := strings.Count(p.log.String(), begins); n != 1 {
			t.Errorf("%d lines say: %s", n, begins)
		}
		name, _, _ := strings.Cut(c.account, "@")
		_, err := s.logins.CheckPassword(ctx, from(c.peer), "", name, "x")
		wantKind(t, err, fault.BadCredentials)
		refused := `msg="login failed" tag=ACCOUNT account=` + c.account + ` service=IMAP peer=` + c.peer + ` reason="blocked by ` + c.cause + `"`
		if !strings.Contains(p.log.String(), refused) {
			t.Errorf("no line says: %s", refused)
		}
	}
	if t.Failed() {
		t.Log(p.log.String())
	}
}

func TestADamagedAccountIsAWrongPasswordToStrangers(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	for i, damage := range []func(path string) error{
		func(path string) error { return os.WriteFile(path, []byte("{Password=right;"), 0o600) },
		func(path string) error { return os.WriteFile(path, []byte("(a,b)"), 0o600) },
		func(path string) error { return os.WriteFile(path, []byte{0, 1, 2}, 0o600) },
		func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		name := "u" + strconv.Itoa(i)
		must(t, s.CreateAccount(ctx, "", name, dict(t, "{Password=right;}")))
		a, err := s.Account(ctx, "", name)
		must(t, err)
		path := filepath.Join(a.dir, accountFile)
		whole, err := os.ReadFile(path)
		must(t, err)
		must(t, os.Remove(path))
		must(t, damage(path))
		must(t, s.Reload())
		_, err = s.logins.CheckPassword(ctx, stranger, "", name, "right")
		wantKind(t, err, fault.BadCredentials)
		scramOf(t, s, stranger, "", name)
		if _, ok := plainOf(t, s, stranger, "", name); ok {
			t.Error("it has a password")
		}
		must(t, os.RemoveAll(path))
		must(t, os.WriteFile(path, whole, 0o600)) // for the check at the end
		must(t, s.Reload())
	}
	for _, line := range strings.Split(p.log.String(), "\n") {
		if strings.Contains(line, "login failed") && !strings.Contains(line, "account.settings") {
			t.Errorf("the cause is not in %s", line)
		}
	}
}

func TestLoginsWaitForTheirTurn(t *testing.T) {
	const clients = 500
	synctest.Test(t, func(t *testing.T) {
		p := newBase(t)
		s := p.open(t)
		defer p.close(t, s)
		busy := func() (free func()) { // keeps every turn for hashing
			for range cap(s.logins.hashing) {
				s.logins.hashing <- struct{}{}
			}
			return func() {
				for range cap(s.logins.hashing) {
					<-s.logins.hashing
				}
			}
		}
		free := busy()
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				wait, cancel := s.logins.inTime(ctx)
				defer cancel()
				must(t, s.logins.hash(wait, func() {}))
			})
		}
		time.Sleep(loginWait - time.Second)
		free()
		wg.Wait()

		free = busy()
		for i := range clients {
			wg.Go(func() {
				name := "name" + strconv.Itoa(i)
				began := time.Now()
				_, err := s.logins.CheckPassword(ctx, from("10.0."+strconv.Itoa(i/250)+"."+strconv.Itoa(i%250)), "", name, "x")
				wantKind(t, err, fault.Busy)
				if took := time.Since(began); took != loginWait {
					t.Errorf("refused after %v", took)
				}
			})
		}
		wg.Wait()
		time.Sleep(3 * time.Second)
		free()
		const line = "login refused"
		if n := strings.Count(p.log.String(), line); n != 2 || !strings.Contains(p.log.String(), "count="+strconv.Itoa(clients-1)) {
			t.Errorf("%d lines in the log say %q", n, line)
		}
		if n := s.logins.failures.Len(); n != 0 {
			t.Errorf("%d refusals count as failures", n)
		}
	})
}

func TestABlockedLoginTakesNoLongerThanASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits()
		l.cost.Store(int64(time.Hour)) // as on a machine that was overloaded
		began := time.Now()
		l.pretend(ctx)
		if took := time.Since(began); took != longestPretence {
			t.Errorf("it took %v", took)
		}
	})
}

// An account that is not Mobile logs in from the Client IPs of the server and of its domain, from no other address.
func TestClientIPsOfADomainLetItsAccountsIn(t *testing.T) {
	base := newBase(t)
	s := base.open(t)
	defer base.close(t, s)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateDomain(ctx, "e.com", nil))
	must(t, s.DomainSettings("d.com").Update(ctx, dataformat.Dict{"ClientIPs": dataformat.String("203.0.113.0/24")}))
	for _, domain := range []string{"d.com", "e.com"} {
		must(t, s.CreateAccount(ctx, domain, "u", dataformat.Dict{"Password": dataformat.String("secret"), "AccessModes": dataformat.Array{dataformat.String("IMAP")}}))
	}
	for _, test := range []struct {
		domain, from string
		want         bool
	}{{"d.com", "203.0.113.7", true}, {"e.com", "203.0.113.7", false}, {"d.com", "192.0.2.1", false}, {"e.com", "127.0.0.1", true}} {
		if _, err := s.Logins().CheckPassword(ctx, from(test.from), test.domain, "u", "secret"); (err == nil) != test.want {
			t.Errorf("%s from %s: %v", test.domain, test.from, err)
		}
	}
}

// Thousands of wrong passwords from a hundred addresses are hardly looked at, and the right users get in: from an address where they were before, and from a
// new one if nobody guesses their passwords. (gatebench guess is the same with 50,000 from 1,000.)
func TestGuessesFromManyAddressesKeepTheRightUserIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBase(t)
		s := p.open(t)
		defer p.close(t, s)
		for i := range 5 {
			must(t, s.CreateAccount(ctx, "", "u"+strconv.Itoa(i), dict(t, "{Password=right;PasswordEncryption=clear;}")))
		}
		must(t, s.CreateAccount(ctx, "", "quiet", dict(t, "{Password=right;PasswordEncryption=clear;}")))
		try := func(ip, name, password string) error {
			_, err := s.logins.CheckPassword(ctx, from(ip), "", name, password)
			return err
		}
		must(t, try("192.0.2.1", "u0", "right"))
		began, looked := time.Now(), 0
		for n := range 5000 {
			err := try("198.51.100."+strconv.Itoa(n%100+1), "u"+strconv.Itoa(n/100%5), "wrong"+strconv.Itoa(n))
			wantKind(t, err, fault.BadCredentials)
			if !LoginBlocked(err) {
				looked++
			}
			if n%100 == 0 {
				must(t, try("192.0.2.1", "u0", "right"))
				must(t, try("203.0.113."+strconv.Itoa(n/100+1), "quiet", "right"))
			}
		}
		if most := 5 * 10 * (1 + int(time.Since(began)/time.Minute)); looked > most {
			t.Errorf("%d wrong passwords were looked at, and not %d at most", looked, most)
		}
	})
}

// Those who guess wait for each other: who logs in for the first time, to an account that nobody guesses, does not wait behind them.
func TestGuessesWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBase(t)
		s := p.open(t)
		defer p.close(t, s)
		must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;}")))
		must(t, s.CreateAccount(ctx, "", "quiet", dict(t, "{Password=right;}")))
		l := s.logins
		for range cap(l.hashing) - 1 { // the machine is busy
			l.hashing <- struct{}{}
		}
		for range cap(l.suspect) { // with guesses
			l.suspect <- struct{}{}
		}
		loginFailed(t, s, from("198.51.100.1"), "", "u")
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				_, err := l.CheckPassword(ctx, from("198.51.100."+strconv.Itoa(i+2)), "", "u", "wrong")
				wantKind(t, err, fault.Busy)
			})
		}
		time.Sleep(time.Second)
		began := time.Now()
		_, err := l.CheckPassword(ctx, from("203.0.113.1"), "", "quiet", "right")
		must(t, err)
		if d := time.Since(began); d > time.Second {
			t.Errorf("the right user waits for %s", d)
		}
		wg.Wait()
		for range cap(l.hashing) - 1 {
			<-l.hashing
		}
		for range cap(l.suspect) {
			<-l.suspect
		}
	})
}
