package relay

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gatepost/protocols/relay/mtasts"
	"gatepost/queue/envelope"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/resolver"
)

// authority issues certificates for tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.make(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) make(tmpl *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	tmpl.SerialNumber = big.NewInt(time.Now().UnixNano())
	tmpl.NotBefore = time.Now().Add(-2 * time.Hour)
	if tmpl.NotAfter.IsZero() {
		tmpl.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// issue makes a certificate, with that of the authority behind it.
func (a *authority) issue(until time.Time, names ...string) *tls.Certificate {
	cert, key := a.make(&x509.Certificate{DNSNames: names, NotAfter: until})
	return &tls.Certificate{Certificate: [][]byte{cert.Raw, a.cert.Raw}, PrivateKey: key, Leaf: cert}
}

func (a *authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// securedStation is a station whose hosts are servers on loopback: mail for far.org goes to mx.far.org.
type securedStation struct {
	*station
	ca     *authority
	server *server
	policy string
	web    string // the address of the server that has the policy
}

const farZone = `
	far.org. MX 10 mx.far.org.
	mx.far.org. A 192.0.2.30
	mta-sts.far.org. A 192.0.2.44`

func newSecuredStation(t *testing.T) *securedStation {
	s := &securedStation{station: newStation(t, dataformat.Dict{}), ca: newAuthority(t)}
	t.Cleanup(s.stop)
	s.results.news = make(chan string, 10)
	s.server = newServer(s.station)
	s.server.cert = s.ca.issue(time.Time{}, "mx.far.org")
	go s.server.serve()
	s.transport.dialer.config = func(name string, verify bool) *tls.Config {
		c := clientTLS(name, verify)
		c.RootCAs = s.ca.roots()
		return c
	}
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write([]byte(s.policy))
	}))
	web.TLS = &tls.Config{Certificates: []tls.Certificate{*s.ca.issue(time.Time{}, "mta-sts.far.org")}}
	web.StartTLS()
	t.Cleanup(web.Close)
	s.web = web.Listener.Addr().String()
	s.usePolicies(s.zone.Resolver())
	return s
}

// usePolicies has the policies of domains found by a resolver, and fetched from the station's web server.
func (s *securedStation) usePolicies(dns *resolver.Resolver) {
	s.transport.policies = mtasts.Open(mtasts.Options{DNS: dns, Roots: s.ca.roots(), Log: slog.New(slog.DiscardHandler),
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.web)
		}})
	s.t.Cleanup(s.transport.policies.Close)
}

// result sends a message, and returns what came of it, and whether it went encrypted.
func (s *securedStation) result(change func(*envelope.Envelope)) string {
	s.t.Helper()
	s.send(mailText, change, "a@far.org")
	select {
	case line := <-s.results.news:
		line = strings.TrimPrefix(strings.Replace(line, " a@far.org", "", 1), "SMTP(far.org) ")
		if strings.HasPrefix(line, "relayed") && !s.server.isEncrypted() {
			line += " in clear"
		}
		return line
	case <-time.After(20 * time.Second):
		s.t.Fatal("nothing came of the message")
		return ""
	}
}

