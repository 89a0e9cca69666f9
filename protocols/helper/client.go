package helper

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/program"
	"gatepost/server/settings"
)

// kind is what helpers of one kind have in common.
type kind struct {
	tag     string // of log records
	version int    // that INTF has
	nudge   bool   // INTF wakes helpers that read with a buffer
}

var (
	filterKind = kind{tag: "EXTFILTER", version: 4, nudge: true}
	authKind   = kind{tag: "EXTAUTH", version: 7}
)

// process is a running helper: a program.Dialogue.
type process interface {
	Write(line string) error
	CloseInput()
	Kill(reason string)
	Done() <-chan struct{}
	Reason() string
	PID() int
}

// starter starts the program of a helper.
type starter func(commandLine string, l program.Listener) (process, error)

// Times of the dialogue.
const (
	maxLine     = 4096 // bytes of a line with its end
	introWait   = 5 * time.Second
	nudgeAfter  = 2 * time.Second
	maxNudge    = 30 * time.Second
	quitWait    = 3 * time.Second
	maxPause    = 5 * time.Minute
	maxTries    = 3 // times that a helper may end with a command before that has failed
	maxRequests = 10_000
)

// Errors of a request.
var (
	// errFailed: the helper does not work on it.
	errFailed = fault.New("helper.Ask", fault.Rejected, "the helper has failed")
	// errDown: there is no helper now; there may be one later.
	errDown = fault.New("helper.Ask", fault.Unavailable, "the helper is not running")
	// errAbsent: there is no helper of that name, or it is disabled.
	errAbsent = fault.New("helper.Ask", fault.NotFound, "there is no such helper")
)

// request is a command that somebody waits for.
type request struct {
	ctx   context.Context
	text  string
	done  chan reply // capacity 1
	seq   uint64
	tries int       // how often the helper has ended with it
	begun time.Time // when it was asked for
	sent  time.Time // the last time
}

type reply struct {
	text string
	err  error
}

func (r *request) end(text string, err error) { r.done <- reply{text, err} }

// client owns one helper. All fields below asks belong to the goroutine of run.
type client struct {
	kind  kind
	name  string
	log   *slog.Logger
	start starter

	asks  chan *request
	confs chan Settings
	gone  chan struct{} // closed when run has returned
	stats statistics

	conf    Settings
	on      bool // conf was given, and is enabled
	off     bool // it has ended and RestartPause is never
	process process
	heard   chan string
	ready   bool                // INTF was answered, or long enough ago
	intro   uint64              // the number of the first INTF
	seq     uint64              // the last number
	open    map[uint64]*request // sent, by their numbers
	waiting []*request          // to be sent

	startAt time.Time     // when the next process starts
	pause   time.Duration // before the next start
	downAt  time.Time     // since when there is no helper that is ready
	started time.Time     // when the process did
	news    time.Time     // when it said something last
	nudge   time.Duration // how long it may say nothing
}

func newClient(k kind, name string, start starter, log *slog.Logger) *client {
	log = logs.Component(log, k.tag)
	if name != "" {
		log = log.With("helper", name)
	}
	return &client{kind: k, name: name, log: log, start: start, asks: make(chan *request), confs: make(chan Settings, 1), gone: make(chan struct{}), open: map[uint64]*request{}}
}

// configure gives settings to the helper; the last ones count.
func (c *client) configure(s Settings) {
	for {
		select {
		case c.confs <- s:
			return
		case <-c.confs:
		}
	}
}

// ask sends a command and waits for its answer. Errors: errFailed, errDown, errAbsent, and that of ctx.
func (c *client) ask(ctx context.Context, text string) (string, error) {
	r := &request{ctx: ctx, text: text, done: make(chan reply, 1), begun: time.Now()}
	select {
	case c.asks <- r:
	case <-c.gone:
		return "", errDown
	case <-ctx.Done():
		return "", fault.Wrap("helper.Ask", fault.Canceled, ctx.Err())
	}
	select {
	case got := <-r.done:
		return got.text, got.err
	case <-ctx.Done():
		return "", fault.Wrap("helper.Ask", fault.Canceled, ctx.Err())
	}
}

