package drop

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"

	"log/slog"
)

// Queue takes the messages.
type Queue interface {
	Begin(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error)
	// HeldTag is the submit tag of a message that is held; "" if it is not.
	HeldTag(id envelope.QueueID) (string, error)
	// Publish lets a message be delivered that is held; of one that is not it says nothing.
	Publish(id envelope.QueueID) error
	Drop(id envelope.QueueID) error
}

// Options are what an Intake works with.
type Options struct {
	// Base is the base directory, in which no drop folder may be. Records are in Drop below it.
	Base     string
	Queue    Queue
	Settings *settings.Live[Settings]
	// MaySend reports whether mail may be sent in the name of an address: whether it is an account's, or
	// a gateway's sender.
	MaySend    func(ctx context.Context, a address.Address) (bool, error)
	MainDomain func() string
	// LookUp finds the addresses of database servers; nil for the system's way.
	LookUp func(ctx context.Context, host string) ([]string, error)
	Log    *slog.Logger
}

// Intake takes what there is in all sources.
type Intake struct {
	o       Options
	dir     string // of records
	log     *slog.Logger
	changed chan struct{}

	mu      sync.Mutex
	sources map[string]*running // by names in lower case
	left    map[string][]*record
}

// Counts are what became of items.
type Counts struct{ Sent, Deferred, Refused int }

func (n *Counts) add(results []result) {
	for i := range results {
		switch results[i].kind() {
		case sent:
			n.Sent++
		case later:
			n.Deferred++
		default:
			n.Refused++
		}
	}
}

// source is a drop folder or a drop table.
type source interface {
	// run takes items until ctx ends.
	run(ctx context.Context)
	// list returns the items that wait, of one sender or of all.
	list(ctx context.Context, sender string) ([]Item, error)
	// send takes what there is of a sender, also what is deferred.
	send(ctx context.Context, sender string) (Counts, error)
}

// running is a source at work.
type running struct {
	source
	name string
	as   string // its settings
	stop context.CancelFunc
	done chan struct{}
}

// Open publishes what was taken when an earlier run ended. It comes before anybody else settles what the queue holds.
func Open(o Options) (*Intake, error) {
	in := &Intake{o: o, dir: filepath.Join(o.Base, "Drop"), log: logs.Component(o.Log, tag), changed: make(chan struct{}, 1), sources: map[string]*running{}, left: map[string][]*record{}}
	if err := os.MkdirAll(in.dir, 0o700); err != nil {
		return nil, err
	}
	list, err := in.readRecords()
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		if r.txid == "" {
			if err := in.publish(r); err != nil {
				return nil, err
			}
		}
		key := strings.ToLower(r.source)
		in.left[key] = append(in.left[key], r)
	}
	return in, nil
}

// takeLeft hands the records of an earlier run over to their source.
func (in *Intake) takeLeft(name string) []*record {
	key := strings.ToLower(name)
	in.mu.Lock()
	defer in.mu.Unlock()
	list := in.left[key]
	delete(in.left, key)
	return list
}

// giveLeft keeps the records of a source that ends.
func (in *Intake) giveLeft(name string, list []*record) {
	if len(list) == 0 {
		return
	}
	key := strings.ToLower(name)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.left[key] = append(in.left[key], list...)
}

// Woken tells that the settings have changed.
func (in *Intake) Woken() {
	select {
	case in.changed <- struct{}{}:
	default:
	}
}

// Run works until ctx ends.
func (in *Intake) Run(ctx context.Context) error {
	defer in.reconcile(ctx, &Settings{})
	for {
		in.reconcile(ctx, in.o.Settings.Get())
		select {
		case <-ctx.Done():
			return nil
		case <-in.changed:
		}
	}
}

