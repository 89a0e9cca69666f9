package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatepost/protocols/relay/mtasts"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// Looked is what was found out about a domain: what mail to it has to do with encryption.
type Looked struct {
	// Lines say it in words.
	Lines []string
	// Goes says that at least one of its mail servers would be given mail now.
	Goes bool
}

const (
	// lookedHosts bounds the hosts that are connected to, and lookedFor the time.
	lookedHosts = 5
	lookedFor   = 90 * time.Second
)

// Look says what would be done with mail for a domain: who its mail servers are, what they have to prove, and whether they do, as connections
// to them show. Nothing is sent. Errors: Invalid for no domain, and that ctx has ended.
func (t *Transport) Look(ctx context.Context, domain string) (Looked, error) {
	const op = "relay.Look"
	name, err := address.NormalizeDomain(domain)
	if err != nil || strings.HasPrefix(name, "[") {
		return Looked{}, fault.Newf(op, fault.Invalid, "%q is not a domain", domain)
	}
	ctx, cancel := context.WithTimeout(ctx, lookedFor)
	defer cancel()
	l := &look{t: t, ctx: ctx}
	err = l.domain(name)
	if err == nil && ctx.Err() != nil {
		err = fault.Wrap(op, fault.Canceled, ctx.Err())
	}
	return l.Looked, err
}

type look struct {
	Looked
	t   *Transport
	ctx context.Context
}

func (l *look) say(format string, args ...any) {
	l.Lines = append(l.Lines, cleaned(fmt.Sprintf(format, args...)))
}

func (l *look) domain(name string) error {
	w, status := l.t.choices().wayOf(&envelope.Envelope{}, &router.Route{Address: address.Address{Local: "postmaster", Domain: name}})
	if status != nil {
		l.say("mail for %s cannot be sent: %s", name, status.Text)
		return nil
	}
	switch {
	case !w.mx:
		l.say("mail for %s goes to %s, as the settings say; TLS is %s", name, w.name, w.tls)
	case w.tls == tlsNever:
		l.say("the settings say that mail for %s is not encrypted", name)
	}
	secure, err := l.t.securityOf(l.ctx, w)
	if err != nil {
		l.say("what %s asks for cannot be found out: %s", name, failureText(err))
		return l.ctx.Err()
	}
	if w.mx {
		l.policies(name, secure)
	}
	groups := [][]string{{w.name}}
	if w.mx {
		if groups, err = l.t.finder.exchangers(l.ctx, w.name); err != nil {
			l.say("%s", failureText(err))
			return nil
		}
	}
	left := lookedHosts
	for _, group := range groups {
		for _, host := range group {
			if left--; left < 0 {
				l.say("further mail servers are not looked at")
				return nil
			}
			if err := l.host(w, secure, host); err != nil {
				return err
			}
		}
	}
	return nil
}

// policies says what a domain asks for.
func (l *look) policies(name string, s security) {
	switch {
	case s.mx:
		l.say("DNSSEC: the mail servers of %s are validated", name)
	default:
		l.say("DNSSEC: nothing is validated, so TLSA records do not count (the name server has to validate, and to be one whose word counts: TrustAD)")
	}
	switch {
	case s.policy == nil && s.problem != nil:
		l.say("MTA-STS: there seems to be a policy, and it cannot be had: %s", s.problem)
	case s.policy == nil:
		l.say("MTA-STS: no policy")
	case s.policy.Mode == mtasts.Testing:
		l.say("MTA-STS: a policy that is being tested, for %s", strings.Join(s.policy.MX, ", "))
	default:
		l.say("MTA-STS: a policy that is enforced, for %s", strings.Join(s.policy.MX, ", "))
	}
}

// host says what one mail server has to prove, and what it does.
func (l *look) host(w way, s security, host string) error {
	h, err := l.t.secured(l.ctx, w, s, w.hop(host))
	if err != nil {
		l.say("%s: gets no mail: %s", host, failureText(err))
		return l.ctx.Err()
	}
	asks := map[proof]string{proofDANE: "its certificate has to be that of its TLSA records", proofMTASTS: "its certificate has to be of its name", proofTesting: "nothing is asked for while the policy is tested"}[h.proof]
	switch {
	case asks != "":
	case h.tls == tlsNever:
		asks = "mail is not encrypted"
	case h.tls == ifOffered:
		asks = "mail is encrypted if it offers that, with any certificate"
	default:
		asks = "TLS is " + h.tls
	}
	l.say("%s: %s", host, asks)
	for line := range strings.Lines(h.tlsa) {
		l.say("  TLSA %s", strings.TrimSpace(line))
	}
	answer, err := l.t.finder.dns.Addresses(l.ctx, host)
	if err != nil || len(answer.Records) == 0 {
		l.say("  no address: %s", failureText(err))
		return l.ctx.Err()
	}
	to := netip.AddrPortFrom(answer.Records[0], uint16(h.port()))
	c, err := l.t.dialer.connect(l.ctx, h, to)
	if err != nil {
		l.say("  no connection with %s: %s", to, failureText(err))
		return l.ctx.Err()
	}
	defer c.abort()
	l.Goes = true
	if secure, ok := c.net.(*tls.Conn); ok {
		state := secure.ConnectionState()
		l.say("  connected with %s, %s", to, c.tlsVersion())
		if len(state.PeerCertificates) > 0 {
			leaf := state.PeerCertificates[0]
			l.say("  certificate for %s, from %s, until %s", strings.Join(leaf.DNSNames, ", "), leaf.Issuer, leaf.NotAfter.UTC().Format(time.DateOnly))
		}
		verify := (&sender{t: l.t, secure: security{}}).wouldVerify(h, state.PeerCertificates)
		if verify != nil {
			l.say("  programs would not trust it: %s", verify)
		}
	} else {
		l.say("  connected with %s, in clear", to)
	}
	return nil
}

// failureText is an error for people.
func failureText(err error) string {
	var no *noWay
	var known *fault.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &no):
		return no.status.Text
	case errors.As(err, &known):
		return fault.Text(err)
	}
	return err.Error()
}
