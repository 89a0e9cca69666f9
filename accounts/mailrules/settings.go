package mailrules

import (
	"errors"

	"gatepost/server/settings"
)

// Settings of what rules do.
type Settings struct {
	RepliesToAddress settings.Rate   `key:"RepliesToAddress" default:"(10, 1h)" level:"advanced" since:"0.1" help:"replies and reactions that the rules of one account send to one address in a period"`
	ExecuteLimit     settings.Period `key:"ExecuteLimit" default:"2m" level:"advanced" since:"0.1" help:"how long a program may run that a rule executes"`
	URLPrivate       settings.Flag   `key:"URLPrivate" default:"NO" level:"advanced" since:"0.1" help:"whether SendURL may reach this machine, private networks and others that are not public"`
	URLTimeout       settings.Period `key:"URLTimeout" default:"10s" level:"advanced" since:"0.1" help:"how long a request of SendURL may take"`
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	if s.ExecuteLimit.Duration() <= 0 || s.URLTimeout.Duration() <= 0 {
		return errors.New("ExecuteLimit and URLTimeout must be longer than 0")
	}
	return nil
}
