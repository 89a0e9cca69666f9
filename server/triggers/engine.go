package triggers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatepost/router/address"
	"gatepost/server/counters"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/rate"
	"gatepost/server/settings"
)

// Tag is that of the log records.
const Tag = "TRIGGER"

const (
	lookEvery    = 10 * time.Second
	samples      = 60               // of a count within its period, at most
	maxWaiting   = 100              // notifications
	fetchLimit   = 30 * time.Second // for one URL
	maxAnswer    = 64 << 10
	countedNames = 2 * maxMethods
)

// Options are what an Engine needs.
type Options struct {
	Settings *settings.Live[Settings]
	// Elements lists all elements of statistics.
	Elements func() []counters.Element
	// Mail submits a message of the server to an address.
	Mail func(ctx context.Context, to address.Address, subject, body string) error
	Log  *slog.Logger
}

// Engine looks at the elements from time to time.
type Engine struct {
	o      Options
	log    *slog.Logger
	client *http.Client
	sent   *rate.Table[string] // by handler

	// states are those of triggers, by their text; only look uses them.
	states map[string]*state

	waiting chan job
}

// state is what is known of a trigger.
type state struct {
	above   bool // a state was above at the last look
	unknown bool // the log has said that there is no such element
	values  []sample
}

type sample struct {
	at time.Time
	n  int64
}

// job is a notification.
type job struct {
	handler string
	methods []method
	notice  notice
}

// New returns an Engine; Run makes it work.
func New(o Options) *Engine {
	return &Engine{o: o, log: logs.Component(o.Log, Tag), sent: rate.New[string](countedNames), states: map[string]*state{}, waiting: make(chan job, maxWaiting),
		client: &http.Client{Timeout: fetchLimit, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswer, Proxy: nil}}}
}

// Run works until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case j := <-e.waiting:
				e.notify(ctx, j)
			}
		}
	})
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			work.Wait()
			return nil
		case <-ticker.C:
			e.look(ctx)
		}
	}
}

// look compares all elements that triggers are about.
func (e *Engine) look(ctx context.Context) {
	p, err := parse(e.o.Settings.Get())
	if err != nil || len(p.triggers) == 0 { // the settings were validated
		clear(e.states)
		return
	}
	elements := map[string]counters.Element{}
	for _, el := range e.o.Elements() {
		elements[strings.ToLower(el.Name)], elements[el.OID] = el, el
	}
	texts := map[string]bool{}
	for _, t := range p.triggers {
		texts[t.text] = true
		s := e.states[t.text]
		if s == nil {
			s = new(state)
			e.states[t.text] = s
		}
		el, ok := elements[strings.ToLower(t.element)]
		if !ok {
			if !s.unknown {
				e.log.Log(ctx, logs.LevelProblem, "there is no such element of statistics", "trigger", t.text)
			}
			s.unknown = true
			continue
		}
		s.unknown = false
		if n, fired := s.fires(&t, el, time.Now()); fired {
			e.fire(ctx, p, &t, el, n)
		}
	}
	maps.DeleteFunc(e.states, func(text string, _ *state) bool { return !texts[text] })
}

// fires compares the value of an element, and returns what is told of it.
func (s *state) fires(t *trigger, el counters.Element, now time.Time) (int64, bool) {
	if t.period == 0 {
		was := s.above
		s.above = el.Value > t.above
		return el.Value, s.above && !was
	}
	// The last sample that is not younger than the period is where it begins.
	begin := 0
	for i, v := range s.values {
		if now.Sub(v.at) >= t.period {
			begin = i
		}
	}
	s.values = slices.Delete(s.values, 0, begin)
	if len(s.values) > 0 {
		if risen := el.Value - s.values[0].n; risen > t.above {
			s.values = append(s.values[:0], sample{now, el.Value})
			return risen, true
		}
	}
	if k := len(s.values); k == 0 || now.Sub(s.values[k-1].at) >= max(lookEvery, t.period/samples) {
		s.values = append(s.values, sample{now, el.Value})
	}
	return 0, false
}

// fire logs what a trigger has found, and has its handlers told.
func (e *Engine) fire(ctx context.Context, p *parsed, t *trigger, el counters.Element, n int64) {
	words := fmt.Sprintf("is greater than %d", t.above)
	if t.period > 0 {
		words = fmt.Sprintf("has risen by more than %d in %s", t.above, settings.Period(t.period))
	}
	e.log.Log(ctx, logs.LevelMajor, el.Name+" "+words, "value", n, "handlers", strings.Join(t.handlers, ","))
	for _, h := range t.handlers {
		if e.sent.Take(h, p.limit) > 0 {
			e.log.Log(ctx, logs.LevelProblem, "a notification is left out: there were too many before it", "handler", h, "element", el.Name)
			continue
		}
		e.add(ctx, job{h, p.handlers[h], notice{el.Name, words, strconv.FormatInt(n, 10)}})
	}
}

func (e *Engine) add(ctx context.Context, j job) {
	select {
	case e.waiting <- j:
	default:
		e.log.Log(ctx, logs.LevelProblem, "a notification is left out: too many wait", "handler", j.handler)
	}
}

// Test notifies a handler, whatever its limit is. Errors: NotFound; that of the first method that has failed.
func (e *Engine) Test(ctx context.Context, handler string) error {
	const op = "triggers.Test"
	p, err := parse(e.o.Settings.Get())
	if err != nil {
		return err
	}
	name := strings.ToLower(strings.TrimSpace(handler))
	methods := p.handlers[name]
	if methods == nil {
		return fault.New(op, fault.NotFound, "there is no such handler")
	}
	for _, m := range methods {
		if err := e.tell(ctx, &m, &notice{"test", "is a test of the handler " + name, "0"}); err != nil {
			return fault.New(op, fault.Unavailable, fault.Explain(err))
		}
	}
	return nil
}

// notify tells a handler by all its methods.
func (e *Engine) notify(ctx context.Context, j job) {
	for _, m := range j.methods {
		if err := e.tell(ctx, &m, &j.notice); err != nil {
			e.log.Log(ctx, logs.LevelProblem, "a notification has failed", "handler", j.handler, logs.AttrError, err)
			continue
		}
		e.log.Log(ctx, logs.LevelLowLevel, "notified", "handler", j.handler)
	}
}

func (e *Engine) tell(ctx context.Context, m *method, n *notice) error {
	if m.url == "" {
		plain := func(s string) string { return s }
		return e.o.Mail(ctx, m.to, fill(m.subject, plain, n), fill(m.body, plain, n))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fill(m.url, url.QueryEscape, n), nil)
	if err != nil {
		return fault.New("triggers.Notify", fault.Invalid, "the URL cannot be used")
	}
	answer, err := e.client.Do(r)
	if err != nil {
		if own := new(url.Error); errors.As(err, &own) {
			err = own.Err // without the URL, which may have a secret
		}
		return fmt.Errorf("the URL at %s: %w", r.URL.Host, err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer) // nobody reads it
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("the URL at %s: the answer is %s", r.URL.Host, answer.Status)
	}
	return nil
}
