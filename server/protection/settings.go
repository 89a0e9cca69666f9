package protection

import (
	"time"

	"gatepost/server/settings"
)

// Settings are those of the protection against strangers, in Settings/Protection.settings.
type Settings struct {
	DenyAccessFor     settings.Period `key:"DenyAccessFor" default:"15m" level:"basic" since:"0.3" help:"how long an address stays on the temporary blacklist, 30 days at most; 0 puts none there"`
	FailedLogins      settings.Rate   `key:"FailedLoginsLimit" default:"(20, 10m)" level:"basic" since:"0.3" help:"failed logins from an address, whatever the account, after which it is on the temporary blacklist; -1 for no limit"`
	UnknownRecipients settings.Rate   `key:"UnknownRecipientsLimit" default:"(10, 10m)" level:"basic" since:"0.3" help:"unknown recipients from an address after which it is on the temporary blacklist; -1 for no limit"`
	RefusedRelaying   settings.Rate   `key:"RefusedRelayingLimit" default:"(5, 10m)" level:"advanced" since:"0.3" help:"refused relaying attempts from an address after which it is on the temporary blacklist; -1 for no limit"`
	ProtocolErrors    settings.Rate   `key:"ProtocolErrorsLimit" default:"(10, 10m)" level:"advanced" since:"0.3" help:"commands of SMTP that are wrong or come at the wrong time, from an address, after which it is on the temporary blacklist; -1 for no limit"`
	EarlyTalkers      settings.Rate   `key:"EarlyTalkersLimit" default:"(1, 10m)" level:"advanced" since:"0.3" help:"sessions that talk before the greeting of SMTP, from an address, after which it is on the temporary blacklist; -1 for no limit"`
	Spamtraps         settings.Rate   `key:"SpamtrapsLimit" default:"(1, 10m)" level:"advanced" since:"0.3" help:"messages to a spamtrap from an address after which it is on the temporary blacklist; -1 for no limit"`
	Silent            settings.Rate   `key:"SilentConnectionsLimit" default:"(2, 10m)" level:"advanced" since:"0.3" help:"connections to port 25 without mail, from an address, that had to make room for others when all channels were taken, after which it is on the temporary blacklist; -1 for no limit"`
	Connections       settings.Rate   `key:"ConnectionsLimit" default:"(300, 1m)" level:"basic" since:"0.3" help:"connections of a stranger's address to port 25 in a period; further ones are answered 421; -1 for no limit"`
	Messages          settings.Rate   `key:"MessagesLimit" default:"(1000, 10m)" level:"basic" since:"0.3" help:"messages that a stranger's address begins in a period; further ones are answered 451; -1 for no limit"`
	Greylisting       settings.Flag   `key:"Greylisting" default:"NO" level:"basic" since:"0.3" help:"strangers who write from their network with their return-path to a recipient for the first time are asked to come again (451); mail of those who write for the first time is late"`
	GreylistDelay     settings.Period `key:"GreylistDelay" default:"5m" level:"advanced" since:"0.3" help:"time after which they may come again, at most 1h"`
	GreylistRetry     settings.Period `key:"GreylistRetryWithin" default:"2d" level:"advanced" since:"0.3" help:"time in which they have to come again; later, they come for the first time"`
	GreylistLife      settings.Period `key:"GreylistLife" default:"36d" level:"advanced" since:"0.3" help:"time after the last message for which those who came again are remembered"`
	DNSLists          DNSLists        `key:"RBLServers" level:"basic" since:"0.3" help:"DNS lists that are asked about strangers on port 25, an array of dictionaries {Zone; Action; Timeout}; Action is reject, mark or off"`
	Names             []string        `key:"BlacklistedNames" level:"advanced" since:"0.3" help:"patterns of host names, such as *.adsl.*: mail of strangers is refused whose address has such a name in the DNS"`
}

// maxBlock is how long an address can be blocked.
const maxBlock = 30 * 24 * time.Hour

// Validate checks the values together.
func (s *Settings) Validate() error {
	if s.DenyAccessFor.Duration() > maxBlock {
		return settings.BadValue("DenyAccessFor", "%s is more than 30 days: the Blacklist is for addresses that stay blocked", s.DenyAccessFor)
	}
	if d := s.GreylistDelay.Duration(); d > time.Hour {
		return settings.BadValue("GreylistDelay", "%s is more than 1h: some servers give up before they come again", s.GreylistDelay)
	} else if d >= s.GreylistRetry.Duration() {
		return settings.BadValue("GreylistRetryWithin", "%s is not longer than GreylistDelay: nobody could come again", s.GreylistRetry)
	}
	for key, r := range s.limits() {
		if r.Count == 0 {
			return settings.BadValue(key, "0 events would block everybody; -1 is no limit")
		}
	}
	return nil
}

// limits are the triggers and rates by the names of their settings.
func (s *Settings) limits() map[string]settings.Rate {
	return map[string]settings.Rate{
		"FailedLoginsLimit": s.FailedLogins, "UnknownRecipientsLimit": s.UnknownRecipients, "RefusedRelayingLimit": s.RefusedRelaying,
		"ProtocolErrorsLimit": s.ProtocolErrors, "EarlyTalkersLimit": s.EarlyTalkers, "SpamtrapsLimit": s.Spamtraps,
		"SilentConnectionsLimit": s.Silent, "ConnectionsLimit": s.Connections, "MessagesLimit": s.Messages,
	}
}

// limit is that of a trigger.
func (s *Settings) limit(c Cause) settings.Rate {
	switch c {
	case FailedLogins:
		return s.FailedLogins
	case UnknownRecipients:
		return s.UnknownRecipients
	case RefusedRelaying:
		return s.RefusedRelaying
	case ProtocolErrors:
		return s.ProtocolErrors
	case EarlyTalker:
		return s.EarlyTalkers
	case Spamtrap:
		return s.Spamtraps
	case SilentClient:
		return s.Silent
	}
	return settings.Rate{Count: -1}
}

// LoginLimit is how many logins may fail from one address, whatever the account.
func (p *Protection) LoginLimit() settings.Rate { return p.settings.Get().FailedLogins }
