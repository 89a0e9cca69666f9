package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdg-go/scram"

	"gatepost/accounts"
	"gatepost/accounts/password"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// place is a directory with company.com, whose larry keeps a one-way password,
// and branch.example on 192.0.2.2, whose shemp keeps a reversible one. The
// password is always secret.
type place struct {
	*Authenticator
	acc *accounts.Store
}

var home, branch = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")

func newPlace(t testing.TB) *place {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	var ids atomic.Uint64
	ids.Store(1000)
	acc, err := accounts.Open(t.TempDir(), accounts.Options{MainDomain: "company.com", Shards: 1, Log: log,
		NextID: func() (uint64, error) { return ids.Add(1), nil }})
	must(t, err)
	t.Cleanup(func() { must(t, acc.Close()) })
	password := func(form string) dataformat.Dict {
		return dataformat.Dict{"Password": dataformat.String("secret"), "PasswordEncryption": dataformat.String(form)}
	}
	must(t, acc.CreateDomain(ctx, "branch.example", dataformat.Dict{"IPAddresses": dataformat.Array{dataformat.String("192.0.2.2")}}))
	must(t, acc.AccountDefaults("branch.example").Update(ctx, dataformat.Dict{"PasswordEncryption": dataformat.String("A-crpt")}))
	must(t, acc.CreateAccount(ctx, "company.com", "larry", password("SCRAM-SHA-256")))
	must(t, acc.SetAccountAliases(ctx, "company.com", "larry", []string{"lawrence"}))
	must(t, acc.Forwarders().Create(ctx, "company.com", "boss", "larry@company.com"))
	must(t, acc.Forwarders().Create(ctx, "company.com", "away", "larry@elsewhere.example"))
	must(t, acc.CreateAccount(ctx, "branch.example", "shemp", password("A-crpt")))
	must(t, acc.CreateAccount(ctx, "company.com", "closed", password("A-crpt")))
	nopop := password("A-crpt")
	nopop["AccessModes"] = dataformat.Array{dataformat.String("Mail"), dataformat.String("IMAP"), dataformat.String("Mobile")}
	must(t, acc.CreateAccount(ctx, "company.com", "nopop", nopop))

	var rs router.Settings
	must(t, settings.Load(&rs, dataformat.Dict{"RouterTable": dataformat.String("Access:<closed> = error\n<teller> = larry\n")}))
	routes, err := router.New(settings.NewLive(&rs), acc, log)
	must(t, err)
	return &place{New(acc, routes, log), acc}
}

func from(local netip.Addr, service string) accounts.Peer {
	return accounts.Peer{IP: netip.MustParseAddr("198.51.100.7"), LocalIP: local, TLS: true, Service: service}
}

// run plays an exchange with the client's responses; the first is the initial
// response, nil for none. It returns the address that logged in.
func run(e Exchange, respond ...func(challenge []byte) []byte) (string, error) {
	challenge, done, err := []byte(nil), false, error(nil)
	for _, f := range respond {
		if done {
			return "", errors.New("done too early")
		}
		if challenge, done, err = e.Next(f(challenge)); err != nil {
			return "", err
		}
	}
	if !done || e.Account() == nil {
		return "", errors.New("not done")
	}
	return e.Account().Address(), nil
}

func says(text string) func([]byte) []byte { return func([]byte) []byte { return []byte(text) } }
func none([]byte) []byte                   { return nil }

