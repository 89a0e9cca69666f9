package pwd

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"gatepost/accounts"
	"gatepost/protocols/internal/auth"
	"gatepost/protocols/internal/listen"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// sessionCommands work on the session itself, most of them before login too.
// An error ends the session; the reply goes out first when the error is errQuit.
var sessionCommands = map[string]func(s *session, ctx context.Context, rest string) (reply, error){
	"USER":      (*session).userName,
	"PASS":      (*session).password,
	"APOP":      (*session).apop,
	"AUTH":      (*session).authenticate,
	"STLS":      (*session).startTLSNow,
	"NEWPASS":   (*session).newPassword,
	"INLINE":    (*session).setInline,
	"NOTIMEOUT": (*session).setPatient,
	"QUIT":      (*session).quit,
}

func (s *session) setInline(context.Context, string) (reply, error) {
	s.inline = true
	return replyOK, nil
}

// setPatient holds from the login on: strangers have their time limit.
func (s *session) setPatient(context.Context, string) (reply, error) {
	s.patient = true
	return replyOK, nil
}

func (s *session) quit(context.Context, string) (reply, error) {
	return reply{code: 200, text: "Gatepost PWD connection closed"}, errQuit
}

func bad(text string) (reply, error) { return reply{code: 500, text: text}, nil }

// userName accepts any name: whether there is such an account shows in nothing.
func (s *session) userName(_ context.Context, rest string) (reply, error) {
	if s.loggedIn() {
		return bad("already logged in")
	}
	name := strings.Trim(strings.TrimSpace(rest), `"`)
	if name == "" {
		return bad("a name is expected")
	}
	s.user = name
	return replySendPass, nil
}

// password takes the rest of the line as it is.
func (s *session) password(ctx context.Context, rest string) (reply, error) {
	if s.user == "" {
		return bad("please send the USER first")
	}
	user := s.user
	s.user = ""
	if !s.server.auth.PlainAllowed(s.peer) {
		return failure(fault.New("pwd.Pass", fault.TLSRequired, "")), nil
	}
	a, err := s.server.auth.Plain(ctx, s.peer, user, strings.TrimPrefix(rest, " "))
	return s.login(ctx, a, err)
}

// apop is the login by a digest of the greeting's token and the password.
func (s *session) apop(ctx context.Context, rest string) (reply, error) {
	fields := strings.Fields(rest)
	switch {
	case s.loggedIn():
		return bad("already logged in")
	case len(fields) != 2:
		return bad("a name and a digest are expected")
	case s.token == "":
		return s.login(ctx, nil, fault.New("pwd.APOP", fault.BadCredentials, ""))
	}
	a, err := s.server.auth.APOP(ctx, s.peer, strings.Trim(fields[0], `"`), s.token, fields[1])
	return s.login(ctx, a, err)
}

// authenticate runs a SASL exchange: challenges are 300 lines in base64, the
// answers lines in base64, * gives up.
func (s *session) authenticate(ctx context.Context, rest string) (reply, error) {
	fields := strings.Fields(rest)
	switch {
	case s.loggedIn():
		return bad("already logged in")
	case len(fields) == 0:
		return bad("a mechanism is expected")
	case strings.EqualFold(fields[0], "WEBUSER"):
		// Sessions of the web interface that could vouch for a user do not exist.
		return s.login(ctx, nil, fault.New("pwd.Auth", fault.BadCredentials, ""))
	case len(fields) > 2:
		return bad("unexpected parameter")
	}
	var state *tls.ConnectionState
	if t, ok := s.conn.(*tls.Conn); ok {
		cs := t.ConnectionState()
		state = &cs
	}
	ex, err := s.server.auth.Start(ctx, fields[0], s.peer, state, s.server.acc.MainDomain())
	if err != nil {
		return failure(err), nil
	}
	defer ex.Cancel()
	var response []byte
	if len(fields) == 2 {
		if response, err = auth.DecodeResponse(fields[1]); err != nil {
			return bad(err.Error())
		}
	}
	a, err := s.exchange(ex, response)
	var broken *brokenExchange
	if errors.As(err, &broken) {
		return reply{}, broken.err
	}
	return s.login(ctx, a, err)
}

