package helper

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gatepost/queue"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/program"
	"gatepost/server/program/commandline"
)

// Helpers runs all helpers of the server.
type Helpers struct {
	base  string
	log   *slog.Logger
	start starter
	runs  chan struct{} // closed when Run runs

	mu      sync.Mutex // guards all below; held for no longer than that takes
	run     *running   // nil unless Run runs
	filters Filters
	clients map[string]*member // filters by their names in lower case
	auth    Settings
	authAt  *member

	unknown negative // what NEW did not know
}

// member is a client and the end of its goroutine.
type member struct {
	*client
	stop func()
}

// running is what Run has started.
type running struct {
	ctx   context.Context
	group sync.WaitGroup
}

// New returns Helpers that do not run yet. Views of an earlier run are removed.
func New(base string, log *slog.Logger) (*Helpers, error) {
	if err := clearViews(base); err != nil {
		return nil, fault.Wrap("helper.New", fault.Internal, err)
	}
	h := &Helpers{base: base, log: log, runs: make(chan struct{}), clients: map[string]*member{}}
	h.start = h.startProgram
	return h, nil
}

// Apply puts settings in force: new helpers start, others stop; one starts again if its program has changed, or if it
// has ended for good.
func (h *Helpers) Apply(filters Filters, auth Settings) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.filters, h.auth = filters, auth
	h.unknown.clear()
	h.reconcile()
}

// Run runs the helpers until ctx ends.
func (h *Helpers) Run(ctx context.Context) error {
	r := &running{ctx: ctx}
	h.mu.Lock()
	h.run = r
	h.reconcile()
	h.mu.Unlock()
	close(h.runs)
	<-ctx.Done()
	h.mu.Lock()
	h.run = nil
	clear(h.clients)
	h.authAt = nil
	h.mu.Unlock()
	r.group.Wait()
	return nil
}

// reconcile gives each helper its client. h.mu is held.
func (h *Helpers) reconcile() {
	if h.run == nil {
		return
	}
	for key, m := range h.clients {
		if h.filters.find(key) == nil {
			m.stop()
			delete(h.clients, key)
		}
	}
	for i := range h.filters {
		key := strings.ToLower(h.filters[i].Name)
		if h.clients[key] == nil {
			h.clients[key] = h.begin(filterKind, h.filters[i].Name)
		}
		h.clients[key].configure(h.filters[i])
	}
	if h.authAt == nil {
		h.authAt = h.begin(authKind, "")
	}
	h.authAt.configure(h.auth)
}

// begin starts the goroutine of a client.
func (h *Helpers) begin(k kind, name string) *member {
	ctx, cancel := context.WithCancel(h.run.ctx)
	m := &member{client: newClient(k, name, h.start, h.log), stop: cancel}
	h.run.group.Go(func() { m.run(ctx) })
	return m
}

// startProgram starts the program of a command line.
func (h *Helpers) startProgram(line string, l program.Listener) (process, error) {
	words, err := commandline.Split(line)
	if err != nil || len(words) == 0 {
		return nil, fault.New("helper.Start", fault.Invalid, "no program is named")
	}
	if words[0], err = h.programPath(words[0]); err != nil {
		return nil, err
	}
	m := program.Manifest{File: filepath.Join(h.base, "Settings", "ChildProcs.data")}
	if err := m.Allows(commandline.Join(words)); err != nil {
		return nil, err
	}
	p := &program.Program{Path: words[0], Args: words[1:], Dir: h.base}
	d, err := p.Talk(l)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// programPath is the absolute path of a program: relative names are below the base directory, those
// with $ in the directory of the server's program.
func (h *Helpers) programPath(name string) (string, error) {
	if rest, ok := strings.CutPrefix(name, "$"); ok {
		self, err := os.Executable()
		if err != nil {
			return "", fault.Wrap("helper.Start", fault.Internal, err)
		}
		return filepath.Join(filepath.Dir(self), rest), nil
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name), nil
	}
	return filepath.Join(h.base, name), nil
}

