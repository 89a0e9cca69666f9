package smtp

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"time"

	"gatepost/protocols/internal/auth"
	"gatepost/protocols/internal/listen"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// mayStartTLS reports whether STARTTLS is offered now.
func (s *session) mayStartTLS() bool {
	return s.tls == nil && s.listener.TLS == settings.TLSStart && s.srv.tls() != nil
}

// startTLS is STARTTLS (RFC 3207).
func (s *session) startTLS(arg string) {
	switch {
	case arg != "":
		s.reply(replyNoArgument)
		return
	case s.tls != nil:
		s.reply(refusal(503, 5, 5, 1, "the connection is encrypted already"))
		return
	case !s.mayStartTLS():
		s.reply(replyNotImplemented)
		return
	case s.tx != nil:
		s.reply(replyNested)
		return
	}
	s.reply(reply{code: 220, text: "please start a TLS connection"})
	// What came in clear behind the command is not from the peer that the
	// handshake will tell us about.
	s.in.discard()
	if err := s.flush(); err != nil {
		s.disconnect(err)
		return
	}
	c, err := listen.StartTLS(s.ctx, s.conn, s.srv.tls())
	if err != nil {
		s.log.LogAttrs(s.ctx, logs.LevelProblem, "TLS handshake failed", slog.Any(logs.AttrError, err))
		s.closing = true
		return
	}
	state := c.ConnectionState()
	s.conn, s.in.conn, s.tls = c, c, &state
	s.watch.Stop()
	s.helo, s.greeted, s.esmtp, s.account, s.watch = "", false, false, nil, nil // RFC 3207 4.2
}

// mayAuth reports whether AUTH is offered at all: inside TLS and on the same
// machine.
func (s *session) mayAuth() bool {
	if !s.srv.auth.PlainAllowed(s.peer()) {
		return false
	}
	return !s.lmtp && (s.submission || s.cfg.advertised(s.client))
}

// mechanisms is what AUTH offers now.
func (s *session) mechanisms() []string {
	if s.account != nil || !s.mayAuth() {
		return nil
	}
	return s.srv.auth.Mechanisms(s.ctx, s.peer(), true, s.tls)
}

// The replies of AUTH (RFC 4954 sections 4 and 6).
var (
	replyAuthCanceled  = reply{501, envelope.Code{5, 7, 0}, "authentication canceled"}
	replyAuthBase64    = reply{501, envelope.Code{5, 5, 2}, "the response is not base64"}
	replyAuthSyntax    = reply{501, envelope.Code{5, 5, 2}, "malformed response"}
	replyAuthMechanism = reply{504, envelope.Code{5, 5, 4}, "unknown authentication mechanism"}
	replyAuthLong      = reply{500, envelope.Code{5, 5, 6}, "authentication exchange line is too long"}
	replyAuthTemporary = reply{454, envelope.Code{4, 7, 0}, "temporary authentication failure"}
)

// authenticate is AUTH (RFC 4954).
func (s *session) authenticate(arg string) {
	words := strings.Fields(arg)
	switch {
	case !s.greeted || !s.esmtp:
		s.reply(refusal(503, 5, 5, 1, "send EHLO first"))
		return
	case s.account != nil:
		s.reply(refusal(503, 5, 5, 1, "authenticated already"))
		return
	case s.tx != nil:
		s.reply(replyNested)
		return
	case len(words) == 0 || len(words) > 2:
		s.reply(refusal(501, 5, 5, 4, "AUTH mechanism [response] is expected"))
		return
	case !s.srv.auth.PlainAllowed(s.peer()):
		s.reply(replies[fault.TLSRequired])
		return
	case !s.mayAuth():
		s.reply(replyNotImplemented)
		return
	}
	exchange, err := s.srv.auth.Start(s.ctx, words[0], s.peer(), s.tls, s.name)
	if err != nil {
		s.reply(authReply(err))
		return
	}
	defer exchange.Cancel()
	var first []byte
	if len(words) == 2 {
		if first, err = auth.DecodeResponse(words[1]); err != nil {
			s.reply(replyAuthBase64)
			return
		}
	}
	s.exchange(exchange, first)
}

// exchange runs a mechanism to its end.
func (s *session) exchange(e auth.Exchange, response []byte) {
	for {
		challenge, done, err := e.Next(response)
		if err != nil {
			s.reply(authReply(err))
			return
		}
		if done {
			if err := listen.LoggedIn(s.ctx); err != nil {
				s.reply(authReply(err))
				return
			}
			s.account, s.lastProgress = e.Account(), time.Now()
			s.watch = s.srv.accounts.Sessions().Watch(s.account, s.peer(), func(reason string) { listen.End(s.ctx, reason) })
			s.reply(reply{code: 235, text: s.account.Address() + " authenticated"})
			return
		}
		s.send("", reply{code: 334, text: base64.StdEncoding.EncodeToString(challenge)})
		line, err := s.in.line(s.commandEnd())
		switch {
		case errors.Is(err, errLineTooLong):
			s.reply(replyAuthLong)
			return
		case errors.Is(err, errBareLine):
			s.reply(replyAuthBase64)
			return
		case err != nil:
			s.disconnect(err)
			return
		case len(line) > auth.MaxResponse:
			s.reply(replyAuthLong)
			return
		}
		response, err = auth.DecodeResponse(string(line))
		switch {
		case errors.Is(err, auth.ErrCanceled):
			s.reply(replyAuthCanceled)
			return
		case err != nil:
			s.reply(replyAuthBase64)
			return
		}
	}
}

// authReply is the reply to a failure of AUTH, which has codes of its own.
func authReply(err error) reply {
	switch kind := fault.KindOf(err); {
	case kind == fault.Invalid:
		return replyAuthSyntax
	case kind == fault.Unsupported:
		return replyAuthMechanism
	case kind == fault.TLSRequired:
		return replies[kind]
	case kind.Temporary():
		return replyAuthTemporary
	case kind == fault.Denied:
		return refusal(535, 5, 7, 8, fault.Text(err))
	}
	return replies[fault.BadCredentials]
}
