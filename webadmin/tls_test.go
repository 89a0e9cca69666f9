package webadmin

import (
	"strings"
	"testing"
	"time"

	"gatepost/server/certificates"
)

// The page of a domain's certificate, from a key to a signed certificate.
func TestTLSPage(t *testing.T) {
	s := newSite(t)
	c := s.master()
	const page = "/Users/Domains/own.com/TLS"
	c.get(page).sees(200, "There is no private key yet")
	c.post(page, "do", "request", "CommonName", "own.com").sees(422, "no private key yet")
	c.post(page, "do", "generate", "kind", "RSA 512").sees(422, "a key is one of")
	c.post(page, "do", "generate", "kind", "ECDSA P-256").sees(200, "There is a private key (ECDSA P-256)", "Certificate generator")
	c.post(page, "do", "generate", "kind", "ECDSA P-256").sees(422, "remove it with its certificate first")
	c.post(page, "do", "request", "CommonName", "own.com", "Country", "NLD", "City", "Delft").sees(422, "two letters")
	if !strings.Contains(c.body, `value="Delft"`) {
		t.Error("what was typed is lost")
	}
	c.post(page, "do", "request", "CommonName", "own.com", "AlternativeNames", "mail.own.com", "Country", "NL").sees(200, "BEGIN CERTIFICATE REQUEST")
	c.post(page, "do", "sign", "CommonName", "own.com", "AlternativeNames", "mail.own.com www.own.com").
		sees(200, "in force for new connections", "own.com, mail.own.com, www.own.com", "itself")

	key, err := certificates.GenerateKey("ECDSA P-256")
	must(t, err)
	der, err := certificates.MakeSelfSigned(key, certificates.Subject{CommonName: "new.own.com"}, time.Hour)
	must(t, err)
	c.post(page, "do", "import", "chain", certificates.EncodeCertificates(der)).sees(422, "none of the certificates is that of the private key", "BEGIN CERTIFICATE")
	c.post(page, "do", "import", "chain", certificates.EncodeCertificates(der), "key", certificates.EncodeKey(key)).sees(200, "new.own.com")
	c.post(page, "do", "type", "type", "NO").sees(200, "Stored.")
	c.post(page, "do", "pkcs12", "password", "x").sees(422, "cannot be read as PKCS #12")
	c.post(page, "do", "remove").sees(200, "There is no private key yet")
}
