package relay

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatepost/protocols/relay/mtasts"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
	"gatepost/server/resolver"
)

// proof is what a host has to prove before it gets mail, beyond what the settings say.
type proof string

const (
	proofNone    proof = ""
	proofDANE    proof = "DANE"    // its certificate is that of its TLSA records (RFC 7672)
	proofMTASTS  proof = "MTA-STS" // it is a host of the policy, with a certificate of its name (RFC 8461)
	proofTesting proof = "testing" // nothing: the policy is being tested
	proofCalled  proof = "called"  // a certificate of its name, since the message asks for it (RFC 8689)
)

// insecure is why a host gets no mail now, or never: it does not prove what it has to.
type insecure struct {
	code envelope.Code
	text string
	err  error // the cause, or nil
}

func (e *insecure) Error() string { return e.text }
func (e *insecure) Unwrap() error { return e.err }

// notSecure makes a delay.
func notSecure(format string, args ...any) error {
	return &insecure{code: envelope.Code{4, 7, 5}, text: fmt.Sprintf(format, args...)}
}

// security is what the mail servers of a domain have to prove. The zero security asks for nothing.
type security struct {
	// mx says that DNSSEC has validated which hosts are the mail servers.
	mx     bool
	dane   bool // TLSA records count
	policy *mtasts.Policy
	// problem is why a policy that seems to be there could not be had.
	problem error
}

// securityOf finds what the hosts of a way have to prove. What the settings say about TLS is the least; Never
// is an administrator's own decision, and so is Verified, which names what is verified.
func (t *Transport) securityOf(ctx context.Context, w way) (security, error) {
	var s security
	if !w.mx || w.lmtp || w.optional || w.tls == tlsNever {
		return s, nil
	}
	set := t.settings.Get()
	if bool(set.DANE) || w.require {
		answer, err := t.finder.dns.MX(ctx, w.name)
		switch {
		case err != nil && fault.KindOf(err).Temporary():
			return s, waits(fault.Text(err)) // not to be taken for a domain without DNSSEC
		case err != nil:
			return s, nil // the finder meets it too
		}
		s.mx = answer.Secure
		s.dane = bool(set.DANE) && s.mx
	}
	if bool(set.MTASTS) && t.policies != nil {
		found, err := t.policies.Of(ctx, w.name)
		if err != nil {
			return s, err
		}
		if found.Policy != nil && found.Policy.Mode != mtasts.None {
			s.policy = found.Policy
		} else {
			s.problem = found.Problem
		}
	}
	return s, nil
}

// secured returns a hop with what its host has to prove. An error, an *insecure, says that it gets no mail.
func (t *Transport) secured(ctx context.Context, w way, s security, h hop) (hop, error) {
	if w.lmtp { // a program of this site, which delivers at once: its setting decides
		return h, nil
	}
	raises := h.tls == ifOffered || h.tls == tlsRequired
	if s.dane && (raises || w.require) {
		records, base, err := t.tlsaOf(ctx, h.host.Name, h.port())
		switch {
		case err != nil:
			return h, notSecure("%s may have TLSA records, and they cannot be had: %s", h.host.Name, fault.Text(err))
		case len(records) > 0:
			usable := slices.DeleteFunc(slices.Clone(records), func(r resolver.TLSA) bool { return !usableTLSA(r) })
			if len(usable) > 0 {
				h.tls, h.proof, h.tlsa, h.base, h.domain = tlsRequired, proofDANE, joinTLSA(usable), base, w.name
				return h, nil
			}
			h.tls = cmp.Or(raised(h.tls), h.tls) // encrypted, and nothing to compare with (RFC 7672 section 2.2)
		}
	}
	switch {
	case s.policy != nil && s.policy.Mode == mtasts.Enforce && (raises || w.require):
		if !s.policy.Matches(h.host.Name) {
			return h, notSecure("%s is not one of the hosts that the MTA-STS policy of %s names", h.host.Name, w.name)
		}
		h.tls, h.proof, h.domain = tlsVerified, proofMTASTS, ""
	case w.require && (!w.mx || s.mx || s.policy != nil && s.policy.Matches(h.host.Name) || h.tls == tlsVerified || h.tls == tlsImplicit):
		if h.tls != tlsImplicit {
			h.tls = tlsVerified
		}
		h.proof, h.domain = proofCalled, ""
	case w.require:
		return h, unproven("nothing proves that " + h.host.Name + " is a mail server of " + w.name + ": neither DNSSEC nor an MTA-STS policy")
	case s.policy != nil && raises:
		h.proof = proofTesting
	}
	return h, nil
}

// raised is the setting that takes clear text away.
func raised(tls string) string {
	if tls == ifOffered {
		return tlsRequired
	}
	return ""
}

// unproven is the failure of a message that is to go out with REQUIRETLS (RFC 8689 section 4.2.1).
func unproven(text string) error {
	return &insecure{code: envelope.Code{5, 7, 30}, text: "the sender requires encryption with proof (REQUIRETLS): " + text}
}

