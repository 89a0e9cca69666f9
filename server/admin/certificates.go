package admin

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"net"

	"gatepost/accounts"
	"gatepost/server/certificates"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about the certificates of domains. What they make is kept in the settings of the domain:
// CertificateType, PrivateSecureKey, SecureCertificate, CAChain.

// selfSignedFor is how long a certificate is valid that the server makes.
const selfSignedFor = 5 * 365 * 24 * time.Hour

// Subject reads what a certificate says about its owner: CommonName, AlternativeNames (an array, or names with commas or spaces
// between them), Country, State, City, Organization, Unit, Contact. Errors: Invalid.
func Subject(d dataformat.Dict) (certificates.Subject, error) {
	var s certificates.Subject
	fields := map[string]*string{"CommonName": &s.CommonName, "Country": &s.Country, "State": &s.State, "City": &s.City,
		"Organization": &s.Organization, "Unit": &s.Unit, "Contact": &s.Contact}
	for key := range d {
		switch {
		case fields[key] != nil:
			*fields[key] = d.String(key)
		case key == "AlternativeNames":
			names := []string{d.String(key)}
			if _, ok := d[key].(dataformat.Array); ok {
				names = d.Strings(key)
			}
			for _, one := range names {
				s.Names = append(s.Names, strings.FieldsFunc(one, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })...)
			}
		default:
			return s, fault.Newf("admin.Subject", fault.Invalid, "unknown field %s: there are CommonName, AlternativeNames, Country, State, City, Organization, Unit, Contact", key)
		}
	}
	return s, nil
}

// DescribeCertificate says what a certificate with its chain is: names, subject, issuer, selfSigned, notBefore, notAfter, key, chain,
// fingerprint.
func DescribeCertificate(cert *tls.Certificate) dataformat.Dict {
	leaf := cert.Leaf
	sum := sha256.Sum256(leaf.Raw)
	own := "NO"
	if certificates.SelfSigned(leaf) {
		own = "YES"
	}
	return dataformat.Dict{
		"names": texts(certificates.Names(leaf)), "subject": dataformat.String(leaf.Subject.String()), "issuer": dataformat.String(leaf.Issuer.String()),
		"selfSigned": dataformat.String(own), "notBefore": dataformat.Time{T: leaf.NotBefore}, "notAfter": dataformat.Time{T: leaf.NotAfter},
		"key": dataformat.String(certificates.KeyName(leaf.PublicKey)), "chain": dataformat.Number(len(cert.Certificate)),
		"fingerprint": dataformat.String(hex.EncodeToString(sum[:])),
	}
}

// DomainCertificate tells what encrypted connections to a domain are shown: type (CertificateType), key if there is one, and
// what DescribeCertificate says of its own certificate, with chainText in PEM; for ACME hosts, see Monitors.ACMEStates.
func (a Actor) DomainCertificate(ctx context.Context, name string) (dataformat.Dict, error) {
	return look(ctx, a, "GETDOMAINCERTIFICATE", domain(name), func(o *operation) (dataformat.Dict, error) {
		kind, _ := o.admin.acc.Certificate(o.domain)
		p, err := o.admin.acc.DomainPair(o.domain)
		if err != nil {
			return nil, err
		}
		d := dataformat.Dict{}
		if len(p.Certificate) > 0 && len(p.Key) > 0 {
			cert, err := p.TLS()
			if err != nil {
				return nil, err
			}
			d = DescribeCertificate(cert)
			d["chainText"] = dataformat.String(certificates.EncodeCertificates(cert.Certificate...))
		} else if len(p.Key) > 0 {
			public, err := certificates.PublicKey(p.Key)
			if err != nil {
				return nil, err
			}
			d["key"] = dataformat.String(certificates.KeyName(public))
		}
		d["type"] = dataformat.String(kind)
		if kind == accounts.ACMECertificate {
			if d["hosts"], err = o.admin.server.ACMEStates(o, o.domain); err != nil {
				return nil, err
			}
		}
		return d, nil
	})
}

// GenerateDomainKey makes a private key for a domain that has none. Errors: Exists; Invalid for an unknown kind.
func (a Actor) GenerateDomainKey(ctx context.Context, name, kind string) error {
	return do(ctx, a, "GENERATEDOMAINKEY", domain(name), func(o *operation) error {
		if kind == "" {
			kind = certificates.KeyKinds[0]
		}
		o.new = dataformat.String(kind)
		p, err := o.admin.acc.DomainPair(o.domain)
		if err != nil {
			return err
		}
		if len(p.Key) > 0 {
			return fault.New("admin.GenerateDomainKey", fault.Exists, "the domain has a private key: remove it with its certificate first")
		}
		key, err := certificates.GenerateKey(kind)
		if err != nil {
			return err
		}
		return o.updateCertificate(dataformat.Dict{"PrivateSecureKey": dataformat.Data(key)})
	})
}

func (o *operation) updateCertificate(change dataformat.Dict) error {
	return o.admin.acc.DomainSettings(o.domain).Update(o, change)
}

