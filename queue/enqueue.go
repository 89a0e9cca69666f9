package queue

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// enqueuer is the module of messages that are not routed yet: found at the
// start, accepted under load, or with recipients that the router cannot tell
// now. It has one logical queue.
const enqueuer router.Module = "ENQUEUER"

// plan is where the recipients of a message go.
type plan struct {
	placed  []placed
	results []result       // final, or to be asked again later
	known   []router.Route // that need not be asked for, those with a module; nil if there are none
	err     error          // the first error of the router
	absent  error          // the first module that is not there
}

// placed is a recipient with its route.
type placed struct {
	rcpt  int
	route router.Route
}

// plan routes recipients: the given ones, or all that wait. Who may relay was
// decided when the recipient was accepted and is not asked again.
func (q *Queue) plan(ctx context.Context, env *envelope.Envelope, rcpts []int) *plan {
	p := new(plan)
	if rcpts == nil {
		rcpts = toPlan(env)
	}
	for _, i := range rcpts {
		q.planOne(ctx, p, env, i)
	}
	return p
}

// toPlan are the recipients that wait, or of whom there is something to report.
func toPlan(env *envelope.Envelope) []int {
	rcpts := make([]int, 0, len(env.Recipients))
	for i := range env.Recipients {
		if st := env.Recipients[i].State; st == 0 || st == envelope.Waiting || st.Unreported() {
			rcpts = append(rcpts, i)
		}
	}
	return rcpts
}

// together is how many recipients are routed before the first of them are delivered to, and how many
// recipients of a message in one logical queue are one entry.
const together = 1000

// enqueueParts routes the recipients of a message and puts it into logical queues, with many recipients part by part:
// the first are delivered to while the others are routed. What may not be given one message in two
// parts (a list, to which two addresses lead) comes with the last one. It reports false when ctx has ended.
func (q *Queue) enqueueParts(ctx context.Context, m *message, h *head, e *entry) bool {
	var known []router.Route
	if h.known {
		known = h.routes
	}
	p := &plan{known: known}
	rcpts := toPlan(h.env)
	for n, i := range rcpts {
		if ctx.Err() != nil {
			return false
		}
		q.planOne(ctx, p, h.env, i)
		if n%together == together-1 && n+1 < len(rcpts) {
			q.place(m, h, p.takeReady())
		}
	}
	q.moveOn(m, h, p, e)
	return true
}

// takeReady takes out of a plan what can be delivered to at once.
func (p *plan) takeReady() *plan {
	now := new(plan)
	var rest []placed
	for _, pl := range p.placed {
		if pl.route.Module == router.LOCAL || pl.route.Module == router.SMTP {
			now.placed = append(now.placed, pl)
		} else {
			rest = append(rest, pl)
		}
	}
	p.placed = rest
	return now
}

func (q *Queue) planOne(ctx context.Context, p *plan, env *envelope.Envelope, i int) {
	switch rcpt := &env.Recipients[i]; {
	case rcpt.State.Unreported():
		p.results = append(p.results, q.reportLate(ctx, i, rcpt))
		return
	case rcpt.Expanded:
		p.results = append(p.results, result{rcpt: i, status: envelope.Status{
			Action: envelope.ActionExpanded, Code: envelope.Code{2, 0, 0}, Text: textExpanded}})
		return
	}
	var r router.Route
	var err error
	if p.known != nil && p.known[i].Module != "" {
		r = p.known[i]
	} else {
		r, err = q.o.Router.Route(ctx, names.Mail, env.Recipients[i].Address)
	}
	if err == nil && r.All {
		err = q.notExpanded(ctx, env, r.Domain)
	}
	switch {
	case err != nil:
		if p.err == nil {
			p.err = err
		}
		p.results = append(p.results, result{rcpt: i, status: routeStatus(err)})
	case r.Unknown: // the domain wants it accepted and bounced
		p.results = append(p.results, result{rcpt: i, status: envelope.Status{
			Action: envelope.ActionFailed, Code: envelope.Code{5, 1, 1}, Text: "unknown user account"}})
	case r.Module == router.SYSTEM:
		p.results = append(p.results, result{rcpt: i, module: r.Module, queue: r.Queue, status: envelope.Status{
			Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "discarded"}})
	case q.modules[r.Module] == nil:
		err := q.Handles(r.Module)
		if p.absent == nil {
			p.absent = err
		}
		// The module may come with other settings or another start: what was
		// accepted waits for it, and its sender hears of the delay.
		st := routeStatus(err)
		st.Action, st.Code = envelope.ActionDelayed, envelope.Code{4, 3, 5}
		p.results = append(p.results, result{rcpt: i, status: st})
	default:
		p.placed = append(p.placed, placed{i, r})
	}
}

