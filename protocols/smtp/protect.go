package smtp

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"time"

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
	b, r := s.blocking()
	if r == nil {
		return false
	}
	s.srv.counts.TurnedAway.Inc(string(b.Cause))
	s.log.LogAttrs(s.ctx, logs.LevelProblem, "session refused: the address is on the temporary blacklist", slog.String("cause", string(b.Cause)))
	s.send("", *r)
	return true
}

// blocking is the block of the client, and the word that it gets for a greeting; nil without one.
func (s *session) blocking() (protection.Block, *reply) {
	b, blocked := s.srv.protection.Blocked(s.remote)
	if !blocked || !s.open() {
		return b, nil
	}
	r := blockedReply(s.name, s.remote, b)
	return b, &r
}

// blockedReply is the greeting of a server for a client on the temporary blacklist.
func blockedReply(name string, ip netip.Addr, b protection.Block) reply {
	return reply{421, envelope.Code{4, 7, 1}, name + " " + address.FormatLiteral(ip) + " is blocked for a while: " + string(b.Cause)}
}

// tooFast ends the session of a stranger that connects too often.
func (s *session) tooFast() bool {
	if !s.open() || s.client {
		return false
	}
	wait := s.srv.protection.TakeConnection(s.remote)
	if wait <= 0 {
		return false
	}
	s.srv.counts.TurnedAway.Inc("too many connections in a short time")
	s.log.LogAttrs(s.ctx, logs.LevelProblem, "session refused: too many connections in a short time", slog.String("for", wait.Round(time.Second).String()))
	s.send("", reply{421, envelope.Code{4, 7, 0}, s.name + " " + s.literal + " connects too often, try again later"})
	return true
}

// countMessage refuses a message of a stranger who sends too many.
func (s *session) countMessage() error {
	if !s.open() || !s.stranger() || s.srv.protection.TakeMessage(s.remote) <= 0 {
		return nil
	}
	r := refusal(451, 4, 7, 1, "too many messages from your address, try again later")
	return &r
}

// callBack has the mail server of a return-path asked whether it knows it.
func (s *session) callBack(from address.Address) error {
	if _, literal := from.Literal(); literal || from.NeedsUTF8() || !s.open() || !appliesTo(s.cfg.ReverseConnect, s.isClient()) || s.srv.protection.WhiteHole(s.remote) {
		return nil
	}
	err := s.srv.protection.ReverseConnect(s.ctx, protection.Callback{Address: from.String(), HELO: s.name, Client: s.remote})
	if fault.Is(err, fault.Rejected) {
		r := refusal(550, 5, 1, 8, "return-path refused: "+fault.Text(err))
		return &r
	}
	return err
}

// greylist puts off a recipient to whom a stranger writes for the first time.
func (s *session) greylist(to address.Address) error {
	if !s.open() || !s.stranger() {
		return nil
	}
	wait, grey := s.srv.protection.Greylisted(s.remote, shown(s.tx.env.ReturnPath), to.String())
	if !grey {
		return nil
	}
	r := refusal(451, 4, 7, 1, "greylisted: come again in "+wait.Round(time.Second).String())
	return &r
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
	list, _ := s.inspection.Result()
	return list
}

// appendMarks appends a field for each DNS list that has the client and refuses nothing.
func (s *session) appendMarks(dst []byte) []byte {
	if s.account != nil {
		return dst
	}
	_, marks := s.inspection.Result()
	for _, m := range marks {
		dst = append(append(append(dst, "X-Blacklisted: "...), m...), crlf...)
	}
	return dst
}

// namesTimeout bounds the look-ups of names that a client gives.
const namesTimeout = 20 * time.Second

// checkHELO refuses mail of a client whose name in HELO is none (RFC 5321 section 4.1.1.1). That the name does not lead to the client's
// address is no reason (section 4.1.4).
func (s *session) checkHELO() error {
	if s.badHELO == "" || !s.open() || !appliesTo(s.cfg.VerifyHELO, s.isClient()) || s.srv.protection.WhiteHole(s.remote) {
		return nil
	}
	r := refusal(550, 5, 7, 1, s.badHELO)
	return &r
}

// verifyHELO says what is wrong with a name in HELO, or "".
func (s *session) verifyHELO(name string) string {
	if !s.open() || !appliesTo(s.cfg.VerifyHELO, s.client) {
		return ""
	}
	shown := "the name " + name + " in HELO "
	_, ours := s.srv.accounts.DomainName(name)
	ip, literal := address.Address{Domain: name}.Literal()
	switch {
	case name == "":
		return "HELO without a name"
	case literal && ip != s.remote:
		return shown + "is the address of another host"
	case literal:
		return ""
	case strings.HasPrefix(name, "["):
		return shown + "is no address"
	case !strings.Contains(strings.Trim(name, "."), "."):
		return shown + "is not qualified"
	case ours && s.stranger():
		return shown + "is this server's"
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return shown + "is an address without brackets"
	}
	ctx, cancel := context.WithTimeout(s.ctx, namesTimeout)
	defer cancel()
	if exists, err := s.srv.protection.HostExists(ctx, name); err == nil && !exists {
		return shown + "does not exist"
	}
	return ""
}

// verifyDomain refuses a return-path in a domain of others where nobody could be answered.
func (s *session) verifyDomain(from address.Address) error {
	if _, literal := from.Literal(); literal || s.srv.protection.WhiteHole(s.remote) {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, namesTimeout)
	defer cancel()
	err := s.srv.protection.ReturnPath(ctx, from.Domain)
	switch {
	case err == nil:
		return nil
	case fault.Is(err, fault.Rejected):
		r := refusal(550, 5, 1, 8, "return-path refused: "+fault.Text(err))
		return &r
	case s.ctx.Err() != nil:
		return err
	}
	return &fault.Error{Op: "smtp.mail", Kind: fault.Unavailable, Text: "the domain of the return-path cannot be looked up now, try again later", Err: err}
}

// listedRcpt is RCPT of a client that is on a list. The Router Table may let it in by an address with the domain blacklisted.
func (s *session) listedRcpt(rcpt envelope.Recipient, list string) {
	about := shown(rcpt.Address)
	route, r := s.listedRoute(rcpt.Address, list)
	if r.code != 250 {
		s.refuseRcpt(about, &r)
		return
	}
	rcpt.Address = listedAddress(rcpt.Address)
	rcpt.Local = rcpt.Address.Local
	s.addRecipient(rcpt, route)
	s.replyAbout(about, r)
}

// listedRoute is where the Router Table leads a client that is on a list, and the reply to it.
func (s *session) listedRoute(to address.Address, list string) (router.Route, reply) {
	route, err := s.srv.router.Route(s.ctx, router.Mail, listedAddress(to))
	if err == nil && route.Module != router.SYSTEM {
		if err = s.mayReach(route, nil); err != nil {
			return route, rcptRefusal(err)
		}
		return route, reply{code: 250, text: s.acceptedText(route)}
	}
	text := "your address " + s.literal + " is on " + list
	if contact := s.contact(); contact != "" {
		text += "; write to " + contact
	}
	return route, refusal(s.srv.cfg.Get().code(591, 550), 5, 7, 1, text)
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
