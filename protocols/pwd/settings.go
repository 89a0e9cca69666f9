package pwd

import "gatepost/server/settings"

// Settings of the PWD module. Listeners and the log level are those that every
// module has.
type Settings struct {
	MaxSessions int             `key:"MaxInputChannels" default:"50" since:"0.1" help:"sessions at a time; one user gets at most a tenth of them (at least two), one administrator four fifths"`
	Timeout     settings.Period `key:"Timeout" default:"5m" level:"advanced" since:"0.1" help:"silence after which a session is closed; scripts count on 5 minutes"`
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	if s.MaxSessions < 1 {
		return settings.BadValue("MaxInputChannels", "at least one session is needed")
	}
	if s.Timeout == 0 {
		return settings.BadValue("Timeout", "0 would close every session at once")
	}
	return nil
}
