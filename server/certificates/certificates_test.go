package certificates

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"gatepost/server/fault"
)

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func made(t *testing.T, kind, host string) *Pair {
	t.Helper()
	key := must[[]byte](t)(GenerateKey(kind))
	return &Pair{Key: key, Certificate: must[[]byte](t)(MakeSelfSigned(key, Subject{CommonName: host}, 48*time.Hour))}
}

func refused(t *testing.T, err error, words string) {
	t.Helper()
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), words) {
		t.Errorf("error %v, want %q", err, words)
	}
}

func TestMakeAndRead(t *testing.T) {
	for _, kind := range []string{"RSA 2048", "ECDSA P-256", "ECDSA P-384"} {
		p := made(t, kind, "mail.company.com")
		c := must[*x509.Certificate](t)(x509.ParseCertificate(p.Certificate))
		if KeyName(c.PublicKey) != kind || !SelfSigned(c) || c.VerifyHostname("mail.company.com") != nil {
			t.Errorf("%s: %s, %v", kind, KeyName(c.PublicKey), c.DNSNames)
		}
		if _, err := p.TLS(); err != nil {
			t.Error(err)
		}
		again := must[*Pair](t)(FromPEM(EncodeCertificates(p.Certificate), EncodeKey(p.Key)))
		if !slices.Equal(again.Key, p.Key) || !slices.Equal(again.Certificate, p.Certificate) || again.Chain != nil {
			t.Errorf("%s is another pair after PEM", kind)
		}
	}
	_, err := GenerateKey("RSA 1024")
	refused(t, err, "a key is one of")
	p224 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	_, err = ReadKey(must[[]byte](t)(x509.MarshalPKCS8PrivateKey(p224)))
	refused(t, err, "P-224")
	long := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 16383), E: 65537}}
	refused(t, usable(long), "16384 bits")
}

func TestSubject(t *testing.T) {
	key := must[[]byte](t)(GenerateKey("ECDSA P-256"))
	s := Subject{CommonName: "Mail.Company.com", Names: []string{"*.company.com", "mail.company.com", "почта.рф", "192.0.2.1", ""}, Country: "nl", State: "Noord-Holland",
		City: "Amsterdam", Organization: "Company", Unit: "IT", Contact: "hostmaster@company.com"}
	block, _ := pem.Decode([]byte(must[string](t)(MakeRequest(key, s))))
	r := must[*x509.CertificateRequest](t)(x509.ParseCertificateRequest(block.Bytes))
	if err := r.CheckSignature(); err != nil || block.Type != "CERTIFICATE REQUEST" {
		t.Error(block.Type, err)
	}
	if got := r.Subject.String(); got != "CN=mail.company.com,OU=IT,O=Company,L=Amsterdam,ST=Noord-Holland,C=NL" {
		t.Error(got)
	}
	if !slices.Equal(r.DNSNames, []string{"mail.company.com", "*.company.com", "xn--80a1acny.xn--p1ai"}) || r.IPAddresses[0].String() != "192.0.2.1" ||
		r.EmailAddresses[0] != "hostmaster@company.com" {
		t.Errorf("%v %v %v", r.DNSNames, r.IPAddresses, r.EmailAddresses)
	}
	for words, s := range map[string]Subject{
		"common name is missing": {},
		"not a host name":        {CommonName: "a b"},
		"two letters":            {CommonName: "a.com", Country: "NLD"},
		"longer than":            {CommonName: "a.com", City: strings.Repeat("x", 129)},
		"not a mail address":     {CommonName: "a.com", Contact: "Joe <j@a.com>"},
	} {
		_, err := MakeRequest(key, s)
		refused(t, err, words)
		_, err = MakeSelfSigned(key, s, time.Hour)
		refused(t, err, words)
	}
	long := strings.Repeat("a", 60) + ".company.com"
	c := must[*x509.Certificate](t)(x509.ParseCertificate(must[[]byte](t)(MakeSelfSigned(key, Subject{CommonName: long}, time.Hour))))
	if c.Subject.CommonName != "" || c.VerifyHostname(long) != nil {
		t.Errorf("%q %v", c.Subject.CommonName, c.DNSNames)
	}
}

