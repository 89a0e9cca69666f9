package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"log/slog"
	"strings"

	"gatepost/accounts"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// maxCertified bounds the addresses of a certificate that are looked at.
const maxCertified = 5

// oidEmail is the attribute emailAddress of a subject (RFC 2985 section 5.2.1).
var oidEmail = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

// certificateAddresses are the mail addresses of a certificate: its alternative names (RFC 5280 section 4.2.1.6), else those of its subject.
func certificateAddresses(c *x509.Certificate) []string {
	list := c.EmailAddresses
	if len(list) == 0 {
		for _, part := range c.Subject.Names {
			if text, ok := part.Value.(string); ok && part.Type.Equal(oidEmail) {
				list = append(list, text)
			}
		}
	}
	return list[:min(len(list), maxCertified)]
}

// certified returns the accounts that the client certificate of a connection lets in. Each is in the domain of an address of the
// certificate, and an authority of that domain has signed it: an authority can let nobody into another domain.
func (a *Authenticator) certified(ctx context.Context, p accounts.Peer, state *tls.ConnectionState) ([]identity, error) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil, nil
	}
	chain := state.PeerCertificates
	var list []identity
	for _, addr := range certificateAddresses(chain[0]) {
		at := strings.LastIndexByte(addr, '@')
		domain, ours := a.acc.DomainName(addr[at+1:])
		if at < 1 || !ours {
			continue
		}
		if err := a.acc.CertificateTrusted(domain, chain); err != nil {
			a.logOf(p).LogAttrs(ctx, logs.LevelLowLevel, "the client certificate is not accepted", slog.String("address", addr), slog.Any(logs.AttrError, err))
			continue
		}
		who, err := a.resolve(ctx, p, addr)
		if err != nil {
			return nil, err
		}
		if !who.known || who.domain != domain {
			continue
		}
		ok, err := a.acc.Logins().AcceptsCertificate(ctx, who.domain, who.name, chain)
		switch {
		case ok:
			list = append(list, who)
		case err != nil && fault.KindOf(err).Temporary() && !fault.Is(err, fault.Disabled):
			return nil, err
		}
	}
	return list, nil
}

// externalExchange is EXTERNAL (RFC 4422 appendix A): the client certificate tells who the client is, and its response who it wants
// to act as.
type externalExchange struct {
	exchange
	tls *tls.ConnectionState
}

func (e *externalExchange) Next(response []byte) ([]byte, bool, error) {
	const op = "auth.EXTERNAL"
	if e.steps++; response == nil && e.steps == 1 {
		return []byte{}, false, nil
	}
	list, err := e.certified(e.ctx, e.peer, e.tls)
	if err != nil {
		return nil, false, err
	}
	if len(list) == 0 { // it was there when the exchange began
		return nil, false, fault.New(op, fault.BadCredentials, "")
	}
	who := list[0]
	if authzid := string(response); authzid != "" {
		wanted, err := e.resolve(e.ctx, e.peer, authzid)
		if err != nil {
			return nil, false, err
		}
		found := false
		for _, one := range list {
			if found = wanted.known && wanted.name == one.name && wanted.domain == one.domain; found {
				who = wanted // with the mailbox that it chooses
				break
			}
		}
		if !found {
			e.acc.Logins().ProofFailed(e.ctx, e.peer, who.domain, who.name, "the client certificate is not that of "+authzid)
			return nil, false, fault.New(op, fault.BadCredentials, "")
		}
	}
	acc, err := e.acc.Logins().LoginByCertificate(e.ctx, e.peer, who.domain, who.name, e.tls.PeerCertificates)
	if err != nil {
		return nil, false, err
	}
	e.account, e.mailbox = acc, who.mailbox
	return nil, true, nil
}
