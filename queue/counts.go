package queue

import (
	"cmp"
	"slices"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/counters"
)

// Counts are what the queue counts.
type Counts struct {
	// Received are messages by where they came from (SMTP, PIPE, RPOP ...), Bytes of all.
	Received counters.Labelled
	Bytes    counters.Counter
	Sizes    *counters.Histogram
	// Delivered, Failed, Expired and Deferred are recipients by the module that tried: a result that is good, one that is
	// bad, the end of the time to try, and an attempt after which the recipient still waits.
	Delivered, Failed, Expired, Deferred counters.Labelled
	// Deferrals are the last ones by reason.
	Deferrals counters.Labelled
	// Took is the time from the acceptance to the delivery.
	Took *counters.Histogram
}

// Counts has what is counted.
func (q *Queue) Counts() *Counts { return &q.counts }

// received counts a message that the queue has taken.
func (c *Counts) received(h *head) {
	c.Received.Inc(h.env.Source.Tag)
	c.Bytes.Add(h.size)
	c.Sizes.Observe(float64(h.size))
}

// settled counts the result of an attempt for a recipient.
func (c *Counts) settled(f *fate, submitted time.Time) {
	module := string(f.module)
	switch f.state {
	case envelope.Delivered:
		c.Delivered.Inc(module)
		c.Took.Took(time.Since(submitted))
	case envelope.Failed:
		c.Failed.Inc(module)
	case envelope.Expired:
		c.Expired.Inc(module)
	case envelope.Waiting:
		c.Deferred.Inc(module)
		c.Deferrals.Inc(why(&f.status))
	}
}

// why is a deferral in one of a few words (RFC 3463 section 3).
func why(st *envelope.Status) string {
	switch c := st.Code; {
	case c[1] == 4 && c[2] == 1:
		return "no answer from the host"
	case c[1] == 4 && c[2] == 2:
		return "bad connection"
	case c[1] == 4 && (c[2] == 3 || c[2] == 4):
		return "DNS or routing"
	case c[1] == 4:
		return "network"
	case c[1] == 2 && c[2] == 1:
		return "mailbox disabled"
	case c[1] == 2 && c[2] == 2:
		return "mailbox full"
	case c[1] == 1:
		return "address"
	case c[1] == 2:
		return "mailbox"
	case c[1] == 3:
		return "system"
	case c[1] == 5:
		return "protocol"
	case c[1] == 6:
		return "content"
	case c[1] == 7:
		return "policy"
	}
	if st.Remote != "" {
		return "the other server"
	}
	return "other"
}

// State is what waits in the queue.
type State struct {
	Messages, OnHold int
	Bytes            int64
	Oldest           time.Duration
	// Waiting are messages by module: one that waits in several queues of a module counts in each.
	Waiting map[router.Module]int
	// Late are the queues whose oldest message waits for longest, the worst first.
	Late []Late
}

// Late is a logical queue in which something waits for long.
type Late struct {
	Module      router.Module
	Queue       string
	Messages    int
	Oldest      time.Duration
	DelayedTill time.Time
	LastError   string
}

// maxLate bounds State.Late.
const maxLate = 20

// State tells what waits. late is the age from which a queue is told of.
func (q *Queue) State(late time.Duration) State {
	s := State{Waiting: map[router.Module]int{}}
	q.mu.Lock()
	oldest := map[*logical]time.Duration{}
	for _, m := range q.messages {
		if m.finished {
			continue
		}
		s.Messages++
		s.Bytes += m.size
		if m.onHold {
			s.OnHold++
			continue
		}
		age := q.lifetime(m).age
		s.Oldest = max(s.Oldest, age)
		if age < late {
			continue
		}
		for e := m.entries; e != nil; e = e.next {
			oldest[e.queue] = max(oldest[e.queue], age)
		}
	}
	for name, m := range q.modules {
		for _, l := range m.queues {
			s.Waiting[name] += l.count
		}
	}
	for l, age := range oldest {
		x := Late{Module: l.module.name, Queue: l.name, Messages: l.count, Oldest: age, DelayedTill: l.dest.until, LastError: l.dest.lastErr}
		if x.LastError == "" && len(l.delayed) > 0 {
			x.LastError = l.delayed[0].lastErr
		}
		if x.Module != HoldModule {
			s.Late = append(s.Late, x)
		}
	}
	q.mu.Unlock()
	slices.SortFunc(s.Late, func(a, b Late) int { return cmp.Or(cmp.Compare(b.Oldest, a.Oldest), cmp.Compare(a.Queue, b.Queue)) })
	s.Late = s.Late[:min(len(s.Late), maxLate)]
	return s
}