func TestFromPEM(t *testing.T) {
	a, b := made(t, "ECDSA P-256", "a.com"), made(t, "ECDSA P-256", "b.com")
	// The chain may stand before the certificate, and the key with them.
	p := must[*Pair](t)(FromPEM(EncodeCertificates(b.Certificate, a.Certificate)+EncodeKey(a.Key), ""))
	if !slices.Equal(p.Certificate, a.Certificate) || !slices.Equal(p.Chain, b.Certificate) {
		t.Error("the certificate of the key is not first")
	}
	if c, err := p.TLS(); err != nil || len(c.Certificate) != 2 {
		t.Error(err)
	}
	old := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: must[[]byte](t)(x509.MarshalECPrivateKey(must[any](t)(x509.ParsePKCS8PrivateKey(a.Key)).(*ecdsa.PrivateKey)))})
	if _, err := FromPEM(EncodeCertificates(a.Certificate), string(old)); err != nil {
		t.Error(err)
	}
	locked := "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
	for _, c := range []struct{ chain, key, words string }{
		{"", "", "private key"},
		{EncodeCertificates(a.Certificate), "", "there is no private key"},
		{EncodeCertificates(a.Certificate), EncodeKey(b.Key), "none of the certificates"},
		{EncodeCertificates(a.Certificate), locked, "passphrase"},
		{"", EncodeKey(b.Key), "there is no certificate"},
		{EncodeCertificates([]byte("x")), EncodeKey(b.Key), "cannot be read"},
		{strings.Repeat(EncodeCertificates(a.Certificate), 21), EncodeKey(a.Key), "more than 20"},
		{strings.Repeat("x", MaxSize+1), EncodeKey(a.Key), "too long"},
		{"", strings.Repeat("x", MaxSize+1), "too long"},
	} {
		_, err := FromPEM(c.chain, c.key)
		refused(t, err, c.words)
	}
	_, err := (&Pair{Key: a.Key, Certificate: b.Certificate}).TLS()
	refused(t, err, "not that of the private key")
}

func TestFromPKCS12(t *testing.T) {
	p := made(t, "RSA 2048", "a.com")
	key := must[any](t)(x509.ParsePKCS8PrivateKey(p.Key))
	c := must[*x509.Certificate](t)(x509.ParseCertificate(p.Certificate))
	for name, e := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern, "legacy": pkcs12.LegacyDES} {
		file := must[[]byte](t)(e.Encode(key, c, nil, "secret"))
		got := must[*Pair](t)(FromPKCS12(file, "secret"))
		if !slices.Equal(got.Key, p.Key) || !slices.Equal(got.Certificate, p.Certificate) {
			t.Errorf("%s: another pair", name)
		}
		_, err := FromPKCS12(file, "wrong")
		refused(t, err, "password")
	}
	_, err := FromPKCS12([]byte("x"), "")
	refused(t, err, "PKCS #12")
	// The number of rounds is written anew as one that would take minutes.
	for name, e := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern, "legacy": pkcs12.LegacyDES} {
		file := must[[]byte](t)(e.WithIterations(0x010203).Encode(key, c, nil, "secret"))
		if n := rounds(file); n < 0x010203 || n > maxRounds {
			t.Errorf("%s: %d rounds", name, n)
		}
		slow := bytes.ReplaceAll(file, []byte{0x02, 0x03, 0x01, 0x02, 0x03}, []byte{0x02, 0x03, 0x7f, 0xff, 0xff})
		_, err := FromPKCS12(slow, "secret")
		refused(t, err, "rounds of its key derivation")
	}
}

func TestValid(t *testing.T) {
	c := must[*x509.Certificate](t)(x509.ParseCertificate(made(t, "ECDSA P-256", "a.com").Certificate))
	if err := Valid(c, time.Now()); err != nil {
		t.Error(err)
	}
	refused(t, Valid(c, time.Now().Add(49*time.Hour)), "has ended on")
	refused(t, Valid(c, time.Now().Add(-49*time.Hour)), "not valid before")
}

func FuzzFromPEM(f *testing.F) {
	key, _ := GenerateKey("ECDSA P-256")
	der, _ := MakeSelfSigned(key, Subject{CommonName: "a.com"}, time.Hour)
	f.Add(EncodeCertificates(der), EncodeKey(key))
	f.Add(string(der), string(key))
	f.Fuzz(func(t *testing.T, chain, key string) {
		p, err := FromPEM(chain, key)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Error(err)
			}
			return
		}
		if _, err := p.TLS(); err != nil {
			t.Error(err)
		}
	})
}