func TestLoginNames(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct {
		local netip.Addr
		login string
		want  string // or empty for a refusal
	}{
		{home, "larry", "larry@company.com"},
		{home, "LARRY@Company.COM", "larry@company.com"},
		{home, "larry%company.com", "larry@company.com"},
		{home, "lawrence", "larry@company.com"},
		{home, "boss", "larry@company.com"},
		{home, "teller", "larry@company.com"},
		{home, "shemp%branch.example", "shemp@branch.example"},
		{home, "shemp", ""},
		{branch, "shemp", "shemp@branch.example"},
		{branch, "larry", ""},
		{branch, "larry@company.com", "larry@company.com"},
		{home, "larry@[192.0.2.2]", ""},
		{home, "away", ""},
		{home, "closed", ""},
		{home, "closed@company.com", ""},
		{home, "postmaster", ""}, // has no password yet
		{home, "nobody", ""},
		{home, "all@company.com", ""},
		{home, "larry@elsewhere.example", ""},
		{home, "box#larry", ""},
		{home, "?larry", ""},
		{home, "", ""},
		{home, "@", ""},
		{home, "<>", ""},
		{home, "larry\x00", ""},
		{home, "../larry", ""},
		{home, strings.Repeat("x", 5000), ""},
	} {
		acc, err := p.Plain(t.Context(), from(c.local, "IMAP"), c.login, "secret")
		switch {
		case c.want == "" && (acc != nil || !fault.Is(err, fault.BadCredentials)):
			t.Errorf("%.40q: %v, %v", c.login, acc, err)
		case c.want != "" && (err != nil || acc.Address() != c.want):
			t.Errorf("%q: %v, %v, want %s", c.login, acc, err, c.want)
		}
	}
}

// TestOneAnswerToAllFailures: what a stranger hears does not depend on the reason.
func TestOneAnswerToAllFailures(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct{ login, password, service string }{
		{"larry", "wrong", "IMAP"}, {"nobody", "secret", "IMAP"}, {"closed", "secret", "IMAP"},
		{"nopop", "secret", "POP"}, {"larry@elsewhere.example", "secret", "IMAP"}, {"larry", "", "IMAP"},
	} {
		_, err := p.Plain(t.Context(), from(home, c.service), c.login, c.password)
		if !fault.Is(err, fault.BadCredentials) {
			t.Errorf("%s: %v", c.login, err)
		}
	}
}

// TestUnknownNamesTakeAsLong compares the work: one memory-hard hash, whose
// memory tells that it ran.
func TestUnknownNamesTakeAsLong(t *testing.T) {
	p := newPlace(t)
	memory := func(login string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := p.Plain(t.Context(), from(home, "IMAP"), login, "wrong"); !fault.Is(err, fault.BadCredentials) {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) >> 20
	}
	known := memory("larry")
	if known == 0 {
		t.Fatal("the hash of larry's password is not memory-hard")
	}
	for _, login := range []string{"nobody", "away", "closed", "nopop", "x@elsewhere.example", "shemp@branch.example"} {
		if got := memory(login); got != known {
			t.Errorf("%s takes %d MB, larry %d MB", login, got, known)
		}
	}
}

func TestPlainAndLogin(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct {
		mech    string
		respond []func([]byte) []byte
		kind    fault.Kind // Internal: a login
	}{
		{"PLAIN", []func([]byte) []byte{says("\x00larry\x00secret")}, fault.Internal},
		{"plain", []func([]byte) []byte{none, says("\x00larry\x00secret")}, fault.Internal},
		{"PLAIN", []func([]byte) []byte{says("lawrence\x00larry\x00secret")}, fault.Internal},
		{"PLAIN", []func([]byte) []byte{says("nopop\x00larry\x00secret")}, fault.BadCredentials},
		{"PLAIN", []func([]byte) []byte{says("nobody\x00larry\x00secret")}, fault.BadCredentials},
		{"PLAIN", []func([]byte) []byte{says("\x00larry\x00wrong")}, fault.BadCredentials},
		{"PLAIN", []func([]byte) []byte{says("larry\x00secret")}, fault.Invalid},
		{"PLAIN", []func([]byte) []byte{says("\x00\x00secret")}, fault.Invalid},
		{"PLAIN", []func([]byte) []byte{says("")}, fault.Invalid},
		{"PLAIN", []func([]byte) []byte{none, says("")}, fault.Invalid},
		{"PLAIN", []func([]byte) []byte{says("\x00larry\x00sec\x00ret")}, fault.Invalid},
		{"LOGIN", []func([]byte) []byte{none, says("larry"), says("secret")}, fault.Internal},
		{"LOGIN", []func([]byte) []byte{says("larry"), says("secret")}, fault.Internal},
		{"LOGIN", []func([]byte) []byte{none, says("larry"), says("wrong")}, fault.BadCredentials},
		{"LOGIN", []func([]byte) []byte{none, says("")}, fault.Invalid},
	} {
		e, err := p.Start(t.Context(), c.mech, from(home, "IMAP"), nil, "company.com")
		must(t, err)
		who, err := run(e, c.respond...)
		switch {
		case c.kind == fault.Internal && (err != nil || who != "larry@company.com"):
			t.Errorf("%s: %s, %v", c.mech, who, err)
		case c.kind != fault.Internal && (!fault.Is(err, c.kind) || e.Account() != nil):
			t.Errorf("%s: %v, want %v", c.mech, err, c.kind)
		}
	}
}

