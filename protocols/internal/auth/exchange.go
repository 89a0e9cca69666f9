package auth

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/password"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Exchange is one run of a mechanism. It belongs to one session.
type Exchange interface {
	// Next takes the client's response, decoded from base64, and returns the
	// next challenge. The first call passes the initial response: nil if there
	// was none, empty but not nil for "=". A last challenge is returned with
	// done still false; the client's empty answer to it ends the exchange.
	// Errors: BadCredentials, also for an authorization identity that is another
	// account's, Invalid for a response that breaks the mechanism's
	// syntax, and temporary kinds. After an error or done the
	// exchange is over.
	Next(response []byte) (challenge []byte, done bool, err error)
	// Cancel is called when the exchange ends, whatever its outcome. One that has not come to
	// its end may count as a failed login.
	Cancel()
	// Account is who logged in; nil before done.
	Account() *accounts.Account
	// Mailbox is the mailbox that a POP login chose by its name, as in
	// mailbox#account@domain; empty otherwise.
	Mailbox() string
}

// Start begins an exchange. mech is compared without case. host is our name,
// for challenges that show one. Errors: Unsupported for a mechanism that the
// peer may not use, TLSRequired for one that it may use only inside TLS.
func (a *Authenticator) Start(ctx context.Context, mech string, p accounts.Peer, state *tls.ConnectionState, host string) (Exchange, error) {
	const op = "auth.Start"
	mech = strings.ToUpper(mech)
	p.Mechanism = mech
	run := exchange{Authenticator: a, ctx: ctx, peer: p}
	if !a.acc.AuthMethods(a.domainOf(p, state)).Has(mech) {
		return nil, fault.New(op, fault.Unsupported, "the authentication mechanism is not offered here")
	}
	switch mech {
	case ScramPlus, Scram, ScramSHA1Plus, ScramSHA1:
		x := &scramExchange{exchange: run, plus: mech == ScramPlus || mech == ScramSHA1Plus, tls: state}
		if mech == ScramSHA1Plus || mech == ScramSHA1 {
			x.digest = password.SHA1
		}
		if x.plus && !bindable(state) {
			break
		}
		return x, nil
	case External:
		who, err := a.certified(ctx, p, state)
		if err != nil {
			return nil, err
		}
		if len(who) > 0 {
			return &externalExchange{exchange: run, tls: state}, nil
		}
	case Plain, Login:
		if !a.PlainAllowed(p) {
			return nil, fault.New(op, fault.TLSRequired, "")
		}
		if mech == Plain {
			return &plainExchange{exchange: run}, nil
		}
		return &loginExchange{exchange: run}, nil
	case OAuthBearer, XOAuth2:
		if !a.acc.HasIssuers() {
			break
		}
		if !a.PlainAllowed(p) {
			return nil, fault.New(op, fault.TLSRequired, "")
		}
		return &oauthExchange{exchange: run, tls: state, google: mech == XOAuth2}, nil
	case CramMD5:
		if !a.cramOffered(p) {
			break
		}
		return &cramExchange{exchange: run, host: host}, nil
	}
	return nil, fault.New(op, fault.Unsupported, "unknown authentication mechanism")
}

// exchange is what all mechanisms have.
type exchange struct {
	*Authenticator
	ctx     context.Context // the session's; an exchange is a part of it
	peer    accounts.Peer
	account *accounts.Account
	mailbox string
	steps   int
}

func (e *exchange) Account() *accounts.Account { return e.account }
func (e *exchange) Mailbox() string            { return e.mailbox }
func (e *exchange) Cancel()                    {}

// sessionLog is the log for what only the mechanism knows.
func (e *exchange) sessionLog() *slog.Logger { return e.logOf(e.peer) }

// logOf is the log for what only package auth knows.
func (a *Authenticator) logOf(p accounts.Peer) *slog.Logger {
	if p.Log != nil {
		return p.Log
	}
	return a.log.With(slog.String("service", p.Service), slog.String(logs.AttrPeer, p.IP.String()))
}

func malformed(op, text string) error { return fault.New(op, fault.Invalid, text) }

// actAs accepts an authorization identity (RFC 4422 section 2) only if it
// names the account that logged in.
func (e *exchange) actAs(authzid string, acc *accounts.Account) error {
	if authzid == "" {
		return nil
	}
	who, err := e.resolve(e.ctx, e.peer, authzid)
	if err != nil {
		return err
	}
	if !who.known || who.name != acc.Name || who.domain != acc.Domain {
		// A guesser must not learn from the answer that the password was right.
		e.sessionLog().LogAttrs(e.ctx, logs.LevelProblem, "login for another account refused",
			slog.String(logs.AttrAccount, acc.Address()), slog.String("for", authzid))
		return fault.New("auth.actAs", fault.BadCredentials, "")
	}
	return nil
}

// plainExchange is PLAIN: [authzid] NUL authcid NUL passwd (RFC 4616).
type plainExchange struct{ exchange }

func (e *plainExchange) Next(response []byte) ([]byte, bool, error) {
	const op = "auth.PLAIN"
	if e.steps++; response == nil && e.steps == 1 {
		return []byte{}, false, nil
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 {
		return nil, false, malformed(op, "malformed PLAIN response")
	}
	acc, box, err := e.PlainMailbox(e.ctx, e.peer, string(parts[1]), string(parts[2]))
	if err != nil {
		return nil, false, err
	}
	if err := e.actAs(string(parts[0]), acc); err != nil {
		return nil, false, err
	}
	e.account, e.mailbox = acc, box
	return nil, true, nil
}

// loginExchange is LOGIN: two prompts; an initial response is the name.
type loginExchange struct {
	exchange
	name string
}

func (e *loginExchange) Next(response []byte) ([]byte, bool, error) {
	if e.steps == 0 && response == nil {
		e.steps = 1
		return []byte("Username:"), false, nil
	}
	if e.steps < 2 {
		if len(response) == 0 {
			return nil, false, malformed("auth.LOGIN", "empty user name")
		}
		e.name, e.steps = string(response), 2
		return []byte("Password:"), false, nil
	}
	acc, box, err := e.PlainMailbox(e.ctx, e.peer, e.name, string(response))
	if err != nil {
		return nil, false, err
	}
	e.account, e.mailbox = acc, box
	return nil, true, nil
}
