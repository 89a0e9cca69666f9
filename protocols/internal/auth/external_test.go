package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/server/certificates"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// authority signs certificates of clients.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert = a.issue(nil, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue signs a certificate; without a signer it is the authority's own.
func (a *authority) issue(signer *authority, c *x509.Certificate) *x509.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	c.SerialNumber = big.NewInt(1)
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	c.NotBefore = c.NotAfter.Add(-2 * time.Hour)
	parent, parentKey := c, key
	if signer != nil {
		parent, parentKey = signer.cert, signer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	must(a.t, err)
	made, err := x509.ParseCertificate(der)
	must(a.t, err)
	if c.IsCA {
		a.key = key
	}
	return made
}

// with is the state of a connection whose client has shown certificates.
func with(t testing.TB, chain ...*x509.Certificate) *tls.ConnectionState {
	state, _ := handshake(t, tls.VersionTLS13)
	state.PeerCertificates = chain
	return state
}

func (a *authority) pem() dataformat.Value {
	return dataformat.String(certificates.EncodeCertificates(a.cert.Raw))
}

// forClients is a certificate with mail addresses, signed by the authority.
func (a *authority) forClients(addresses ...string) *x509.Certificate {
	return a.issue(a, &x509.Certificate{EmailAddresses: addresses, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// newCertified is newAuth with an authority of c.com, and one of d.com; u of both domains logs in by certificate.
func newCertified(t *testing.T) (a *Authenticator, acc *accounts.Store, c, d *authority) {
	a, acc = newAuth(t, "")
	c, d = newAuthority(t, "Authority of c.com"), newAuthority(t, "Authority of d.com")
	for domain, ca := range map[string]*authority{"c.com": c, "d.com": d} {
		must(t, acc.DomainSettings(domain).Update(ctx, dataformat.Dict{"ClientCertReq": dataformat.String("YES"), "ClientCertCA": ca.pem()}))
		must(t, acc.AccountSettings(domain, "u").Update(ctx, dataformat.Dict{"UseCertificateAuth": dataformat.String("YES")}))
		must(t, acc.CreateAccount(ctx, domain, "off", nil))
	}
	must(t, acc.SetAccountAliases(ctx, "c.com", "u", []string{"nick"}))
	return a, acc, c, d
}

func TestExternal(t *testing.T) {
	a, _, c, d := newCertified(t)
	between := newAuthority(t, "between")
	between.cert = between.issue(c, &x509.Certificate{Subject: pkix.Name{CommonName: "between"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	subject := c.issue(c, &x509.Certificate{Subject: pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: oidEmail, Value: "U@c.com"}}}})
	for _, one := range []struct {
		name    string
		chain   []*x509.Certificate
		authzid string
		want    string // "" for a refusal, "-" where EXTERNAL is not offered
	}{
		{"alternative name", []*x509.Certificate{c.forClients("u@c.com")}, "", "u@c.com"},
		{"alias of the account", []*x509.Certificate{c.forClients("nick@c.com")}, "", "u@c.com"},
		{"alias of the domain", []*x509.Certificate{d.forClients("u@e.com")}, "", "u@d.com"},
		{"subject", []*x509.Certificate{subject}, "", "u@c.com"},
		{"with a certificate between", []*x509.Certificate{between.forClients("u@c.com"), between.cert}, "", "u@c.com"},
		{"without it", []*x509.Certificate{between.forClients("u@c.com")}, "", "-"},
		{"own authzid", []*x509.Certificate{c.forClients("u@c.com")}, "nick", "u@c.com"},
		{"another's authzid", []*x509.Certificate{c.forClients("u@c.com")}, "postmaster", ""},
		{"nobody's authzid", []*x509.Certificate{c.forClients("u@c.com")}, "nosuch", ""},
		{"authzid with NUL", []*x509.Certificate{c.forClients("u@c.com")}, "u\x00", ""},
		{"second address", []*x509.Certificate{c.forClients("u@elsewhere.test", "u@c.com")}, "", "u@c.com"},
		{"no certificate", nil, "", "-"},
		{"no address", []*x509.Certificate{c.forClients()}, "", "-"},
		{"nobody's address", []*x509.Certificate{c.forClients("nosuch@c.com")}, "", "-"},
		{"not an address", []*x509.Certificate{c.forClients("u", "@c.com", "")}, "", "-"},
		{"too many addresses", []*x509.Certificate{c.forClients("a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test", "u@c.com")}, "", "-"},
		{"account that wants none", []*x509.Certificate{c.forClients("off@c.com")}, "", "-"},
		{"authority of another domain", []*x509.Certificate{d.forClients("u@c.com")}, "", "-"},
		{"signed by itself", []*x509.Certificate{newAuthority(t, "x").forClients("u@c.com")}, "", "-"},
		{"for servers", []*x509.Certificate{c.issue(c, &x509.Certificate{EmailAddresses: []string{"u@c.com"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})}, "", "-"},
		{"expired", []*x509.Certificate{c.issue(c, &x509.Certificate{EmailAddresses: []string{"u@c.com"}, NotAfter: time.Now().Add(-time.Minute)})}, "", "-"},
		{"not yet in force", []*x509.Certificate{c.issue(c, &x509.Certificate{EmailAddresses: []string{"u@c.com"}, NotAfter: time.Now().Add(5 * time.Hour)})}, "", "-"},
	} {
		t.Run(one.name, func(t *testing.T) {
			state := with(t, one.chain...)
			offered := one.want != "-"
			if got := a.Mechanisms(ctx, peer, true, state); slices.Contains(got, External) != offered {
				t.Errorf("%v are offered", got)
			}
			e, err := a.Start(ctx, External, peer, state, "c.com")
			if !offered {
				if !fault.Is(err, fault.Unsupported) {
					t.Errorf("started: %v", err)
				}
				return
			}
			must(t, err)
			defer e.Cancel()
			if challenge, done, err := e.Next(nil); done || err != nil || len(challenge) > 0 {
				t.Errorf("without an initial response: %q %v %v", challenge, done, err)
			}
			_, done, err := e.Next([]byte(one.authzid))
			switch {
			case one.want == "" && !fault.Is(err, fault.BadCredentials):
				t.Errorf("%v %v", done, err)
			case one.want != "" && (err != nil || !done || e.Account().Address() != one.want):
				t.Errorf("%v %v", done, err)
			}
		})
	}
}

// Sessions of a certificate end when it would not let in any more, and have nothing to do with the password; failed passwords of others
// keep its owner from nothing.
func TestSessionsOfACertificate(t *testing.T) {
	a, acc, c, _ := newCertified(t)
	must(t, acc.AccountSettings("c.com", "u").Update(ctx, dataformat.Dict{"Password": dataformat.String("")}))
	state := with(t, c.forClients("u@c.com"))
	stranger := peer
	stranger.IP = peer.IP.Next().Next()
	for range 40 {
		_, _ = a.Plain(ctx, stranger, "u@c.com", "guess")
	}
	login := func() *accounts.Account {
		e, err := a.Start(ctx, External, peer, state, "c.com")
		must(t, err)
		_, _, err = e.Next([]byte{})
		must(t, err)
		return e.Account()
	}
	ended := ""
	w := acc.Sessions().Watch(login(), peer, func(reason string) { ended = reason })
	defer w.Stop()
	check := func(key, value, want string) {
		t.Helper()
		must(t, acc.AccountSettings("c.com", "u").Update(ctx, dataformat.Dict{key: dataformat.String(value)}))
		if w.Check(); !strings.Contains(ended, want) || want == "" && ended != "" {
			t.Errorf("after %s=%s it ended: %q", key, value, ended)
		}
	}
	check("Password", "another", "")
	check("UseAppPassword", "NO", "")
	check("UseCertificateAuth", "NO", "UseCertificateAuth is off")
	must(t, acc.AccountSettings("c.com", "u").Update(ctx, dataformat.Dict{"UseCertificateAuth": dataformat.String("YES")}))
	ended = ""
	w = acc.Sessions().Watch(login(), peer, func(reason string) { ended = reason })
	defer w.Stop()
	must(t, acc.DomainSettings("c.com").Update(ctx, dataformat.Dict{"ClientCertCA": newAuthority(t, "new").pem()}))
	if w.Check(); !strings.Contains(ended, "not accepted") {
		t.Errorf("after a change of the authority it ended: %q", ended)
	}
	must(t, acc.DomainSettings("c.com").Update(ctx, dataformat.Dict{"ClientCertCA": c.pem()}))
	must(t, acc.AccountSettings("c.com", "u").Update(ctx, dataformat.Dict{"AccessModes": dataformat.Array{dataformat.String("POP")}}))
	e, err := a.Start(ctx, External, peer, state, "c.com")
	must(t, err)
	if _, _, err := e.Next([]byte{}); !fault.Is(err, fault.BadCredentials) {
		t.Errorf("a service that is off: %v", err)
	}
}

// A certificate with another's name counts for the address, and locks nobody out.
func TestFailedCertificatesCountForTheAddress(t *testing.T) {
	a, acc, c, _ := newCertified(t)
	var log strings.Builder
	p := peer
	p.IP, p.Log = fromElsewhere, slog.New(slog.NewTextHandler(&log, nil))
	for range 50 {
		e, err := a.Start(ctx, External, p, with(t, c.forClients("u@c.com")), "c.com")
		must(t, err)
		if _, _, err := e.Next([]byte("postmaster")); !fault.Is(err, fault.BadCredentials) {
			t.Fatal(err)
		}
	}
	if !strings.Contains(log.String(), "the client certificate is not that of postmaster") {
		t.Error(log.String())
	}
	if _, err := a.Plain(ctx, p, "u@c.com", "right"); !accounts.LoginBlocked(err) {
		t.Errorf("from the address: %v", err)
	}
	other := p
	other.IP = p.IP.Prev()
	must(t, acc.AccountSettings("c.com", "u").Update(ctx, dataformat.Dict{"FailedLoginFlow": dataformat.Array{dataformat.String("1"), dataformat.String("1h")}}))
	if _, err := a.Plain(ctx, other, "u@c.com", "right"); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
}

func TestAuthoritiesAreChecked(t *testing.T) {
	_, acc, c, _ := newCertified(t)
	for name, value := range map[string]dataformat.Value{
		"not an authority": dataformat.String(certificates.EncodeCertificates(c.forClients("u@c.com").Raw)),
		"no certificate":   dataformat.String("x"),
		"a key":            dataformat.String("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"),
		"too many":         dataformat.String(strings.Repeat(certificates.EncodeCertificates(c.cert.Raw), 21)),
	} {
		if err := acc.DomainSettings("c.com").Update(ctx, dataformat.Dict{"ClientCertCA": value}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, acc.DomainSettings("c.com").Update(ctx, dataformat.Dict{"ClientCertCA": dataformat.Data(c.cert.Raw)}))
}
