package mailrules

import (
	"gatepost/queue"
	"gatepost/server/counters"
)

// Counts are what rules have done.
type Counts struct {
	// Actions are those of domain and account rules.
	Actions counters.Counter
	// Verdicts are messages by what the rules of the server made of them; those that go on as they are do not count.
	Verdicts counters.Labelled
}

// Counts has what is counted.
func (r *Rules) Counts() *Counts { return &r.counts }

func (c *Counts) verdict(v *queue.Verdict) {
	switch {
	case v == nil:
	case v.Reject != "":
		c.Verdicts.Inc("rejected")
	case v.Discard:
		c.Verdicts.Inc("discarded")
	case v.Later > 0:
		c.Verdicts.Inc("asked again later")
	default:
		c.Verdicts.Inc("changed")
	}
}
