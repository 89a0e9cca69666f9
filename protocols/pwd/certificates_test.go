package pwd

import (
	"crypto/x509"
	"testing"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"gatepost/server/certificates"
	"gatepost/server/dataformat"
)

// A certificate comes in as a PKCS #12 file, if it is for a host of the domain.
func TestImportPKCS12(t *testing.T) {
	s := newSite(t, false)
	c := s.login(t, "postmaster", "secret")
	file := func(host string) string {
		key, err := certificates.GenerateKey("ECDSA P-256")
		if err != nil {
			t.Fatal(err)
		}
		der, err := certificates.MakeSelfSigned(key, certificates.Subject{CommonName: host}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.ParsePKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		out, err := pkcs12.Modern.Encode(private, leaf, nil, "pw")
		if err != nil {
			t.Fatal(err)
		}
		return dataformat.Compact(dataformat.Dict{"File": dataformat.Data(out), "Password": dataformat.String("pw")})
	}
	c.expect("IMPORTDOMAINPKCS12 c.com "+file("mail.c.com"), "200 OK")
	c.expect("ImportDomainPKCS12 c.com "+file("c.com"), "200 OK")
	c.expect("IMPORTDOMAINPKCS12 c.com "+file("mail.other.com"), "500 the certificate is for mail.other.com, none of which is a host of c.com")
	c.expect("IMPORTDOMAINPKCS12 c.com {File=[AAAA];Password=pw;}", "500 the file cannot be read as PKCS #12")
}