// tlsa is a TLSA record of a certificate.
func tlsa(owner string, usage, selector, matching uint8, cert *x509.Certificate) string {
	data := cert.Raw
	if selector == 1 {
		data = cert.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return fmt.Sprintf("\n_25._tcp.%s. TLSA %d %d %d %s", owner, usage, selector, matching, hex.EncodeToString(data))
}

const (
	encrypted = "relayed: relayed via mx.far.org 2.0.0"
	inClear   = encrypted + " in clear"
)

func TestMTASTS(t *testing.T) {
	const enforce = "version: STSv1\nmode: enforce\nmx: mx.far.org\nmax_age: 86400\n"
	testing_ := strings.Replace(enforce, "enforce", "testing", 1)
	for name, c := range map[string]struct {
		policy string
		set    func(*securedStation)
		want   string
	}{
		"enforce, good": {enforce, nil, encrypted},
		"enforce, a certificate of another name": {enforce, func(s *securedStation) { s.server.cert = s.ca.issue(time.Time{}, "mx.far.net") },
			"delayed: mx.far.org has not proved who it is (tls: failed to verify certificate: x509: certificate is valid for mx.far.net, not mx.far.org), and the MTA-STS policy of the domain asks for it 4.7.5"},
		"enforce, a certificate of the domain alone": {enforce, func(s *securedStation) { s.server.cert = s.ca.issue(time.Time{}, "far.org") },
			"delayed: mx.far.org has not proved who it is (tls: failed to verify certificate: x509: certificate is valid for far.org, not mx.far.org), and the MTA-STS policy of the domain asks for it 4.7.5"},
		"enforce, self-signed": {enforce, func(s *securedStation) { s.server.cert = selfSigned(s.t) },
			"delayed: mx.far.org has not proved who it is (tls: failed to verify certificate: x509: certificate is valid for mx.test, not mx.far.org), and the MTA-STS policy of the domain asks for it 4.7.5"},
		"enforce, no TLS": {enforce, func(s *securedStation) { s.server.cert = nil },
			"delayed: mx.far.org offers no encryption, and the MTA-STS policy of the domain asks for it 4.7.5"},
		"enforce, another host": {strings.Replace(enforce, "mx.far", "mail.far", 1), nil,
			"delayed: mx.far.org is not one of the hosts that the MTA-STS policy of far.org names 4.7.5"},
		"enforce, a wildcard":          {strings.Replace(enforce, "mx.far", "*.far", 1), nil, encrypted},
		"testing, a wrong certificate": {testing_, func(s *securedStation) { s.server.cert = selfSigned(s.t) }, encrypted},
		"testing, another host":        {strings.Replace(testing_, "mx.far", "mail.far", 1), nil, encrypted},
		"testing, no TLS":              {testing_, func(s *securedStation) { s.server.cert = nil }, inClear},
		"none, no TLS":                 {"version: STSv1\nmode: none\nmax_age: 60\n", func(s *securedStation) { s.server.cert = nil }, inClear},
		"a policy that cannot be read": {"<html>", func(s *securedStation) { s.server.cert = nil }, inClear},
		"switched off": {enforce, func(s *securedStation) {
			s.server.cert = nil
			s.configure(s.t, "MTASTS=NO;", "")
		}, inClear},
		"an administrator's own word": {enforce, func(s *securedStation) {
			s.server.cert = nil
			s.configure(s.t, "Destinations={far.org={TLS=Never;};};", "")
		}, inClear},
		"TLS-Required: No": {enforce, func(s *securedStation) { s.server.cert = selfSigned(s.t) }, encrypted},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecuredStation(t)
			s.policy = c.policy
			s.zone.Set(t, farZone+"\n_mta-sts.far.org. TXT \"v=STSv1; id=1;\"")
			if c.set != nil {
				c.set(s)
			}
			got := s.result(func(e *envelope.Envelope) { e.TLSOptional = strings.HasPrefix(name, "TLS-Required") })
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestDANE(t *testing.T) {
	expired := time.Now().Add(-time.Hour)
	const asks = ", and its TLSA records (DANE) ask for it 4.7.5"
	refused := "delayed: mx.far.org has not proved who it is (tls: failed to verify certificate: the certificate is not the one of the TLSA records)" + asks
	leaf := func(usage, selector, matching uint8) func(*securedStation) string {
		return func(s *securedStation) string {
			return tlsa("mx.far.org", usage, selector, matching, s.server.cert.Leaf)
		}
	}
	anchor := func(usage, selector, matching uint8) func(*securedStation) string {
		return func(s *securedStation) string { return tlsa("mx.far.org", usage, selector, matching, s.ca.cert) }
	}
	other := func(s *securedStation) string { return tlsa("mx.far.org", 3, 1, 1, newAuthority(s.t).cert) }
	all := []string{"far.org", "mx.far.org", "_25._tcp.mx.far.org"}
	for name, c := range map[string]struct {
		records func(*securedStation) string
		secure  []string
		cert    func(*securedStation) *tls.Certificate
		set     func(*securedStation)
		want    string
	}{
		"3 1 1":                          {records: leaf(3, 1, 1), want: encrypted},
		"3 0 1":                          {records: leaf(3, 0, 1), want: encrypted},
		"3 1 2":                          {records: leaf(3, 1, 2), want: encrypted},
		"3 0 0":                          {records: leaf(3, 0, 0), want: encrypted},
		"3 1 1, other names and expired": {records: leaf(3, 1, 1), cert: func(s *securedStation) *tls.Certificate { return s.ca.issue(expired, "other.net") }, want: encrypted},
		"2 0 1":                          {records: anchor(2, 0, 1), want: encrypted},
		"2 1 2":                          {records: anchor(2, 1, 2), want: encrypted},
		"2 0 0, an authority that is not sent": {records: anchor(2, 0, 0), cert: func(s *securedStation) *tls.Certificate {
			c := s.ca.issue(time.Time{}, "mx.far.org")
			c.Certificate = c.Certificate[:1]
			return c
		}, want: encrypted},
		"2 0 1, the name of the domain": {records: anchor(2, 0, 1), cert: func(s *securedStation) *tls.Certificate { return s.ca.issue(time.Time{}, "far.org") }, want: encrypted},
		"2 0 1, another name": {records: anchor(2, 0, 1), cert: func(s *securedStation) *tls.Certificate { return s.ca.issue(time.Time{}, "far.net") },
			want: "delayed: mx.far.org has not proved who it is (tls: failed to verify certificate: x509: certificate is valid for far.net, not mx.far.org)" + asks},
		"another certificate": {records: other, want: refused},
		"one of two":          {records: func(s *securedStation) string { return other(s) + leaf(3, 1, 1)(s) }, want: encrypted},
		"no TLS":              {records: other, cert: func(*securedStation) *tls.Certificate { return nil }, want: "delayed: mx.far.org offers no encryption" + asks},
		"unusable, encrypted with any certificate": {records: func(s *securedStation) string { return tlsa("mx.far.org", 1, 0, 1, s.ca.cert) },
			cert: func(s *securedStation) *tls.Certificate { return selfSigned(s.t) }, want: encrypted},
		"unusable, no TLS": {records: func(s *securedStation) string { return tlsa("mx.far.org", 1, 0, 1, s.ca.cert) },
			cert: func(*securedStation) *tls.Certificate { return nil }, want: "delayed: connection with mx.far.org is broken: TLS is required and not offered 4.4.2"},
		"an answer without DNSSEC about the records": {records: other, secure: all[:2], want: encrypted},
		"an answer without DNSSEC about the host":    {records: other, secure: []string{all[0], all[2]}, want: encrypted},
		"an answer without DNSSEC about the MX":      {records: other, secure: all[1:], want: encrypted},
		"absent, no TLS":                             {cert: func(*securedStation) *tls.Certificate { return nil }, want: inClear},
		"bogus": {records: leaf(3, 1, 1), set: func(s *securedStation) { s.zone.Fail("_25._tcp.mx.far.org") },
			want: "delayed: mx.far.org may have TLSA records, and they cannot be had: no answer from the DNS for the TLSA of _25._tcp.mx.far.org: SERVFAIL 4.7.5"},
		"bogus in an unsigned zone":   {secure: []string{"none"}, set: func(s *securedStation) { s.zone.Fail("_25._tcp.mx.far.org") }, want: encrypted},
		"switched off":                {records: other, set: func(s *securedStation) { s.configure(s.t, "DANE=NO;", "") }, want: encrypted},
		"an administrator's own word": {records: other, set: func(s *securedStation) { s.configure(s.t, `Destinations={"*"={TLS=Never;};};`, "") }, want: inClear},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecuredStation(t)
			if c.cert != nil {
				s.server.cert = c.cert(s)
			}
			records := farZone
			if c.records != nil {
				records += c.records(s)
			}
			s.zone.Set(t, records)
			if c.secure == nil {
				c.secure = all
			}
			s.zone.Secure(c.secure...)
			if c.set != nil {
				c.set(s)
			}
			if got := s.result(nil); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// DANE outranks a policy, in both directions (RFC 8461 section 2).
func TestDANEOutranksMTASTS(t *testing.T) {
	for name, good := range map[string]bool{"good": true, "mismatching": false} {
		s := newSecuredStation(t)
		s.policy = "version: STSv1\nmode: enforce\nmx: mx.far.org\nmax_age: 86400\n"
		cert := s.ca.cert
		if good {
			s.server.cert = s.ca.issue(time.Time{}, "not.the.name")
			cert = s.server.cert.Leaf
		}
		s.zone.Set(t, farZone+tlsa("mx.far.org", 3, 1, 1, cert)+"\n_mta-sts.far.org. TXT \"v=STSv1; id=1;\"")
		s.zone.Secure("far.org", "mx.far.org", "_25._tcp.mx.far.org")
		if got := s.result(nil); strings.HasPrefix(got, "relayed") != good {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// The records of a host that is an alias are those of where it leads, else its own (RFC 7672 section 2.2.2).
func TestTLSAOfAnAlias(t *testing.T) {
	s := newSecuredStation(t)
	cert := s.server.cert.Leaf
	for name, c := range map[string]struct {
		owner  string
		secure []string
		base   string
	}{
		"where it leads":        {"host.net", []string{"mx.far.org", "host.net", "_25._tcp.host.net"}, "host.net"},
		"its own":               {"mx.far.org", []string{"mx.far.org", "host.net", "_25._tcp.mx.far.org"}, "mx.far.org"},
		"its own, target bare":  {"mx.far.org", []string{"mx.far.org", "_25._tcp.mx.far.org"}, "mx.far.org"},
		"the alias is unsigned": {"mx.far.org", []string{"host.net", "_25._tcp.mx.far.org"}, ""},
	} {
		s.zone.Set(t, "far.org. MX 10 mx.far.org.\nmx.far.org. CNAME host.net.\nhost.net. A 192.0.2.30"+tlsa(c.owner, 3, 1, 1, cert))
		for _, n := range []string{"mx.far.org", "host.net", "_25._tcp.host.net", "_25._tcp.mx.far.org"} {
			s.zone.Insecure(n)
		}
		s.zone.Secure(c.secure...)
		_, base, err := s.transport.tlsaOf(t.Context(), "mx.far.org", 25)
		if base != c.base || err != nil {
			t.Errorf("%s: %q, %v", name, base, err)
		}
	}
	s.zone.Fail("mx.far.org")
	if _, _, err := s.transport.tlsaOf(t.Context(), "mx.far.org", 25); err == nil {
		t.Error("addresses that cannot be looked up pass for unsigned ones")
	}
}

// A message with REQUIRETLS goes only to a host that proves itself and takes such mail; else it comes back (RFC 8689).
func TestREQUIRETLS(t *testing.T) {
	const (
		policy = "version: STSv1\nmode: testing\nmx: mx.far.org\nmax_age: 86400\n"
		record = "\n_mta-sts.far.org. TXT \"v=STSv1; id=1;\""
		must   = "failed: the sender requires encryption with proof (REQUIRETLS): "
	)
	for name, c := range map[string]struct {
		set  func(*securedStation)
		want string
	}{
		"MX validated by DNSSEC": {func(s *securedStation) { s.zone.Secure("far.org") }, encrypted},
		"MX of a policy, be it in testing": {func(s *securedStation) {
			s.policy = policy
			s.zone.Set(s.t, farZone+record)
		}, encrypted},
		"DANE": {func(s *securedStation) {
			s.server.cert = s.ca.issue(time.Time{}, "other.net")
			s.zone.Set(s.t, farZone+tlsa("mx.far.org", 3, 1, 1, s.server.cert.Leaf))
			s.zone.Secure("far.org", "mx.far.org", "_25._tcp.mx.far.org")
		}, encrypted},
		"a destination that is verified":      {func(s *securedStation) { s.configure(s.t, "Destinations={far.org={TLS=Verified;};};", "") }, encrypted},
		"a host that somebody here has named": {func(s *securedStation) { s.configure(s.t, `SmartHost="mx.far.org";`, "") }, encrypted},
		"MX that nothing proves": {func(s *securedStation) {},
			must + "nothing proves that mx.far.org is a mail server of far.org: neither DNSSEC nor an MTA-STS policy 5.7.30"},
		"a wrong certificate": {func(s *securedStation) {
			s.zone.Secure("far.org")
			s.server.cert = s.ca.issue(time.Time{}, "other.net")
		}, must + "mx.far.org has not proved who it is (tls: failed to verify certificate: x509: certificate is valid for other.net, not mx.far.org) 5.7.30"},
		"no TLS": {func(s *securedStation) {
			s.zone.Secure("far.org")
			s.server.cert = nil
		}, must + "mx.far.org offers no encryption 5.7.30"},
		"a host without REQUIRETLS": {func(s *securedStation) {
			s.zone.Secure("far.org")
			s.server.without = true
		}, must + "mx.far.org does not take such mail 5.7.30"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecuredStation(t)
			s.zone.Set(t, farZone)
			c.set(s)
			if got := s.result(func(e *envelope.Envelope) { e.RequireTLS = true }); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if mail := s.server.mail(); len(mail) > 0 && !strings.HasSuffix(mail, " REQUIRETLS") {
				t.Errorf("sent with %s", mail)
			}
		})
	}
}

// A message with the field TLS-Required: No goes out although the policy of the domain forbids it (RFC 8689 section 3).
func TestFieldTLSRequiredNo(t *testing.T) {
	s := newSecuredStation(t)
	s.server.cert = nil
	s.policy = "version: STSv1\nmode: enforce\nmx: mx.far.org\nmax_age: 86400\n"
	s.zone.Set(t, farZone+"\n_mta-sts.far.org. TXT \"v=STSv1; id=1;\"")
	s.send("TLS-required: no\r\n"+mailText, nil, "a@far.org")
	if line := <-s.results.news; line != "SMTP(far.org) relayed: relayed via mx.far.org a@far.org 2.0.0" {
		t.Error(line)
	}
}

// What becomes of encryption is told by policy, with the result-types of RFC 8460.
func TestSessionsAreTold(t *testing.T) {
	const record = "\n_mta-sts.far.org. TXT \"v=STSv1; id=1;\""
	policy := func(mode string) func(*securedStation) {
		return func(s *securedStation) {
			s.policy = "version: STSv1\nmode: " + mode + "\nmx: mx.far.org\nmax_age: 86400\n"
			s.zone.Set(s.t, farZone+record)
		}
	}
	dane := func(cert *x509.Certificate) func(*securedStation) {
		return func(s *securedStation) {
			if cert == nil {
				cert = s.server.cert.Leaf
			}
			s.zone.Set(s.t, farZone+tlsa("mx.far.org", 3, 1, 1, cert))
			s.zone.Secure("far.org", "mx.far.org", "_25._tcp.mx.far.org")
		}
	}
	for name, c := range map[string]struct {
		set  func(*securedStation)
		cert func(*securedStation) *tls.Certificate
		want string
	}{
		"encrypted":                   {want: "no-policy-found "},
		"any certificate":             {cert: func(s *securedStation) *tls.Certificate { return selfSigned(s.t) }, want: "no-policy-found "},
		"no TLS":                      {cert: func(*securedStation) *tls.Certificate { return nil }, want: "no-policy-found starttls-not-supported"},
		"DANE":                        {set: dane(nil), want: "tlsa "},
		"DANE, another certificate":   {set: dane(newAuthority(t).cert), want: "tlsa validation-failure"},
		"DANE, no TLS":                {set: dane(newAuthority(t).cert), cert: func(*securedStation) *tls.Certificate { return nil }, want: "tlsa starttls-not-supported"},
		"DANE, no answer":             {set: func(s *securedStation) { dane(nil)(s); s.zone.Fail("_25._tcp.mx.far.org") }, want: "tlsa dnssec-invalid"},
		"enforce":                     {set: policy("enforce"), want: "sts "},
		"enforce, another name":       {set: policy("enforce"), cert: func(s *securedStation) *tls.Certificate { return s.ca.issue(time.Time{}, "other.net") }, want: "sts certificate-host-mismatch"},
		"enforce, has ended":          {set: policy("enforce"), cert: func(s *securedStation) *tls.Certificate { return s.ca.issue(time.Now().Add(-time.Hour), "mx.far.org") }, want: "sts certificate-expired"},
		"enforce, unknown authority":  {set: policy("enforce"), cert: func(s *securedStation) *tls.Certificate { return newAuthority(s.t).issue(time.Time{}, "mx.far.org") }, want: "sts certificate-not-trusted"},
		"testing, another name":       {set: policy("testing"), cert: func(s *securedStation) *tls.Certificate { return s.ca.issue(time.Time{}, "other.net") }, want: "sts certificate-host-mismatch"},
		"testing":                     {set: policy("testing"), want: "sts "},
		"a policy that is not there":  {set: func(s *securedStation) { s.policy = "x"; s.zone.Set(s.t, farZone+record) }, want: "sts sts-policy-fetch-error, no-policy-found "},
		"an administrator's own word": {set: func(s *securedStation) { s.configure(s.t, `Destinations={"*"={TLS=Never;};};`, "") }, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecuredStation(t)
			s.zone.Set(t, farZone)
			if c.set != nil {
				c.set(s)
			}
			if c.cert != nil {
				s.server.cert = c.cert(s)
			}
			var mu sync.Mutex
			var told []string
			s.transport.UseSessions(func(one Session) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, one.Policy+" "+one.Result)
				if one.Domain != "far.org" || one.Result != "" && one.Result != "starttls-not-supported" && one.Reason == "" || one.Policy == "sts" && one.Result != "sts-policy-fetch-error" && len(one.MX) != 1 {
					t.Errorf("%+v", one)
				}
			})
			s.result(nil)
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(told, ", "); got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

// Look says what mail to a domain would meet.
func TestLook(t *testing.T) {
	look := func(set func(*securedStation)) string {
		t.Helper()
		s := newSecuredStation(t)
		s.zone.Set(t, farZone)
		set(s)
		found, err := s.transport.Look(t.Context(), "far.org")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(found.Lines, "\n") + fmt.Sprintf("\n%v", found.Goes)
	}
	for name, c := range map[string]struct {
		set  func(*securedStation)
		want []string
	}{
		"plain": {func(*securedStation) {}, []string{"DNSSEC: nothing is validated", "MTA-STS: no policy", "mx.far.org: mail is encrypted if it offers that, with any certificate",
			"connected with 192.0.2.30:25, TLS1.3\n", "certificate for mx.far.org", "\ntrue"}},
		"DANE": {func(s *securedStation) {
			s.zone.Set(t, farZone+tlsa("mx.far.org", 3, 1, 1, s.server.cert.Leaf))
			s.zone.Secure("far.org", "mx.far.org", "_25._tcp.mx.far.org")
		}, []string{"DNSSEC: the mail servers of far.org are validated", "its certificate has to be that of its TLSA records", "  TLSA 3 1 1 ", "TLS1.3+DANE", "\ntrue"}},
		"enforced, another name": {func(s *securedStation) {
			s.server.cert = s.ca.issue(time.Time{}, "other.net")
			s.policy = "version: STSv1\nmode: enforce\nmx: mx.far.org\nmax_age: 86400\n"
			s.zone.Set(t, farZone+"\n_mta-sts.far.org. TXT \"v=STSv1; id=1;\"")
		}, []string{"MTA-STS: a policy that is enforced, for mx.far.org", "no connection with 192.0.2.30:25: mx.far.org has not proved who it is", "\nfalse"}},
		"no TLS":       {func(s *securedStation) { s.server.cert = nil }, []string{"connected with 192.0.2.30:25, in clear", "\ntrue"}},
		"null MX":      {func(s *securedStation) { s.zone.Set(t, "far.org. MX 0 .") }, []string{"far.org does not take mail (null MX)", "\nfalse"}},
		"no such name": {func(s *securedStation) { s.zone.Set(t, "else.org. MX 0 .") }, []string{"far.org does not exist", "\nfalse"}},
	} {
		got := look(c.set)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, got)
			}
		}
	}
	s := newSecuredStation(t)
	if _, err := s.transport.Look(t.Context(), "a b"); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
