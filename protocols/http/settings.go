package http

import (
	"time"

	"gatepost/server/settings"
)

// Settings are what an administrator can change of HTTPA and of HTTPU. Listeners and the log level
// are settings of every module, see package server.
type Settings struct {
	Channels       int             `key:"Channels" default:"1000" since:"0.1" help:"connections at a time; 0 for no limit"`
	Requests       int             `key:"Requests" default:"500" level:"advanced" since:"0.1" help:"requests that are carried out at a time; more are answered with 503; 0 for no limit"`
	RequestsPerIP  int             `key:"RequestsPerIP" default:"50" level:"advanced" since:"0.1" help:"requests of one address at a time that is not a Client IP; more are answered with 429; 0 for no limit"`
	RequestSize    settings.Size   `key:"HTTPRequestSizeLimit" default:"10M" unit:"bytes" since:"0.1" help:"largest body of a request, where the part that answers it has no limit of its own"`
	HeaderSize     settings.Size   `key:"HeaderSizeLimit" default:"32K" unit:"bytes" level:"expert" since:"0.1" help:"largest header of a request, 4K to 1M"`
	KeepAlive      settings.Flag   `key:"SupportKeepAlive" default:"YES" level:"advanced" since:"0.1" help:"a connection serves more than one request"`
	HeaderTimeout  settings.Period `key:"HeaderTimeout" default:"20s" level:"expert" since:"0.1" help:"how long the header of a request may take"`
	BodyTimeout    settings.Period `key:"BodyTimeout" default:"1m" level:"expert" since:"0.1" help:"how long a client may pause while it sends a body, and a sixth of the time after which it must have sent 100 bytes a second"`
	WriteTimeout   settings.Period `key:"WriteTimeout" default:"2m" level:"expert" since:"0.1" help:"how long a client may take for each piece of an answer"`
	IdleTimeout    settings.Period `key:"IdleTimeout" default:"2m" level:"expert" since:"0.1" help:"time between requests after which a connection is closed"`
	TrustedProxies settings.IPList `key:"TrustedProxies" level:"advanced" since:"0.1" help:"addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed"`
	CLIAccess      string          `key:"CLIAccess" default:"nobody" values:"nobody|clients|everybody" since:"0.1" help:"who reaches the command line at /CLI/: nobody, Client IPs, or everybody; each with name and password"`
}

// Validate checks the values that a type alone does not bound.
func (s *Settings) Validate() error {
	switch {
	case s.Channels < 0:
		return settings.BadValue("Channels", "must not be negative")
	case s.Requests < 0:
		return settings.BadValue("Requests", "must not be negative")
	case s.RequestsPerIP < 0:
		return settings.BadValue("RequestsPerIP", "must not be negative")
	case s.HeaderSize < 4<<10 || s.HeaderSize > 1<<20:
		return settings.BadValue("HeaderSizeLimit", "must be 4K to 1M")
	}
	for key, period := range map[string]settings.Period{
		"HeaderTimeout": s.HeaderTimeout, "BodyTimeout": s.BodyTimeout, "WriteTimeout": s.WriteTimeout, "IdleTimeout": s.IdleTimeout,
	} {
		if period <= 0 || period.Duration() > 24*time.Hour {
			return settings.BadValue(key, "must be more than 0 and not more than 1d")
		}
	}
	return nil
}