// TextHandedOver is what the sender of a message is told that was handed over when the server was killed.
const TextHandedOver = "the server was interrupted while the message was being processed; it may be done or not, and is not tried again"

// reportLate returns the result of a recipient that an earlier run did not report. What
// the module said then is in the log of that time.
func (q *Queue) reportLate(ctx context.Context, i int, rcpt *envelope.Recipient) result {
	r := result{rcpt: i}
	switch rcpt.State {
	case envelope.RelayedUnreported:
		r.status = envelope.Status{Action: envelope.ActionRelayed, Code: envelope.Code{2, 0, 0}, Text: "was relayed to another server"}
	case envelope.DeliveredUnreported:
		r.status = envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "was delivered"}
	case envelope.HandedOver:
		r.status = envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{4, 3, 0}, Text: TextHandedOver}
	default:
		r.status = envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 0, 0},
			Text: "delivery failed; the reason is in the log of this server"}
	}
	if route, err := q.o.Router.Route(ctx, names.Mail, rcpt.Address); err == nil {
		r.module, r.queue = route.Module, route.Queue
	}
	return r
}

// refusal returns the router's error when it leaves nobody to deliver to. Then
// the sender hears of it in the answer and no report is needed.
func (p *plan) refusal() error {
	err := p.err
	if err == nil {
		err = p.absent
	}
	if err == nil || len(p.placed) > 0 {
		return nil
	}
	for _, r := range p.results {
		if r.status.Action == envelope.ActionDelivered || r.status.Action == envelope.ActionExpanded {
			return nil
		}
	}
	return err
}

// routeStatus turns an error of the router into a delivery status.
func routeStatus(err error) envelope.Status {
	kind := fault.KindOf(err)
	st := envelope.Status{Action: envelope.ActionFailed, Text: fault.Text(err)}
	if kind.Temporary() {
		st.Action, st.Code = envelope.ActionDelayed, envelope.Code{4, 3, 0}
		return st
	}
	switch kind {
	case fault.NotFound, fault.NoMailbox:
		st.Code = envelope.Code{5, 1, 1}
	case fault.NoHost, fault.NoDomain:
		st.Code = envelope.Code{5, 1, 2}
	case fault.Invalid:
		st.Code = envelope.Code{5, 1, 3}
	case fault.Loop:
		st.Code = envelope.Code{5, 4, 6}
	case fault.Rejected, fault.RelayDenied, fault.Denied:
		st.Code = envelope.Code{5, 7, 1}
	default:
		st.Code = envelope.Code{5, 4, 0}
	}
	return st
}

// group is the recipients of a message that lead to one logical queue.
type group struct {
	module router.Module
	queue  string
	rcpts  []int
}

// grouped joins recipients by logical queue, in their order. Many at one host are several groups: what is done for each
// result grows with the group.
func grouped(all []placed) []group {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return []group{{all[0].route.Module, all[0].route.Queue, []int{all[0].rcpt}}}
	}
	type key struct {
		module router.Module
		queue  string
	}
	index := make(map[key]int, len(all))
	var groups []group
	for _, p := range all {
		k := key{p.route.Module, p.route.Queue}
		i, ok := index[k]
		if full := ok && k.module == router.SMTP && len(groups[i].rcpts) == together; !ok || full {
			i = len(groups)
			index[k] = i
			groups = append(groups, group{module: k.module, queue: k.queue})
		}
		groups[i].rcpts = append(groups[i].rcpts, p.rcpt)
	}
	return groups
}