// filter returns the client of a filter and its settings; nil if there is none, or it is disabled. It waits until Run
// runs: a message must not pass by because the server starts. Errors: that of ctx, fault.Unavailable.
func (h *Helpers) filter(ctx context.Context, name string) (*member, Settings, error) {
	const op = "helper.Filter"
	select {
	case <-h.runs:
	case <-ctx.Done():
		return nil, Settings{}, fault.Wrap(op, fault.Canceled, ctx.Err())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.run == nil {
		return nil, Settings{}, fault.New(op, fault.Unavailable, "the server stops")
	}
	m := h.clients[strings.ToLower(name)]
	s := h.filters.find(name)
	if m == nil || s == nil || !bool(s.Enabled) {
		return nil, Settings{}, nil
	}
	return m, *s, nil
}

// Filter asks a filter about a message. A filter that is disabled, or that nobody has named, accepts it. A failure
// has been made what OnFailure says: Accept or Later. Errors: that of ctx, one of the disk, fault.Unavailable when the
// server stops.
func (h *Helpers) Filter(ctx context.Context, name string, m *queue.Message) (Verdict, error) {
	c, s, err := h.filter(ctx, name)
	if c == nil {
		return Verdict{}, err
	}
	file := "Queue/" + filepath.Base(m.File)
	if !s.QueueFile {
		if file, err = makeView(h.base, m.File, m.Offset, m.ID.String()+".msg"); err != nil {
			return Verdict{}, err
		}
		defer os.Remove(filepath.Join(h.base, file))
	}
	began := time.Now()
	answer, err := c.ask(ctx, "FILE "+file)
	v := Verdict{}
	switch {
	case ctx.Err() != nil:
		return v, fault.Wrap("helper.Filter", fault.Canceled, ctx.Err())
	case fault.Is(err, fault.NotFound): // it was disabled just now
		return v, nil
	case fault.Is(err, fault.Unavailable):
		v = Verdict{Action: Later, Text: "the content filter " + s.Name + " is not running"}
	case err != nil:
		v = Verdict{Action: Failed, Text: fault.Text(err)}
	default:
		v = parseVerdict(answer)
	}
	h.logVerdict(&s, m, v, time.Since(began))
	if v.Action == Failed {
		v = s.failure()
	}
	if v.Action == Later && v.Text == "" {
		v.Text = "the content filter " + s.Name + " cannot look at the message now"
	}
	return v, nil
}

// failure is what becomes of a message when its filter fails.
func (s *Settings) failure() Verdict {
	if s.OnFailure == "tempfail" {
		return Verdict{Action: Later, Text: "the content filter " + s.Name + " does not work"}
	}
	return Verdict{}
}

func (h *Helpers) logVerdict(s *Settings, m *queue.Message, v Verdict, took time.Duration) {
	level := logs.LevelProblem
	switch v.Action {
	case Accept:
		level = logs.LevelLowLevel
	case Discard, Refuse:
		level = logs.LevelMajor
	}
	if logs.Number(level) > s.LogLevel {
		return
	}
	log := logs.Component(h.log, filterKind.tag)
	attrs := []slog.Attr{slog.Any(logs.AttrQueueID, m.ID), slog.String("helper", s.Name), slog.Duration("took", took.Round(time.Millisecond))}
	if v.Text != "" {
		attrs = append(attrs, slog.String("text", strings.Join(strings.Fields(v.Text), " ")))
	}
	if len(v.Fields) > 0 {
		attrs = append(attrs, slog.String("added", strings.Join(v.Fields, "; ")))
	}
	log.LogAttrs(context.Background(), level, "answered "+v.Action.String(), attrs...)
}

// LogLevels are the levels of the log records of helpers, by tag: the highest that one of them asks for.
func LogLevels(filters Filters, auth Settings) map[string]int {
	levels := map[string]int{}
	if n := filters.LogLevel(); n >= 0 {
		levels[filterKind.tag] = n
	}
	if auth.Enabled {
		levels[authKind.tag] = auth.LogLevel
	}
	return levels
}

// Statistics tells of each helper: filters by their names, and External Authentication as (ExternalAUTH).
func (h *Helpers) Statistics() dataformat.Dict {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := dataformat.Dict{}
	for _, m := range h.clients {
		if s := m.stats.snapshot(); s != nil {
			d[m.name] = s
		}
	}
	if h.authAt != nil && bool(h.auth.Enabled) {
		if s := h.authAt.stats.snapshot(); s != nil {
			d["(ExternalAUTH)"] = s
		}
	}
	return d
}
