// Package auth turns what a client says about itself into an account: SASL
// mechanisms (RFC 4422) and plain logins, for every wire alike.
//
// # From a login name to an account
//
// A name without a domain belongs to the domain of the local address that the
// client connected to, else to the Main Domain; "user%domain" is read like
// "user@domain". The whole name then goes through the router as an Access
// operation, so that aliases and records of the table work for logins as they
// do for mail. Only a route that ends at an account of ours is a login.
//
// # What a stranger may learn
//
// Nothing. A name that leads nowhere takes the same steps as one that leads to
// an account, down to the memory-hard function and the salts of SCRAM, under a
// name that no account can have; the failure is BadCredentials in each case, as
// it is for a blocked account and for a service that is switched off. The
// directory decides all of that, counts failures and logs logins.
//
// # Mechanisms
//
//	EXTERNAL            RFC 4422 appendix A, where the client certificate is that of an account
//	SCRAM-SHA-256-PLUS  RFC 7677 with tls-exporter (RFC 9266)
//	SCRAM-SHA-256       RFC 7677
//	SCRAM-SHA-1-PLUS    RFC 5802 with tls-exporter
//	SCRAM-SHA-1         RFC 5802
//	PLAIN               RFC 4616, where plain text may be sent
//	LOGIN               draft-murchison-sasl-login, where plain text may be sent
//	CRAM-MD5            RFC 2195, where the server holds reversible passwords
//	OAUTHBEARER         RFC 7628, like PLAIN, where a domain has an issuer of tokens
//	XOAUTH2             the older form of it, for the same programs
//
// tls-unique is not offered: it is unsafe and not defined for TLS 1.3.
// tls-server-end-point is not offered either: crypto/tls doesn't tell a server
// which of its certificates it showed.
//
// Errors carry their causes, and never a secret.
package auth

