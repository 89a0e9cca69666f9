package imap

import (
	"errors"

	"gatepost/server/settings"
)

// Settings are what an administrator can change of the IMAP module. Listeners
// and the log level are settings of every module, see package server.
type Settings struct {
	// Channels bounds the sessions of all listeners together.
	Channels       int             `key:"Channels" default:"10000" help:"sessions at a time; 0 for no limit" since:"0.1"`
	MaxMessageSize settings.Size   `key:"MaxMessageSize" default:"100M" unit:"bytes" help:"largest message that a client may store" since:"0.1"`
	LoginTimeout   settings.Period `key:"LoginTimeout" default:"3m" level:"expert" help:"time from the connection within which a client has to log in" since:"0.1"`
	// IdleTimeout is the autologout timer, which RFC 9051 section 5.4 wants to be 30
	// minutes at least.
	IdleTimeout settings.Period `key:"IdleTimeout" default:"30m" level:"expert" help:"time between commands after which a session is ended; a client that waits in IDLE is left alone" since:"0.1"`
}

// Validate checks the values that a type alone does not bound.
func (s *Settings) Validate() error {
	switch {
	case s.Channels < 0:
		return errors.New("a number of Channels that is not negative is expected")
	case s.LoginTimeout == 0:
		return errors.New("a LoginTimeout of 0 would close every session at once")
	case s.IdleTimeout == 0:
		return errors.New("an IdleTimeout of 0 would close every session at once")
	}
	return nil
}