func TestPlainTextOnlyWhereNobodyListens(t *testing.T) {
	p := newPlace(t)
	open := from(home, "IMAP")
	open.TLS = false
	for _, mech := range []string{"PLAIN", "LOGIN"} {
		if _, err := p.Start(t.Context(), mech, open, nil, ""); !fault.Is(err, fault.TLSRequired) {
			t.Errorf("%s without TLS: %v", mech, err)
		}
	}
	open.IP = netip.MustParseAddr("127.0.0.1")
	if _, err := p.Start(t.Context(), "PLAIN", open, nil, ""); err != nil {
		t.Error(err)
	}
}

func TestMechanisms(t *testing.T) {
	p := newPlace(t)
	state, _ := handshake(t, tls.VersionTLS13)
	for _, c := range []struct {
		local netip.Addr
		plain bool
		tls   *tls.ConnectionState
		want  []string
	}{
		{home, true, state, []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"}},
		{branch, true, state, []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5"}},
		{home, false, nil, []string{"SCRAM-SHA-256", "SCRAM-SHA-1"}},
	} {
		if got := p.Mechanisms(ctx, from(c.local, "IMAP"), c.plain, c.tls); !slices.Equal(got, c.want) {
			t.Errorf("%v, want %v", got, c.want)
		}
	}
	for _, mech := range []string{"XOAUTH2", "NTLM", "", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512"} {
		if _, err := p.Start(t.Context(), mech, from(home, "IMAP"), nil, ""); !fault.Is(err, fault.Unsupported) {
			t.Errorf("%q: %v", mech, err)
		}
	}
}

func cram(login, password string) func([]byte) []byte {
	return func(challenge []byte) []byte {
		mac := hmac.New(md5.New, []byte(password))
		mac.Write(challenge)
		return []byte(login + " " + hex.EncodeToString(mac.Sum(nil)))
	}
}

func TestCramMD5(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct {
		respond func([]byte) []byte
		want    string
		kind    fault.Kind
	}{
		{cram("shemp", "secret"), "shemp@branch.example", 0},
		{cram("shemp@branch.example", "secret"), "shemp@branch.example", 0},
		{cram("shemp", "wrong"), "", fault.BadCredentials},
		{cram("nobody", "secret"), "", fault.BadCredentials},
		{cram("nobody", ""), "", fault.BadCredentials},
		{cram("larry@company.com", "secret"), "", fault.BadCredentials}, // one-way
		{cram("larry@company.com", ""), "", fault.BadCredentials},
		{cram("closed@company.com", "secret"), "", fault.BadCredentials},
		{cram("nopop@company.com", "secret"), "", fault.BadCredentials}, // the service is off
		{says("shemp"), "", fault.Invalid},
		{says(""), "", fault.Invalid},
		{says("shemp 00"), "", fault.Invalid},
		{says("shemp " + strings.Repeat("z", 32)), "", fault.Invalid},
		{says("shemp " + strings.Repeat("0", 4096)), "", fault.Invalid},
	} {
		e, err := p.Start(t.Context(), "CRAM-MD5", from(branch, "POP"), nil, "branch.example")
		must(t, err)
		who, err := run(e, none, c.respond)
		if who != c.want || c.want == "" && !fault.Is(err, c.kind) {
			t.Errorf("%q, %v; want %q, %v", who, err, c.want, c.kind)
		}
	}
	e, err := p.Start(t.Context(), "CRAM-MD5", from(branch, "POP"), nil, "branch.example")
	must(t, err)
	if _, err := run(e, says("shemp 00")); !fault.Is(err, fault.Invalid) {
		t.Errorf("an initial response: %v", err)
	}
	if a, b := string(Challenge("x.y")), string(Challenge("x.y")); a == b || !strings.HasSuffix(a, "@x.y>") || a[0] != '<' {
		t.Errorf("challenges %s, %s", a, b)
	}
}

func TestAPOP(t *testing.T) {
	p := newPlace(t)
	digest := func(password string) string {
		sum := md5.Sum([]byte("<1@x>" + password))
		return hex.EncodeToString(sum[:])
	}
	acc, err := p.APOP(t.Context(), from(branch, "POP"), "shemp", "<1@x>", strings.ToUpper(digest("secret")))
	if err != nil || acc.Address() != "shemp@branch.example" {
		t.Errorf("%v, %v", acc, err)
	}
	for login, d := range map[string]string{"shemp": digest("wrong"), "nobody": digest("secret"), "larry@company.com": digest("secret"),
		"closed@company.com": digest("secret"), "nopop@company.com": digest("secret"), "": ""} {
		if _, err := p.APOP(t.Context(), from(branch, "POP"), login, "<1@x>", d); !fault.Is(err, fault.BadCredentials) {
			t.Errorf("%q: %v", login, err)
		}
	}
}

// handshake returns the two ends' states of a TLS connection.
func handshake(t testing.TB, version uint16) (server, client *tls.ConnectionState) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	must(t, err)
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	ts := tls.Server(a, &tls.Config{MinVersion: version, MaxVersion: version, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	tc := tls.Client(b, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- ts.Handshake() }()
	// A TLS 1.3 server sends tickets after the handshake: somebody has to read.
	must(t, tc.Handshake())
	go func() { _, _ = tc.Read(make([]byte, 1)) }()
	must(t, <-done)
	ss, cs := ts.ConnectionState(), tc.ConnectionState()
	return &ss, &cs
}

// scramClient plays the client side of the library.
func scramClient(t *testing.T, e Exchange, conv *scram.ClientConversation) (string, error) {
	t.Helper()
	defer e.Cancel()
	text, err := conv.Step("")
	must(t, err)
	response := []byte(text)
	for {
		challenge, done, err := e.Next(response)
		if err != nil {
			return "", err
		}
		if done {
			if !conv.Valid() {
				t.Error("the client does not believe the server")
			}
			return e.Account().Address(), nil
		}
		if e.Account() != nil {
			t.Error("logged in before the client has agreed")
		}
		if text, err = conv.Step(string(challenge)); err != nil {
			return "", fmt.Errorf("client: %w", err)
		}
		response = []byte(text)
	}
}

func TestSCRAM(t *testing.T) {
	p := newPlace(t)
	server13, client13 := handshake(t, tls.VersionTLS13)
	server12, client12 := handshake(t, tls.VersionTLS12)
	other, _ := handshake(t, tls.VersionTLS13)
	const plus, plain, plus1, plain1 = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"
	bind := func(state *tls.ConnectionState) scram.ChannelBinding {
		b, err := scram.NewTLSExporterBinding(state)
		must(t, err)
		return b
	}
	endpoint, err := scram.NewTLSServerEndpointBinding(client13)
	must(t, err)
	const advertising = "y" // a client that was told that there is no PLUS
	for _, c := range []struct {
		name, mech, login, password, authz string
		tls                                *tls.ConnectionState
		binding                            scram.ChannelBinding
		flag                               string
		want                               string // account, or empty for BadCredentials or Invalid
	}{
		{name: "plain", mech: plain, login: "larry", password: "secret", want: "larry@company.com"},
		{name: "alias", mech: plain, login: "lawrence@company.com", password: "secret", want: "larry@company.com"},
		{name: "reversible password", mech: plain, login: "shemp@branch.example", password: "secret", want: "shemp@branch.example"},
		{name: "own authzid", mech: plain, login: "larry", password: "secret", authz: "boss", want: "larry@company.com"},
		{name: "another's authzid", mech: plain, login: "larry", password: "secret", authz: "nopop"},
		{name: "wrong password", mech: plain, login: "larry", password: "wrong"},
		{name: "unknown", mech: plain, login: "nobody", password: "secret"},
		{name: "closed by the router", mech: plain, login: "closed", password: "secret"},
		{name: "service off", mech: plain, login: "nopop", password: "secret"},
		{name: "in TLS without binding", mech: plain, login: "larry", password: "secret", tls: server13, want: "larry@company.com"},
		{name: "TLS 1.3", mech: plus, login: "larry", password: "secret", tls: server13, binding: bind(client13), want: "larry@company.com"},
		{name: "TLS 1.2", mech: plus, login: "larry", password: "secret", tls: server12, binding: bind(client12), want: "larry@company.com"},
		{name: "man in the middle", mech: plus, login: "larry", password: "secret", tls: other, binding: bind(client13)},
		{name: "endpoint", mech: plus, login: "larry", password: "secret", tls: server13, binding: endpoint},
		{name: "PLUS without binding", mech: plus, login: "larry", password: "secret", tls: server13},
		{name: "binding without PLUS", mech: plain, login: "larry", password: "secret", tls: server13, binding: bind(client13)},
		{name: "downgraded", mech: plain, login: "larry", password: "secret", tls: server13, flag: advertising},
		{name: "SHA-1", mech: plain1, login: "larry", password: "secret", want: "larry@company.com"},
		{name: "SHA-1, reversible password", mech: plain1, login: "shemp@branch.example", password: "secret", want: "shemp@branch.example"},
		{name: "SHA-1, wrong password", mech: plain1, login: "larry", password: "wrong"},
		{name: "SHA-1, unknown", mech: plain1, login: "nobody", password: "secret"},
		{name: "SHA-1, another's authzid", mech: plain1, login: "larry", password: "secret", authz: "nopop"},
		{name: "SHA-1 bound", mech: plus1, login: "larry", password: "secret", tls: server13, binding: bind(client13), want: "larry@company.com"},
		{name: "SHA-1, man in the middle", mech: plus1, login: "larry", password: "secret", tls: other, binding: bind(client13)},
		{name: "SHA-1, downgraded", mech: plain1, login: "larry", password: "secret", tls: server13, flag: advertising},
		{name: "not downgraded", mech: plain, login: "larry", password: "secret", flag: advertising, want: "larry@company.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := p.Start(t.Context(), c.mech, from(home, "POP"), c.tls, "company.com")
			must(t, err)
			hash := scram.SHA256
			if c.mech == plus1 || c.mech == plain1 {
				hash = scram.SHA1
			}
			client, err := hash.NewClient(c.login, c.password, c.authz)
			must(t, err)
			conv := client.NewConversation()
			switch {
			case c.binding.IsSupported():
				conv = client.NewConversationWithChannelBinding(c.binding)
			case c.flag == advertising:
				conv = client.NewConversationAdvertisingChannelBinding()
			}
			who, err := scramClient(t, e, conv)
			if who != c.want || (c.want == "") != (err != nil) || e.Account() == nil != (c.want == "") {
				t.Errorf("%q, %v; want %q", who, err, c.want)
			}
			if err != nil && !fault.Is(err, fault.BadCredentials) && !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Denied) {
				t.Errorf("kind of %v", err)
			}
		})
	}
}

// TestSCRAMTellsNothingAboutNames: salt and iterations look alike, and stay the
// same from one try to the next.
func TestSCRAMTellsNothingAboutNames(t *testing.T) {
	p := newPlace(t)
	var mech string
	first := func(login string) string {
		e, err := p.Start(t.Context(), mech, from(home, "IMAP"), nil, "company.com")
		must(t, err)
		defer e.Cancel()
		challenge, done, err := e.Next([]byte("n,,n=" + login + ",r=abcdefgh"))
		if err != nil || done {
			t.Fatalf("%s: %v", login, err)
		}
		_, salted, _ := strings.Cut(string(challenge), ",s=")
		return salted
	}
	for _, mech = range []string{Scram, ScramSHA1} {
		known := first("larry")
		for _, login := range []string{"nobody", "away", "closed", "x@elsewhere.example"} {
			got := first(login)
			if len(got) != len(known) || got != first(login) || got == known ||
				got[strings.IndexByte(got, ','):] != known[strings.IndexByte(known, ','):] {
				t.Errorf("%s: %s gets %s, larry %s", mech, login, got, known)
			}
		}
	}
}

// TestSCRAMAnswersEveryNameAfterTheSameTime: known and unknown, one-way and reversible, names
// that take the router many steps, and blocked ones.
func TestSCRAMAnswersEveryNameAfterTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		peer := from(home, "IMAP")
		for _, login := range []string{"larry", "boss", "nobody", "away", "closed", "shemp@branch.example", "x@elsewhere.example", "", "blocked"} {
			if login == "blocked" {
				for range 10 {
					try, err := p.acc.Logins().BeginLogin(ctx, peer, "company.com", "?"+login)
					must(t, err)
					try.Failed("a test")
				}
			}
			for mech, want := range map[string]time.Duration{Scram: firstAnswer[password.SHA256], ScramSHA1: firstAnswer[password.SHA1]} {
				peer := peer
				if mech == ScramSHA1 {
					peer.IP = peer.IP.Next().Next() // so that the failures of one address stay few
				}
				e, err := p.Start(t.Context(), mech, peer, nil, "company.com")
				must(t, err)
				began := time.Now()
				_, _, _ = e.Next([]byte("n,,n=" + login + ",r=abcdefgh"))
				if took := time.Since(began); took != want {
					t.Errorf("%s: the answer to %q took %v", mech, login, took)
				}
				e.Cancel()
			}
		}
	})
}