// tlsaOf returns the TLSA records of a host, with the name that has them (RFC 7672 section 2.2). There are none if DNSSEC does not
// validate the addresses of the host. Errors: what cannot be looked up, or was found to be bogus.
func (t *Transport) tlsaOf(ctx context.Context, host string, port int) ([]resolver.TLSA, string, error) {
	dns := t.finder.dns
	// One family may be out of order while the other shows that the zone is signed.
	v4, err4 := dns.A(ctx, host)
	v6, err6 := dns.AAAA(ctx, host)
	secure, name := v4.Secure, v4.Name
	switch {
	case err4 != nil && err6 != nil:
		return nil, "", cmp.Or(err4, err6)
	case err4 != nil || err6 == nil && v6.Secure && len(v4.Records) == 0:
		secure, name = v6.Secure, v6.Name
	}
	names := []string{name}
	switch {
	case secure && !strings.EqualFold(name, host):
		names = append(names, host)
	case !secure && name != "" && !strings.EqualFold(name, host): // the alias may be signed where its target is not
		alias, err := dns.CNAME(ctx, host)
		if err != nil {
			return nil, "", err
		}
		secure, names = alias.Secure, []string{host}
	}
	if !secure {
		return nil, "", nil
	}
	for _, name := range names {
		answer, err := dns.TLSA(ctx, fmt.Sprintf("_%d._tcp.%s", port, name))
		switch {
		case fault.Is(err, fault.NoHost):
			continue
		case err != nil:
			return nil, "", err
		case answer.Secure && len(answer.Records) > 0:
			return answer.Records, name, nil
		}
	}
	return nil, "", nil
}

// usableTLSA reports whether a record says something about SMTP (RFC 7672 section 3.1.3: the usages of the web's
// authorities do not).
func usableTLSA(r resolver.TLSA) bool {
	size := map[uint8]int{1: 2 * sha256.Size, 2: 2 * sha512.Size}[r.MatchingType]
	return (r.Usage == 2 || r.Usage == 3) && r.Selector <= 1 && r.MatchingType <= 2 && r.Data != "" && (size == 0 || len(r.Data) == size)
}

// joinTLSA writes records as one text, so that hops can be compared.
func joinTLSA(records []resolver.TLSA) string {
	list := make([]string, len(records))
	for i, r := range records {
		list[i] = fmt.Sprintf("%d %d %d %s", r.Usage, r.Selector, r.MatchingType, r.Data)
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), "\n")
}

// splitTLSA reads the text of joinTLSA.
func splitTLSA(text string) []resolver.TLSA {
	var list []resolver.TLSA
	for line := range strings.SplitSeq(text, "\n") {
		var r resolver.TLSA
		if n, _ := fmt.Sscanf(line, "%d %d %d %s", &r.Usage, &r.Selector, &r.MatchingType, &r.Data); n == 4 {
			list = append(list, r)
		}
	}
	return list
}

// matchesTLSA reports whether a certificate is the one of a record (RFC 6698 section 2.1).
func matchesTLSA(r resolver.TLSA, cert *x509.Certificate) bool {
	data := cert.Raw
	if r.Selector == 1 {
		data = cert.RawSubjectPublicKeyInfo
	}
	switch r.MatchingType {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return hex.EncodeToString(data) == strings.ToLower(r.Data)
}

// errTLSA is the failure of a certificate that no record names.
var errTLSA = errors.New("the certificate is not the one of the TLSA records")

// verifyTLSA verifies the certificates of a server by its TLSA records. With usage 3 the certificate is the proof, whatever it says
// about names and times; with usage 2 it is issued by the authority of the record, for one of the names (RFC 7672 section 3.1).
func verifyTLSA(records []resolver.TLSA, chain []*x509.Certificate, names []string) error {
	if len(chain) == 0 {
		return errTLSA
	}
	anchors, others := x509.NewCertPool(), x509.NewCertPool()
	anchored := false
	for _, cert := range chain[1:] {
		others.AddCert(cert)
	}
	for _, r := range records {
		if r.Usage == 3 {
			if matchesTLSA(r, chain[0]) {
				return nil
			}
			continue
		}
		for _, cert := range chain[1:] {
			if matchesTLSA(r, cert) {
				anchors.AddCert(cert)
				anchored = true
			}
		}
		if r.Selector == 0 && r.MatchingType == 0 { // the record has the authority itself, which the server need not send
			der, err := hex.DecodeString(r.Data)
			if err != nil {
				continue
			}
			if cert, err := x509.ParseCertificate(der); err == nil {
				anchors.AddCert(cert)
				anchored = true
			}
		}
	}
	if !anchored {
		return errTLSA
	}
	var failed error
	for _, name := range names {
		if name == "" {
			continue
		}
		_, err := chain[0].Verify(x509.VerifyOptions{Roots: anchors, Intermediates: others, DNSName: name})
		if err == nil {
			return nil
		}
		failed = cmp.Or(failed, err)
	}
	return cmp.Or(failed, errTLSA)
}

// byTLSA is the TLS configuration towards a server with TLSA records.
func (d *dialer) byTLSA(h hop) *tls.Config {
	config := d.config(h.base, false)
	// A session that is resumed shows no certificates to compare.
	config.ClientSessionCache, config.SessionTicketsDisabled = nil, true
	records := splitTLSA(h.tlsa)
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if err := verifyTLSA(records, s.PeerCertificates, []string{h.base, h.host.Name, h.domain}); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
		}
		return nil
	}
	return config
}

// missed says why a connection to a host that has to prove something failed; other errors stay as they are.
func (h hop) missed(err error) error {
	var failed *tlsError
	noTLS := errors.Is(err, errNoTLS)
	if h.proof == proofNone || h.proof == proofTesting || !noTLS && !errors.As(err, &failed) {
		return err
	}
	what := "offers no encryption"
	if !noTLS {
		what = "has not proved who it is (" + cleaned(failed.err.Error()) + ")"
	}
	out := &insecure{code: envelope.Code{4, 7, 5}, err: err}
	switch h.proof {
	case proofDANE:
		out.text = h.host.Name + " " + what + ", and its TLSA records (DANE) ask for it"
	case proofMTASTS:
		out.text = h.host.Name + " " + what + ", and the MTA-STS policy of the domain asks for it"
	}
	if h.require {
		e := unproven(h.host.Name + " " + what).(*insecure)
		out.code, out.text = e.code, e.text
	}
	return out
}
