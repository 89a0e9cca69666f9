package scheduling

import (
	"gatepost/server/counters"
	"gatepost/server/settings"
)

// Settings of scheduling.
type Settings struct {
	Schedule settings.Flag `key:"Schedule" default:"YES" level:"basic" since:"0.2" help:"changes of events are sent to those who are invited, and answers are taken over into calendars; if off, calendar programs and people do it by mail"`
	// For calendars that accounts subscribe to on other servers (package webcal).
	SubscriptionRefresh settings.Period `key:"SubscriptionRefresh" default:"6h" level:"advanced" since:"0.3" help:"how often a calendar that an account subscribes to on another server is fetched; an hour at least"`
	SubscriptionPrivate settings.Flag   `key:"SubscriptionPrivate" default:"NO" level:"advanced" since:"0.3" help:"accounts may also subscribe to calendars at addresses that are not public, such as those of the own network"`
}

// Counts are what is counted.
type Counts struct {
	// Sent are messages to attendees and organizers, Taken those that have changed a calendar, Refused those that were not allowed to.
	Sent, Taken, Refused counters.Counter
}

// On reports whether the server schedules.
func (s *Service) On() bool { return bool(s.Settings.Get().Schedule) }

// Counts has what is counted.
func (s *Service) Counts() *Counts { return &s.counts }
