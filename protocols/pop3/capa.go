package pop3

import (
	"strconv"
	"strings"
	"time"
)

// capa lists what the session can do now (RFC 2449). A test keeps the lists of all states as
// files.
func (s *session) capa([]string) error {
	s.say("+OK capabilities follow")
	for _, c := range s.capabilities() {
		s.say(c)
	}
	s.say(".")
	return nil
}

func (s *session) capabilities() []string {
	plain := s.auth.PlainAllowed(s.peer)
	list := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8", "LANG", "EXPIRE " + s.expiry()}
	if delay := s.config.LoginDelay.Duration(); delay > 0 {
		list = append(list, "LOGIN-DELAY "+strconv.Itoa(int(delay/time.Second)))
	}
	if plain {
		list = append(list, "USER")
	}
	if mechanisms := s.auth.Mechanisms(s.ctx, s.peer, plain, s.tlsState); len(mechanisms) > 0 {
		list = append(list, "SASL "+strings.Join(mechanisms, " "))
	}
	if s.canStartTLS() {
		list = append(list, "STLS")
	}
	return append(list, "IMPLEMENTATION Gatepost")
}

// canStartTLS reports whether STLS makes sense: before the login only (RFC 2595
// section 4).
func (s *session) canStartTLS() bool {
	return s.stls && !s.peer.TLS && s.drop == nil && s.tls() != nil
}
