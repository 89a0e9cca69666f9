package accounts

import (
	"maps"
	"testing"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// RFC 6238 appendix B, the last six digits.
func TestTOTPVectors(t *testing.T) {
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := totp([]byte("12345678901234567890"), at/30); got != want {
			t.Errorf("%d: %s, want %s", at, got, want)
		}
	}
}

func TestSecondFactor(t *testing.T) {
	s := newBase(t).open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "boss", nil))
	must(t, s.SetPassword(ctx, "d.com", "boss", "pw", false))
	boss := func() *Account {
		a, err := s.Account(ctx, "d.com", "boss")
		must(t, err)
		return a
	}
	now := time.Unix(1_800_000_000, 0)
	s.factors.now = func() time.Time { return now }
	secret := NewTOTPSecret()
	key, err := secretOf(secret)
	must(t, err)
	code := func(steps int64) string { return totp(key, now.Unix()/30+steps) }
	if _, err := s.SetSecondFactor(ctx, "d.com", "boss", secret, code(5)); !fault.Is(err, fault.BadCredentials) {
		t.Errorf("a code of another time sets it up: %v", err)
	}
	recovery, err := s.SetSecondFactor(ctx, "d.com", "boss", secret, code(0))
	must(t, err)
	take := func(what, code string, kind fault.Kind) {
		t.Helper()
		if err := s.TakeCode(ctx, boss(), code); kind == 0 && err != nil || kind != 0 && !fault.Is(err, kind) {
			t.Errorf("%s: %v", what, err)
		}
	}
	take("the code that set it up", code(0), fault.BadCredentials)
	take("an older one", code(-1), fault.BadCredentials)
	take("a clock that is ahead", code(1), 0)
	take("the same once more", code(1), fault.BadCredentials)
	take("too far ahead", code(2), fault.BadCredentials)
	now = now.Add(time.Minute)
	take("a recovery code", recovery[3], 0)
	take("the same recovery code", recovery[3], fault.BadCredentials)
	take("the next code", code(0), 0)
	if has, left, err := s.SecondFactor(ctx, "d.com", "boss"); !has || left != recoveries-1 || err != nil {
		t.Errorf("%v %d %v", has, left, err)
	}
	// The command line takes a code behind the password, and no mechanism that has no room for it.
	now = now.Add(time.Minute)
	login := func(p Peer, password string) error {
		_, err := s.Logins().CheckPassword(ctx, p, "d.com", "boss", password)
		return err
	}
	if err := login(Peer{Service: servicePWD}, "pw"); !fault.Is(err, fault.BadCredentials) {
		t.Errorf("the password alone opens the command line: %v", err)
	}
	must(t, login(Peer{Service: servicePWD}, "pw"+code(0)))
	if err := login(Peer{Service: servicePWD}, "pw"+code(0)); !fault.Is(err, fault.BadCredentials) {
		t.Errorf("a code opens the command line twice: %v", err)
	}
	if err := login(Peer{Service: "IMAP"}, "pw"); !fault.Is(err, fault.BadCredentials) {
		t.Errorf("the password alone opens IMAP: %v", err)
	}
	if s.Logins().barred(boss(), Peer{Service: servicePWD, Mechanism: "SCRAM-SHA-256"}) == "" {
		t.Error("SCRAM opens the command line without a code")
	}
	// Guessing ends.
	for range wrongCodes.Count - 1 { // the replay above counts
		take("a guess", "x", fault.BadCredentials)
	}
	now = now.Add(time.Minute)
	take("right, after too many guesses", code(0), fault.TooMany)
	must(t, s.ResetSecondFactor(ctx, "d.com", "boss"))
	must(t, login(Peer{Service: servicePWD}, "pw"))
}

// Settings that are given as a whole neither take the second factor away nor put another one into its place.
func TestSettingsLeaveTheSecondFactor(t *testing.T) {
	s := newBase(t).open(t)
	must(t, s.CreateAccount(ctx, "company.com", "boss", nil))
	secret := NewTOTPSecret()
	key, err := secretOf(secret)
	must(t, err)
	recovery, err := s.SetSecondFactor(ctx, "company.com", "boss", secret, totp(key, time.Now().Unix()/30))
	must(t, err)
	forged := dataformat.Dict{KeySecondFactor: dataformat.Dict{"Secret": dataformat.String("x"), "Recovery": dataformat.Array{dataformat.String(recoveryHash("mine"))}}}
	layer := s.AccountSettings("company.com", "boss")
	must(t, layer.Set(ctx, dataformat.Dict{"RealName": dataformat.String("Boss")}))
	must(t, layer.Update(ctx, dataformat.Dict{"webadmintotp": dataformat.String("default")}))
	must(t, layer.Update(ctx, maps.Clone(forged)))
	must(t, layer.Set(ctx, maps.Clone(forged)))
	if has, left, err := s.SecondFactor(ctx, "company.com", "boss"); !has || left != recoveries || err != nil {
		t.Errorf("%v %d %v", has, left, err)
	}
	a, err := s.Account(ctx, "company.com", "boss")
	must(t, err)
	must(t, s.TakeCode(ctx, a, recovery[0]))
	must(t, s.CreateAccount(ctx, "company.com", "other", maps.Clone(forged)))
	if has, _, err := s.SecondFactor(ctx, "company.com", "other"); has || err != nil {
		t.Errorf("a new account has a second factor that nobody has proved: %v", err)
	}
}
