package smtp

import (
	"context"
	"net"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// LMTP (RFC 2033) is SMTP for other programs of this site, such as a list manager or a filter, that have a
// queue of their own. LHLO stands in the place of EHLO, only accounts of this server are recipients, and each
// of them has an answer at the end of the message. What would keep the mail of a recipient in our queue, a
// full account or one without Mail, is refused at RCPT: the client keeps it. Only Client IPs may connect.

// LMTPSettings are those of the module LMTP; what is not here is as in the module SMTP.
type LMTPSettings struct {
	Channels int `key:"Channels" default:"100" level:"basic" since:"0.2" help:"connections at a time; 0 for no limit"`
}

// Validate checks the number.
func (s *LMTPSettings) Validate() error {
	if s.Channels < 0 {
		return settings.BadValue("Channels", "0 at least")
	}
	return nil
}

// ServeLMTP runs the sessions of a listener for LMTP until ctx is done.
func (s *Server) ServeLMTP(cfg *settings.Live[LMTPSettings]) func(context.Context, net.Listener, settings.Listener) error {
	return func(ctx context.Context, ln net.Listener, l settings.Listener) error {
		o := s.options(l)
		o.MaxSessions = func() int { return cfg.Get().Channels }
		o.Count = &s.lmtpCount
		return s.serve(ctx, ln, o, true)
	}
}

// greetLMTP greets a Client IP, and turns others away.
func (s *session) greetLMTP() bool {
	if !s.client {
		s.reply(refusal(554, 5, 7, 1, s.name+" LMTP is for Client IPs"))
		return false
	}
	s.reply(reply{code: 220, text: s.name + " LMTP " + product})
	return true
}

// notHere is the answer to a command of the other protocol.
var notHere = reply{500, envelope.Code{5, 5, 1}, "the command is not one of this protocol"}

// lhlo is LHLO.
func (s *session) lhlo(arg string) {
	if !s.lmtp {
		s.reply(replyUnknownCommand)
		return
	}
	s.helloAs(arg, true)
}

// mayTake refuses recipients that LMTP does not deliver to now.
func (s *session) mayTake(route router.Route) error {
	const op = "smtp.rcpt"
	if !route.Local() {
		return fault.New(op, fault.RelayDenied, "LMTP delivers to accounts of this server only")
	}
	if route.Module != router.LOCAL || route.All || route.Unknown {
		return nil
	}
	acc, err := s.srv.accounts.Account(s.ctx, route.Domain, route.Name)
	if err != nil {
		return err
	}
	if !acc.Enabled("Mail") {
		return fault.New(op, fault.Disabled, "")
	}
	return acc.Mail().Fits(s.ctx, s.tx.size)
}

// answerMessage answers the end of a message: once, or in LMTP for each recipient that was accepted, in
// their order (RFC 2033 section 4.2).
func (s *session) answerMessage(r reply) {
	answers := s.answers
	s.answers = nil
	if len(answers) == 0 {
		s.reply(r)
		return
	}
	if r.code >= 500 {
		s.errors++
	}
	for _, about := range answers {
		s.send(about, r)
	}
}
