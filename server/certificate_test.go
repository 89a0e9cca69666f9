package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatepost/server/certificates"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// testCertificate returns a certificate of an authority, and its key, in PEM form.
func testCertificate(t *testing.T, expires time.Time) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mail.corp.test", "corp.test"}, NotAfter: expires}
	issuer := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Test CA"}, NotAfter: expires, IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, leaf, issuer, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

func TestBadCertificateNamesTheFile(t *testing.T) {
	cert, key := testCertificate(t, time.Now().AddDate(1, 0, 0))
	_, other := testCertificate(t, time.Now().AddDate(1, 0, 0))
	for _, test := range []struct{ cert, key, want string }{
		{"garbage", key, "Certificates/server.pem: there is no certificate in PEM or DER form"},
		{key, key, "Certificates/server.pem: there is no certificate in PEM or DER form"},
		{cert, cert, "Certificates/server.key: there is no private key in PEM or DER form"},
		{cert, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "Certificates/server.key: the key is protected by a passphrase: give it without one"},
		{cert, other, "Certificates/server.key: the certificate is not that of the private key"},
	} {
		dir := t.TempDir()
		certPath, keyPath := filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile)
		for path, text := range map[string]string{certPath: test.cert, keyPath: test.key} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := readPair(certPath, keyPath); !fault.Is(err, fault.Invalid) || fault.Explain(err) != test.want {
			t.Errorf("got %s, want %s", fault.Explain(err), test.want)
		}
	}
}

