package delivery

import (
	"errors"
	"time"

	"gatepost/queue"
	"gatepost/server/settings"
)

// Settings of the LOCAL module.
type Settings struct {
	Processors    int             `key:"Processors" default:"40" level:"advanced" since:"0.1" help:"accounts that are delivered to at once; 0 stops local delivery"`
	FullEvery     settings.Period `key:"AccountFullRetryEvery" default:"30m" level:"basic" since:"0.1" help:"how often delivery to a full account is tried"`
	FullFor       settings.Period `key:"AccountFullRetryFor" default:"3d" level:"basic" since:"0.1" help:"how long delivery to a full account is tried"`
	DisabledEvery settings.Period `key:"MailDisabledRetryEvery" default:"1h" level:"basic" since:"0.1" help:"how often delivery is tried while the Mail service of an account is off"`
	DisabledFor   settings.Period `key:"MailDisabledRetryFor" default:"1d" level:"basic" since:"0.1" help:"how long delivery is tried while the Mail service of an account is off"`
	Suspend       string          `key:"Suspend" default:"Account Queue" values:"Account Queue|Message" level:"advanced" since:"0.1" help:"what waits when a message does not fit: all mail for the account, or the message alone"`
	Warn          queue.Delays    `key:"SendWarningsAfter" default:"4h" level:"basic" since:"0.1" help:"ages at which the sender is told that a message is delayed"`
	DirectMailbox settings.Flag   `key:"DirectMailboxAddressing" default:"YES" level:"advanced" since:"0.1" help:"mail to box#account goes into that mailbox; if off, into INBOX"`
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	if s.Processors < 0 {
		return errors.New("a negative number of Processors")
	}
	return nil
}

// otherFor is how long a delivery is tried that fails for any other reason.
const otherFor = 5 * 24 * time.Hour

// Policy says how the LOCAL queues are run.
func (t *Transport) Policy() queue.Policy {
	s := t.settings.Get()
	return queue.Policy{
		Workers: s.Processors, BatchSize: 200, Warn: s.Warn,
		Retry: queue.Schedule{
			First: []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute},
			Every: 30 * time.Minute, EveryFor: 4 * time.Hour, Then: 2 * time.Hour, Expire: otherFor,
		},
	}
}