// run runs the helper until ctx ends. Requests after that are for nobody.
func (c *client) run(ctx context.Context) {
	defer close(c.gone)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var done <-chan struct{}
		if c.process != nil {
			done = c.process.Done()
		}
		select {
		case <-ctx.Done():
			c.stop()
			c.failAll(errDown)
			return
		case s := <-c.confs:
			c.apply(s)
		case r := <-c.asks:
			c.take(r)
		case line := <-c.heard:
			c.hear(line)
		case <-done:
			c.drain()
			c.lost(c.process.Reason(), c.sorted())
		case <-timer.C:
		}
		c.tick(time.Now())
		c.send()
		c.publish()
		timer.Reset(time.Until(c.next()))
	}
}

// apply puts settings in force.
func (c *client) apply(s Settings) {
	before, was := c.conf, c.on
	c.conf, c.on = s, bool(s.Enabled)
	c.off = false
	switch {
	case !c.on:
		c.stop()
		c.failAll(errAbsent)
	case !was, !before.same(&s), c.process == nil:
		c.stop()
		c.resend()
		c.pause = 0
		c.startAt = time.Now()
		c.downAt = c.startAt
	}
}

// take takes a request. Settings that were given before it are in force.
func (c *client) take(r *request) {
	select {
	case s := <-c.confs:
		c.apply(s)
	default:
	}
	switch {
	case !c.on:
		r.end("", errAbsent)
	case c.off:
		r.end("", errFailed)
	case len(c.waiting)+len(c.open) >= maxRequests:
		r.end("", errDown)
	default:
		c.waiting = append(c.waiting, r)
	}
}

// begin starts the process and sends INTF.
func (c *client) begin(now time.Time) {
	c.startAt = time.Time{}
	c.heard = make(chan string, 16)
	heard, errs := c.heard, c.log
	p, err := c.start(c.conf.ProgramName, program.Listener{
		MaxLine: maxLine,
		Line:    func(line string) { heard <- line },
		Error: func(line string) {
			errs.Log(context.Background(), logs.LevelProblem, "says on its standard error: "+line)
		},
	})
	if err != nil {
		c.heard = nil
		c.ended(now, fault.Text(err), nil)
		return
	}
	c.process, c.ready = p, false
	c.started, c.news, c.nudge = now, now, nudgeAfter
	c.stats.starts++
	c.record(logs.LevelMajor, "started", slog.Int("pid", p.PID()))
	c.seq++
	c.intro = c.seq
	c.write(c.introduction())
}

func (c *client) introduction() string {
	return strconv.FormatUint(c.seq, 10) + " INTF " + strconv.Itoa(c.kind.version)
}

// write sends a line. If that fails, the process ends, which is heard of.
func (c *client) write(line string) {
	if c.level(logs.LevelAll) {
		c.record(logs.LevelAll, "out: "+c.shown(line))
	}
	if err := c.process.Write(line); err != nil {
		c.record(logs.LevelLowLevel, "does not read", slog.Any(logs.AttrError, err))
	}
}

// shown hides passwords: what follows the account in a command of External Authentication, with its number or
// without, and what follows the word in an answer.
func (c *client) shown(line string) string {
	if c.kind.tag != authKind.tag {
		return line
	}
	words := strings.Split(line, " ")
	for i, word := range words {
		secret := strings.Contains(word, "@") || word == "PLAIN" || word == "OK"
		if secret && i+1 < len(words) {
			return strings.Join(words[:i+1], " ") + " (hidden)"
		}
	}
	return line
}

// lost cleans up after a process that has ended, because of some of the open commands perhaps.
func (c *client) lost(reason string, suspects []*request) {
	c.process, c.heard, c.ready = nil, nil, false
	c.ended(time.Now(), reason, suspects)
}