// domainKey is the private key of the domain.
func (o *operation) domainKey() ([]byte, error) {
	p, err := o.admin.acc.DomainPair(o.domain)
	if err != nil {
		return nil, err
	}
	if len(p.Key) == 0 {
		return nil, fault.New("admin.DomainKey", fault.NotFound, "the domain has no private key yet")
	}
	return p.Key, nil
}

// CreateDomainCertificate signs a certificate for a domain with the domain's own key, and puts it in force. Errors: NotFound
// without a key; Invalid for a subject.
func (a Actor) CreateDomainCertificate(ctx context.Context, name string, subject dataformat.Dict) error {
	return do(ctx, a, "CREATEDOMAINCERTIFICATE", domain(name), func(o *operation) error {
		o.new = subject
		key, err := o.domainKey()
		if err != nil {
			return err
		}
		s, err := Subject(subject)
		if err != nil {
			return err
		}
		der, err := certificates.MakeSelfSigned(key, s, selfSignedFor)
		if err != nil {
			return err
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		if err := o.isOfDomain(leaf); err != nil {
			return err
		}
		return o.updateCertificate(dataformat.Dict{"CertificateType": dataformat.String(accounts.OwnCertificate),
			"SecureCertificate": dataformat.Data(der), "CAChain": dataformat.String("default")})
	})
}

// CertificateRequest makes a signing request for a domain, in PEM. Errors: NotFound without a key; Invalid for a subject.
func (a Actor) CertificateRequest(ctx context.Context, name string, subject dataformat.Dict) (string, error) {
	return look(ctx, a, "GETCERTIFICATEREQUEST", domain(name), func(o *operation) (string, error) {
		key, err := o.domainKey()
		if err != nil {
			return "", err
		}
		s, err := Subject(subject)
		if err != nil {
			return "", err
		}
		return certificates.MakeRequest(key, s)
	})
}

// ImportDomainCertificate puts a certificate with its chain, in PEM, in force for a domain. Without a key, in PEM too, it is one for
// the key that the domain has, or the key stands with it. Errors: Invalid.
func (a Actor) ImportDomainCertificate(ctx context.Context, name, chain, key string) error {
	return do(ctx, a, "IMPORTDOMAINCERTIFICATE", domain(name), func(o *operation) error {
		if strings.TrimSpace(key) == "" && !strings.Contains(chain, "PRIVATE KEY-----") {
			own, err := o.domainKey()
			if err != nil {
				return err
			}
			key = certificates.EncodeKey(own)
		}
		p, err := certificates.FromPEM(chain, key)
		if err != nil {
			return err
		}
		return o.putPair(p)
	})
}

// ImportDomainPKCS12 is ImportDomainCertificate for a PKCS #12 file.
func (a Actor) ImportDomainPKCS12(ctx context.Context, name string, file []byte, password string) error {
	return do(ctx, a, "IMPORTDOMAINPKCS12", domain(name), func(o *operation) error {
		p, err := certificates.FromPKCS12(file, password)
		if err != nil {
			return err
		}
		return o.putPair(p)
	})
}

// isOfDomain returns an error if a certificate is for no host of the domain: no client would ever be shown it.
func (o *operation) isOfDomain(leaf *x509.Certificate) error {
	names := certificates.Names(leaf)
	for _, name := range names {
		if net.ParseIP(name) != nil {
			return nil // the domain may have the address
		}
		_, rest, _ := strings.Cut(name, ".")
		for _, host := range []string{name, rest} {
			if of, ok := o.admin.acc.DomainName(host); ok && of == o.domain {
				return nil
			}
		}
		if public, err := o.admin.acc.PublicName(o.domain); err == nil && leaf.VerifyHostname(public) == nil {
			return nil
		}
	}
	if len(names) == 0 {
		return fault.New("admin.Certificate", fault.Invalid, "the certificate has no alternative names: clients go by nothing else")
	}
	return fault.Newf("admin.Certificate", fault.Invalid, "the certificate is for %s, none of which is a host of %s", strings.Join(names, ", "), o.domain)
}

func (o *operation) putPair(p *certificates.Pair) error {
	cert, err := p.TLS()
	if err != nil {
		return err
	}
	if err := certificates.Valid(cert.Leaf, time.Now()); err != nil {
		return err
	}
	if err := o.isOfDomain(cert.Leaf); err != nil {
		return err
	}
	o.new = DescribeCertificate(cert)
	chain := dataformat.Value(dataformat.String("default"))
	if len(p.Chain) > 0 {
		chain = dataformat.Data(p.Chain)
	}
	return o.updateCertificate(dataformat.Dict{"CertificateType": dataformat.String(accounts.OwnCertificate), "PrivateSecureKey": dataformat.Data(p.Key),
		"SecureCertificate": dataformat.Data(p.Certificate), "CAChain": chain})
}

// RemoveDomainCertificate removes the private key of a domain and its certificate: the server's is shown again.
func (a Actor) RemoveDomainCertificate(ctx context.Context, name string) error {
	return do(ctx, a, "REMOVEDOMAINCERTIFICATE", domain(name), func(o *operation) error {
		none := dataformat.String("default")
		return o.updateCertificate(dataformat.Dict{"CertificateType": none, "PrivateSecureKey": none, "SecureCertificate": none, "CAChain": none})
	})
}
