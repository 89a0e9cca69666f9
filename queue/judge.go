package queue

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"gatepost/queue/envelope"
	"gatepost/queue/internal/disk"
	"gatepost/router"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// judgeRetry is when a message is judged again after a fault of the server.
const judgeRetry = time.Minute

// source is the caller of Commit, who waits for what the rules say about his message. He
// is told of a refusal, unless he has given up before: then it becomes a report.
type source struct {
	state  atomic.Int32
	done   chan error // capacity 1
	header []byte     // of the message, if it was kept
}

const (
	sourceWaits int32 = iota
	sourceIsTold
	sourceIsGone
)

// claim takes the right to tell the source of a refusal.
func (s *source) claim() bool { return s != nil && s.state.CompareAndSwap(sourceWaits, sourceIsTold) }

// wait returns what the source is told; nil when it cannot wait any longer.
func (s *source) wait(ctx context.Context, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-s.done:
		return err
	case <-timer.C:
	case <-ctx.Done():
	}
	if s.state.CompareAndSwap(sourceWaits, sourceIsGone) {
		return nil // the message is durable, and goes its way
	}
	return <-s.done
}

// judgeFirst has a message judged that was accepted and routed just now. The source waits, but no
// longer than it may; one that must not wait has no limit of time.
func (q *Queue) judgeFirst(ctx context.Context, m *message, h *head, p *plan, header []byte, limit time.Duration) error {
	q.mu.Lock()
	q.warm(m, h)
	run := q.run
	mod := q.modules[RulesModule]
	if run == nil || run.stopping || limit <= 0 {
		q.enter(m, RulesModule, "", m.waitingRcpts(), time.Time{}, "")
		q.mu.Unlock()
		return nil
	}
	l := q.queue(mod, "")
	e := &entry{msg: m, place: active, rcpts: m.waitingRcpts()}
	l.adopt(e)
	it := newItem(q.newBatch(l), e)
	run.workers.Add(1)
	q.mu.Unlock()

	src := &source{done: make(chan error, 1), header: header}
	go func() {
		defer run.workers.Done()
		err := q.judgeItem(run.ctx, it, h, p, src, limit)
		q.mu.Lock()
		if e.place == active { // it was not judged, or the rules want it later
			e.due = time.Time{}
			l.put(e)
		}
		q.replan(l)
		q.offer(l)
		q.dispatch(mod)
		q.mu.Unlock()
		src.done <- err
	}()
	return src.wait(ctx, limit)
}

// judgeBatch judges messages whose source does not wait.
func (q *Queue) judgeBatch(ctx context.Context, b *Batch) {
	for _, it := range b.Items {
		h, err := q.headOf(it.entry.msg)
		if err != nil {
			q.unreadable(it.entry, err)
			continue
		}
		q.judgeItem(ctx, it, h, nil, nil, never)
		q.mu.Lock()
		if it.entry.place == active {
			b.queue.back = append(b.queue.back, it.entry)
		}
		q.mu.Unlock()
	}
}

// never is a time that nothing waits for.
const never = 365 * 24 * time.Hour

// headOf returns the envelope of a message, from memory or its file.
func (q *Queue) headOf(m *message) (*head, error) {
	q.mu.Lock()
	h := m.hot
	q.mu.Unlock()
	if h != nil {
		return h, nil
	}
	return q.readHead(m.id)
}

