package accounts

import (
	"context"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdg-go/scram"

	"gatepost/accounts/cache"
	"gatepost/accounts/password"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/rate"
	"gatepost/server/settings"
)

var stranger = Peer{IP: netip.MustParseAddr("192.0.2.1"), TLS: true, Service: "IMAP"}

// from is a stranger's peer with another address.
func from(ip string) Peer {
	p := stranger
	p.IP = netip.MustParseAddr(ip)
	return p
}

func loginFailed(t *testing.T, s *Store, p Peer, domain, name string) {
	t.Helper()
	l, err := s.logins.BeginLogin(ctx, p, domain, name)
	must(t, err)
	l.Failed("wrong response")
}

// scramOf returns the credentials of a login that is given up.
func scramOf(t *testing.T, s *Store, p Peer, domain, name string) password.SCRAM {
	t.Helper()
	l, err := s.logins.BeginLogin(ctx, p, domain, name)
	must(t, err)
	defer l.Abandoned()
	c, err := l.SCRAM(password.SHA256)
	must(t, err)
	return c
}

// plainOf returns the password for a login that is given up, false if it cannot have it.
func plainOf(t *testing.T, s *Store, p Peer, domain, name string) (string, bool) {
	t.Helper()
	l, err := s.logins.BeginLogin(ctx, p, domain, name)
	must(t, err)
	defer l.Abandoned()
	return l.PlainPassword()
}

func loginSucceeded(t *testing.T, s *Store, p Peer, domain, name string) {
	t.Helper()
	l, err := s.logins.BeginLogin(ctx, p, domain, name)
	must(t, err)
	l.Succeeded()
}

func TestEveryFailureHasOneAnswerAndCostsOneHash(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;}")))
	must(t, s.CreateAccount(ctx, "", "noimap", dict(t, "{Password=right;AccessModes=(Mail,POP);}")))
	must(t, s.CreateAccount(ctx, "", "nomobile", dict(t, "{Password=right;AccessModes=(Mail,IMAP);}")))
	must(t, s.CreateAccount(ctx, "", "clear", dict(t, "{Password=right;PasswordEncryption=clear;}")))
	must(t, s.CreateAccount(ctx, "", "sealed", dict(t, "{Password=right;PasswordEncryption=A-crpt;}")))
	must(t, s.CreateAccount(ctx, "", "imported", dict(t, `{Password="{SHA}BE3zmZYPeUW5MZ3kHlx/R7uYnqg=";}`)))
	must(t, s.CreateAccount(ctx, "", "off", dict(t, "{Password=right;UseAppPassword=NO;}")))
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "u", dict(t, "{Password=right;}")))
	must(t, s.SuspendDomain(ctx, "d.com", true))
	for _, c := range []struct{ domain, name, password string }{
		{"", "u", "wrong"}, {"", "nobody", "right"}, {"nowhere.com", "u", "right"}, {"", "noimap", "right"}, {"", "nomobile", "right"},
		{"", "clear", "wrong"}, {"", "sealed", "wrong"}, {"", "imported", "wrong"}, {"", "off", "right"}, {"d.com", "u", "right"},
		{"", "postmaster", ""}, {"", "../u", "right"}, {"", strings.Repeat("x", 5000), "right"}, {"", "u", ""},
	} {
		before := s.logins.hashes.Load()
		a, err := s.logins.CheckPassword(ctx, stranger, c.domain, c.name, c.password)
		if a != nil || !fault.Is(err, fault.BadCredentials) || fault.Text(err) != "incorrect password or account name" {
			t.Errorf("%.10s: %v", c.name, err)
		}
		if n := s.logins.hashes.Load() - before; n != 1 {
			t.Errorf("%.10s: %d hashes", c.name, n)
		}
	}
	for _, name := range []string{"u", "clear", "sealed"} {
		if _, err := s.logins.CheckPassword(ctx, stranger, "", name, "right"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, secret := range []string{"right", "wrong"} {
		if strings.Contains(p.log.String(), "="+secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

func TestVerifiedPasswordIsRememberedForAnHourAndForgottenOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBase(t)
		s := p.open(t)
		defer p.close(t, s)
		must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=one;}")))
		login := func(password string, want bool, hashes int64) {
			t.Helper()
			before := s.logins.hashes.Load()
			_, err := s.logins.CheckPassword(ctx, stranger, "", "u", password)
			if (err == nil) != want || s.logins.hashes.Load()-before != hashes {
				t.Errorf("%s: %v, %d hashes", password, err, s.logins.hashes.Load()-before)
			}
		}
		login("one", true, 1)
		login("one", true, 0)
		login("two", false, 1)
		login("one", true, 0)
		time.Sleep(59 * time.Minute)
		login("one", true, 0)
		time.Sleep(2 * time.Minute)
		login("one", true, 1)
		must(t, s.SetPassword(ctx, "", "u", "two", false))
		login("one", false, 1)
		login("two", true, 1)
		login("two", true, 0)
		must(t, s.AccountSettings("", "u").Update(ctx, dict(t, "{UseAppPassword=NO;}")))
		login("two", false, 1)
	})
}

func TestFailedLoginFlowBlocksTheAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBase(t)
		s := p.open(t)
		defer p.close(t, s)
		must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;FailedLoginFlow=(3,1m);}")))
		must(t, s.CreateAccount(ctx, "", "v", dict(t, "{Password=right;}")))
		for i := range 3 {
			_, err := s.logins.CheckPassword(ctx, from("192.0.2."+string(rune('1'+i))), "", "u", "wrong")
			wantKind(t, err, fault.BadCredentials)
		}
		before := s.logins.hashes.Load()
		_, err := s.logins.CheckPassword(ctx, stranger, "", "u", "right")
		wantKind(t, err, fault.BadCredentials)
		if s.logins.hashes.Load() != before {
			t.Error("a blocked login costs a hash")
		}
		_, err = s.logins.BeginLogin(ctx, stranger, "", "u")
		wantKind(t, err, fault.BadCredentials)
		if _, err := s.logins.CheckPassword(ctx, stranger, "", "v", "right"); err != nil {
			t.Errorf("another account: %v", err)
		}
		time.Sleep(61 * time.Second)
		if _, err := s.logins.CheckPassword(ctx, stranger, "", "u", "right"); err != nil {
			t.Errorf("after the period: %v", err)
		}
		// A good login starts the count anew.
		for range 2 {
			loginFailed(t, s, stranger, "", "u")
		}
		loginSucceeded(t, s, stranger, "", "u")
		loginFailed(t, s, stranger, "", "u")
		if _, err := s.logins.CheckPassword(ctx, stranger, "", "u", "right"); err != nil {
			t.Errorf("after a good login: %v", err)
		}
	})
}

func TestParallelGuessesGetNoFurtherThanOthers(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;FailedLoginFlow=(3,10m);}")))
	before := s.logins.hashes.Load()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			_, err := s.logins.CheckPassword(ctx, from("198.51.100."+strconv.Itoa(i+1)), "", "u", "wrong")
			wantKind(t, err, fault.BadCredentials)
		})
	}
	wg.Wait()
	if n := s.logins.hashes.Load() - before; n != 3 {
		t.Errorf("%d of 40 parallel guesses were looked at, want 3", n)
	}
}

func TestParallelLoginsWithTheRightPasswordAllSucceed(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;FailedLoginFlow=(2,10m);}")))
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			_, err := s.logins.CheckPassword(ctx, stranger, "", "u", "right")
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// Exchanges that are under way count as failures, or many at a time would try more
// passwords than may fail.
func TestExchangesUnderWayCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBase(t)
		s := p.open(t)
		defer p.close(t, s)
		must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;FailedLoginFlow=(2,10m);}")))
		var open []*Login
		for range 2 {
			l, err := s.logins.BeginLogin(ctx, stranger, "", "u")
			must(t, err)
			open = append(open, l)
		}
		began := time.Now()
		_, err := s.logins.BeginLogin(ctx, stranger, "", "u")
		wantKind(t, err, fault.Busy)
		if took := time.Since(began); took != loginWait {
			t.Errorf("refused after %v", took)
		}
		open[0].Abandoned()
		l, err := s.logins.BeginLogin(ctx, stranger, "", "u")
		must(t, err)
		l.Failed("wrong response")
		open[1].Failed("wrong response")
		_, err = s.logins.BeginLogin(ctx, stranger, "", "u")
		wantKind(t, err, fault.BadCredentials)
	})
}

