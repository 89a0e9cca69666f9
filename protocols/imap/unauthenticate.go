package imap

import (
	"gatepost/protocols/imap/wire"
)

// unauthenticate is UNAUTHENTICATE (RFC 8437): the session is again as before the login, but for TLS and compression. Programs that
// work for many users keep their connections that way.
func unauthenticate(s *session, c *call, p *wire.Parser) error {
	if err := p.End(); err != nil {
		return err
	}
	if s.view != nil {
		s.leave()
	}
	s.watch.Stop()
	s.endNotify()
	s.account, s.mail, s.watch = nil, nil, nil
	s.enabled = enabled{}
	s.loggedOut = true
	s.in.SetLimits(strangerLimits)
	return nil
}
