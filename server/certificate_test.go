package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		{"garbage", key, "Certificates/server.pem: there is no certificate in PEM form"},
		{key, key, "Certificates/server.pem: there is no certificate in PEM form"},
		{cert, cert, "Certificates/server.key: there is no private key in PEM form"},
		{cert, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "Certificates/server.key: the key is protected by a passphrase: store it without one"},
		{cert, other, "Certificates/server.key: the key is not that of the first certificate in server.pem, or cannot be used: private key does not match public key"},
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
