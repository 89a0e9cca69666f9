package pwd

import (
	"fmt"

	"gatepost/server/settings"
)

// Settings of the PWD module.
type Settings struct {
	settings.Kept
	Listener    settings.Listeners `key:"Listener" default:"({Port=106;})" help:"addresses and ports to accept connections on"`
	MaxSessions int                `key:"MaxInputChannels" default:"50" help:"sessions at a time"`
	Timeout     settings.Period    `key:"Timeout" default:"5m" level:"advanced" help:"silence after which a session is closed; scripts count on 5 minutes"`
	LogLevel    int                `key:"LogLevel" default:"3" help:"detail of the log, 0 to 5"`
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	if s.MaxSessions < 1 {
		return fmt.Errorf("MaxInputChannels: at least one session is needed")
	}
	if s.LogLevel < 0 || s.LogLevel > 5 {
		return fmt.Errorf("LogLevel: a number from 0 to 5 is expected")
	}
	if s.Timeout == 0 {
		return fmt.Errorf("Timeout: 0 would close every session at once")
	}
	return nil
}
