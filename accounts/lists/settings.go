package lists

import (
	"errors"
	"time"

	"gatepost/queue"
)

// Settings of the LIST module.
type Settings struct {
	Processors int          `key:"Processors" default:"5" level:"advanced" since:"0.1" help:"messages to groups that are distributed at once; 0 stops distribution"`
	Warn       queue.Delays `key:"SendWarningsAfter" default:"4h" level:"advanced" since:"0.1" help:"ages at which the sender is told that a message to a group is delayed"`
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	if s.Processors < 0 {
		return errors.New("the number of Processors must not be negative")
	}
	return nil
}

// Policy says how the LIST queues are run.
func (t *Transport) Policy() queue.Policy {
	s := t.settings.Get()
	return queue.Policy{
		Workers: s.Processors, BatchSize: 20, Warn: s.Warn,
		Retry: queue.Schedule{
			First: []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute},
			Every: 30 * time.Minute, EveryFor: 4 * time.Hour, Then: 2 * time.Hour, Expire: 5 * 24 * time.Hour,
		},
	}
}
