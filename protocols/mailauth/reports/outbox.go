package reports

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatepost/protocols/mailauth"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/server/dataformat"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

const (
	// maxCounted bounds the rows of a day, maxOfDomain those of a domain in it.
	maxCounted, maxOfDomain = 20_000, 2_000
	// maxAuth is how many signatures a row tells of.
	maxAuth = 4

	flushEvery, sendEvery = time.Minute, time.Hour
)

// Queue is what the outbox needs of the queue.
type Queue interface {
	BeginHeld(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error)
	Held() []envelope.QueueID
	Publish(id envelope.QueueID) error
}

// Outbox counts what strangers send in others' names, and reports it to them.
type Outbox struct {
	daily
	settings  *settings.Live[Settings]
	verifier  *mailauth.Verifier
	directory Directory

	mu    sync.Mutex
	today string
	count *counts // of today

	writing sync.Mutex // held while a day's file is written; before mu
}

// counts are those of a day, by the domain whose record holds.
type counts struct {
	domains map[string]map[countedRow]int64
	rows    int
	dirty   bool // not in the file
	full    bool // rows were left out
}

// countedRow is what messages have in common that are counted together.
type countedRow struct {
	author, envelopeFrom string
	source               netip.Addr
	disposition, reason  string
	dkim, spf            bool
	auth                 string // lines: method, domain, selector or scope, result
}

func newCounts() *counts { return &counts{domains: map[string]map[countedRow]int64{}} }

// OpenOutbox returns the outbox of a directory, which need not exist, and publishes the reports whose sending a crash has
// interrupted. The call comes before the queue runs and before others drop what is held.
func OpenOutbox(dir string, cfg *settings.Live[Settings], verifier *mailauth.Verifier, directory Directory, q Queue, log *slog.Logger) (*Outbox, error) {
	o := &Outbox{daily: daily{dir, q, logs.Component(log, logTag), time.Now}, settings: cfg, verifier: verifier, directory: directory}
	return o, o.open()
}

func (o *Outbox) open() error {
	o.today = day(o.now())
	var err error
	if o.count, err = readCounts(o.path(o.today, dayFile)); err != nil {
		return err
	}
	return o.publishSent()
}

// Message is a stranger's message that was decided upon.
type Message struct {
	Results *mailauth.Results
	Client  netip.Addr
	// From is the domain of the return-path, or empty.
	From string
	// Disposition is what became of it: "none", "quarantine" or "reject". Reason, if that is not what the record asks for, is
	// why: a type of RFC 7489 appendix C.
	Disposition, Reason string
}

// Count counts a message, if the domain in whose name it is asks for reports.
func (o *Outbox) Count(m Message) {
	d := &m.Results.DMARC
	if !bool(o.settings.Get().Send) || d.Record == "" || len(d.Reports) == 0 || d.Result == mailauth.TempError {
		return
	}
	row := countedRow{author: word(d.Author), envelopeFrom: word(m.From), source: m.Client.Unmap().WithZone(""), disposition: m.Disposition, reason: m.Reason,
		dkim: d.DKIM, spf: d.SPF, auth: authText(m.Results)}
	now := day(o.now())
	o.mu.Lock()
	if now != o.today && o.count.dirty {
		o.mu.Unlock()
		o.flush(context.Background())
		o.mu.Lock()
	}
	if now != o.today && !o.count.dirty {
		o.today, o.count = now, newCounts()
	}
	full := o.count.add(d.Record, row, 1)
	o.mu.Unlock()
	if full {
		o.log.Log(context.Background(), logs.LevelProblem, "too many sources for the aggregate reports of today: further ones are left out", "rows", maxCounted)
	}
}

// add counts messages. It reports the first time that a row is left out.
func (c *counts) add(domain string, row countedRow, n int64) (full bool) {
	rows := c.domains[domain]
	_, there := rows[row]
	if !there && (c.rows >= maxCounted || len(rows) >= maxOfDomain) {
		full, c.full = !c.full, true
		return full
	}
	if rows == nil {
		rows = map[countedRow]int64{}
		c.domains[domain] = rows
	}
	if !there {
		c.rows++
	}
	rows[row] += n
	c.dirty = true
	return false
}

// authText is what the methods have found, in lines.
func authText(r *mailauth.Results) string {
	var b strings.Builder
	line := func(words ...string) {
		for i, w := range words {
			words[i] = strings.ReplaceAll(word(w), " ", "")
		}
		b.WriteString(strings.Join(words, " ") + "\n")
	}
	for i, d := range r.DKIM {
		if i < maxAuth && d.Domain != "" && d.Selector != "" {
			line("dkim", d.Domain, d.Selector, string(d.Result))
		}
	}
	scope := "mfrom"
	if r.SPF.HELO {
		scope = "helo"
	}
	if r.SPF.Domain != "" {
		line("spf", r.SPF.Domain, scope, string(r.SPF.Result))
	}
	return b.String()
}

