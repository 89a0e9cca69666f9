package reports

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
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
	// giveUp is the age in days at which a report that could not be sent is dropped.
	giveUp = 3

	flushEvery, sendEvery = time.Minute, time.Hour

	sentFile = ".sent"
)

// Queue is what the outbox needs of the queue.
type Queue interface {
	BeginHeld(ctx context.Context, env *envelope.Envelope) (*queue.Submission, error)
	Held() []envelope.QueueID
	Publish(id envelope.QueueID) error
}

// Outbox counts what strangers send in others' names, and reports it to them.
type Outbox struct {
	dir       string
	settings  *settings.Live[Settings]
	verifier  *mailauth.Verifier
	directory Directory
	queue     Queue
	log       *slog.Logger
	now       func() time.Time

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
	o := &Outbox{dir: dir, settings: cfg, verifier: verifier, directory: directory, queue: q, log: logs.Component(log, logTag), now: time.Now}
	return o, o.open()
}

func (o *Outbox) open() error {
	o.today = day(o.now())
	var err error
	if o.count, err = readCounts(o.path(o.today, dayFile)); err != nil {
		return err
	}
	held := o.queue.Held()
	if len(held) == 0 {
		return nil
	}
	days, err := dayNames(o.dir, sentFile)
	if err != nil {
		return err
	}
	for _, d := range days {
		sent, err := readSent(o.path(d, sentFile))
		if err != nil {
			return err
		}
		for _, id := range sent {
			if slices.Contains(held, id) {
				if err := o.queue.Publish(id); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (o *Outbox) path(day, ext string) string { return filepath.Join(o.dir, day+ext) }

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

// readSent reads which domains of a day have their report, and its queue ID; 0 if they get none. A last line
// without an end is that of a crash.
func readSent(path string) (map[string]envelope.QueueID, error) {
	sent := map[string]envelope.QueueID{}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return sent, nil
	}
	for line := range strings.Lines(string(text)) {
		name, id, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, wrong := strconv.ParseUint(id, 10, 64)
		if ok && wrong == nil && strings.HasSuffix(line, "\n") {
			sent[name] = envelope.QueueID(n)
		}
	}
	return sent, err
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
	days, err := dayNames(o.dir, dayFile)
	orphans, err2 := dayNames(o.dir, sentFile)
	err = errors.Join(err, err2)
	now := day(o.now())
	for _, d := range days {
		if d >= now || ctx.Err() != nil {
			break
		}
		err = errors.Join(err, o.sendDay(ctx, d))
	}
	for _, d := range orphans {
		if !slices.Contains(days, d) {
			err = errors.Join(err, os.Remove(o.path(d, sentFile)))
		}
	}
	if err != nil && ctx.Err() == nil {
		o.log.Log(ctx, logs.LevelFailure, "aggregate reports could not be sent", logs.AttrError, err)
	}
}

// sendDay sends the reports of a day that are not sent yet. What fails for now is tried again in an hour.
func (o *Outbox) sendDay(ctx context.Context, d string) error {
	begin, err := time.Parse(time.DateOnly, d)
	if err != nil {
		return err
	}
	c, err := readCounts(o.path(d, dayFile))
	if err != nil {
		return err
	}
	sent, err := readSent(o.path(d, sentFile))
	if err != nil {
		return err
	}
	list, err := openSent(o.path(d, sentFile))
	if err != nil {
		return err
	}
	defer list.Close()
	waiting := 0
	if bool(o.settings.Get().Send) {
		for name, rows := range c.domains {
			if _, done := sent[name]; done {
				continue
			}
			if ctx.Err() != nil {
				return nil
			}
			if err := o.sendOne(ctx, name, begin, rows, list); err != nil {
				waiting++
				o.log.Log(ctx, logs.LevelProblem, "an aggregate report could not be sent now", "domain", name, "day", d, logs.AttrError, err)
			}
		}
	}
	if waiting > 0 && o.now().Sub(begin) < (giveUp+1)*24*time.Hour {
		return nil
	}
	return errors.Join(os.Remove(o.path(d, dayFile)), os.Remove(o.path(d, sentFile)), durable.SyncDir(o.dir))
}

// sentList is an open file of those that are sent.
type sentList struct{ f *os.File }

// openSent opens the file for lines at its end; what a crash has left of a line is ended first.
func openSent(path string) (*sentList, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err == nil && len(text) > 0 && text[len(text)-1] != '\n' {
		_, err = f.WriteString("\n")
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &sentList{f}, nil
}

func (l *sentList) Close() error { return l.f.Close() }

// note notes durably that the report of a domain is sent.
func (l *sentList) note(domain string, id envelope.QueueID) error {
	w := bufio.NewWriter(l.f)
	w.WriteString(domain + " " + strconv.FormatUint(uint64(id), 10) + "\n")
	return errors.Join(w.Flush(), l.f.Sync())
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
	s, err := o.queue.BeginHeld(ctx, env)
	if err != nil {
		return err
	}
	if _, err := s.Write(letter(o.sender(), p.Domain, begin, to, content, o.now())); err != nil {
		s.Abort()
		return err
	}
	if err := s.Hold(ctx); err != nil {
		return err
	}
	if err := list.note(domain, s.ID()); err != nil {
		return err // it stays held: the next start decides
	}
	o.log.Log(ctx, logs.LevelMajor, "aggregate report sent", "domain", domain, "day", day(begin), "rows", len(rows), logs.AttrQueueID, s.ID())
	return o.queue.Publish(s.ID())
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
