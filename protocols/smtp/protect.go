package smtp

import (
	"log/slog"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/protection"
)

// This file has what the address of the client means for its session (package protection).

// open reports whether the session is one of port 25: anybody may talk here who is not turned away.
func (s *session) open() bool { return !s.submission && !s.lmtp }

// turnedAway ends the session of a client on the temporary blacklist. Ports for our users are left to the login, so that a user is
// not kept out by another one behind the same address.
func (s *session) turnedAway() bool {
	if !s.open() {
		return false
	}
	b, blocked := s.srv.protection.Blocked(s.remote)
	if !blocked {
		return false
	}
	s.srv.counts.TurnedAway.Inc(string(b.Cause))
	s.log.LogAttrs(s.ctx, logs.LevelProblem, "session refused: the address is on the temporary blacklist", slog.String("cause", string(b.Cause)))
	s.send("", reply{421, envelope.Code{4, 7, 1}, s.name + " " + s.literal + " is blocked for a while: " + string(b.Cause)})
	return true
}

// offend counts against a stranger what only attackers do often.
func (s *session) offend(c protection.Cause) {
	if s.stranger() && s.open() && s.srv.protection.Report(s.remote, c) {
		s.blocked = c
	}
}

// offends reports whether a reply is to a command that is wrong or comes at the wrong time.
func offends(r reply) bool { return r.code >= 500 && r.code <= 504 }

// listed says which list the client is on, so that its mail is refused; empty if it is on none.
func (s *session) listed() string {
	if s.account != nil || !s.open() {
		return ""
	}
	if s.srv.protection.Blacklisted(s.remote) {
		return "the blacklist of this server"
	}
	return ""
}

// listedRcpt is RCPT of a client that is on a list. The Router Table may let it in by an address with the domain blacklisted.
func (s *session) listedRcpt(rcpt envelope.Recipient, list string) {
	about := shown(rcpt.Address)
	passage := listedAddress(rcpt.Address)
	route, err := s.srv.router.Route(s.ctx, router.Mail, passage)
	if err == nil && !(route.Module == router.SYSTEM) {
		err = s.mayReach(route, nil)
	} else {
		text := "your address " + s.literal + " is on " + list
		if contact := s.contact(); contact != "" {
			text += "; write to " + contact
		}
		r := refusal(s.srv.cfg.Get().code(591, 550), 5, 7, 1, text)
		err = &r
	}
	if err != nil {
		s.refuseRcpt(about, err)
		return
	}
	rcpt.Address, rcpt.Local = passage, passage.Local
	s.addRecipient(rcpt, route)
	s.replyAbout(about, reply{code: 250, text: s.acceptedText(route)})
}

// listedAddress is what the Router is asked for a recipient of a client that is on a list: user%domain@blacklisted.
func listedAddress(a address.Address) address.Address {
	local := a.Local
	if a.Domain != "" {
		local += "%" + a.Domain
	}
	return address.Address{Local: local, Domain: names.Blacklisted}
}

// contact is the address that clients on a list may write to, if the Router Table has one.
func (s *session) contact() string {
	a := address.Address{Local: "blacklist-admin", Domain: s.name}
	route, err := s.srv.router.Route(s.ctx, router.Mail, listedAddress(a))
	if err != nil || route.Module == router.SYSTEM {
		return ""
	}
	return a.String()
}

// code is the stock code of a refusal, or the one of RFC 5321 if the settings want that.
func (s *Settings) code(stock, standard int) int {
	if s.StandardCodes {
		return standard
	}
	return stock
}

// causeOf is what a recipient that was refused counts as.
func causeOf(err error) (protection.Cause, bool) {
	switch fault.KindOf(err) {
	case fault.NotFound:
		return protection.UnknownRecipients, true
	case fault.RelayDenied:
		return protection.RefusedRelaying, true
	}
	return "", false
}
