package accounts

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"gatepost/server/certificates"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// PrivateKey is a setting with a private key: PKCS #8, given in PEM or DER; empty for none.
type PrivateKey []byte

// SetValue reads a key.
func (k *PrivateKey) SetValue(v dataformat.Value) error {
	given, err := keyMaterial(v)
	if err != nil || len(given) == 0 {
		*k = nil
		return err
	}
	der, err := certificates.ReadKey(given)
	if err != nil {
		return errors.New(fault.Text(err))
	}
	*k = der
	return nil
}

// DataValue is the key.
func (k PrivateKey) DataValue() dataformat.Value { return keyValue(k) }

// Certificates is a setting with certificates, one after the other: DER, given in PEM or DER; empty for none.
type Certificates []byte

// SetValue reads certificates.
func (c *Certificates) SetValue(v dataformat.Value) error {
	given, err := keyMaterial(v)
	if err != nil || len(given) == 0 {
		*c = nil
		return err
	}
	list, err := certificates.ReadCertificates(given)
	if err != nil {
		return errors.New(fault.Text(err))
	}
	var der [][]byte
	for _, one := range list {
		der = append(der, one.Raw)
	}
	*c = bytes.Join(der, nil)
	return nil
}

// DataValue is the certificates.
func (c Certificates) DataValue() dataformat.Value { return keyValue(c) }

func keyValue(b []byte) dataformat.Value {
	if len(b) == 0 {
		return dataformat.String("")
	}
	return dataformat.Data(b)
}

// keyMaterial is the bytes of a data block or of a text.
func keyMaterial(v dataformat.Value) ([]byte, error) {
	if b, ok := v.(dataformat.Data); ok {
		return b, nil
	}
	text, ok := dataformat.Text(v)
	if !ok {
		return nil, fmt.Errorf("a data block or a text in PEM form is expected")
	}
	return []byte(text), nil
}

// What CertificateType says.
const (
	ServerCertificate = "Test" // the server's certificate is shown for the domain
	NoCertificate     = "NO"   // connections that name the domain are refused
	OwnCertificate    = "YES"
	ACMECertificate   = "ACME" // an authority gives it
)

// checkCertificate returns an error if the key and the certificate that a domain has of its own do not belong together, or if
// a certificate that is given now cannot be shown.
func checkCertificate(op string, before, explicit dataformat.Dict) error {
	var s DomainSettings
	settings.LoadLayers(&s, []dataformat.Dict{explicit}, func(string, error) {}) // each was checked
	if len(s.PrivateSecureKey) == 0 || len(s.SecureCertificate) == 0 {
		return nil
	}
	c, err := s.pair().TLS()
	if err != nil {
		return fault.Newf(op, fault.Invalid, "SecureCertificate: %s; give both settings together, or remove the other one first", fault.Text(err))
	}
	var old DomainSettings
	settings.LoadLayers(&old, []dataformat.Dict{before}, func(string, error) {})
	if bytes.Equal(old.SecureCertificate, s.SecureCertificate) {
		return nil
	}
	if err := certificates.Valid(c.Leaf, time.Now()); err != nil {
		return fault.Newf(op, fault.Invalid, "SecureCertificate: %s", fault.Text(err))
	}
	return nil
}

// pair is the key and the certificates of a domain.
func (s *DomainSettings) pair() *certificates.Pair {
	return &certificates.Pair{Key: s.PrivateSecureKey, Certificate: s.SecureCertificate, Chain: s.CAChain}
}

// readCertificate returns the domain's own certificate, nil if it has none that can be used.
func (d *domain) readCertificate(bad func(key string, reason error)) *tls.Certificate {
	if d.settings.CertificateType != OwnCertificate || len(d.settings.PrivateSecureKey) == 0 || len(d.settings.SecureCertificate) == 0 {
		return nil
	}
	c, err := d.settings.pair().TLS()
	if err != nil {
		bad("SecureCertificate", errors.New(fault.Text(err)))
		return nil
	}
	return c
}

// Certificate returns what a domain shows to clients that connect to it: CertificateType, and the domain's own certificate
// if it has one that is switched on. A domain that is not there, or cannot be read now, shows the server's.
func (s *directory) Certificate(domain string) (kind string, c *tls.Certificate) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return ServerCertificate, nil
	}
	return d.settings.CertificateType, d.certificate()
}

// DomainPair returns the key and the certificates that a domain has, whether they are switched on or not. Errors: NoDomain.
func (s *directory) DomainPair(domain string) (*certificates.Pair, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, err
	}
	return d.settings.pair(), nil
}

// CertificateNames returns the hosts of a domain that get a certificate by ACME. Errors: NoDomain.
func (s *directory) CertificateNames(domain string) ([]string, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, err
	}
	if len(d.settings.CertificateNames) > 0 {
		return d.settings.CertificateNames, nil
	}
	host, err := s.PublicName(domain)
	if err != nil {
		return nil, err
	}
	names := []string{host}
	if d.settings.MTASTSMode != NoPolicy {
		names = append(names, "mta-sts."+d.name)
	}
	return names, nil
}

// NoPolicy is the MTASTSMode of a domain without a policy.
const NoPolicy = "none"

// MTASTSPolicy is what a domain tells other servers of its own (RFC 8461 section 3.2).
type MTASTSPolicy struct {
	Mode   string // none, testing, enforce
	Hosts  []string
	MaxAge time.Duration
}

// MTASTSPolicy returns the policy of a domain. Errors: NoDomain.
func (s *directory) MTASTSPolicy(domain string) (p MTASTSPolicy, err error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return p, err
	}
	p = MTASTSPolicy{Mode: d.settings.MTASTSMode, Hosts: d.settings.MTASTSHosts, MaxAge: d.settings.MTASTSMaxAge.Duration()}
	if len(p.Hosts) == 0 {
		host, err := s.PublicName(domain)
		if err != nil {
			return p, err
		}
		p.Hosts = []string{host}
	}
	return p, nil
}

// Validate checks what a type alone does not bound.
func (s *DomainSettings) Validate() error {
	if age := s.MTASTSMaxAge.Duration(); s.MTASTSMaxAge < 0 || age < 24*time.Hour || age > 365*24*time.Hour {
		return settings.BadValue("MTASTSMaxAge", "must be 1d to 365d")
	}
	return s.LDAPSettings.validate()
}
