package imap

import (
	"errors"

	"gatepost/server/settings"
)

// Settings are what an administrator can change of the IMAP module.
type Settings struct {
	settings.Kept
	Listener settings.Listeners `key:"Listener" default:"({Port=143;},{Port=993;TLS=implicit;})" help:"addresses and ports to accept connections on" since:"0.1"`
	// Channels bounds the sessions of all listeners together.
	Channels       int           `key:"Channels" default:"10000" help:"sessions at a time; 0 for no limit" since:"0.1"`
	MaxMessageSize settings.Size `key:"MaxMessageSize" default:"100M" unit:"bytes" help:"largest message that a client may store with APPEND" since:"0.1"`
	// LoginTimeout bounds the silence of a client that has not logged in yet.
	LoginTimeout settings.Period `key:"LoginTimeout" default:"3m" level:"expert" help:"time that a client may stay silent before it has logged in" since:"0.1"`
	// IdleTimeout is the autologout timer of RFC 9051 section 5.4: 30 minutes at least.
	IdleTimeout settings.Period `key:"IdleTimeout" default:"30m" level:"expert" help:"time between commands after which a session is ended; not counted while the client waits in IDLE" since:"0.1"`
	LogLevel    int             `key:"LogLevel" default:"3" level:"advanced" help:"last level of log records that is written, 0 to 5" since:"0.1"`
}

// Validate checks the values that a type alone does not bound.
func (s *Settings) Validate() error {
	if s.LogLevel < 0 || s.LogLevel > 5 {
		return errors.New("LogLevel: a number from 0 to 5 is expected")
	}
	if s.Channels < 0 {
		return errors.New("Channels: a number that is not negative is expected")
	}
	return nil
}