// A try is taken out of the counts once, however its login ends.
func TestLoginsThatPanicOrAreCanceledLeaveNoTrace(t *testing.T) {
	s := newStore(t)
	must(t, s.SetPassword(ctx, "", "postmaster", "right", false))
	p := from("192.0.2.1")
	panics := func(fn func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		fn()
	}
	broken := panicking{}
	for range 30 {
		panics(func() {
			l, err := s.logins.BeginLogin(ctx, p, "", "postmaster")
			must(t, err)
			defer l.Abandoned()
			panic("a bug")
		})
		l, err := s.logins.BeginLogin(ctx, p, "", "postmaster")
		must(t, err)
		l.Succeeded()
		l.Abandoned()
		l.Failed("wrong response")
		a, err := s.Account(ctx, "", "postmaster")
		must(t, err)
		real := a.password
		a.password = broken
		panics(func() { _, _ = s.logins.CheckPassword(ctx, p, "", "postmaster", "wrong") })
		panics(func() { _ = s.logins.VerifyPassword(ctx, "", "postmaster", "wrong") })
		a.password = real
	}
	// All places for hashing are taken; the client goes while its login waits.
	for range cap(s.logins.hashing) {
		s.logins.hashing <- struct{}{}
	}
	waiting, cancel := context.WithCancel(ctx)
	go func() {
		for s.underWay() == 0 {
			runtime.Gosched()
		}
		cancel()
	}()
	_, err := s.logins.CheckPassword(waiting, p, "", "postmaster", "wrong")
	wantKind(t, err, fault.Canceled)
	for range cap(s.logins.hashing) {
		<-s.logins.hashing
	}
	if n, f := s.underWay(), s.logins.failures.Len(); n != 0 || f != 0 || len(s.logins.hashing) != 0 {
		t.Errorf("%d tries are left, %d failures, %d hash", n, f, len(s.logins.hashing))
	}
	loginSucceeded(t, s, p, "", "postmaster")
}

// underWay is the number of tries under way, each once for what it counts for.
func (s *Store) underWay() int {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	return len(s.logins.underWay)
}

// panicking is the stored form of a password with a bug in it.
type panicking struct{}

func (panicking) Verify(string) (ok, slow bool) { panic("a bug") }

func TestVerificationsOfAnAdministratorCountNothing(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;FailedLoginFlow=(3,10m);}")))
	for range 5 {
		wantKind(t, s.logins.VerifyPassword(ctx, "", "u", "wrong"), fault.BadCredentials)
		must(t, s.logins.VerifyPassword(ctx, "", "u", "right"))
	}
	for range 3 {
		loginFailed(t, s, stranger, "", "u")
	}
	_, err := s.logins.CheckPassword(ctx, stranger, "", "u", "right")
	wantKind(t, err, fault.BadCredentials)
	must(t, s.logins.VerifyPassword(ctx, "", "u", "right"))
}

func TestUnknownNamesAreBlockedLikeOthers(t *testing.T) {
	s := newStore(t)
	must(t, s.ServerAccountDefaults().Update(ctx, dict(t, "{FailedLoginFlow=(2,1m);}")))
	for range 2 {
		loginFailed(t, s, stranger, "", "nobody")
	}
	before := s.logins.hashes.Load()
	_, err := s.logins.CheckPassword(ctx, from("192.0.2.9"), "", "nobody", "x")
	wantKind(t, err, fault.BadCredentials)
	if s.logins.hashes.Load() != before {
		t.Error("the name is not blocked")
	}
}

func TestManyFailuresBlockTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBase(t)
		s := p.open(t)
		defer p.close(t, s)
		fail := func(p Peer) {
			for i := range 20 {
				loginFailed(t, s, p, "", "name"+string(rune('a'+i)))
			}
		}
		n := 0
		try := func(p Peer) error { // as an account that has never logged in
			n++
			name := "u" + strconv.Itoa(n)
			must(t, s.CreateAccount(ctx, "", name, dict(t, "{Password=right;}")))
			_, err := s.logins.CheckPassword(ctx, p, "", name, "right")
			return err
		}
		fail(from("192.0.2.1"))
		wantKind(t, try(from("192.0.2.1")), fault.BadCredentials)
		wantKind(t, try(from("::ffff:192.0.2.1")), fault.BadCredentials)
		must(t, try(from("192.0.2.2")))
		fail(from("2001:db8::1"))
		wantKind(t, try(from("2001:db8::ffff")), fault.BadCredentials)
		must(t, try(from("2001:db8:0:1::1")))
		fail(from("127.0.0.1"))
		must(t, try(from("127.0.0.1")))
		must(t, s.SetClientIPs(ctx, "192.0.2.1 ; a proxy"))
		must(t, try(from("192.0.2.1")))
		must(t, s.SetClientIPs(ctx, ""))
		wantKind(t, try(from("192.0.2.1")), fault.BadCredentials)
		time.Sleep(16 * time.Minute)
		must(t, try(from("192.0.2.1")))
	})
}

