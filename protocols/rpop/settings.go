package rpop

import (
	"net/netip"
	"time"

	"gatepost/server/settings"
)

// Settings are what an administrator can change of the RPOP module.
type Settings struct {
	Processors          int             `key:"Processors" default:"10" level:"basic" since:"0.2" help:"remote accounts that are polled at a time; 0 stops polling"`
	DelayFailedHosts    settings.Period `key:"DelayFailedHosts" default:"5m" level:"basic" since:"0.2" help:"time until a host that does not answer is tried again; it doubles with each failure, up to a day"`
	DelayFailedAccounts settings.Period `key:"DelayFailedAccounts" default:"30m" level:"basic" since:"0.2" help:"time until a remote account that refuses the login is tried again; it doubles with each failure, up to a day"`
	UseAPOP             settings.Flag   `key:"UseAPOP" default:"YES" level:"advanced" since:"0.2" help:"the password is not sent as it is to POP3 servers that offer APOP"`
	AllowSelfPoll       settings.Flag   `key:"AllowSelfPoll" default:"NO" level:"advanced" since:"0.2" help:"accounts of this server may be polled"`
	SourceIP            string          `key:"SourceIPAddress" level:"advanced" since:"0.2" help:"local address of connections; empty for the system's choice"`
	UseDomainIP         settings.Flag   `key:"UseDomainIPAddresses" default:"NO" level:"advanced" since:"0.2" help:"connections come from the first IP address of the account's domain, if it has one"`
	MaxMessageSize      settings.Size   `key:"MaxMessageSize" default:"100M" unit:"bytes" level:"basic" since:"0.2" help:"larger messages stay on the other server"`
	MaxMessages         int             `key:"MaxMessages" default:"1000" level:"advanced" since:"0.2" help:"messages that one poll fetches; the next poll then follows at once"`
	Timeout             settings.Period `key:"Timeout" default:"2m" level:"expert" since:"0.2" help:"time without a byte after which a poll ends"`
}

// Validate checks the values that a type alone does not bound.
func (s *Settings) Validate() error {
	switch {
	case s.Processors < 0 || s.Processors > 10_000:
		return settings.BadValue("Processors", "0 to 10000")
	case s.MaxMessages < 1:
		return settings.BadValue("MaxMessages", "1 at least")
	case s.DelayFailedHosts.Duration() < time.Second, s.DelayFailedAccounts.Duration() < time.Second:
		return settings.BadValue("DelayFailedHosts", "it and DelayFailedAccounts are 1s at least")
	case s.Timeout.Duration() < time.Second:
		return settings.BadValue("Timeout", "1s at least")
	}
	if s.SourceIP != "" {
		if _, err := netip.ParseAddr(s.SourceIP); err != nil {
			return settings.BadValue("SourceIPAddress", "%q is not an IP address", s.SourceIP)
		}
	}
	return nil
}