// drain hears what the process said last.
func (c *client) drain() {
	for {
		select {
		case line := <-c.heard:
			c.hear(line)
		default:
			return
		}
	}
}

// ended decides what comes after the end of a process, or after one that did not start.
func (c *client) ended(now time.Time, reason string, suspects []*request) {
	c.stats.failures++
	c.stats.lastError = reason
	if c.downAt.IsZero() {
		c.downAt = now
	}
	for _, r := range suspects {
		if r.tries++; r.tries >= maxTries {
			delete(c.open, r.seq)
			c.record(logs.LevelFailure, "a command has failed: the helper has ended with it again and again", slog.String("command", c.shown(r.text)))
			r.end("", errFailed)
		}
	}
	c.resend()
	if c.conf.RestartPause == settings.Never {
		c.off = true
		c.record(logs.LevelFailure, "has ended and is not started again, until its settings are given again", slog.String("reason", reason))
		c.failAll(errFailed)
		return
	}
	pause := max(c.conf.RestartPause.Duration(), time.Second)
	c.pause = max(pause, min(2*c.pause, max(maxPause, pause)))
	c.startAt = now.Add(c.pause)
	c.record(logs.LevelFailure, "has ended, or could not be started; it is started again", slog.String("reason", reason), slog.Duration("in", c.pause), slog.Int("open", len(c.waiting)))
}

// sorted are the open requests in the order of their numbers.
func (c *client) sorted() []*request {
	list := make([]*request, 0, len(c.open))
	for _, r := range c.open {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *request) int { return int(int64(a.seq) - int64(b.seq)) })
	return list
}

// resend puts all open commands before those that wait.
func (c *client) resend() {
	again := c.sorted()
	clear(c.open)
	c.waiting = append(again, c.waiting...)
}

// failAll ends all requests.
func (c *client) failAll(err error) {
	for _, r := range append(c.sorted(), c.waiting...) {
		r.end("", err)
	}
	clear(c.open)
	c.waiting = nil
}

// hear takes a line of the helper.
func (c *client) hear(line string) {
	c.news, c.nudge = time.Now(), nudgeAfter
	if c.level(logs.LevelAll) {
		c.record(logs.LevelAll, "in: "+c.shown(line))
	}
	what, seq, text := parseLine(line)
	if what != lineAnswer {
		level := logs.LevelProblem
		if what == lineInfo {
			level = logs.LevelLowLevel
		}
		c.record(level, "says: "+text)
		return
	}
	if !c.ready && seq == c.intro {
		c.ready, c.downAt = true, time.Time{}
		c.record(logs.LevelLowLevel, "is ready: "+text)
		return
	}
	r, ok := c.open[seq]
	if !ok {
		c.record(logs.LevelLowLevel, "an answer that nobody waits for: "+c.shown(line))
		return
	}
	delete(c.open, seq)
	c.pause = 0
	c.stats.answer(time.Since(r.sent))
	c.publish() // who has the answer finds it counted
	r.end(text, nil)
}

// tick does what its time has come for.
func (c *client) tick(now time.Time) {
	if c.on && !c.off && c.process == nil && !c.startAt.IsZero() && !now.Before(c.startAt) {
		c.begin(now)
	}
	c.dropCanceled()
	if c.process == nil || !c.ready {
		c.tooLate(now)
	}
	if c.process == nil {
		return
	}
	if !c.ready && !now.Before(c.started.Add(introWait)) {
		c.ready, c.downAt = true, time.Time{}
		c.record(logs.LevelLowLevel, "does not answer INTF; it gets commands all the same")
	}
	if len(c.open) == 0 {
		return
	}
	for _, r := range c.open {
		if !now.Before(r.sent.Add(c.conf.Timeout.Duration())) {
			c.stats.timeouts++
			c.end(r)
			return
		}
	}
	if c.kind.nudge && !now.Before(c.news.Add(c.nudge)) {
		c.news, c.nudge = now, min(2*c.nudge, maxNudge)
		c.seq++
		c.write(c.introduction())
	}
}