func TestFailureTablesAreBounded(t *testing.T) {
	l := newLimits()
	l.failures, l.verified = rate.New[failureKey](100), cache.New[uint64, verifiedPassword](100)
	l.protection = newStore(t).protection
	some := settings.Rate{Count: 20, Period: settings.Period(10 * time.Minute)}
	for i := range 1000 {
		ip := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		try, _, err := l.begin(ctx, counters(accountKey{"d", ip.String()}, some, some, ip, false))
		must(t, err)
		l.end(try, failure)
		l.remember(&Account{ID: uint64(i)}, "x")
	}
	if n := l.failures.Len(); n != 100 || len(l.underWay) != 0 {
		t.Errorf("%d windows, %d tries", n, len(l.underWay))
	}
	if n := l.verified.Len(); n != 100 {
		t.Errorf("%d passwords", n)
	}
}

func TestRequireAPOPRefusesClearTextWithoutTLS(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;RequireAPOP=YES;}")))
	p := stranger
	if _, err := s.logins.CheckPassword(ctx, p, "", "u", "right"); err != nil {
		t.Error(err)
	}
	p.TLS = false
	_, err := s.logins.CheckPassword(ctx, p, "", "u", "right")
	wantKind(t, err, fault.BadCredentials)
}

// authenticate runs SCRAM-SHA-256 between the library's client and credentials.
func authenticate(t *testing.T, c password.SCRAM, password string) bool {
	t.Helper()
	client, err := scram.SHA256.NewClient("u", password, "")
	must(t, err)
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		return scram.StoredCredentials{KeyFactors: scram.KeyFactors{Salt: string(c.Salt), Iters: c.Iterations}, StoredKey: c.StoredKey, ServerKey: c.ServerKey}, nil
	})
	must(t, err)
	a, b := client.NewConversation(), server.NewConversation()
	text := ""
	for !a.Done() && !b.Done() {
		if text, err = a.Step(text); err != nil {
			return false
		}
		if text, err = b.Step(text); err != nil {
			return false
		}
	}
	_, err = a.Step(text)
	return err == nil && a.Valid() && b.Valid()
}

func TestSCRAM(t *testing.T) {
	s := newStore(t)
	for _, encryption := range []string{"SCRAM-SHA-256", "clear", "A-crpt"} {
		name := strings.ToLower(encryption[:2])
		must(t, s.CreateAccount(ctx, "", name, dataformat.Dict{"Password": dataformat.String("pencil"), "PasswordEncryption": dataformat.String(encryption)}))
		c := scramOf(t, s, stranger, "", name)
		if !authenticate(t, c, "pencil") {
			t.Errorf("%s: the right password is refused", encryption)
		}
		if authenticate(t, c, "pen") {
			t.Errorf("%s: a wrong password is accepted", encryption)
		}
		must(t, s.AccountSettings("", name).Update(ctx, dict(t, "{AccessModes=None;}")))
		off := scramOf(t, s, stranger, "", name)
		if authenticate(t, off, "pencil") {
			t.Errorf("%s: a disabled account logs in", encryption)
		}
		if string(off.Salt) != string(c.Salt) || off.Iterations != c.Iterations {
			t.Errorf("%s: a disabled account shows another salt", encryption)
		}
	}
}

