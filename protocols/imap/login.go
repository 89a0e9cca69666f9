package imap

import (
	"encoding/base64"
	"errors"

	"gatepost/accounts"
	"gatepost/protocols/imap/wire"
	"gatepost/protocols/internal/auth"
	"gatepost/protocols/internal/listen"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// maxLogins is how many logins may fail in one session.
const maxLogins = 10

// starttls turns the connection to TLS (RFC 9051 section 6.2.1).
func (s *session) starttls(c *call, p *wire.Parser) error {
	if err := p.End(); err != nil {
		return err
	}
	if s.peer.TLS {
		return wire.Bad("TLS is active already")
	}
	if !s.tlsOffered() {
		return no(fault.Unavailable, "STARTTLS is not available here")
	}
	c.text = "Begin TLS negotiation now"
	s.answer(c, nil)
	if err := s.out.Flush(); err != nil {
		return err
	}
	t, err := listen.StartTLS(s.ctx, s.conn.Conn, s.srv.tls())
	if err != nil {
		s.log.Log(s.ctx, logs.LevelProblem, "TLS handshake failed", logs.AttrError, err)
		s.ending, s.call.answered = "TLS handshake failed", true // nothing may be sent in the clear
		return nil
	}
	s.conn.Conn = t
	// Input after the command was sent in the clear: an attacker may have injected it.
	s.in.Reset(s.conn)
	s.peer.TLS = true
	s.call.answered = true
	return nil
}

// login is LOGIN: name and password in clear text.
func (s *session) login(c *call, p *wire.Parser) error {
	p.Space()
	name := string(p.AString())
	p.Space()
	password := string(p.AString())
	if err := p.End(); err != nil {
		return err
	}
	if !s.srv.auth.PlainAllowed(s.peer) {
		return no(fault.TLSRequired, "Passwords are not accepted without TLS")
	}
	acc, err := s.srv.auth.Plain(s.ctx, s.peer, name, password)
	if err != nil {
		return s.loginFailed(err)
	}
	return s.enter(c, acc)
}

// authenticate is AUTHENTICATE (RFC 9051 section 6.2.2), with an initial response
// (RFC 4959).
func (s *session) authenticate(c *call, p *wire.Parser) error {
	p.Space()
	mechanism := string(p.Keyword())
	var response []byte
	if p.SkipSpace() {
		text := p.Base64()
		if err := p.End(); err != nil {
			return err
		}
		var err error
		if response, err = decodeResponse(text); err != nil {
			return err
		}
	}
	if err := p.End(); err != nil {
		return err
	}
	exchange, err := s.srv.auth.Start(s.ctx, mechanism, s.peer, s.conn.tlsState(), s.srv.acc.MainDomain())
	if err != nil {
		return err
	}
	defer exchange.Cancel()
	for {
		challenge, done, err := exchange.Next(response)
		if err != nil {
			return s.loginFailed(err)
		}
		if done {
			return s.enter(c, exchange.Account())
		}
		s.out.Set(base64.StdEncoding.AppendEncode(s.out.Raw("+ ").Buf(), challenge))
		if err := s.out.CRLF().Flush(); err != nil {
			return err
		}
		line, err := s.in.ReadLine(strangerLimits.Line)
		if err != nil {
			return err
		}
		if response, err = decodeResponse(line); err != nil {
			return err
		}
	}
}

func decodeResponse(line []byte) ([]byte, error) {
	response, err := auth.DecodeResponse(string(line))
	if err != nil {
		return nil, wire.Bad("%v", err)
	}
	return response, nil
}

// loginFailed counts failures. One that is the client's own mistake is BAD.
func (s *session) loginFailed(err error) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Kind == fault.Invalid {
		return wire.Bad("%s", fault.Text(err))
	}
	if s.logins++; s.logins >= maxLogins {
		s.answer(&s.call, err)
		s.call.answered = true
		s.bye("too many failed logins", "Too many failed logins")
	}
	return withCode(err, fault.Denied, "AUTHORIZATIONFAILED")
}

// enter makes the session one of an account.
func (s *session) enter(c *call, acc *accounts.Account) error {
	if err := listen.LoggedIn(s.ctx); err != nil {
		return err
	}
	s.account, s.mail = acc, acc.Mail()
	if s.in.SetLimits(userLimits); s.compressed {
		s.in.SetLimits(compressedLimits)
	}
	s.watch = s.srv.acc.Sessions().Watch(acc, s.peer, func(reason string) { listen.End(s.ctx, reason) })
	c.code = "CAPABILITY " + string(s.capabilities())
	c.text = "Logged in"
	return nil
}
