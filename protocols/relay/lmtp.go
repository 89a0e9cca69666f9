package relay

import (
	"strings"
)

// LMTP (RFC 2033) is how mail goes to a program of this site that delivers it at once, such as the mailbox server
// of another vendor: a host "lmtp:name", "lmtp:name:port" or "lmtp:/path/of/socket". LHLO stands in the place of
// EHLO, and the message has an answer for each recipient that was accepted.

// portLMTP is the port of a host without one.
const portLMTP = 24

// lmtpPrefix begins a host that speaks LMTP.
const lmtpPrefix = "lmtp:"

// isSocket reports whether the name of a host is the path of a socket.
func isSocket(name string) bool { return strings.HasPrefix(name, "/") }

// connectSocket gets a connection to the socket of the way.
func (s *sender) connectSocket() error {
	h := s.way.hop(s.way.name)
	s.host = displayName(s.way.name)
	if c := s.t.idle.take(h); c != nil {
		s.use(c, true)
		return nil
	}
	c, err := s.t.dialer.openSocket(s.ctx, h)
	if err != nil {
		return err
	}
	s.batch.Answered()
	s.use(c, false)
	return nil
}

// finalReplies takes the answers for the accepted recipients, in their order. A recipient without one is not
// known to have the message.
func (t *transaction) finalReplies(accepted []int) error {
	clean := true
	for _, i := range accepted {
		final, err := t.c.read(t.c.limits.final)
		if err != nil && final.code == 0 {
			return &broken{err: err, begun: true}
		}
		t.judgeText(final, []int{i})
		clean = clean && t.c.clean
		switch {
		case err != nil:
			return &broken{err: err, begun: true}
		case final.code == 421:
			return &broken{err: &refusal{"DATA", final}, begun: true}
		}
	}
	t.c.clean = clean
	return nil
}

// lmtpHost reads what follows the prefix.
func lmtpHost(text string) (Host, error) {
	if isSocket(text) {
		return Host{Name: text, LMTP: true}, nil
	}
	h, err := ParseHost(text)
	h.LMTP = !h.IsZero()
	return h, err
}

// noRecipients is the failure of a server that wants a text for nobody.
var noRecipients = &refusal{"DATA", reply{code: 451, lines: []string{"LMTP wants a message without recipients"}}}
