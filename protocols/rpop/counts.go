package rpop

import (
	"cmp"
	"slices"

	"gatepost/server/counters"
	"gatepost/server/dataformat"
)

// Counts are polls of remote accounts.
type Counts struct {
	// Polls were made, Failed are those of them that failed; Messages were fetched.
	Polls, Failed, Messages counters.Counter
}

// Counts has what is counted.
func (p *Poller) Counts() *Counts { return &p.counts }

func (c *Counts) polled(result *poll, err error) {
	c.Polls.Inc()
	if err != nil {
		c.Failed.Inc()
	}
	if result != nil {
		c.Messages.Add(int64(result.fetched))
	}
}

// All tells of at most so many remote accounts that are polled: what Status has, and account, name and host. Those whose
// last poll has failed come first.
func (p *Poller) All(most int) dataformat.Array {
	p.mu.Lock()
	list := make([]dataformat.Dict, 0, len(p.entries))
	for k, e := range p.entries {
		d := e.told()
		d["account"] = dataformat.String(k.account + "@" + k.domain)
		d["name"], d["host"] = dataformat.String(k.record), dataformat.String(e.host)
		list = append(list, d)
	}
	p.mu.Unlock()
	slices.SortFunc(list, func(a, b dataformat.Dict) int {
		failed := func(d dataformat.Dict) int { return min(1, len(d.String("lastError"))) }
		return cmp.Or(failed(b)-failed(a), cmp.Compare(a.String("account"), b.String("account")), cmp.Compare(a.String("name"), b.String("name")))
	})
	out := dataformat.Array{}
	for _, d := range list[:min(len(list), most)] {
		out = append(out, d)
	}
	return out
}

// Failing is the number of remote accounts that are polled, and of those whose last poll has failed.
func (p *Poller) Failing() (polled, failing int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.entries {
		if e.status.err != "" {
			failing++
		}
	}
	return len(p.entries), failing
}
