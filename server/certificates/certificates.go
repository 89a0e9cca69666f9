// Package certificates reads, makes and explains what TLS needs: private keys, certificates with their chains, and
// requests for certificates. It keeps nothing.
//
// A Pair is what a listener shows: a key and the certificates that belong to it. Its parts are DER, as the settings of
// domains have them; people give PEM or PKCS #12. An error says in words what is wrong with what was given.
//
// RFC 5280 (certificates), 2986 (requests), 5958 (keys), 7292 (PKCS #12), 7468 (PEM).
package certificates

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"gatepost/server/fault"
)

// MaxSize bounds what is read as a key or a chain, in bytes.
const MaxSize = 256 << 10

// The bits of an RSA key: a shorter one is not trusted, and a longer one is refused by most programs and slow.
const (
	minRSA = 2048
	maxRSA = 8192
)

// maxChain is how many certificates a chain may have.
const maxChain = 20

// Pair is a key with its certificates.
type Pair struct {
	Key         []byte // the private key, PKCS #8
	Certificate []byte // its certificate; its chain may follow
	Chain       []byte // those that signed it, one after the other; empty for none
}

func invalid(op, format string, args ...any) error {
	return fault.Newf("certificates."+op, fault.Invalid, format, args...)
}

// ReadKey reads a private key in PEM or DER, in any of the usual forms, and returns it as PKCS #8. Errors: Invalid.
func ReadKey(given []byte) ([]byte, error) {
	const op = "ReadKey"
	if len(given) > MaxSize {
		return nil, invalid(op, "the private key is too long")
	}
	der := given
	if block := firstBlock(given, isKey); block != nil {
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, invalid(op, "the key is protected by a passphrase: give it without one")
		}
		der = block.Bytes
	} else if bytes.Contains(given, []byte("-----BEGIN")) {
		return nil, invalid(op, "there is no private key in PEM or DER form")
	}
	key, err := parseKey(der)
	if err != nil {
		return nil, err
	}
	out, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, invalid(op, "the private key cannot be used for TLS")
	}
	return out, nil
}

func parseKey(der []byte) (crypto.Signer, error) {
	const op = "ReadKey"
	var key any
	var err error
	if key, err = x509.ParsePKCS8PrivateKey(der); err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(der); err != nil {
			if key, err = x509.ParseECPrivateKey(der); err != nil {
				return nil, invalid(op, "there is no private key in PEM or DER form")
			}
		}
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, invalid(op, "the private key cannot be used for TLS")
	}
	if err := usable(key); err != nil {
		return nil, err
	}
	return s, nil
}

// usable returns an error for a kind of key that clients do not take.
func usable(key any) error {
	const op = "ReadKey"
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < minRSA || k.N.BitLen() > maxRSA {
			return invalid(op, "the private key has %d bits: programs want %d to %d", k.N.BitLen(), minRSA, maxRSA)
		}
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P224() { // TLS has no name for it any more (RFC 8446 section 4.2.3)
			return invalid(op, "the private key is on the curve P-224, which TLS does not take: P-256 and P-384 are usual")
		}
	case ed25519.PrivateKey:
	default:
		return invalid(op, "the private key cannot be used for TLS")
	}
	return nil
}

// ReadCertificates reads certificates in PEM, or in DER one after the other, in their order. Errors: Invalid.
func ReadCertificates(given []byte) ([]*x509.Certificate, error) {
	const op = "ReadCertificates"
	if len(given) > MaxSize {
		return nil, invalid(op, "the certificates are too long")
	}
	der, inPEM := given, bytes.Contains(given, []byte("-----BEGIN"))
	if inPEM {
		der = nil
		for block, rest := pem.Decode(given); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "CERTIFICATE" {
				der = append(der, block.Bytes...)
			}
		}
	}
	list, err := x509.ParseCertificates(der)
	switch {
	case err != nil && inPEM:
		return nil, invalid(op, "the certificate cannot be read: %s", strings.TrimPrefix(err.Error(), "x509: "))
	case err != nil, len(list) == 0:
		return nil, invalid(op, "there is no certificate in PEM or DER form")
	case len(list) > maxChain:
		return nil, invalid(op, "the chain has more than %d certificates", maxChain)
	}
	return list, nil
}

// FromPEM reads a certificate with its chain, and the key; without a key it stands with the certificates. The
// certificate of the key is found wherever it stands. Errors: Invalid.
func FromPEM(chain, key string) (*Pair, error) {
	if strings.TrimSpace(key) == "" {
		key = chain
	}
	der, err := ReadKey([]byte(key))
	if err != nil {
		return nil, err
	}
	list, err := ReadCertificates([]byte(chain))
	if err != nil {
		return nil, err
	}
	return arrange(der, list)
}

// arrange puts the certificate of a key before the others.
func arrange(key []byte, list []*x509.Certificate) (*Pair, error) {
	private, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	p := &Pair{Key: key}
	for _, c := range list {
		if p.Certificate == nil && samePublicKey(c.PublicKey, private.Public()) {
			p.Certificate = c.Raw
		} else {
			p.Chain = append(p.Chain, c.Raw...)
		}
	}
	if p.Certificate == nil {
		return nil, invalid("Pair", "none of the certificates is that of the private key")
	}
	return p, nil
}

func samePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// TLS returns the pair as listeners take it. Errors: Invalid, when the parts do not belong together.
func (p *Pair) TLS() (*tls.Certificate, error) {
	const op = "Pair"
	key, err := parseKey(p.Key)
	if err != nil {
		return nil, err
	}
	own, err := ReadCertificates(p.Certificate)
	if err != nil {
		return nil, err
	}
	leaf := own[0]
	if !samePublicKey(leaf.PublicKey, key.Public()) {
		return nil, invalid(op, "the certificate is not that of the private key")
	}
	c := &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	chain := own[1:]
	if len(p.Chain) > 0 {
		more, err := ReadCertificates(p.Chain)
		if err != nil {
			return nil, err
		}
		chain = append(chain, more...)
	}
	for _, one := range chain {
		if !one.Equal(leaf) {
			c.Certificate = append(c.Certificate, one.Raw)
		}
	}
	return c, nil
}

// Valid returns an error unless a certificate can be shown now. Errors: Invalid.
func Valid(leaf *x509.Certificate, now time.Time) error {
	switch {
	case !now.Before(leaf.NotAfter):
		return invalid("Valid", "the certificate has ended on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		return invalid("Valid", "the certificate is not valid before %s", leaf.NotBefore.UTC().Format(time.DateOnly))
	}
	return nil
}

// SelfSigned reports whether a certificate is signed by itself.
func SelfSigned(leaf *x509.Certificate) bool { return bytes.Equal(leaf.RawIssuer, leaf.RawSubject) }

// Names are the host names and addresses that a certificate is for.
func Names(leaf *x509.Certificate) []string {
	names := append([]string{}, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// KeyName says what kind of key a public key is, for people: "RSA 2048", "ECDSA P-256".
func KeyName(public crypto.PublicKey) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", public), "*")
}

// PublicKey returns the public key of a private one in PKCS #8. Errors: Invalid.
func PublicKey(key []byte) (crypto.PublicKey, error) {
	k, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	return k.Public(), nil
}

func isKey(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") }

// firstBlock is the first block of a type.
func firstBlock(text []byte, wanted func(kind string) bool) *pem.Block {
	for {
		block, rest := pem.Decode(text)
		if block == nil || wanted(block.Type) {
			return block
		}
		text = rest
	}
}
