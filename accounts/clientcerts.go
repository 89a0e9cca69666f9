package accounts

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"gatepost/server/certificates"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// Authorities is a setting with certificates of authorities, in PEM form; empty for none.
type Authorities string

const (
	maxAuthorities = 20
	// maxIntermediates bounds what verifying the certificate of a stranger costs.
	maxIntermediates = 5
)

// SetValue reads certificates in PEM form or DER.
func (c *Authorities) SetValue(v dataformat.Value) error {
	given, err := keyMaterial(v)
	if err != nil || len(given) == 0 {
		*c = ""
		return err
	}
	list, err := certificates.ReadCertificates(given)
	if err != nil {
		return errors.New(fault.Text(err))
	}
	if len(list) > maxAuthorities {
		return fmt.Errorf("there are more than %d certificates", maxAuthorities)
	}
	var der [][]byte
	for _, one := range list {
		if !one.BasicConstraintsValid || !one.IsCA {
			return fmt.Errorf("the certificate of %s is not that of an authority", one.Subject)
		}
		der = append(der, one.Raw)
	}
	*c = Authorities(certificates.EncodeCertificates(der...))
	return nil
}

// DataValue is the text.
func (c Authorities) DataValue() dataformat.Value { return dataformat.String(c) }

// pool returns the certificates, nil for none.
func (c Authorities) pool() *x509.CertPool {
	if c == "" {
		return nil
	}
	pool := x509.NewCertPool()
	for block, rest := pem.Decode([]byte(c)); block != nil; block, rest = pem.Decode(rest) {
		if one, err := x509.ParseCertificate(block.Bytes); err == nil { // SetValue has parsed it
			pool.AddCert(one)
		}
	}
	return pool
}

// ClientAuthorities returns the authorities whose certificates clients of a domain are asked for; nil if they are not asked.
func (s *directory) ClientAuthorities(domain string) *x509.CertPool {
	d, err := s.domain(s.realDomain(domain))
	if err != nil || !bool(d.settings.ClientCertReq) {
		return nil
	}
	return d.authorities()
}

// CertificateTrusted returns nil if an authority of the domain has signed the client certificate that begins the chain, and it is in
// force. The chain is as the client has sent it, which has proved that it has the key.
func (s *directory) CertificateTrusted(domain string, chain []*x509.Certificate) error {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return err
	}
	return d.trusts(chain)
}

func (d *domain) trusts(chain []*x509.Certificate) error {
	const op = "accounts.CertificateTrusted"
	roots := d.authorities()
	switch {
	case roots == nil:
		return fault.New(op, fault.BadCredentials, "the domain has no ClientCertCA")
	case len(chain) == 0:
		return fault.New(op, fault.BadCredentials, "there is no certificate")
	case len(chain) > 1+maxIntermediates:
		return fault.Newf(op, fault.BadCredentials, "there are more than %d certificates between it and the authority", maxIntermediates)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: time.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return fault.Wrap(op, fault.BadCredentials, err)
}

// certificate is a client certificate as a voucher.
type certificate []*x509.Certificate

func (c certificate) objection(now *Account) string {
	if !bool(now.settings.UseCertificateAuth) {
		return "UseCertificateAuth is off"
	}
	if err := now.domain.trusts(c); err != nil {
		return "the client certificate is not accepted: " + fault.Explain(err)
	}
	return ""
}

// AcceptsCertificate reports whether a client certificate lets the account in that is named. Errors are those of Account.
func (l *Logins) AcceptsCertificate(ctx context.Context, domain, name string, chain []*x509.Certificate) (bool, error) {
	a, err := l.store.Account(ctx, domain, name)
	return err == nil && certificate(chain).objection(a) == "", err
}

// LoginByCertificate lets in the account that the caller has found by an address in the first certificate of the chain. Errors: BadCredentials,
// Busy, Canceled.
func (l *Logins) LoginByCertificate(ctx context.Context, p Peer, domain, name string, chain []*x509.Certificate) (*Account, error) {
	return l.vouched(ctx, p, domain, name, certificate(chain))
}