// accept takes a message that is durable into the queue. Its error is what rules say
// while the source waits for it, no longer than a time; the message is gone then.
func (q *Queue) accept(ctx context.Context, id envelope.QueueID, h *head, p *plan, wait time.Duration) error {
	m := &message{id: id}
	header := h.header
	h.header = nil // the envelope stays in memory, and this does not
	q.learn(m, h)
	q.mu.Lock()
	q.messages[id] = m
	total := len(q.messages) - q.leaving
	if p == nil {
		q.warm(m, h) // so that it need not be read again
		q.enter(m, enqueuer, "", nil, time.Time{}, "")
	}
	q.mu.Unlock()
	switch {
	case p == nil: // the enqueuer has it
	case q.toBeJudged(h.env):
		if err := q.judgeFirst(ctx, m, h, p, header, wait); err != nil {
			return err
		}
	default:
		q.place(m, h, p)
	}
	q.counts.received(h)
	q.logQueue(id).LogAttrs(context.Background(), logs.LevelLowLevel, "enqueued", slog.Int("nTotal", total))
	return nil
}

// learn takes over what the head says.
func (q *Queue) learn(m *message, h *head) {
	m.submitted = h.env.Submitted.Unix()
	m.born = time.Since(q.opened) - max(0, q.ageByClock(m))
	m.offset, m.size = h.layout.Message, h.size
	m.bulk = h.env.Bulk
	m.onHold = m.onHold || h.env.OnHold
	if m.rejected == nil && h.env.Rejected != envelope.NotRejected {
		m.rejected = &rejection{textRejected, h.env.Rejected == envelope.RejectedWithReport}
	}
	m.newStates(h.env)
}

// place puts the recipients of a message into their logical queues.
func (q *Queue) place(m *message, h *head, p *plan) {
	if q.logEnqueuer.Enabled(context.Background(), logs.LevelLowLevel) {
		for _, pl := range p.placed {
			q.logEnqueuer.LogAttrs(context.Background(), logs.LevelLowLevel, "routed to "+pl.route.String(),
				slog.Uint64(logs.AttrQueueID, uint64(m.id)), slog.String(logs.AttrRecipient, h.env.Recipients[pl.rcpt].Address.String()))
		}
	}
	if h.routes == nil {
		h.routes = make([]router.Route, len(h.env.Recipients))
	}
	for _, pl := range p.placed {
		h.routes[pl.rcpt] = pl.route
	}
	q.mu.Lock()
	q.warm(m, h)
	for _, g := range grouped(p.placed) {
		q.enter(m, g.module, g.queue, g.rcpts, time.Time{}, "")
	}
	if len(p.results) == 0 {
		if m.waiting == 0 {
			q.finish(m)
		}
		q.mu.Unlock()
		return
	}
	// The rest has results from the router. They are settled as if the enqueuer
	// had tried to deliver.
	l := q.queue(q.modules[enqueuer], "")
	e := &entry{msg: m, place: active}
	for _, r := range p.results {
		e.rcpts = append(e.rcpts, r.rcpt)
	}
	l.adopt(e)
	b := q.newBatch(l)
	b.begin()
	q.mu.Unlock()

	it := newItem(b, e)
	it.fill(q, h, e.rcpts, nil)
	q.settle(settlement{item: it, results: p.results})
	q.mu.Lock()
	q.giveBack(b)
	q.mu.Unlock()
}

// enter puts recipients of a message into a logical queue. q.mu is held.
func (q *Queue) enter(m *message, module router.Module, queue string, rcpts []int, due time.Time, lastErr string) {
	mod := q.modules[module]
	l := q.queue(mod, queue)
	e := &entry{msg: m, rcpts: rcpts, due: due, lastErr: lastErr}
	l.adopt(e)
	l.put(e)
	if !l.dest.until.IsZero() {
		q.cool(m)
	}
	q.replan(l)
	q.offer(l)
	q.dispatch(mod)
}