// judgeItem asks the rules about one message and does what they say. p is nil if the message is to be routed. It returns the
// refusal that the source is to be told. The entry is still active afterwards if the
// message could not be judged: no processor was free within the limit, or the server stops.
func (q *Queue) judgeItem(ctx context.Context, it *Item, h *head, p *plan, src *source, limit time.Duration) error {
	if !q.judges.enter(ctx, q.settings().judges(), limit) {
		return nil
	}
	defer q.judges.leave()
	e, m := it.entry, it.entry.msg
	it.fill(q, h, e.rcpts, nil)
	if q.endRejected(it) || q.keep(e) {
		return nil
	}
	if p == nil {
		p = q.plan(ctx, h.env, nil)
	}
	v, err := q.askRules(ctx, it.ID, h, p, src)
	switch {
	case err != nil && ctx.Err() != nil, q.endRejected(it):
		q.dropUnsent(v)
		return nil
	case err != nil:
		q.logEnqueuer.LogAttrs(ctx, logs.LevelFailure, "the message could not be judged, it is tried again",
			slog.Uint64(logs.AttrQueueID, uint64(it.ID)), slog.Any(logs.AttrError, err))
		v = &Verdict{Later: judgeRetry, Reason: "internal error"}
	case v == nil:
		q.moveOn(m, h, p, e)
		return nil
	}
	return q.carryOut(ctx, it, h, p, v, src)
}

// endRejected ends a message that an administrator has rejected.
func (q *Queue) endRejected(it *Item) bool {
	q.mu.Lock()
	rejected := it.entry.msg.rejected
	q.mu.Unlock()
	if rejected != nil {
		q.settleAll(it, rejected.status())
	}
	return rejected != nil
}

// carryOut does what the rules say. It returns the refusal that the source is to be told. What the
// rules have made is published when the message cannot come before them again: its file says so, or
// it is gone.
func (q *Queue) carryOut(ctx context.Context, it *Item, h *head, p *plan, v *Verdict, src *source) error {
	e, m := it.entry, it.entry.msg
	switch {
	case v.Later > 0:
		q.dropUnsent(v)
		if !v.Hold && src.claim() {
			return q.refuse(m, "put off", fault.New("queue.Commit", fault.Unavailable, oneLine(v.Reason)))
		}
		q.settleAll(it, envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 7, 0}, Text: v.Reason, Retry: v.Later})
		return nil
	case v.Reject != "":
		defer q.send(v)
		if src.claim() {
			return q.refuse(m, "refused", fault.New("queue.Commit", fault.Rejected, oneLine(v.Reject)))
		}
		q.settleAll(it, envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 7, 1}, Text: v.Reject})
		return nil
	case v.Discard || v.Recipients != nil && len(v.Recipients) == 0:
		defer q.send(v)
		q.settleAll(it, envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "discarded by rules", Passed: true})
		return nil
	}
	changed, err := q.change(ctx, m, h, v)
	switch {
	case err == nil:
		q.send(v)
	case src.claim():
		q.dropUnsent(v)
		return q.refuse(m, "not changed as the rules say", fault.Wrap("queue.Commit", fault.Internal, err))
	default:
		q.dropUnsent(v)
		q.logEnqueuer.LogAttrs(ctx, logs.LevelFailure, "the message could not be changed as the rules say, it is tried again",
			slog.Uint64(logs.AttrQueueID, uint64(m.id)), slog.Any(logs.AttrError, err))
		q.settleAll(it, envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 3, 0}, Text: "internal error", Retry: judgeRetry})
		return nil
	}
	if v.Recipients != nil {
		p = q.plan(ctx, changed.env, nil)
	}
	q.moveOn(m, changed, p, e)
	return nil
}

// send publishes what the rules have made. What cannot be published goes at the next start.
func (q *Queue) send(v *Verdict) {
	for _, id := range v.Send {
		if err := q.Publish(id); err != nil {
			q.logQueue(id).Log(context.Background(), logs.LevelFailure, "a message that rules send waits for the next start", logs.AttrError, err)
		}
	}
}

// dropUnsent removes what the rules have made of a message that comes before them again, or that an
// administrator has taken away.
func (q *Queue) dropUnsent(v *Verdict) {
	if v == nil {
		return
	}
	for _, id := range v.Send {
		if err := q.Drop(id); err != nil {
			q.logQueue(id).Log(context.Background(), logs.LevelFailure, "a message that rules do not send is not removed", logs.AttrError, err)
		}
	}
}

// moveOn puts a message that was judged into its first logical queues.
func (q *Queue) moveOn(m *message, h *head, p *plan, e *entry) {
	q.place(m, h, p)
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.place != gone {
		e.queue.drop(e)
	}
}