// brokenExchange is the end of the connection in the middle of an exchange.
type brokenExchange struct{ err error }

func (b *brokenExchange) Error() string { return b.err.Error() }

func (s *session) exchange(ex auth.Exchange, response []byte) (*accounts.Account, error) {
	for {
		challenge, done, err := ex.Next(response)
		if err != nil {
			return nil, err
		}
		if done {
			return ex.Account(), nil
		}
		if err := s.answer(reply{code: 300, text: encode(challenge)}); err != nil {
			return nil, &brokenExchange{err}
		}
		line, err := s.readLine()
		if err != nil {
			return nil, &brokenExchange{err}
		}
		if response, err = auth.DecodeResponse(line); err != nil {
			return nil, fault.New("pwd.Auth", fault.Invalid, err.Error())
		}
	}
}

// encode prints a challenge; an empty one is "=", since the text of an answer must
// not be empty.
func encode(b []byte) string {
	if len(b) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(b)
}

// login answers the outcome of a login.
func (s *session) login(ctx context.Context, a *accounts.Account, err error) (reply, error) {
	if err == nil {
		have, err := s.server.acc.RightsOf(a)
		if err != nil {
			return s.failed(err), nil
		}
		if err := listen.LoggedIn(ctx); err != nil {
			return s.failed(err), nil
		}
		if !s.server.slots.take(a.ID, share(s.server.cfg.Get().MaxSessions, have.Any())) {
			s.log.Log(ctx, logs.LevelProblem, "login refused: too many sessions", logs.AttrAccount, a.Address())
			return replyTooMany, errQuit
		}
		s.account, s.user, s.failures = a, "", 0
		s.watch.Stop()
		s.watch = s.server.acc.Sessions().Watch(a, s.peer, func(reason string) { listen.End(ctx, reason) })
		return replyLogin, nil
	}
	if s.failures++; s.failures >= maxFailures {
		return failure(err), fmt.Errorf("%w after %d failed logins", errQuit, s.failures)
	}
	return s.failed(err), nil
}

// startTLSNow turns the connection to TLS. Nothing that was sent before counts
// afterwards.
func (s *session) startTLSNow(ctx context.Context, _ string) (reply, error) {
	config := (*tls.Config)(nil)
	if s.startTLS && !s.peer.TLS {
		config = s.server.tls()
	}
	switch {
	case config == nil:
		return bad("STLS is not available")
	case s.loggedIn():
		return bad("already logged in")
	case s.in.Buffered() > 0:
		// Commands that came with STLS were not protected: an attacker's.
		return reply{code: 500, text: "nothing may follow STLS"}, errQuit
	}
	if err := s.answer(replyOK); err != nil {
		return reply{}, err
	}
	t, err := listen.StartTLS(ctx, s.conn, config)
	if err != nil {
		s.log.Log(ctx, logs.LevelProblem, "TLS handshake failed", logs.AttrError, err)
		return reply{}, fmt.Errorf("TLS: %w", err)
	}
	s.conn = t
	s.in.Reset(t)
	s.peer.TLS = true
	s.user, s.inline, s.patient = "", false, false
	return reply{}, nil
}

// newPassword changes the own password to the rest of the line.
func (s *session) newPassword(ctx context.Context, rest string) (reply, error) {
	if s.account == nil {
		return failure(fault.New("pwd.NewPass", fault.AuthRequired, "")), nil
	}
	if err := s.actor().ChangePassword(ctx, strings.TrimPrefix(rest, " ")); err != nil {
		return failure(err), nil
	}
	return replyOK, nil
}