// end ends a process that has not answered a command in time.
func (c *client) end(r *request) {
	c.record(logs.LevelFailure, "no answer in time, the helper is ended", slog.String("command", c.shown(r.text)), slog.String("limit", c.conf.Timeout.String()))
	reason := "no answer within " + c.conf.Timeout.String()
	c.kill(reason)
	if c.open[r.seq] != r { // it has answered in the end
		c.lost(reason, nil)
		return
	}
	c.lost(reason, []*request{r})
}

// dropCanceled drops requests that nobody waits for any more and that were not sent.
func (c *client) dropCanceled() {
	c.waiting = slices.DeleteFunc(c.waiting, func(r *request) bool { return r.ctx.Err() != nil })
}

// tooLate ends requests that have waited for long while there is no helper.
func (c *client) tooLate(now time.Time) {
	limit := c.conf.Timeout.Duration()
	if c.downAt.IsZero() || now.Before(c.downAt.Add(limit)) {
		return
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(r *request) bool {
		if now.Before(r.begun.Add(limit)) {
			return false
		}
		r.end("", errDown)
		return true
	})
}

// send sends what may be sent.
func (c *client) send() {
	for c.process != nil && c.ready && len(c.waiting) > 0 && (c.conf.Concurrent == 0 || len(c.open) < c.conf.Concurrent) {
		r := c.waiting[0]
		c.waiting = c.waiting[1:]
		if r.ctx.Err() != nil {
			continue
		}
		if len(c.open) == 0 { // it had nothing to say
			c.news, c.nudge = time.Now(), nudgeAfter
		}
		c.seq++
		r.seq, r.sent = c.seq, time.Now()
		c.open[r.seq] = r
		c.stats.requests++
		c.write(fmt.Sprintf("%d %s", r.seq, r.text))
	}
}

// next is when tick has something to do.
func (c *client) next() time.Time {
	at := time.Now().Add(time.Hour)
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	if c.process == nil {
		sooner(c.startAt)
	} else if !c.ready {
		sooner(c.started.Add(introWait))
	}
	if c.process == nil || !c.ready {
		for _, r := range c.waiting {
			late := r.begun.Add(c.conf.Timeout.Duration())
			if down := c.downAt.Add(c.conf.Timeout.Duration()); !c.downAt.IsZero() && late.Before(down) {
				late = down
			}
			sooner(late)
		}
	}
	for _, r := range c.open {
		sooner(r.sent.Add(c.conf.Timeout.Duration()))
	}
	if len(c.open) > 0 && c.kind.nudge {
		sooner(c.news.Add(c.nudge))
	}
	return at
}

// stop asks the process to end, and ends it.
func (c *client) stop() {
	c.startAt = time.Time{}
	if c.process == nil {
		return
	}
	c.seq++
	c.write(strconv.FormatUint(c.seq, 10) + " QUIT")
	c.process.CloseInput()
	if !c.await(quitWait) {
		c.kill("it did not end after QUIT")
	}
	c.drain()
	c.process, c.heard, c.ready = nil, nil, false
	c.record(logs.LevelMajor, "stopped")
}

func (c *client) kill(reason string) {
	c.process.Kill(reason)
	c.await(0)
}

// await waits for the end of the process, and hears what it says until then. A limit of 0 is none.
func (c *client) await(limit time.Duration) bool {
	var over <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		over = timer.C
	}
	for {
		select {
		case line := <-c.heard:
			c.hear(line)
		case <-c.process.Done():
			return true
		case <-over:
			return false
		}
	}
}

// level reports whether the helper's records of a level are written.
func (c *client) level(l slog.Level) bool { return logs.Number(l) <= c.conf.LogLevel }

func (c *client) record(l slog.Level, text string, attrs ...slog.Attr) {
	if c.level(l) {
		c.log.LogAttrs(context.Background(), l, text, attrs...)
	}
}