func TestCertificateIsLoggedWhenItIsReadAnew(t *testing.T) {
	s := open(t)
	s.ran = true // as a server, not as a tool
	replace := func(expires time.Time) string {
		t.Helper()
		cert, key := testCertificate(t, expires)
		for file, text := range map[string]string{certificateFile: cert, keyFile: key} {
			if err := os.WriteFile(s.base.path("Certificates", file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before := len(systemLog(t, s))
		for range 2 {
			if err := s.reloadCertificate(); err != nil {
				t.Fatal(err)
			}
		}
		return systemLog(t, s)[before:]
	}
	for want, left := range map[string]time.Duration{
		"2 SYSTEM certificate read ":                                    60 * 24 * time.Hour,
		"3 SYSTEM the certificate expires soon ":                        24 * time.Hour,
		"1 SYSTEM the certificate has expired: clients will refuse it ": -time.Hour,
	} {
		expires := time.Now().Add(left)
		want += "file=Certificates/server.pem names=mail.corp.test,corp.test issuer=\"CN=Test CA\" expires=" + expires.UTC().Format(time.RFC3339)
		if got := replace(expires); strings.Count(got, want) != 1 {
			t.Errorf("the log is\n%s, not one time\n%s", got, want)
		}
	}
}

func systemLog(t *testing.T, s *Server) string {
	t.Helper()
	s.files.Flush()
	files, err := filepath.Glob(s.base.path("SystemLogs", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return string(all)
}

// A domain's own certificate is shown to those who name the domain, or a host of it that stands in the certificate.
func TestDomainCertificate(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.accounts.CreateDomain(ctx, "own.test", nil))
	must(s.accounts.SetDomainAliases(ctx, "own.test", []string{"alias.test"}))
	must(s.accounts.CreateDomain(ctx, "plain.test", nil))
	must(s.accounts.CreateDomain(ctx, "none.test", nil))
	set := func(domain, settings string) error {
		t.Helper()
		v, err := dataformat.Parse([]byte(settings))
		must(err)
		return s.accounts.DomainSettings(domain).Update(ctx, v.(dataformat.Dict))
	}
	key, err := certificates.GenerateKey("ECDSA P-256")
	must(err)
	other, err := certificates.GenerateKey("ECDSA P-256")
	must(err)
	der, err := certificates.MakeSelfSigned(key, certificates.Subject{CommonName: "own.test", Names: []string{"mx.own.test", "mail.own.test"}}, time.Hour)
	must(err)
	block := func(b []byte) string { return dataformat.Compact(dataformat.Data(b)) }
	if err := set("own.test", "{SecureCertificate="+block(der)+";PrivateSecureKey="+block(other)+";}"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a certificate of another key: %v", err)
	}
	ended, err := certificates.MakeSelfSigned(key, certificates.Subject{CommonName: "own.test"}, -time.Minute)
	must(err)
	if err := set("own.test", "{SecureCertificate="+block(ended)+";PrivateSecureKey="+block(key)+";}"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a certificate that has ended: %v", err)
	}
	must(set("own.test", "{CertificateType=YES;SecureCertificate="+block(der)+";PrivateSecureKey="+block(key)+";}"))
	must(set("none.test", "{CertificateType=NO;}"))

	shown := func(name string) string {
		client, served := net.Pipe()
		defer client.Close()
		go func() {
			defer served.Close()
			_ = tls.Server(served, s.encrypt).HandshakeContext(ctx) // the client tells what came of it
		}()
		c := tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // the certificate is looked at
		if err := c.HandshakeContext(ctx); err != nil {
			return err.Error()
		}
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	for name, want := range map[string]string{
		"": "corp.test", "corp.test": "corp.test", "own.test": "own.test", "OWN.test": "own.test", "mail.own.test": "own.test", "mx.own.test": "own.test",
		"www.own.test": "corp.test", "alias.test": "own.test", "mail.alias.test": "own.test", "plain.test": "corp.test", "elsewhere.test": "corp.test",
		"none.test": "remote error: tls: unrecognized name", "mail.none.test": "remote error: tls: unrecognized name", "mx.none.test": "corp.test",
	} {
		if got := shown(name); got != want {
			t.Errorf("%q is shown %q, want %q", name, got, want)
		}
	}
	// A ticket of a session under another name does not let a client in under the name of a domain without a certificate.
	cache := tls.NewLRUClientSessionCache(0)
	for _, name := range []string{"corp.test", "none.test"} {
		refused := name == "none.test"
		client, served := net.Pipe()
		go func() {
			defer served.Close()
			c := tls.Server(served, s.encrypt)
			if c.HandshakeContext(ctx) == nil {
				_, _ = c.Write([]byte("x")) // brings the ticket
			}
		}()
		c := tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true, ClientSessionCache: anyName{cache}}) //nolint:gosec // as above
		err := c.HandshakeContext(ctx)
		if err == nil {
			_, err = c.Read(make([]byte, 1))
		}
		if (err != nil) != refused {
			t.Errorf("with a ticket, %s: %v", name, err)
		}
		client.Close()
	}
	list, err := s.Certificates(ctx)
	must(err)
	if len(list) != 2 || list[1].(dataformat.Dict).String("domain") != "own.test" {
		t.Errorf("certificates: %s", dataformat.Compact(list))
	}
	s.lookAtCertificates(ctx, time.Now())
	s.lookAtCertificates(ctx, time.Now().Add(2*time.Hour))
	text := systemLog(t, s)
	for _, want := range []string{"3 SYSTEM the certificate of a domain ends soon domain=own.test", "1 SYSTEM the certificate of a domain has ended: clients refuse it domain=own.test"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("the log does not have %q once:\n%s", want, text)
		}
	}
	if found := s.monitoring.certificates.findings(); len(found) != 1 || found[0].Kind != "domain certificate over" {
		t.Errorf("findings %v", found)
	}
	must(set("own.test", "{CertificateType=default;}"))
	if got := shown("own.test"); got != "corp.test" {
		t.Errorf("a certificate that is switched off: %s is shown", got)
	}
}

// anyName keeps the sessions of all names under one.
type anyName struct{ tls.ClientSessionCache }

func (c anyName) Get(string) (*tls.ClientSessionState, bool) { return c.ClientSessionCache.Get("") }

func (c anyName) Put(_ string, s *tls.ClientSessionState) { c.ClientSessionCache.Put("", s) }
