package pickup

import (
	"errors"
	"strings"
	"time"

	"gatepost/server/settings"
)

// Settings of the module PIPE that are about messages from programs of this machine.
type Settings struct {
	ScanPeriod     settings.Period `key:"SubmittedScanPeriod" default:"5s" level:"expert" since:"0.2" help:"how often the folder Submitted is read when the system tells of no change in it"`
	MaxMessageSize settings.Size   `key:"MaxMessageSize" default:"50M" unit:"bytes" level:"basic" since:"0.2" help:"largest message that is taken from the folder Submitted; a larger file is set aside"`
	MaySetSender   string          `key:"MaySetSender" default:"*" level:"basic" since:"0.2" help:"users of this machine who may give any return-path and From, separated by commas; * for all. Others send as USER@Main Domain. root and the server's own user always may"`
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	if s.ScanPeriod.Duration() < time.Second {
		return errors.New("SubmittedScanPeriod must be at least 1s")
	}
	return nil
}

// maySetSender reports whether a user may send under other names.
func (s *Settings) maySetSender(user string) bool {
	for _, name := range strings.FieldsFunc(s.MaySetSender, func(r rune) bool { return r == ',' || r == ' ' }) {
		if name == "*" || name == user {
			return true
		}
	}
	return false
}
