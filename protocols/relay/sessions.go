package relay

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strings"

	"gatepost/server/counters"
)

// This file tells what became of encrypted sessions with the mail servers of other domains: for metrics, and for the reports that
// these ask for (RFC 8460).

// Session is what became of one try to have an encrypted session.
type Session struct {
	Domain string
	// Policy is what held: tlsa (DANE), sts (MTA-STS), or no-policy-found. Text is the policy, its lines, and MX the hosts of MTA-STS.
	Policy string
	Text   []string
	MX     []string
	// Host is the mail server, Remote its address, Local ours.
	Host          string
	Remote, Local netip.Addr
	// Result is empty for success, else a result-type of RFC 8460 section 4.3. Reason is the error in words.
	Result, Reason string
}

// UseSessions names what is told of sessions. It is called before the transport is used, and may not wait.
func (t *Transport) UseSessions(tell func(Session)) { t.sessions = tell }

// resultNoPolicy is the result of a domain whose policy of MTA-STS cannot be had.
const resultNoPolicy = "sts-policy-fetch-error"

// Counts is what is counted of encryption: sessions by policy and result.
type Counts struct{ Sessions counters.Labelled }

// Counts has what is counted.
func (t *Transport) Counts() *Counts { return &t.counts }

// tell tells of a session of a batch; an empty result is success.
func (s *sender) tell(h hop, remote, local netip.Addr, result string, err error) {
	if !s.way.mx || s.way.lmtp || s.way.optional || s.way.tls == tlsNever {
		return // no domain that has a say, or a message that goes out whatever it says
	}
	one := Session{Domain: s.way.name, Policy: "no-policy-found", Host: h.host.Name, Remote: remote, Local: local, Result: result}
	switch policy := s.secure.policy; {
	case h.proof == proofDANE:
		one.Policy = "tlsa"
		if h.tlsa != "" {
			one.Text = strings.Split(h.tlsa, "\n")
		}
	case policy != nil:
		one.Policy, one.Text, one.MX = "sts", policy.Lines(), policy.MX
	case result == resultNoPolicy:
		one.Policy = "sts"
	}
	if err != nil {
		one.Reason = cleaned(failureText(err))
	}
	label := one.Policy + " success"
	if result != "" {
		label = one.Policy + " " + result
	}
	s.t.counts.Sessions.Of(label).Inc()
	if s.t.sessions != nil {
		s.t.sessions(one)
	}
}

// tellConnected tells of a connection that was made.
func (s *sender) tellConnected(c *conn, to netip.AddrPort) {
	local := netip.Addr{}
	if a, err := netip.ParseAddrPort(c.raw.LocalAddr().String()); err == nil {
		local = a.Addr()
	}
	secure, encrypted := c.net.(*tls.Conn)
	switch {
	case !encrypted && c.ext.startTLS:
		s.tell(c.hop, to.Addr(), local, "validation-failure", errors.New("the handshake has failed"))
	case !encrypted:
		s.tell(c.hop, to.Addr(), local, "starttls-not-supported", nil)
	case c.hop.proof == proofTesting:
		err := s.wouldVerify(c.hop, secure.ConnectionState().PeerCertificates)
		s.tell(c.hop, to.Addr(), local, resultOf(err), err)
	default:
		s.tell(c.hop, to.Addr(), local, "", nil)
	}
}

// wouldVerify says why a host would get no mail if the policy of its domain, which is being tested, were enforced.
func (s *sender) wouldVerify(h hop, chain []*x509.Certificate) error {
	if s.secure.policy != nil && !s.secure.policy.Matches(h.host.Name) {
		return notSecure("%s is not one of the hosts of the policy", h.host.Name)
	}
	if len(chain) == 0 {
		return errors.New("the server has shown no certificate")
	}
	others := x509.NewCertPool()
	for _, cert := range chain[1:] {
		others.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: s.t.dialer.config(h.host.Name, true).RootCAs, Intermediates: others, DNSName: h.host.Name})
	return err
}

// tellRefused tells of a host that is not connected to, as it cannot prove who it is.
func (s *sender) tellRefused(h hop, err error) {
	if s.secure.policy != nil {
		s.tell(h, netip.Addr{}, netip.Addr{}, "validation-failure", err)
	} else if s.secure.dane {
		h.proof = proofDANE
		s.tell(h, netip.Addr{}, netip.Addr{}, "dnssec-invalid", err)
	}
}

// tellFailed tells of a connection that was not made, if that is a matter of encryption.
func (s *sender) tellFailed(h hop, to netip.AddrPort, err error) {
	var failed *tlsError
	var op *net.OpError
	switch {
	case errors.Is(err, errNoTLS):
		s.tell(h, to.Addr(), netip.Addr{}, "starttls-not-supported", err)
	case errors.As(err, &op) && op.Op == "dial":
	case errors.As(err, &failed):
		s.tell(h, to.Addr(), netip.Addr{}, resultOf(failed.err), failed.err)
	}
}

// resultOf is the result-type of a failed handshake (RFC 8460 section 4.3.1).
func resultOf(err error) string {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &name):
		return "certificate-host-mismatch"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate-expired"
	case errors.As(err, &unknown), errors.As(err, &invalid):
		return "certificate-not-trusted"
	}
	return "validation-failure"
}