import (
	"context"
	"crypto/tls"
	"log/slog"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// The mechanisms by their IANA names.
const (
	ScramPlus     = "SCRAM-SHA-256-PLUS"
	Scram         = "SCRAM-SHA-256"
	ScramSHA1Plus = "SCRAM-SHA-1-PLUS"
	ScramSHA1     = "SCRAM-SHA-1"
	Plain         = "PLAIN"
	Login         = "LOGIN"
	CramMD5       = "CRAM-MD5"
	External      = "EXTERNAL"
	OAuthBearer   = "OAUTHBEARER"
	XOAuth2       = "XOAUTH2"
)

// MaxResponse is the longest base64 response that a wire has to take, without
// its line end (RFC 4954 section 4.2, RFC 4422).
const MaxResponse = 12288

// Authenticator checks logins against the directory. It holds no state of its
// own and serves all sessions.
type Authenticator struct {
	acc    *accounts.Store
	router *router.Router
	log    *slog.Logger
}

// New returns an Authenticator. The directory logs logins; log gets, with the same tag,
// what only a mechanism knows.
func New(acc *accounts.Store, r *router.Router, log *slog.Logger) *Authenticator {
	return &Authenticator{acc: acc, router: r, log: logs.Component(log, "ACCOUNT")}
}

// PlainAllowed tells whether the peer may send its password in plain text:
// inside TLS and on the same machine.
func (a *Authenticator) PlainAllowed(p accounts.Peer) bool {
	return p.TLS || p.IP.IsLoopback()
}

// Mechanisms lists what the peer may use now, strongest first. state is nil
// outside TLS.
func (a *Authenticator) Mechanisms(ctx context.Context, p accounts.Peer, plainAllowed bool, state *tls.ConnectionState) []string {
	list := make([]string, 0, 10)
	if who, err := a.certified(ctx, p, state); err == nil && len(who) > 0 {
		list = append(list, External)
	}
	if bindable(state) {
		list = append(list, ScramPlus, ScramSHA1Plus)
	}
	list = append(list, Scram, ScramSHA1)
	if plainAllowed {
		list = append(list, Plain, Login)
	}
	if a.cramOffered(p) {
		list = append(list, CramMD5)
	}
	if plainAllowed && a.acc.HasIssuers() {
		list = append(list, OAuthBearer, XOAuth2)
	}
	offered := a.acc.AuthMethods(a.domainOf(p, state))
	return slices.DeleteFunc(list, func(mech string) bool { return !offered.Has(mech) })
}

// cramOffered tells whether CRAM-MD5 is for the peer. Clients prefer it to PLAIN
// and do not fall back: it is there only where the domain that the connection
// belongs to keeps passwords that allow it.
func (a *Authenticator) cramOffered(p accounts.Peer) bool {
	return a.acc.HasReversible(a.acc.DomainForIP(p.LocalIP))
}

// Plain checks a login name and a password, as given by a plain login command
// or mechanism. Errors: BadCredentials, whatever the reason, and temporary kinds
// when nobody can say now. The caller has checked PlainAllowed.
func (a *Authenticator) Plain(ctx context.Context, p accounts.Peer, login, password string) (*accounts.Account, error) {
	acc, _, err := a.PlainMailbox(ctx, p, login, password)
	return acc, err
}

// PlainMailbox is Plain with the mailbox that the login name chose, as in Exchange.
func (a *Authenticator) PlainMailbox(ctx context.Context, p accounts.Peer, login, password string) (*accounts.Account, string, error) {
	const op = "auth.Plain"
	who, err := a.resolve(ctx, p, login)
	if err != nil {
		return nil, "", err
	}
	acc, err := a.acc.Logins().CheckPassword(ctx, p, who.domain, who.name, password)
	if err != nil {
		return nil, "", err
	}
	if !who.known {
		return nil, "", fault.New(op, fault.BadCredentials, "")
	}
	return acc, who.mailbox, nil
}

// identity is where a login name leads.
type identity struct {
	domain, name string
	known        bool   // leads to an account; else domain and name are no one's
	mailbox      string // chosen by the login name, see mailbox.go
}

// resolveAccount finds the account of a login name. It fails only when the
// router cannot tell.
func (a *Authenticator) resolveAccount(ctx context.Context, p accounts.Peer, login string) (identity, error) {
	domain := a.acc.DomainForIP(p.LocalIP)
	nobody := identity{domain: domain, name: unknownMark + login}
	if !strings.ContainsAny(login, "@%") {
		login += "@" + domain
	}
	addr, err := address.Parse(login)
	if err != nil || addr.IsNull() {
		return nobody, nil
	}
	// The steps are for names that lead nowhere, and are kept for the others too: a second look
	// would make the answer about them later.
	steps, route, err := a.router.Explain(ctx, names.Access, addr)
	if err != nil {
		if kind := fault.KindOf(err); kind.Temporary() && kind != fault.Disabled {
			return nobody, fault.Wrap("auth.resolveAccount", fault.Internal, err)
		}
		return a.nobodyAt(addr, steps), nil
	}
	if route.Module != router.LOCAL || route.Mailbox != "" || route.Name == "" {
		return a.nobodyAt(addr, steps), nil
	}
	return identity{domain: route.Domain, name: route.Name, known: true}, nil
}

// unknownMark begins the names of nobody. No object name starts with it: such a
// name is unknown to the directory in every domain.
const unknownMark = "?"

// nobodyAt is who a login name is that leads to no account: whatever the router
// made of it last. Two ways to write one name lead to one nobody as they would
// lead to one account, so that what depends on the identity, such as a salt,
// does not tell them apart.
func (a *Authenticator) nobodyAt(addr address.Address, steps []router.Step) identity {
	if len(steps) > 0 {
		if last, err := address.Parse(steps[len(steps)-1].To); err == nil {
			addr = last
		}
	}
	domain := addr.Domain
	if real, ok := a.acc.DomainName(domain); ok || domain == "" {
		domain = real
	}
	name := strings.ToLower(addr.Local)
	// Details are not part of an account's name. Mailboxes are not either, but no
	// name with one is a login here.
	if i := strings.IndexByte(name, '+'); i > 0 && !strings.Contains(name, "#") {
		name = name[:i]
	}
	return identity{domain: domain, name: unknownMark + name}
}