// reconcile stops the sources that the settings do not name any more, or in another way, and starts those that
// they name.
func (in *Intake) reconcile(ctx context.Context, set *Settings) {
	type wanted struct {
		name, as string
		make     func() source
	}
	want := map[string]wanted{}
	for name, s := range set.Folders {
		if !bool(s.Enabled) {
			continue
		}
		if base := filepath.Clean(in.o.Base); isWithin(s.Path, base) || isWithin(base, s.Path) {
			in.log.Log(ctx, logs.LevelFailure, "a drop folder cannot be in the base directory, or around it, and is not used", "folder", name)
			continue
		}
		want[strings.ToLower(name)] = wanted{name, "folder " + describe(s), func() source { return newFolder(in, name, s) }}
	}
	for name, s := range set.Tables {
		if bool(s.Enabled) {
			want[strings.ToLower(name)] = wanted{name, "table " + describe(s), func() source { return newTable(in, name, s) }}
		}
	}
	in.mu.Lock()
	var gone []*running
	for key, r := range in.sources {
		if w, ok := want[key]; !ok || w.as != r.as || w.name != r.name {
			gone = append(gone, r)
			delete(in.sources, key)
		}
	}
	in.mu.Unlock()
	for _, r := range gone {
		r.stop()
	}
	for _, r := range gone {
		<-r.done
	}
	for key, w := range want {
		in.mu.Lock()
		there := in.sources[key] != nil
		in.mu.Unlock()
		if there {
			continue
		}
		sourceCtx, stop := context.WithCancel(ctx)
		r := &running{source: w.make(), name: w.name, as: w.as, stop: stop, done: make(chan struct{})}
		go func() {
			defer close(r.done)
			r.run(sourceCtx)
		}()
		in.mu.Lock()
		in.sources[key] = r
		in.mu.Unlock()
	}
}

func describe(s any) string { return dataformat.Compact(settings.Effective(s)) }

// named returns the source with a name, in any case; "" names the only one.
func (in *Intake) named(name string) (*running, error) {
	const op = "drop.Source"
	in.mu.Lock()
	defer in.mu.Unlock()
	if name == "" && len(in.sources) == 1 {
		for _, r := range in.sources {
			return r, nil
		}
	}
	if r := in.sources[strings.ToLower(name)]; r != nil {
		return r, nil
	}
	if name == "" {
		return nil, fault.Newf(op, fault.Invalid, "say which drop folder or drop table: there are %d", len(in.sources))
	}
	return nil, fault.Newf(op, fault.NotFound, "there is no drop folder or drop table %.100q", name)
}

// List describes the items that wait in a source, a line each: of a sender, or of all for "" and "@". Errors:
// fault.NotFound for the name of the source.
func (in *Intake) List(ctx context.Context, name, sender string) ([]string, error) {
	r, err := in.named(name)
	if err != nil {
		return nil, err
	}
	items, err := r.list(ctx, sender)
	slices.SortStableFunc(items, func(a, b Item) int {
		x, _ := parseTime(strings.TrimSpace(a.Time))
		y, _ := parseTime(strings.TrimSpace(b.Time))
		return cmp.Compare(x.Unix(), y.Unix())
	})
	lines := make([]string, len(items))
	for i := range items {
		lines[i] = items[i].line()
	}
	return lines, err
}

// Send sends what waits in a source now, also what is deferred: files with an item of the sender, or rows; all for
// "" and "@". Errors: fault.NotFound for the name of the source, and why items wait.
func (in *Intake) Send(ctx context.Context, name, sender string) (Counts, error) {
	r, err := in.named(name)
	if err != nil {
		return Counts{}, err
	}
	return r.send(ctx, sender)
}

// sayAgain is how often the log says that items wait.
const sayAgain = time.Hour

// waiting logs why items of a source wait: when that begins or changes, and from time to time.
type waiting struct {
	why  string
	when time.Time
}

func (w *waiting) say(ctx context.Context, log *slog.Logger, source string, err error) {
	why := ""
	if err != nil {
		why = fault.Explain(err)
	}
	if why == w.why && (why == "" || time.Since(w.when) < sayAgain) {
		return
	}
	w.why, w.when = why, time.Now()
	if why != "" {
		log.Log(ctx, logs.LevelProblem, "mail waits in a drop source: "+why, "source", source)
	}
}

// logResults writes a record of the log for each item.
func (in *Intake) logResults(ctx context.Context, source, file string, items []Item, results []result) {
	for i, r := range results {
		from, to := strings.TrimSpace(items[i].Sender), strings.TrimSpace(items[i].Address)
		switch attrs := []any{logs.AttrReturnPath, clip(from), logs.AttrRecipient, clip(to), "source", source, "file", file}; r.kind() {
		case sent:
			in.log.Log(ctx, logs.LevelMajor, "received", append(attrs, logs.AttrQueueID, uint64(r.ID))...)
		case later:
			in.log.Log(ctx, logs.LevelProblem, "deferred: "+r.Reason, attrs...)
		default:
			in.log.Log(ctx, logs.LevelProblem, "refused: "+r.Reason, attrs...)
		}
	}
}

func clip(s string) string { return s[:min(len(s), 320)] }
