package queue

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/logs"
)

// settlement is what an attempt came to for the recipients of one entry.
type settlement struct {
	item    *Item
	results []result
	untried []int    // go back to the queue as they were
	pending []int    // are still being delivered in the same attempt
	moved   []placed // lead to other queues now
}

// fate is a result with what follows from it.
type fate struct {
	outcome
	report bool          // the sender has to hear of it
	marked bool          // it is in the queue file
	wait   time.Duration // until the next attempt, when it still waits
}

// settle records the results of an attempt: in memory, in the queue file where
// others of the message still wait, and in the log; it hands the message on to
// the reporter or the remover.
func (q *Queue) settle(s settlement) {
	now := time.Now()
	it := s.item
	m := it.entry.msg
	q.mu.Lock()
	s.shed(q)
	rejected := m.rejected
	was := make([]rcptState, len(s.results))
	for i, r := range s.results {
		was[i] = m.rcpts[r.rcpt]
	}
	q.mu.Unlock()

	fates := make([]fate, 0, len(s.results))
	for i, r := range s.results {
		f := decide(it, r, was[i], q.lifetime(m), rejected)
		q.logFate(it, &f)
		q.counts.settled(&f, it.Envelope.Submitted)
		fates = append(fates, f)
	}
	q.markDurably(it, fates)
	q.takeBack(it, s.results, fates)

	q.mu.Lock()
	q.apply(it, s, fates, now)
	q.remember(m, fates, now)
	unmarked := q.conclude(m, fates, now)
	q.mu.Unlock()
	if len(unmarked) > 0 {
		q.mark(m, &it.head.layout, unmarked)
	}
}

// shed moves failures that mean only that there is one batch too many from the results to
// what was not tried. q.mu is held.
func (s *settlement) shed(q *Queue) {
	if s.item.batch.policy.Silent == 0 {
		return
	}
	kept := make([]result, 0, len(s.results))
	for i := range s.results {
		r := &s.results[i]
		if r.status.Action == envelope.ActionDelayed && r.status.Queue && q.shed(s.item.batch, &r.status) {
			s.untried = append(s.untried, r.rcpt)
		} else {
			kept = append(kept, *r)
		}
	}
	s.results = kept
}

// decide turns a result into a fate.
func decide(it *Item, r result, was rcptState, l lifetime, rejected *rejection) fate {
	policy := &it.batch.policy
	rcpt := &it.Envelope.Recipients[r.rcpt]
	f := fate{outcome: outcome{rcpt: r.rcpt, module: it.batch.Module, queue: it.batch.Queue, status: r.status}}
	if r.module != "" {
		f.module, f.queue = r.module, r.queue
	}
	switch r.status.Action {
	case envelope.ActionDelivered, envelope.ActionRelayed, envelope.ActionExpanded:
		f.state = envelope.Delivered
		f.report = rcpt.Notify&envelope.NotifySuccess != 0 && !r.status.Passed && vouched(&it.Envelope.Source)
		return f
	case envelope.ActionFailed:
		f.state = envelope.Failed
		if rejected != nil {
			f.state = envelope.Expired
		}
		f.report = rcpt.Notify&envelope.NotifyFailure != 0 && (rejected == nil || rejected.report)
		return f
	}
	retry := policy.Retry.with(r.status)
	switch {
	case rejected != nil:
		f.status, f.state = rejected.status(), envelope.Expired
		f.report = rejected.report && rcpt.Notify&envelope.NotifyFailure != 0
	case retry.expired(l):
		f.status.Action, f.state = envelope.ActionFailed, envelope.Expired
		f.status.Code = expiredCode(r.status.Code)
		f.report = rcpt.Notify&envelope.NotifyFailure != 0
	default:
		f.state = envelope.Waiting
		f.wait = retry.interval(l)
		if n := warnings(policy.Warn, l.age); n > int(was.warned) {
			f.warned = n
			f.report = rcpt.Notify&envelope.NotifyDelay != 0
		}
	}
	return f
}

// expiredCode is the code of the last attempt, which was temporary: RFC 3463 section 2
// has class 4 also for what is given up, and readers of reports take class 5 for a
// dead address. Without a detail it is "delivery time expired" (section 3.5).
func expiredCode(c envelope.Code) envelope.Code {
	if c[1] == 0 && c[2] == 0 || c[0] != 4 {
		return envelope.Code{4, 4, 7}
	}
	return c
}

