package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatepost/server/certificates"
)

// The test program of TLS servers finds no weakness.
func TestInteropTestssl(t *testing.T) {
	if os.Getenv("GATEPOST_INTEROP") == "" {
		t.Skip("GATEPOST_INTEROP is not set")
	}
	if _, err := exec.LookPath("testssl"); err != nil {
		t.Skip("there is no testssl")
	}
	r := start(t)
	dir := t.TempDir()
	authority := signServer(t, r, dir)
	var all sync.WaitGroup
	defer all.Wait()
	look := func(port int, p string) {
		cmd := exec.Command("testssl", "--quiet", "--color", "0", "--warnings", "off", "-n", "none", "--ip", "127.0.0.1", "--add-ca", authority, "-p", "-s", "-S", "-U", testDomain+":"+p)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		seen := 0
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "not vulnerable (OK)") || strings.Contains(line, "not offered (OK)") {
				seen++
			}
			if strings.Contains(line, "VULNERABLE") || strings.Contains(line, "NOT ok") || strings.Contains(line, "offered (deprecated)") {
				t.Errorf("port %d: %s", port, line)
			}
		}
		if !strings.Contains(string(out), "Chain of trust               Ok") {
			t.Errorf("port %d: the chain is not trusted\n%s", port, out)
		}
		if seen < 15 {
			t.Errorf("port %d: %v\n%s", port, err, out)
		}
	}
	for _, port := range []int{465, 993, 9010} {
		_, p, err := net.SplitHostPort(r.addr(port))
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() { look(port, p) })
	}
}

// signServer gives a server a certificate that an authority has signed, and returns the file with the authority's certificate.
func signServer(t *testing.T, r *running, dir string) (path string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	keyOf := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		return key
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	caKey, key := keyOf(), keyOf()
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	must(err)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	must(err)
	leaf := &x509.Certificate{SerialNumber: serial, CRLDistributionPoints: []string{"http://127.0.0.1/authority.crl"}, Subject: pkix.Name{CommonName: testDomain}, DNSNames: []string{testDomain}, NotBefore: ca.NotBefore,
		NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	must(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	must(os.WriteFile(filepath.Join(r.dir, "Certificates", "server.pem"), []byte(certificates.EncodeCertificates(der)), 0o600))
	must(os.WriteFile(filepath.Join(r.dir, "Certificates", "server.key"), []byte(certificates.EncodeKey(pkcs8)), 0o600))
	must(r.Reload(t.Context()))
	path = filepath.Join(dir, "authority.pem")
	must(os.WriteFile(path, []byte(certificates.EncodeCertificates(caDER)), 0o600))
	return path
}

// A mail server that knows only old suites of TLS 1.2 still encrypts on port 25, and nobody uses them elsewhere.
func TestOldSuites(t *testing.T) {
	r := start(t)
	key, err := certificates.GenerateKey("RSA 2048")
	if err != nil {
		t.Fatal(err)
	}
	der, err := certificates.MakeSelfSigned(key, certificates.Subject{CommonName: testDomain}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "Certificates", "server.pem"), []byte(certificates.EncodeCertificates(der)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "Certificates", "server.key"), []byte(certificates.EncodeKey(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA}} //nolint:gosec // what is offered is looked at
	if c, err := tls.Dial("tcp", r.addr(993), old); err == nil {
		c.Close()
		t.Error("port 993 takes an old suite")
	}
	c, err := net.Dial("tcp", r.addr(25))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 1000)
	for _, line := range []string{"", "EHLO old.test\r\n", "STARTTLS\r\n"} {
		if _, err := c.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); err != nil || buf[0] != '2' {
			t.Fatalf("%s: %q, %v", line, buf[:n], err)
		}
	}
	if err := tls.Client(c, old).HandshakeContext(t.Context()); err != nil {
		t.Errorf("port 25 refuses an old suite: %v", err)
	}
}