// enqueueBatch routes what was not routed yet.
func (q *Queue) enqueueBatch(ctx context.Context, b *Batch) {
	for _, it := range b.Items {
		if ctx.Err() != nil {
			q.mu.Lock()
			b.queue.back = append(b.queue.back, it.entry)
			q.mu.Unlock()
			continue
		}
		q.enqueueItem(ctx, it)
	}
}

func (q *Queue) enqueueItem(ctx context.Context, it *Item) {
	e, m := it.entry, it.entry.msg
	h, err := (*head)(nil), error(nil)
	if e.rcpts == nil {
		h, err = q.headOf(m)
	} else {
		h, err = q.readHead(m.id)
	}
	if err == nil && h.layout.Version == 0 {
		h, err = q.upgrade(m.id, h)
	}
	if err != nil {
		q.unreadable(e, err)
		return
	}
	q.mu.Lock()
	rejected := m.rejected
	q.mu.Unlock()
	if e.rcpts != nil && rejected != nil {
		it.fill(q, h, e.rcpts, nil)
		q.settleAll(it, rejected.status())
		return
	}
	if e.rcpts != nil { // recipients that the router could not tell before
		if !q.keep(e) {
			q.reroute(ctx, it, h, e.rcpts)
		}
		return
	}
	q.mu.Lock()
	fresh := m.rcpts == nil
	if fresh {
		q.learn(m, h)
		e.queue.bytes += m.size
	}
	q.mu.Unlock()
	if fresh && !knownStates(h.env) {
		q.unreadable(e, fault.New("queue.Run", fault.Corrupt, "a recipient has a state that is not known"))
		return
	}
	if fresh && q.endFresh(ctx, it, h) || q.keepFresh(e, h) {
		return
	}
	if q.toBeJudged(h.env) {
		q.mu.Lock()
		q.enter(m, RulesModule, "", m.waitingRcpts(), time.Time{}, "")
		e.queue.drop(e)
		q.mu.Unlock()
		return
	}
	if !q.enqueueParts(ctx, m, h, e) {
		q.mu.Lock()
		if e.place == active {
			it.batch.queue.back = append(it.batch.queue.back, e)
		}
		q.mu.Unlock()
	}
}

// knownStates reports whether the states of all recipients are ones we know: a
// file of another server may have letters that mean something else, and a
// recipient who is neither done nor waiting would be lost.
func knownStates(env *envelope.Envelope) bool {
	for i := range env.Recipients {
		switch st := env.Recipients[i].State; st {
		case 0, envelope.Waiting, envelope.Delivered, envelope.Failed, envelope.Expired:
		default:
			if !st.Unreported() {
				return false
			}
		}
	}
	return true
}

// setAside renames a file that does not read back, so that it is kept for the
// administrator and never tried again.
func (q *Queue) setAside(m *message, cause error) {
	log := q.logQueue(m.id)
	name := fileName(m.id, extMsg)
	err := q.disk.Rename(name, fileName(m.id, extBad))
	if err == nil {
		err = q.names.Wait()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Log(context.Background(), logs.LevelFailure, "a damaged queue file could not be renamed to .bad", logs.AttrError, err)
	}
	log.Log(context.Background(), logs.LevelFailure, "the queue file is damaged and was renamed to .bad", logs.AttrError, cause)
	q.forgetMessage(m)
}

// forgetMessage takes a message without a file out of the queue.
func (q *Queue) forgetMessage(m *message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := m.entries; e != nil; e = m.entries {
		l := e.queue
		l.drop(e)
		q.replan(l)
		q.offer(l)
	}
	m.outcomes = nil
	m.waiting = 0
	q.cool(m)
	q.forgetTried(m)
	if q.messages[m.id] == m {
		delete(q.messages, m.id)
		if m.finished {
			q.leaving--
		}
	}
}