func TestUnknownNamesGetStableCredentialsThatMatchNothing(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	a := scramOf(t, s, stranger, "", "nobody")
	b := scramOf(t, s, stranger, "company.com", "NOBODY")
	other := scramOf(t, s, stranger, "", "nobody2")
	if string(a.Salt) != string(b.Salt) || string(a.Salt) == string(other.Salt) {
		t.Errorf("salts %x %x %x", a.Salt, b.Salt, other.Salt)
	}
	must(t, s.CreateAccount(ctx, "", "real", dict(t, "{Password=pencil;}")))
	if c := scramOf(t, s, stranger, "", "real"); len(a.Salt) != len(c.Salt) || a.Iterations != c.Iterations {
		t.Errorf("a name that does not exist has a salt of %d bytes and %d iterations, others %d and %d", len(a.Salt), a.Iterations, len(c.Salt), c.Iterations)
	}
	if authenticate(t, a, "") || authenticate(t, a, "pencil") {
		t.Error("a name that does not exist logs in")
	}
	p.close(t, s)
	s = p.open(t)
	if c := scramOf(t, s, stranger, "", "nobody"); string(c.Salt) != string(a.Salt) {
		t.Errorf("after a restart %x", c.Salt)
	}
}

func TestReversibleStoreShowsOnceSomePasswordIsKept(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;}")))
	if s.Reversible() || s.HasReversible("") {
		t.Error("reversible at first")
	}
	if _, ok := plainOf(t, s, stranger, "", "u"); ok {
		t.Error("a one-way password is there in clear")
	}
	_, err := s.RevealPassword(ctx, "", "u")
	wantKind(t, err, fault.Unsupported)
	must(t, s.AccountDefaults("").Update(ctx, dict(t, "{PasswordEncryption=A-crpt;}")))
	must(t, s.SetPassword(ctx, "", "u", "secret", false))
	if !s.Reversible() || !s.HasReversible("") {
		t.Error("not reversible")
	}
	if plain, ok := plainOf(t, s, stranger, "", "u"); plain != "secret" || !ok {
		t.Errorf("%q %v", plain, ok)
	}
	p.close(t, s)
	s = p.open(t)
	if !s.Reversible() {
		t.Error("not reversible after a restart")
	}
	if plain, err := s.RevealPassword(ctx, "", "u"); plain != "secret" || err != nil {
		t.Errorf("%q %v", plain, err)
	}
}

func TestPasswordRulesHoldForUsers(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;MinPasswordLength=6;}")))
	wantKind(t, s.SetPassword(ctx, "", "u", "short", true), fault.Invalid)
	must(t, s.SetPassword(ctx, "", "u", "longer", true))
	must(t, s.SetPassword(ctx, "", "u", "x", false))
	must(t, s.logins.VerifyPassword(ctx, "", "u", "x"))
	wantKind(t, s.logins.VerifyPassword(ctx, "", "u", "y"), fault.BadCredentials)
	wantKind(t, s.logins.VerifyPassword(ctx, "", "nobody", "y"), fault.NotFound)
	wantKind(t, s.SetPassword(ctx, "", "u", strings.Repeat("x", 2000), false), fault.Invalid)
	must(t, s.AccountSettings("", "u").Update(ctx, dict(t, "{PWDAllowed=NO;}")))
	wantKind(t, s.SetPassword(ctx, "", "u", "longer", true), fault.Denied)
	must(t, s.SetPassword(ctx, "", "u", "", false))
	wantKind(t, s.logins.VerifyPassword(ctx, "", "u", ""), fault.BadCredentials)
}

func TestSettingsThatWereReadCanBeWrittenBack(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;}")))
	d, err := s.AccountSettings("", "u").Get(ctx)
	must(t, err)
	must(t, s.AccountSettings("", "u").Set(ctx, d))
	must(t, s.logins.VerifyPassword(ctx, "", "u", "right"))
	must(t, s.AccountSettings("", "u").Update(ctx, dict(t, "{Password=default;}")))
	wantKind(t, s.logins.VerifyPassword(ctx, "", "u", "right"), fault.BadCredentials)
}

func TestLastLoginIsKept(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=right;}")))
	_, err := s.logins.CheckPassword(ctx, stranger, "", "u", "right")
	must(t, err)
	check := func() {
		t.Helper()
		info, err := s.AccountInfo(ctx, "", "u")
		must(t, err)
		if at, ok := info["LastLogin"].(dataformat.Time); !ok || time.Since(at.T) > time.Minute || info.String("LastAddress") != "192.0.2.1" {
			t.Errorf("info %v", info)
		}
	}
	check()
	p.close(t, s)
	s = p.open(t)
	check()
}