// TestExchangesThatAreNotFinishedCount: whoever begins them to measure or compare the first
// answers is blocked as whoever fails.
func TestExchangesThatAreNotFinishedCount(t *testing.T) {
	for _, login := range []string{"larry", "nobody"} {
		p := newPlace(t)
		begin := func() error {
			e, err := p.Start(t.Context(), Scram, from(home, "IMAP"), nil, "company.com")
			must(t, err)
			defer e.Cancel()
			_, _, err = e.Next([]byte("n,,n=" + login + ",r=abcdefgh"))
			return err
		}
		for range 10 {
			must(t, begin())
		}
		if err := begin(); !fault.Is(err, fault.BadCredentials) {
			t.Errorf("%s: the 11th ends with %v", login, err)
		}
	}
}

func FuzzExchange(f *testing.F) {
	p := newPlace(f)
	for _, s := range []string{"", "\x00larry\x00secret", "n,,n=larry,r=x", "c=biws,r=x,p=eA==", "shemp 0123", "p=tls-exporter,,n=a,r=b"} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, mech := range []string{"PLAIN", "CRAM-MD5", "SCRAM-SHA-256", "SCRAM-SHA-1"} {
			if mech == "PLAIN" && strings.Count(a+b, "\x00") > 1 {
				continue // a well-formed one costs a hash
			}
			e, err := p.Start(t.Context(), mech, accounts.Peer{Service: "IMAP", TLS: true, LocalIP: branch}, nil, "x")
			if err != nil {
				t.Fatal(err)
			}
			defer e.Cancel()
			for _, response := range []string{a, b, a, ""} {
				_, done, err := e.Next([]byte(response))
				if err != nil || done {
					break
				}
			}
		}
	})
}
