package smtp

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"gatepost/protocols/internal/listen"
	"gatepost/server/logs"
	"gatepost/server/protection"
)

// greet sends the 220. Strangers on port 25 wait for it: programs that do not
// know the protocol talk at once, and give themselves away. It
// reports false when the session is over.
func (s *session) greet() bool {
	if s.lmtp {
		return s.greetLMTP()
	}
	if delay := s.promptDelay(); delay > 0 {
		s.in.end = time.Now().Add(delay)
		err := s.in.fill()
		switch {
		case err == nil:
			s.in.discard()
			s.log.LogAttrs(s.ctx, logs.LevelProblem, "the client sent before the greeting")
			s.offend(protection.EarlyTalker)
			s.reply(refusal(554, 5, 7, 1, s.name+" wait for the greeting before you talk"))
			return false
		case s.ctx.Err() != nil || !errors.Is(err, os.ErrDeadlineExceeded):
			s.disconnect(err)
			return false
		}
	}
	s.reply(reply{code: 220, text: s.name + " " + s.cfg.Prompt})
	s.prompted = time.Now()
	return true
}

// crowdedDelay is the longest wait for the greeting while other strangers wait for slots.
const crowdedDelay = time.Second

// promptDelay is how long the client waits for the greeting. While there are too many clients, it is short, and one from
// whose address mail has come before does not wait: slots are not held for longer than it takes.
func (s *session) promptDelay() time.Duration {
	delay := s.cfg.DelayPrompt.Duration()
	switch {
	case delay <= 0 || s.client || s.submission:
		return 0
	case !listen.Crowded(s.ctx):
		return delay
	case s.srv.protection.KnownSender(s.remote):
		return 0
	}
	return min(crowdedDelay, delay)
}

// maxHelo is the longest name in HELO (RFC 5321 4.5.3.1.2).
const maxHelo = 255

// hello is HELO and EHLO. A name that is missing or has no dot earns a remark,
// not a refusal.
func (s *session) hello(arg string, extended bool) {
	if s.lmtp {
		s.reply(notHere)
		return
	}
	s.helloAs(arg, extended)
}

// helloAs is hello in either protocol.
func (s *session) helloAs(arg string, extended bool) {
	name, _, _ := strings.Cut(arg, " ")
	if len(name) > maxHelo {
		s.reply(refusal(501, 5, 5, 4, "domain name is too long"))
		return
	}
	s.tx.abort() // RFC 5321 4.1.4: EHLO is a RSET too
	s.tx = nil
	s.helo, s.greeted, s.esmtp = cleanName(name), true, extended
	s.badHELO = s.verifyHELO(s.helo)
	r := reply{code: 250, text: s.name + " is pleased to meet you"}
	if !strings.Contains(s.helo, ".") && !strings.HasPrefix(s.helo, "[") {
		r.text = s.name + " domain name should be qualified"
	}
	if !extended {
		s.reply(r)
		return
	}
	s.replyLines(r, s.keywords()...)
}

// cleanName takes out of a HELO name what has no place in a host name or a
// literal, so that it can stand in a trace field.
func cleanName(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune("-._:[]", c):
			return c
		}
		return -1
	}, name)
}

// offersRequireTLS reports whether mail may ask to go on over TLS only (RFC 8689): mail that has come so itself.
func (s *session) offersRequireTLS() bool { return s.tls != nil && !s.lmtp }

// keywords is what EHLO offers in this state, in an order that is kept.
func (s *session) keywords() []string {
	list := []string{"DSN", "SIZE"}
	if limit := s.sizeLimit(); limit >= 0 {
		list[1] += " " + strconv.FormatInt(limit, 10)
	}
	if s.mayStartTLS() {
		list = append(list, "STARTTLS")
	}
	if mechanisms := s.mechanisms(); len(mechanisms) > 0 {
		list = append(list, "AUTH "+strings.Join(mechanisms, " "))
	}
	if s.lmtp {
		return append(list, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "LIMITS RCPTMAX="+strconv.Itoa(s.recipientsLimit()), "HELP", "PIPELINING")
	}
	if s.mayStartQueues() {
		list = append(list, "ETRN")
	}
	if s.offersATRN() {
		list = append(list, "ATRN")
	}
	if s.offersRequireTLS() {
		list = append(list, "REQUIRETLS")
	}
	return append(list, "8BITMIME", "SMTPUTF8", "BINARYMIME", "CHUNKING", "ENHANCEDSTATUSCODES",
		"LIMITS RCPTMAX="+strconv.Itoa(s.recipientsLimit()), "HELP", "PIPELINING", "EHLO")
}
