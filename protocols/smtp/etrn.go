package smtp

import (
	"log/slog"
	"strings"

	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Starter has mail sent that waits for a host.
type Starter interface {
	// StartQueue lets the queue of a domain try now, on hold or not. It reports whether mail waits there.
	StartQueue(domain string) bool
	// StartQueuesBelow does the same with those of a domain and of all names below it, and counts those where mail waits.
	StartQueuesBelow(domain string) int
}

// mayStartQueues reports whether the client may ask for the mail of others to be sent.
func (s *session) mayStartQueues() bool {
	switch {
	case s.lmtp:
		return false
	case s.cfg.ETRNFrom == "clients":
		return !s.stranger()
	}
	return appliesTo(s.cfg.ETRNFrom, s.client)
}

// etrn is ETRN (RFC 1985): a server that is not always reachable asks for its mail. It is sent over
// a connection of ours to the domain's servers, so that nobody gets mail who asks for that of others.
func (s *session) etrn(arg string) {
	switch {
	case !s.greeted:
		s.reply(replyNoHello)
		return
	case s.tx != nil:
		s.reply(replyNested)
		return
	case !s.mayStartQueues():
		s.reply(refusal(459, 4, 7, 1, "ETRN is not allowed for this client"))
		return
	}
	// "#queue" is a queue by a name of the server's choice (section 5.1.3): a domain here too. "@domain" is the domain with
	// all names below it (section 5.1.2).
	name, below := strings.CutPrefix(strings.TrimPrefix(arg, "#"), "@")
	domain, err := address.NormalizeDomain(name)
	if err != nil || domain == "" || strings.ContainsAny(domain, " \t") {
		s.reply(refusal(501, 5, 5, 4, "ETRN needs the name of a domain"))
		return
	}
	if below {
		n := s.srv.starter.StartQueuesBelow(domain)
		s.log.LogAttrs(s.ctx, logs.LevelMajor, "mail is asked for", slog.String("domain", "@"+domain), slog.Int("queues", n))
		if n == 0 {
			s.reply(reply{code: 251, text: "OK, no messages waiting for node @" + domain})
			return
		}
		s.reply(reply{code: 250, text: "OK, queuing for node @" + domain + " started"})
		return
	}
	waits := s.srv.starter.StartQueue(domain)
	s.log.LogAttrs(s.ctx, logs.LevelMajor, "mail is asked for", slog.String("domain", domain), slog.Bool("waits", waits))
	if !waits {
		s.reply(reply{code: 251, text: "OK, no messages waiting for node " + domain})
		return
	}
	s.reply(reply{code: 250, text: "OK, queuing for node " + domain + " started"})
}

// mayWakeUp is the answer to a recipient domain%wakeup, which asks for mail as ETRN does.
func (s *session) mayWakeUp() error {
	if s.mayStartQueues() {
		return nil
	}
	return fault.New("smtp.rcpt", fault.Denied, "this client may not ask for the mail of others")
}