// apply gives the recipients of the entry their new places. q.mu is held.
func (q *Queue) apply(it *Item, s settlement, fates []fate, now time.Time) {
	e := it.entry
	if e.place == gone {
		return // the message was taken away in the meantime
	}
	l, m := e.queue, e.msg
	var own, whole []int // wait for themselves, with the queue
	var wait time.Duration
	var ownErr string
	woken := l.woken != it.batch.woken // since the attempt began: it is made again
	for i := range fates {
		f := &fates[i]
		m.rcpts[f.rcpt].state = f.state
		if f.warned > 0 {
			m.rcpts[f.rcpt].warned = uint8(min(f.warned, 255))
		}
		switch {
		case f.state != envelope.Waiting:
			m.waiting--
			it.batch.delivered = it.batch.delivered || f.state == envelope.Delivered
		case f.status.Queue:
			whole = append(whole, f.rcpt)
			if !woken && !it.batch.sweep { // a sweep repeats the words of a stop and does not prolong it
				q.stop(it.batch, now.Add(f.wait), &f.status)
			}
		default:
			own, ownErr = append(own, f.rcpt), f.status.Summary()
			if wait == 0 || f.wait < wait {
				wait = f.wait
			}
		}
	}
	for _, group := range grouped(s.moved) {
		q.enter(m, group.module, group.queue, group.rcpts, time.Time{}, "")
	}
	due := now.Add(wait)
	if woken {
		due = time.Time{}
	}
	stay := slices.Concat(s.pending, s.untried, whole)
	switch {
	case len(stay) > 0:
		e.rcpts = stay
		if len(whole) > 0 {
			e.lastErr = "" // it waits for what the queue waits for
		}
		if len(s.pending) == 0 {
			l.back = append(l.back, e)
		}
		if len(own) > 0 {
			q.enter(m, l.module.name, l.name, own, due, ownErr)
		}
	case len(own) > 0:
		e.rcpts, e.due, e.lastErr = own, due, ownErr
		l.put(e)
		q.cool(m)
	default:
		l.drop(e)
	}
}

// conclude does what follows when recipients of a message have new states: it
// returns those whose state has to be written into the file now. The last word on
// results that the sender has to hear of is written after the report is safe, so
// that a crash makes it twice rather than never. q.mu is held.
func (q *Queue) conclude(m *message, fates []fate, now time.Time) []outcome {
	var unmarked []outcome
	urgent := false
	for i := range fates {
		f := &fates[i]
		if f.report {
			m.outcomes = append(m.outcomes, f.outcome)
			urgent = urgent || f.state == envelope.Delivered
		} else if f.state != envelope.Waiting && !f.marked || f.warned > 0 {
			unmarked = append(unmarked, f.outcome)
		}
	}
	switch {
	case len(m.outcomes) > 0:
		if urgent || m.waiting == 0 {
			q.reportSoon(m, now)
		} else {
			q.reportSoon(m, now.Add(q.settings().ReportsGather.Duration()))
		}
	case m.waiting == 0 && !m.reporting:
		q.finish(m)
		if !m.untold {
			return nil // the file goes
		}
	}
	return unmarked
}

// logFate writes the record of a result. Its words up to the attributes are those that
// log analysers know, "relayed: relayed via" among them.
func (q *Queue) logFate(it *Item, f *fate) {
	level, verb := logs.LevelMajor, "failed"
	switch {
	case f.state == envelope.Delivered:
		verb = f.status.Action.String()
	case f.state == envelope.Waiting:
		level, verb = logs.LevelProblem, "delayed"
	case f.state == envelope.Expired:
		verb = "failed for good"
	}
	ctx := context.Background()
	if !q.logDequeuer.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 8),
		slog.Uint64(logs.AttrQueueID, uint64(it.ID)),
		slog.String(logs.AttrRecipient, it.Envelope.Recipients[f.rcpt].Address.String()),
		slog.String(logs.AttrStatus, f.status.Code.String()),
		slog.Duration(logs.AttrDelay, max(0, time.Since(it.Envelope.Submitted)).Truncate(time.Second)))
	if f.status.Reply != "" {
		attrs = append(attrs, slog.String(logs.AttrReply, oneLine(f.status.Reply)))
	}
	if f.status.Action == envelope.ActionRelayed {
		attrs = append(attrs, slog.String(logs.AttrTLS, cmp.Or(f.status.TLS, "no")))
	}
	if f.state == envelope.Waiting {
		attrs = append(attrs, slog.Duration("retry_in", f.wait))
	}
	q.logDequeuer.LogAttrs(ctx, level,
		string(f.module)+"("+q.shortName(f.queue)+") "+verb+": "+oneLine(f.status.Text), attrs...)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