// flush writes the counts of today, if they have changed.
func (o *Outbox) flush(ctx context.Context) {
	o.writing.Lock()
	defer o.writing.Unlock()
	o.mu.Lock()
	c, today := o.count, o.today
	if !c.dirty {
		o.mu.Unlock()
		return
	}
	text := dataformat.Compact(c.value()) + "\n"
	c.dirty = false
	o.mu.Unlock()
	err := makeDirectory(o.dir, o.dir)
	if err == nil {
		err = durable.ReplaceFile(o.path(today, dayFile), []byte(text), 0o600)
	}
	if err != nil {
		o.log.Log(ctx, logs.LevelFailure, "the counts for aggregate reports could not be written", logs.AttrError, err)
		o.mu.Lock()
		c.dirty = o.count == c
		o.mu.Unlock()
	}
}

func (c *counts) value() dataformat.Value {
	domains := dataformat.Dict{}
	for name, rows := range c.domains {
		list := make(dataformat.Array, 0, len(rows))
		for r, n := range rows {
			words := dataformat.Array{}
			for _, w := range []string{r.author, r.envelopeFrom, sourceText(r.source), r.disposition, r.reason, passText(r.dkim), passText(r.spf), r.auth, strconv.FormatInt(n, 10)} {
				words = append(words, dataformat.String(w))
			}
			list = append(list, words)
		}
		domains[name] = list
	}
	return domains
}

// readCounts reads the file of a day, which need not exist.
func readCounts(path string) (*counts, error) {
	c := newCounts()
	d, err := dataformat.ReadDict(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	for name, v := range d {
		list, _ := v.(dataformat.Array)
		for _, e := range list {
			w, ok := words(e, 9)
			if !ok {
				return nil, fault.New("reports.Read", fault.Corrupt, path+" cannot be read")
			}
			source, err1 := netip.ParseAddr(w[2])
			n, err2 := strconv.ParseInt(w[8], 10, 64)
			if err1 != nil || err2 != nil {
				return nil, fault.New("reports.Read", fault.Corrupt, path+" cannot be read")
			}
			c.add(name, countedRow{w[0], w[1], source, w[3], w[4], w[5] == "pass", w[6] == "pass", w[7]}, n)
		}
	}
	c.dirty = false
	return c, nil
}

// Run writes counts and sends reports until ctx ends.
func (o *Outbox) Run(ctx context.Context) error {
	flush, send := time.NewTicker(flushEvery), time.NewTicker(sendEvery)
	defer flush.Stop()
	defer send.Stop()
	o.sendAll(ctx)
	for {
		select {
		case <-ctx.Done():
			o.flush(context.Background())
			return nil
		case <-flush.C:
			o.flush(ctx)
		case <-send.C:
			o.sendAll(ctx)
		}
	}
}

// sendAll sends the reports of the days that have ended.
func (o *Outbox) sendAll(ctx context.Context) {
	o.flush(ctx) // the day may have ended since the last time
	o.daily.sendAll(ctx, "aggregate reports could not be sent", func(ctx context.Context, d string, begin time.Time, list *sentList) (waiting int, err error) {
		c, err := readCounts(o.path(d, dayFile))
		if err != nil || !bool(o.settings.Get().Send) {
			return 0, err
		}
		for name, rows := range c.domains {
			if list.has(name) {
				continue
			}
			if ctx.Err() != nil {
				return 1, nil
			}
			if err := o.sendOne(ctx, name, begin, rows, list); err != nil {
				waiting++
				o.log.Log(ctx, logs.LevelProblem, "an aggregate report could not be sent now", "domain", name, "day", d, logs.AttrError, err)
			}
		}
		return waiting, nil
	})
}

// lookLimit bounds the look-ups for one report.
const lookLimit = 20 * time.Second

// sendOne sends the report of a domain, if it wants one.
func (o *Outbox) sendOne(ctx context.Context, domain string, begin time.Time, rows map[countedRow]int64, list *sentList) error {
	looking, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	p, err := o.verifier.Record(looking, domain)
	if err != nil {
		return err
	}
	var to []mailauth.Destination
	if p != nil {
		if to, err = o.verifier.Destinations(looking, p); err != nil {
			return err
		}
	}
	if len(to) == 0 {
		o.log.Log(ctx, logs.LevelMajor, "no aggregate report: nobody agrees to take it", "domain", domain, "day", day(begin))
		return list.note(domain, 0)
	}
	content, err := compose(o.sender(), p, begin, rows)
	if err != nil {
		return err
	}
	to = slices.DeleteFunc(to, func(d mailauth.Destination) bool { return d.Most > 0 && int64(len(content)) > d.Most })
	if len(to) == 0 {
		o.log.Log(ctx, logs.LevelMajor, "no aggregate report: it is larger than its takers want", "domain", domain, "day", day(begin), "size", len(content))
		return list.note(domain, 0)
	}
	env := &envelope.Envelope{Source: envelope.Source{Tag: logTag, Trusted: true}, Bulk: true}
	for _, d := range to {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: d.Address, Notify: envelope.NotifyNever})
	}
	id, err := o.hold(ctx, env, letter(o.sender(), p.Domain, begin, to, content, o.now()), domain, list)
	if err != nil {
		return err
	}
	o.log.Log(ctx, logs.LevelMajor, "aggregate report sent", "domain", domain, "day", day(begin), "rows", len(rows), logs.AttrQueueID, id)
	return o.queue.Publish(id)
}

// sender is who sends reports.
func (o *Outbox) sender() sender {
	main := o.directory.MainDomain()
	name := o.settings.Get().Name
	if name == "" {
		name = "postmaster"
	}
	return sender{main, name + "@" + main}
}