func BenchmarkRememberedLogin(b *testing.B) {
	s := newStore(b)
	must(b, s.CreateAccount(ctx, "", "u", dict(b, "{Password=right;}")))
	_, err := s.logins.CheckPassword(ctx, stranger, "", "u", "right")
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.logins.CheckPassword(ctx, stranger, "", "u", "right"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrongPassword(b *testing.B) {
	s := newStore(b)
	must(b, s.SetClientIPs(ctx, "0.0.0.0/0"))
	must(b, s.CreateAccount(ctx, "", "u", dict(b, `{Password=right;FailedLoginFlow=("-1",1m);}`)))
	for b.Loop() {
		if _, err := s.logins.CheckPassword(ctx, stranger, "", "u", "wrong"); err == nil {
			b.Fatal("accepted")
		}
	}
}

// A password hash of the time before SCRAM-SHA-1 gets its verifier by the first login with the password itself; sessions stay.
func TestOldHashIsCompletedByALogin(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateAccount(ctx, "", "u", dict(t, "{Password=pencil;}")))
	a, err := s.Account(ctx, "", "u")
	must(t, err)
	parts := strings.Split(a.Settings().Password, "$")
	old := strings.Join(parts[:2], "$")
	must(t, s.AccountSettings("", "u").Update(ctx, dataformat.Dict{"Password": dataformat.String(old)}))
	stored := func() string {
		a, err := s.Account(ctx, "", "u")
		must(t, err)
		return a.Settings().Password
	}
	begin := func() *Login {
		l, err := s.logins.BeginLogin(ctx, stranger, "", "u")
		must(t, err)
		return l
	}
	l := begin()
	if c, err := l.SCRAM(password.SHA1); err != nil || !l.NoSCRAM(password.SHA1) || l.NoSCRAM(password.SHA256) || len(c.StoredKey) != 20 {
		t.Errorf("before the login: %v, %v", c, err)
	}
	l.Abandoned()
	ended := make(chan string, 1)
	a, err = s.Account(ctx, "", "u")
	must(t, err)
	w := s.Sessions().Watch(a, stranger, func(reason string) { ended <- reason })
	defer w.Stop()
	if _, err := s.logins.CheckPassword(ctx, stranger, "", "u", "wrong"); err == nil || stored() != old {
		t.Errorf("a wrong password changes the hash: %v", err)
	}
	_, err = s.logins.CheckPassword(ctx, stranger, "", "u", "pencil")
	must(t, err)
	if now := stored(); now == old || !password.Same(now, old) {
		t.Errorf("%s became %s", old, now)
	}
	w.Check()
	select {
	case reason := <-ended:
		t.Errorf("the session ends: %s", reason)
	default:
	}
	l = begin()
	defer l.Abandoned()
	if l.NoSCRAM(password.SHA1) {
		t.Error("after the login there is no verifier")
	}
}

// Whether some domain has an issuer of tokens is known through all that becomes of domains.
func TestHasIssuers(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	issuer := dict(t, "{OAuthIssuer=\"https://login.test\";}")
	has := func(want bool, when string) {
		t.Helper()
		if s.HasIssuers() != want {
			t.Errorf("%s: %v", when, !want)
		}
	}
	has(false, "at first")
	must(t, s.CreateDomain(ctx, "a.test", issuer))
	has(true, "a new domain")
	must(t, s.RenameDomain(ctx, "a.test", "b.test"))
	has(true, "renamed")
	p.close(t, s)
	s = p.open(t)
	has(true, "after a restart")
	must(t, s.DomainSettings("b.test").Update(ctx, dict(t, "{OAuthIssuer=\"\";}")))
	has(false, "taken away")
	must(t, s.DomainSettings("b.test").Update(ctx, issuer))
	has(true, "given again")
	must(t, s.DeleteDomain(ctx, "b.test", true))
	has(false, "deleted")
	must(t, s.DomainDefaults().Update(ctx, issuer))
	has(true, "inherited")
	must(t, s.DomainDefaults().Update(ctx, dict(t, "{OAuthIssuer=default;}")))
	has(false, "inherited no more")
	for _, bad := range []string{"http://login.test", "https://", "login.test", "https://u:p@login.test", "https://login.test/?x", "https://login.test/#x", "file:///etc/passwd", "https://login.test/" + strings.Repeat("x", 500)} {
		if err := s.DomainDefaults().Update(ctx, dataformat.Dict{"OAuthIssuer": dataformat.String(bad)}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
