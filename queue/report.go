package queue

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// TagDSN is the submit tag of reports, TagListDSN that of those about messages with envelope.TagList. The return-path of such a
// message is the list's own, while anybody can write the address of a list into the return-path of another. No message from
// outside has these tags.
const (
	TagDSN     = "DSN"
	TagListDSN = "LISTDSN"
)

// reportRetry is how long a report waits that could not be stored.
const reportRetry = time.Minute

// maxReportBugs is after how many tries that ended in a panic no report about a
// message is tried any more.
const maxReportBugs = 3

var errReportBug = fault.New("queue.sendReport", fault.Internal, "stopped by a bug")

// restLimit is how long a stop makes reports that are due. What is left comes again
// after the next start: the last word on results is written after the report.
const restLimit = 2 * time.Second

// reportList is the messages with results that their senders have to hear of.
// Queue.mu guards it.
type reportList struct {
	due     reportHeap
	running int // reporters
}

type reportHeap []*message

func (h reportHeap) Len() int           { return len(h) }
func (h reportHeap) Less(i, j int) bool { return h[i].reportAt.Before(h[j].reportAt) }
func (h reportHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *reportHeap) Push(x any)        { *h = append(*h, x.(*message)) }
func (h *reportHeap) Pop() any {
	old := *h
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return m
}

// reportSoon asks for a report about the results of m, not later than at. q.mu is held.
func (q *Queue) reportSoon(m *message, at time.Time) {
	r := &q.reports
	switch {
	case m.reporting: // it looks for new results when it is done
		return
	case m.reportAt.IsZero():
		m.reportAt = at
		heap.Push(&r.due, m)
	case at.Before(m.reportAt):
		m.reportAt = at
		heap.Fix(&r.due, slices.Index(r.due, m))
	}
	now := time.Now()
	if at.After(now) {
		q.wakeScheduler()
		return
	}
	q.dispatchReports(now)
}

// dispatchReports starts reporters for what is due and returns when the next
// report is; zero: none, or when a reporter is free. q.mu is held.
func (q *Queue) dispatchReports(now time.Time) time.Time {
	r := &q.reports
	if q.run == nil || q.run.stopping {
		return time.Time{}
	}
	for len(r.due) > 0 && r.running < q.settings().Reporters {
		if r.due[0].reportAt.After(now) {
			return r.due[0].reportAt
		}
		m := r.take()
		r.running++
		q.run.workers.Go(func() {
			q.report(m)
			q.mu.Lock()
			defer q.mu.Unlock()
			r.running--
			q.dispatchReports(time.Now())
		})
	}
	return time.Time{}
}

func (r *reportList) take() *message {
	m := heap.Pop(&r.due).(*message)
	m.reportAt = time.Time{}
	m.reporting = true
	return m
}

// reportRest makes reports that are left when the queue stops, the most urgent first.
func (q *Queue) reportRest() {
	for end := time.Now().Add(restLimit); time.Now().Before(end); {
		q.mu.Lock()
		if len(q.reports.due) == 0 {
			q.mu.Unlock()
			return
		}
		m := q.reports.take()
		q.mu.Unlock()
		if !q.report(m) {
			return // the disk is full; after the next start the results come again
		}
	}
}

// report tells the sender of a message about its results and writes them into
// the queue file. It reports false when it has to be tried again.
func (q *Queue) report(m *message) bool {
	q.mu.Lock()
	outs, h := m.outcomes, m.hot
	m.outcomes = nil
	q.mu.Unlock()

	left, err := q.sendReports(m, h, outs)
	if err != nil {
		q.logDequeuer.Log(context.Background(), logs.LevelFailure, "the report could not be made; trying again",
			logs.AttrQueueID, uint64(m.id), logs.AttrError, err)
	}
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	m.reporting = false
	m.outcomes = append(left, m.outcomes...)
	switch {
	case len(left) > 0:
		q.reportSoon(m, now.Add(reportRetry))
	case len(m.outcomes) > 0:
		q.reportSoon(m, now)
	case m.waiting == 0:
		q.finish(m)
	}
	return len(left) == 0
}

// reportKinds is the order of the reports about one message; a recipient is in one of them.
var reportKinds = []reportKind{failureReport, delayReport, successReport}

// sendReports makes one report of each kind that is needed. It returns the
// outcomes that were not reported, with the reason.
func (q *Queue) sendReports(m *message, h *head, outs []outcome) (left []outcome, err error) {
	if h == nil {
		h, err = q.readHead(m.id)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, err
		case fault.Is(err, fault.Corrupt), fault.Is(err, fault.Unsupported):
			q.setAside(m, err)
			return nil, err
		case err != nil:
			return outs, err
		}
	}
	var failure error
	for _, kind := range reportKinds {
		about := outcomesOf(outs, kind)
		if len(about) == 0 {
			continue
		}
		err := q.sendReport(m.id, h, kind, about)
		failure = errors.Join(failure, err)
		switch {
		case err == nil:
			q.mark(m, &h.layout, about)
		case errors.Is(err, errReportBug) && q.givesUp(m, kind):
			if kind != failureReport {
				q.mark(m, &h.layout, about)
			}
		default:
			left = append(left, about...)
		}
	}
	return left, failure
}