// askRules calls the rules. A panic costs the message an attempt, not the server its life.
func (q *Queue) askRules(ctx context.Context, id envelope.QueueID, h *head, p *plan, src *source) (v *Verdict, err error) {
	defer func() {
		if r := recover(); r != nil {
			q.logEnqueuer.Log(ctx, logs.LevelCrash, "rules stopped by a bug", logs.AttrQueueID, uint64(id),
				logs.AttrError, fmt.Sprint(r), "stack", string(debug.Stack()))
			v, err = nil, fault.New("queue.Judge", fault.Internal, "stopped by a bug")
		}
	}()
	m := &Message{ID: id, Envelope: h.env, Routes: make([]router.Route, len(h.env.Recipients)),
		File: q.path(id, extMsg), Offset: h.layout.Message, Size: h.size, Waits: src != nil}
	if src != nil {
		m.Header = src.header
	}
	for _, pl := range p.placed {
		m.Routes[pl.rcpt] = pl.route
	}
	return q.rules.Judge(ctx, m)
}

// refuse takes back a message of which the source is told that it was not accepted. It
// does not come again after a crash.
func (q *Queue) refuse(m *message, what string, err error) error {
	q.logEnqueuer.LogAttrs(context.Background(), logs.LevelProblem, what+" by rules: "+fault.Text(err), slog.Uint64(logs.AttrQueueID, uint64(m.id)))
	gone := q.disk.Remove(fileName(m.id, extMsg))
	if gone == nil {
		gone = q.names.Wait()
	}
	if gone != nil {
		q.logQueue(m.id).Log(context.Background(), logs.LevelFailure, "a refused message is still in the queue", logs.AttrError, gone)
	}
	q.forgetMessage(m)
	return err
}

// change makes the changes of a verdict durable, and with them that the rules are done.
func (q *Queue) change(ctx context.Context, m *message, h *head, v *Verdict) (*head, error) {
	const op = "queue.Judge"
	if v.Replaced < 0 || v.Replaced > h.size {
		return nil, fault.Newf(op, fault.Internal, "%d bytes of a message of %d are to be replaced", v.Replaced, h.size)
	}
	if v.Replaced == 0 && !areFields(v.Prefix) || len(v.Prefix) > 0 && !bytes.HasSuffix(v.Prefix, []byte("\r\n")) {
		return nil, fault.New(op, fault.Internal, "lines that are no header fields are to be put before a message")
	}
	env := *h.env
	env.RulesDone = true
	if len(v.Prefix) == 0 && v.Replaced == 0 && v.Recipients == nil && v.Bulk == nil {
		// What the rules have made goes out once, so the mark is synced before it is published. Else only a
		// power cut can lose the mark, and rules that change and send nothing may well be asked again.
		done := []disk.Patch{{At: h.layout.RulesDoneAt(), Text: "E"}}
		if err := q.disk.Patch(fileName(m.id, extMsg), done, len(v.Send) > 0); err != nil {
			return nil, err
		}
		q.mu.Lock()
		q.cool(m)
		q.mu.Unlock()
		return &head{env: &env, layout: h.layout, size: h.size}, nil
	}
	if v.Bulk != nil {
		env.Bulk = *v.Bulk
	}
	prefix := v.Prefix
	if v.Recipients != nil {
		env.Recipients = slices.Clone(v.Recipients)
		for i := range env.Recipients {
			env.Recipients[i].State, env.Recipients[i].Warned = envelope.Waiting, 0
		}
		expanded, all, _, err := q.expand(ctx, &env)
		if err != nil {
			return nil, err
		}
		env, prefix = *expanded, append(traceOfAll(all), prefix...)
	}
	changed, err := q.rewrite(m.id, &env, prefix, h.layout.Message+v.Replaced)
	if err == nil {
		err = q.controlAgain(m)
	}
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := m.entries; e != nil; e = e.next {
		e.queue.bytes += changed.size - m.size
	}
	q.cool(m)
	q.learn(m, changed)
	return changed, nil
}
