package pop3

import (
	"errors"
	"time"

	"gatepost/server/settings"
)

// Settings are what an administrator can change of the POP module. Listeners and
// the log level are settings of every module, see package server.
type Settings struct {
	// Channels bounds the sessions of all listeners together.
	Channels int           `key:"Channels" default:"2000" help:"sessions at a time; 0 for no limit" since:"0.1"`
	MarkSeen settings.Flag `key:"MarkSeen" default:"NO" level:"advanced" help:"messages that were retrieved are marked as seen for other protocols" since:"0.1"`
	// LoginDelay is LOGIN-DELAY, and Expire is EXPIRE of RFC 2449 sections 6.5 and 6.7.
	LoginDelay   settings.Period `key:"LoginDelay" default:"0" level:"advanced" help:"how long a client has to wait between two logins to one account; 0 for no limit, at most 1h" since:"0.2"`
	Expire       int             `key:"Expire" default:"-1" level:"advanced" help:"messages that a client retrieves are removed when it quits, if they have been here for this number of days; -1 for never, at most 3650" since:"0.2"`
	LoginTimeout settings.Period `key:"LoginTimeout" default:"3m" level:"expert" help:"time from the connection within which a client has to log in" since:"0.1"`
	// IdleTimeout is the autologout timer of RFC 1939 section 3.
	IdleTimeout settings.Period `key:"IdleTimeout" default:"10m" level:"expert" help:"time between commands after which a session is ended without removing anything; 10m at least" since:"0.1"`
}

// Validate checks the values that a type alone does not bound.
func (s *Settings) Validate() error {
	switch {
	case s.Channels < 0:
		return errors.New("a number that is not negative is expected for Channels")
	case s.LoginDelay.Duration() > time.Hour:
		return errors.New("LoginDelay: one hour at most")
	case s.Expire < -1 || s.Expire > 3650:
		return errors.New("a number of days from -1 to 3650 is expected for Expire")
	case s.LoginTimeout == 0:
		return errors.New("a LoginTimeout of 0 would close every session at once")
	case s.IdleTimeout.Duration() < 10*time.Minute:
		return errors.New("IdleTimeout: 10 minutes at least (RFC 1939 section 3)")
	}
	return nil
}
