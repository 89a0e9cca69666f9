package queue

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// Settings of the queue.
type Settings struct {
	Processors    int             `key:"EnqueuerProcessors" default:"0" level:"advanced" since:"0.1" help:"messages that are routed at once, and as many that rules judge at once; 0 means one and ten per CPU"`
	EnqueuerWait  settings.Period `key:"EnqueuerWait" default:"60s" level:"expert" since:"0.1" help:"how long a sender waits for the enqueuer and for rules before the message is accepted and enqueued later"`
	QueueLimit    int             `key:"QueueLimit" default:"-1" unit:"messages" level:"basic" since:"0.1" help:"messages in the queue above which new ones are refused for now; -1 for no limit"`
	HopLimit      int             `key:"HopLimit" default:"30" level:"advanced" since:"0.1" help:"Received fields above which a message is refused as a loop, 10 to 100"`
	Reporters     int             `key:"DequeuerProcessors" default:"4" level:"advanced" since:"0.1" help:"reports that are written at once"`
	FailureCopy   string          `key:"CopyFailureReportsTo" default:"postmaster" level:"basic" since:"0.1" help:"address that gets a copy of every failure report; empty for none"`
	FullReturn    settings.Size   `key:"ReportReturnSize" default:"64K" unit:"bytes" level:"advanced" since:"0.1" help:"larger messages come back as headers only"`
	ReportsFlow   settings.Rate   `key:"ReportsToStrangers" default:"(60, 1h)" level:"advanced" since:"0.1" help:"reports to one return-path about messages that were not submitted by our users, in a period; above, none are made to it"`
	ReportsTotal  settings.Rate   `key:"ReportsToAllStrangers" default:"(200, 1h)" level:"advanced" since:"0.1" help:"reports to all return-paths together about messages that were not submitted by our users, in a period; what exceeds it is dropped and logged"`
	ReportsGather settings.Period `key:"ReportsGather" default:"10s" level:"expert" since:"0.1" help:"how long the results of one message are gathered into one report while other recipients still wait"`
}

// Validate checks the values together.
func (s *Settings) Validate() error {
	if s.HopLimit < 10 || s.HopLimit > 100 {
		return errors.New("the HopLimit has to be from 10 to 100")
	}
	if s.Processors < 0 || s.Reporters < 1 {
		return errors.New("at least one of DequeuerProcessors is needed, and no negative number of EnqueuerProcessors")
	}
	return nil
}

func (s *Settings) processors() int {
	if s.Processors == 0 {
		return runtime.NumCPU()
	}
	return s.Processors
}

// judges is how many messages rules judge at once. With one per CPU the sessions that commit at the same
// time would queue up for it, each woken by the one before.
func (s *Settings) judges() int {
	if s.Processors == 0 {
		return 10 * runtime.NumCPU()
	}
	return s.Processors
}

// Delays is a setting that holds several periods in one text: "1m, 5m, 15m, 30m".
type Delays []time.Duration

// SetValue reads the periods.
func (d *Delays) SetValue(v dataformat.Value) error {
	text, ok := dataformat.Text(v)
	if !ok {
		return errors.New("a list of periods such as 1m, 5m is expected")
	}
	var out Delays
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		p, err := settings.ParsePeriod(word)
		if err != nil {
			return err
		}
		if p <= 0 {
			return fmt.Errorf("%q is not a delay", word)
		}
		out = append(out, p.Duration())
	}
	*d = out
	return nil
}

// DataValue is the text.
func (d Delays) DataValue() dataformat.Value {
	words := make([]string, len(d))
	for i, p := range d {
		words[i] = settings.Period(p).String()
	}
	return dataformat.String(strings.Join(words, ", "))
}
