package auth

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"strings"
	"time"

	"github.com/xdg-go/scram"

	"gatepost/accounts"
	"gatepost/accounts/password"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// scramExchange is SCRAM-SHA-256 (RFC 7677) or SCRAM-SHA-1 (RFC 5802) and, with plus, its
// variant -PLUS. The conversation itself is the library's; the credentials are the
// directory's, fake but stable for names that do not exist.
type scramExchange struct {
	exchange
	digest password.Digest
	plus   bool
	tls    *tls.ConnectionState
	conv   *scram.ServerConversation
	who    identity
	err    error // what the look-up said
	try    *accounts.Login

	proved *accounts.Account // who logs in once the client agrees
}

// firstAnswer is how long the answer to a name takes at least: more than any way to look it up,
// so that the time does not tell whether there is such an account. It is also more than the
// credentials of a reversible password take, which are computed once.
var firstAnswer = [password.Digests]time.Duration{password.SHA256: 25 * time.Millisecond, password.SHA1: 60 * time.Millisecond}

// hashes are the library's names of the hash functions.
var hashes = [password.Digests]scram.HashGeneratorFcn{password.SHA256: scram.SHA256, password.SHA1: scram.SHA1}

func (e *scramExchange) Next(response []byte) ([]byte, bool, error) {
	const op = "auth.SCRAM"
	switch e.steps++; e.steps {
	case 1:
		if response == nil {
			e.steps = 0
			return []byte{}, false, nil
		}
		answer := time.NewTimer(firstAnswer[e.digest])
		defer answer.Stop()
		challenge, err := e.begin(response)
		select {
		case <-answer.C:
		case <-e.ctx.Done():
		}
		switch {
		case e.err != nil:
			return nil, false, e.err
		case err != nil:
			return nil, false, fault.Wrap(op, fault.Invalid, err)
		}
		return []byte(challenge), false, nil
	case 2:
		challenge, err := e.conv.Step(string(response))
		if err != nil || !e.conv.Valid() || !e.who.known {
			if err != nil {
				// The client hears the same whatever the reason; a binding that
				// does not match means a third party in between.
				e.sessionLog().LogAttrs(e.ctx, logs.LevelLowLevel, "SCRAM exchange failed", slog.String(logs.AttrError, reason(err)))
			}
			e.try.Failed(e.failure())
			return nil, false, fault.New(op, fault.BadCredentials, "")
		}
		if err := e.succeed(); err != nil {
			e.try.Abandoned() // unless it has succeeded
			return nil, false, err
		}
		return []byte(challenge), false, nil
	}
	// The client has seen our proof and agrees by an empty response.
	if len(response) != 0 || e.steps > 3 || e.proved == nil {
		return nil, false, malformed(op, "response after the end of the exchange")
	}
	e.account, e.mailbox = e.proved, e.who.mailbox
	return nil, true, nil
}

// failure says for the log why a response is wrong.
func (e *scramExchange) failure() string {
	if e.try.NoSCRAM(e.digest) {
		return "the stored form of the password has nothing for " + e.peer.Mechanism + ": log in with the password itself once, set it again, or log in without " + e.peer.Mechanism
	}
	return "wrong response"
}

// begin takes client-first.
func (e *scramExchange) begin(first []byte) (string, error) {
	server, err := hashes[e.digest].NewServer(e.credentials)
	if err != nil {
		return "", err
	}
	// A client that says "y" believes that we have no PLUS. Where we have, a
	// third party has removed it from the list, and the library refuses.
	binding, err := scram.NewTLSExporterBinding(e.tls)
	switch {
	case err == nil && e.plus:
		e.conv = server.NewConversationWithChannelBindingRequired(binding)
	case err == nil && !bytes.HasPrefix(first, []byte("p=")):
		e.conv = server.NewConversationWithChannelBinding(binding)
	default:
		e.conv = server.NewConversation()
	}
	return e.conv.Step(string(first))
}

func (e *scramExchange) credentials(name string) (scram.StoredCredentials, error) {
	if e.who, e.err = e.resolve(e.ctx, e.peer, name); e.err != nil {
		return scram.StoredCredentials{}, e.err
	}
	if e.try, e.err = e.acc.Logins().BeginLogin(e.ctx, e.peer, e.who.domain, e.who.name); e.err != nil {
		return scram.StoredCredentials{}, e.err
	}
	stored, err := e.try.SCRAM(e.digest)
	if e.err = err; err != nil {
		e.try.Abandoned()
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(stored.Salt), Iters: stored.Iterations},
		StoredKey:  stored.StoredKey,
		ServerKey:  stored.ServerKey,
	}, err
}

// Cancel counts an exchange that has told the client something about its name and does not come
// to its end as a failed login: it could measure and compare without end.
func (e *scramExchange) Cancel() {
	if e.try != nil {
		e.try.Failed("the exchange was not finished")
	}
}

func (e *scramExchange) succeed() error {
	acc, err := e.acc.Account(e.ctx, e.who.domain, e.who.name)
	if err != nil {
		return err
	}
	e.try.Succeeded()
	if err := e.actAs(e.conv.AuthzID(), acc); err != nil {
		return err
	}
	e.proved = acc
	return nil
}

// reason shortens what the library says to its first part: the rest of some
// messages is keying material.
func reason(err error) string {
	text, _, _ := strings.Cut(err.Error(), ":")
	return text
}

// bindable tells whether a TLS connection has keying material to bind to: TLS
// 1.3, or 1.2 with the extended master secret.
func bindable(state *tls.ConnectionState) bool {
	if state == nil {
		return false
	}
	_, err := scram.NewTLSExporterBinding(state)
	return err == nil
}
