package auth

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"gatepost/accounts"
	"gatepost/accounts/password"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

var ctx = context.Background()

var fromElsewhere = netip.MustParseAddr("198.51.100.7")

var peer = accounts.Peer{IP: netip.MustParseAddr("127.0.0.1"), TLS: true, Service: "IMAP"}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newAuth makes a directory with the Main Domain c.com, the domain d.com, also
// called e.com, and the account u in both, with the password right.
func newAuth(t testing.TB, table string, options ...func(*accounts.Options)) (*Authenticator, *accounts.Store) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	var ids atomic.Uint64
	o := accounts.Options{MainDomain: "c.com", Shards: 1, NextID: func() (uint64, error) { return ids.Add(1), nil }, Log: log}
	for _, change := range options {
		change(&o)
	}
	acc, err := accounts.Open(t.TempDir(), o)
	must(t, err)
	t.Cleanup(func() { must(t, acc.Close()) })
	must(t, acc.CreateDomain(ctx, "d.com", nil))
	must(t, acc.SetDomainAliases(ctx, "d.com", []string{"e.com"}))
	for _, domain := range []string{"", "d.com"} {
		must(t, acc.CreateAccount(ctx, domain, "u", dataformat.Dict{"Password": dataformat.String("right")}))
	}
	r, err := router.New(settings.NewLive(&router.Settings{Table: table}), acc, log)
	must(t, err)
	return New(acc, r, log), acc
}

// The ways to write a name lead to one salt, whether or not there is an account:
// otherwise two of them would tell.
func TestSaltsDoNotTellWhoExists(t *testing.T) {
	a, acc := newAuth(t, "old.com = d.com")
	digest := password.SHA256
	salt := func(login string) string {
		t.Helper()
		who, err := a.resolve(ctx, peer, login)
		must(t, err)
		try, err := acc.Logins().BeginLogin(ctx, peer, who.domain, who.name)
		must(t, err)
		defer try.Abandoned()
		c, err := try.SCRAM(digest)
		must(t, err)
		return string(c.Salt)
	}
	for digest = range password.Digest(password.Digests) {
		for _, forms := range [][]string{
			{"", "@c.com", "%c.com", "@C.com", "%c.com@c.com", "+x", "+x@c.com"},
			{"@d.com", "%d.com", "@e.com", "%D.com@c.com", "+x@e.com", "@old.com"},
		} {
			for _, name := range []string{"u", "U", "nosuch", "NoSuch"} {
				want := salt(name + forms[0])
				for _, form := range forms {
					if salt(name+form) != want {
						t.Errorf("%s%s has another salt than %s%s", name, form, name, forms[0])
					}
				}
			}
		}
		if salt("u") == salt("nosuch") || salt("nosuch") == salt("nosuch@d.com") || salt("box#nosuch") == salt("nosuch") {
			t.Error("names that are not one share a salt")
		}
	}
}

func TestCRAMIsThereOnlyWhereItIsOffered(t *testing.T) {
	a, acc := newAuth(t, "")
	must(t, acc.AccountSettings("d.com", "u").Update(ctx, dataformat.Dict{"Password": dataformat.String("{CLEAR}right")}))
	if !acc.Reversible() {
		t.Fatal("no password is kept")
	}
	_, err := a.Start(ctx, CramMD5, peer, nil, "c.com")
	if !fault.Is(err, fault.Unsupported) {
		t.Errorf("not offered, and started: %v", err)
	}
	must(t, acc.AccountDefaults("").Update(ctx, dataformat.Dict{"PasswordEncryption": dataformat.String("clear")}))
	_, err = a.Start(ctx, CramMD5, peer, nil, "c.com")
	must(t, err)
}

func TestAuthorizationIdentityDoesNotTellARightPassword(t *testing.T) {
	a, _ := newAuth(t, "")
	try := func(response string) error {
		t.Helper()
		e, err := a.Start(ctx, Plain, peer, nil, "c.com")
		must(t, err)
		_, _, err = e.Next([]byte(response))
		return err
	}
	must(t, try("u@c.com\x00u\x00right"))
	right, wrong := try("postmaster\x00u\x00right"), try("postmaster\x00u\x00wrong")
	if !fault.Is(right, fault.BadCredentials) || !fault.Is(wrong, fault.BadCredentials) {
		t.Errorf("%v and %v", right, wrong)
	}
}

// Clients use APOP and CRAM-MD5 wherever the server offers them: the log tells why an
// account with a one-way password cannot log in with them, and no stranger learns it.
func TestLogSaysWhyADigestOfAOneWayPasswordFails(t *testing.T) {
	a, acc := newAuth(t, "")
	must(t, acc.AccountDefaults("d.com").Update(ctx, dataformat.Dict{"PasswordEncryption": dataformat.String("A-crpt")}))
	must(t, acc.CreateAccount(ctx, "d.com", "kept", dataformat.Dict{"Password": dataformat.String("right")}))
	for login, want := range map[string]string{
		"u@c.com": "the password is stored one-way", "u@d.com": "the password is stored one-way",
		"kept@d.com": `reason="wrong response"`, "nosuch@c.com": `reason="unknown account"`,
	} {
		var log strings.Builder
		p := peer
		p.Log = slog.New(slog.NewTextHandler(&log, nil))
		_, err := a.APOP(ctx, p, login, "<1@x>", strings.Repeat("0", 32))
		if !fault.Is(err, fault.BadCredentials) || fault.Text(err) != "bad credentials" || !strings.Contains(log.String(), want) {
			t.Errorf("%s: %v, log %s", login, err, log.String())
		}
	}
}
