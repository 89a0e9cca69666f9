package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/mail"
	"slices"
	"strings"
	"time"

	"gatepost/router/address"
)

// KeyKinds are the kinds of keys that GenerateKey makes, the usual one first.
var KeyKinds = []string{"RSA 2048", "RSA 3072", "RSA 4096", "ECDSA P-256", "ECDSA P-384"}

// GenerateKey makes a private key and returns it as PKCS #8. Errors: Invalid for an unknown kind.
func GenerateKey(kind string) ([]byte, error) {
	var key crypto.Signer
	var err error
	switch kind {
	case "RSA 2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "RSA 3072":
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	case "RSA 4096":
		key, err = rsa.GenerateKey(rand.Reader, 4096)
	case "ECDSA P-256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ECDSA P-384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		return nil, invalid("GenerateKey", "a key is one of: %s", strings.Join(KeyKinds, ", "))
	}
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

// Subject is what a certificate or a request says about its owner.
type Subject struct {
	CommonName   string   // the host name
	Names        []string // further host names, and IP addresses
	Country      string   // two letters
	State        string
	City         string
	Organization string
	Unit         string
	Contact      string // a mail address
}

// subject is a Subject that was checked.
type subject struct {
	name  pkix.Name
	hosts []string
	ips   []net.IP
	mails []string
}

func (s *Subject) check() (*subject, error) {
	const op = "Subject"
	out := new(subject)
	add := func(host string) error {
		host = strings.TrimSpace(host)
		if host == "" {
			return nil
		}
		if ip := net.ParseIP(host); ip != nil {
			if slices.ContainsFunc(out.ips, ip.Equal) {
				return nil
			}
			out.ips = append(out.ips, ip)
			return nil
		}
		star, rest := "", host
		if after, ok := strings.CutPrefix(host, "*."); ok {
			star, rest = "*.", after
		}
		name, err := address.NormalizeDomain(rest)
		if err != nil || strings.HasPrefix(name, "[") {
			return invalid(op, "%q is not a host name", host)
		}
		if !slices.Contains(out.hosts, star+name) {
			out.hosts = append(out.hosts, star+name)
		}
		return nil
	}
	if err := add(s.CommonName); err != nil {
		return nil, err
	}
	if len(out.hosts)+len(out.ips) == 0 {
		return nil, invalid(op, "the common name is missing: it is the host name that programs connect to")
	}
	for _, n := range s.Names {
		if err := add(n); err != nil {
			return nil, err
		}
	}
	for _, field := range []string{s.State, s.City, s.Organization, s.Unit} {
		if len(field) > 128 {
			return nil, invalid(op, "%q is longer than 128 bytes", field)
		}
	}
	first := s.CommonName
	if len(out.hosts) > 0 {
		first = out.hosts[0]
	}
	if len(first) <= 64 { // RFC 5280, ub-common-name: a longer one stands among the alternative names alone
		out.name.CommonName = first
	}
	list := func(v string) []string {
		if v = strings.TrimSpace(v); v == "" {
			return nil
		}
		return []string{v}
	}
	country := strings.ToUpper(strings.TrimSpace(s.Country))
	if country != "" && (len(country) != 2 || strings.Trim(country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		return nil, invalid(op, "the country is two letters, such as NL")
	}
	out.name.Country, out.name.Province, out.name.Locality = list(country), list(s.State), list(s.City)
	out.name.Organization, out.name.OrganizationalUnit = list(s.Organization), list(s.Unit)
	if contact := strings.TrimSpace(s.Contact); contact != "" {
		a, err := mail.ParseAddress(contact)
		if err != nil || a.Address != contact || strings.ContainsFunc(contact, func(r rune) bool { return r > 126 }) {
			return nil, invalid(op, "the contact is not a mail address")
		}
		out.mails = []string{contact}
	}
	return out, nil
}

// MakeSelfSigned makes a certificate that is signed by its own key. Errors: Invalid.
func MakeSelfSigned(key []byte, s Subject, validFor time.Duration) ([]byte, error) {
	private, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	sub, err := s.check()
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	usage := x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign
	if _, ok := private.(*rsa.PrivateKey); ok {
		usage |= x509.KeyUsageKeyEncipherment
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               sub.name,
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(validFor),
		KeyUsage:              usage,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              sub.hosts,
		IPAddresses:           sub.ips,
		EmailAddresses:        sub.mails,
	}
	return x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
}

// MakeRequest makes a signing request in PEM, which is given to who signs certificates. Errors: Invalid.
func MakeRequest(key []byte, s Subject) (string, error) {
	private, err := parseKey(key)
	if err != nil {
		return "", err
	}
	sub, err := s.check()
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: sub.name, DNSNames: sub.hosts,
		IPAddresses: sub.ips, EmailAddresses: sub.mails}, private)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// EncodeCertificates writes certificates in PEM.
func EncodeCertificates(der ...[]byte) string {
	var b strings.Builder
	for _, d := range der {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d}))
	}
	return b.String()
}

// EncodeKey writes a private key in PEM.
func EncodeKey(key []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}
