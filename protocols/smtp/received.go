package smtp

import (
	"strconv"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/queue/envelope"
)

// rfc5322 is the form of dates in trace fields.
const rfc5322 = "Mon, 02 Jan 2006 15:04:05 -0700"

// appendReceived appends the trace field (RFC 5321 4.4) of the message that is
// being received:
//
//	Received: from name ([192.0.2.1] verified)
//	  by company.com (Gatepost SMTP)
//	  with ESMTPSA id 100234 for <user@company.com>; Mon, 02 Jan 2006 15:04:05 +0100
//
// The first line says what is known of the client: a name that is proved stands
// first; else the address does, with the name that the client claims.
func (s *session) appendReceived(dst []byte, id envelope.QueueID, now time.Time) []byte {
	dst = append(dst, "Received: from "...)
	ip := s.literal
	who := ""
	if s.account != nil {
		who = "account " + shownAccount(s.account, s.srv.accounts.MainDomain()) + " "
	}
	switch {
	case s.helo == "":
		dst = append(dst, ip...)
		if who != "" {
			dst = append(append(append(dst, " ("...), strings.TrimSuffix(who, " ")...), ')')
		}
	case s.heloVerified():
		dst = append(append(dst, s.helo...), " ("...)
		dst = append(append(append(dst, who...), ip...), " verified)"...)
	default:
		dst = append(append(dst, ip...), " ("...)
		dst = append(append(append(append(dst, who...), "HELO "...), s.helo...), ')')
	}
	dst = append(append(append(dst, "\r\n  by "...), s.name...), " ("+product+" SMTP"...)
	dst = append(append(dst, s.srv.shownVersion(s.cfg)...), ")\r\n  with "...)
	dst = append(append(dst, s.protocol()...), " id "...)
	dst = strconv.AppendUint(dst, uint64(id), 10)
	if rcpts := s.tx.env.Recipients; len(rcpts) == 1 {
		dst = append(append(append(dst, " for <"...), rcpts[0].Address.String()...), '>')
	}
	dst = now.AppendFormat(append(dst, "; "...), rfc5322)
	return append(dst, crlf...)
}

// shownAccount drops the Main Domain.
func shownAccount(a *accounts.Account, main string) string {
	if a.Domain == main {
		return a.Name
	}
	return a.Address()
}

// heloVerified reports whether the name in HELO is proved to be the client's, as
// far as that can be told without DNS: a literal of its address, or this very
// machine.
func (s *session) heloVerified() bool {
	if inside, ok := strings.CutPrefix(s.helo, "["); ok {
		inside = strings.TrimSuffix(inside, "]")
		return s.remote.IsValid() && (strings.EqualFold(s.helo, s.literal) || inside == s.remote.String())
	}
	return s.remote.IsLoopback() && strings.EqualFold(s.helo, "localhost")
}

// protocol is the word after "with" (RFC 3848, RFC 6531 section 4.3).
func (s *session) protocol() string {
	if !s.esmtp && s.tls == nil && s.account == nil {
		return "SMTP"
	}
	word := "ESMTP"
	switch {
	case s.lmtp && s.tx.env.SMTPUTF8:
		word = "UTF8LMTP"
	case s.lmtp:
		word = "LMTP"
	case s.tx.env.SMTPUTF8:
		word = "UTF8SMTP"
	}
	if s.tls != nil {
		word += "S"
	}
	if s.account != nil {
		word += "A"
	}
	return word
}