// givesUp reports whether a report that a bug has stopped was the last try. Of a
// failure nobody knows then: it stays marked as not reported, so that another start makes
// the report, and in the end the remover keeps the file for the administrator.
func (q *Queue) givesUp(m *message, kind reportKind) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	m.bugs = min(m.bugs+1, maxReportBugs)
	if m.bugs < maxReportBugs {
		return false
	}
	m.untold = m.untold || kind == failureReport
	q.logDequeuer.Log(context.Background(), logs.LevelCrash, "the report could not be made and is given up", logs.AttrQueueID, uint64(m.id), "kind", kind.String())
	return true
}

func outcomesOf(outs []outcome, kind reportKind) []outcome {
	var about []outcome
	for _, o := range outs {
		k := failureReport
		switch o.state {
		case envelope.Waiting:
			k = delayReport
		case envelope.Delivered:
			k = successReport
		}
		if k == kind {
			about = append(about, o)
		}
	}
	return about
}

// sendReport makes and submits one report. Nobody to send it to is no failure. A
// panic costs the report a try, not the server its life.
func (q *Queue) sendReport(id envelope.QueueID, h *head, kind reportKind, about []outcome) (err error) {
	to, undo := q.reportRecipients(id, h.env, kind)
	if len(to) == 0 {
		return nil
	}
	defer func() {
		if err != nil { // it is made again
			undo()
		}
	}()
	defer func() {
		if r := recover(); r != nil {
			q.logDequeuer.Log(context.Background(), logs.LevelCrash, "report stopped by a bug", logs.AttrQueueID, uint64(id),
				logs.AttrError, fmt.Sprint(r), "stack", string(debug.Stack()))
			err = errReportBug
		}
	}()
	domain := h.env.Source.Domain
	if domain == "" {
		domain = q.o.MainDomain()
	}
	r := q.newReport(id, h, kind, about)
	r.From = "MAILER-DAEMON@" + domain
	r.To = to[0].String()
	env := &envelope.Envelope{
		Source:    envelope.Source{Tag: TagDSN, Domain: domain, Trusted: true},
		Submitted: r.Time, Body: r.body(), SMTPUTF8: r.needsUTF8(), RequireTLS: h.env.RequireTLS,
	}
	if h.env.Source.Tag == envelope.TagList {
		env.Source.Tag = TagListDSN
	}
	for _, a := range to {
		rcpt := envelope.Recipient{Address: a, State: envelope.Waiting}
		if a == h.env.ReturnPath {
			rcpt.Local = h.env.ReturnPathLocal
		}
		env.Recipients = append(env.Recipients, rcpt)
	}
	s, err := q.begin(context.Background(), env, false)
	if err != nil {
		return err
	}
	defer s.Abort()
	s.own = true
	r.ID = s.ID()
	if err := r.write(s); err != nil {
		return err
	}
	q.logDequeuer.LogAttrs(context.Background(), logs.LevelMajor, "generating report message",
		slog.Uint64(logs.AttrQueueID, uint64(id)), slog.String("report", s.ID().String()),
		slog.String("kind", kind.String()), slog.String(logs.AttrRecipient, r.To))
	if err := s.Commit(context.Background()); err != nil {
		if kindOfRefusal(err) {
			// The return-path leads nowhere: there is nobody to tell.
			q.logDequeuer.LogAttrs(context.Background(), logs.LevelProblem, "report refused",
				slog.Uint64(logs.AttrQueueID, uint64(id)), slog.Any(logs.AttrError, err))
			return nil
		}
		return err
	}
	return nil
}

// reportRecipients says who hears of results: the return-path and, of failures,
// the address of the setting. Reports about reports are never made, and mail
// without a return-path only tells the administrator. undo is called when the
// report was not made after all.
func (q *Queue) reportRecipients(id envelope.QueueID, env *envelope.Envelope, kind reportKind) (to []address.Address, undo func()) {
	undo = func() {}
	if env.Source.Tag == TagDSN || env.Source.Tag == TagListDSN {
		return nil, undo
	}
	set := q.settings()
	if !env.ReturnPath.IsNull() {
		to = append(to, env.ReturnPath)
	}
	if kind == failureReport && set.FailureCopy != "" {
		if admin, err := address.Parse(set.FailureCopy); err == nil && !slices.Contains(to, admin) {
			to = append(to, admin)
		}
	}
	if vouched(&env.Source) {
		return to, undo
	}
	left, undo := q.strangers.take(env.ReturnPath, to, set)
	if len(left) < len(to) {
		q.logDequeuer.LogAttrs(context.Background(), logs.LevelProblem, "report dropped: too many about mail of strangers",
			slog.Uint64(logs.AttrQueueID, uint64(id)), slog.String(logs.AttrReturnPath, env.ReturnPath.String()),
			slog.String("kind", kind.String()), slog.Int("still_told", len(left)))
	}
	return left, undo
}
