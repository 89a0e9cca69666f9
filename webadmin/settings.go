package webadmin

import (
	"time"

	"gatepost/server/settings"
)

// Settings are what an administrator can change of the administrators' pages.
type Settings struct {
	SessionIdle     settings.Period `key:"SessionIdle" default:"30m" since:"0.1" help:"a session of an administrator ends when it was not used for this long"`
	SessionLifetime settings.Period `key:"SessionLifetime" default:"12h" level:"advanced" since:"0.1" help:"a session of an administrator ends after this time, however much it was used"`
	Sessions        int             `key:"Sessions" default:"500" level:"advanced" since:"0.1" help:"sessions of administrators at a time; the one that was idle for longest makes room for a new one"`
	RequireTOTP     string          `key:"RequireTOTP" default:"nobody" values:"nobody|server administrators|everybody" since:"0.2" help:"who has to log in with a code of an authenticator program besides the password; others may"`
	SessionsOfOne   int             `key:"SessionsPerAccount" default:"20" level:"expert" since:"0.1" help:"sessions of one administrator at a time"`
}

// Validate checks the bounds.
func (s *Settings) Validate() error {
	for key, p := range map[string]settings.Period{"SessionIdle": s.SessionIdle, "SessionLifetime": s.SessionLifetime} {
		if p.Duration() < time.Minute || p.Duration() > 30*24*time.Hour {
			return settings.BadValue(key, "must be 1m to 30d")
		}
	}
	switch {
	case s.Sessions < 1 || s.Sessions > 100_000:
		return settings.BadValue("Sessions", "must be 1 to 100000")
	case s.SessionsOfOne < 1:
		return settings.BadValue("SessionsPerAccount", "must be 1 or more")
	}
	return nil
}
