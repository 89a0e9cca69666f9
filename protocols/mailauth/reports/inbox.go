package reports

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// Directory is what this package has to know of the server's domains.
type Directory interface {
	// DomainName returns the domain that a name stands for, if it is one of this server.
	DomainName(name string) (real string, ok bool)
	MainDomain() string
}

// Inbox takes reports of others: it is the transport of the module REPORTS.
type Inbox struct {
	store     *Store
	directory Directory
	settings  *settings.Live[Settings]
	log       *slog.Logger
	reading   chan struct{} // holds one for each report that is read, of those who may be strangers
}

// maxReading is how many reports are read at a time: each may take the memory of maxPacked and maxText, some times over.
const maxReading = 2

// NewInbox returns an inbox that keeps what comes in a store.
func NewInbox(store *Store, directory Directory, cfg *settings.Live[Settings], log *slog.Logger) *Inbox {
	return &Inbox{store, directory, cfg, logs.Component(log, logTag), make(chan struct{}, maxReading)}
}

const logTag = "REPORTS"

// Takes reports whether a local part that nobody bears is that of the address for reports.
func (in *Inbox) Takes(local string) bool {
	name, _, _ := strings.Cut(local, "+")
	want := in.settings.Get().Name
	return want != "" && strings.EqualFold(name, want)
}

// Address is the address for reports about a domain, or nothing if reports are not taken.
func (in *Inbox) Address(domain string) string {
	if name := in.settings.Get().Name; name != "" {
		return name + "@" + domain
	}
	return ""
}

// Accepts says why a message to the address for reports is refused, or nil.
func (in *Inbox) Accepts(text io.ReaderAt, size int64) error {
	_, _, err := in.read(text, size)
	return err
}

// read reads a report, and finds the domain of ours that it is about.
func (in *Inbox) read(text io.ReaderAt, size int64) (*Report, string, error) {
	in.reading <- struct{}{}
	r, err := Read(text, size)
	<-in.reading
	if err != nil {
		return nil, "", err
	}
	if err := in.store.timely(r); err != nil {
		return nil, "", err
	}
	for name := r.Domain; ; {
		if _, ours := in.directory.DomainName(name); ours {
			return r, name, nil
		}
		_, above, ok := strings.Cut(name, ".")
		if !ok {
			return nil, "", refused("%s is not a domain of this server", r.Domain)
		}
		name = above
	}
}

// Deliver stores the reports of a batch.
func (in *Inbox) Deliver(ctx context.Context, b *queue.Batch) {
	for _, it := range b.Items {
		if ctx.Err() != nil {
			return
		}
		it.ReportAll(it.Recipients, in.deliver(ctx, it))
	}
}

func (in *Inbox) deliver(ctx context.Context, it *queue.Item) envelope.Status {
	attrs := []slog.Attr{slog.Uint64(logs.AttrQueueID, uint64(it.ID))}
	r, domain, added, err := in.take(it)
	switch {
	case fault.Is(err, fault.Rejected):
		in.log.LogAttrs(ctx, logs.LevelProblem, "not an aggregate report that is taken", append(attrs, slog.Any(logs.AttrError, err))...)
		return envelope.Status{Action: envelope.ActionFailed, Code: envelope.Code{5, 6, 0}, Text: fault.Text(err)}
	case err != nil:
		in.log.LogAttrs(ctx, logs.LevelFailure, "an aggregate report could not be kept", append(attrs, slog.Any(logs.AttrError, err))...)
		return envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 3, 0}, Text: "the report could not be kept"}
	}
	attrs = append(attrs, slog.String("domain", domain), slog.String("reporter", r.Reporter), slog.String("report", r.ID), slog.String("day", day(r.Begin)))
	if !added {
		in.log.LogAttrs(ctx, logs.LevelMajor, "an aggregate report came again", attrs...)
		return kept250
	}
	failed := int64(0)
	for _, row := range r.Rows {
		if !row.SPF && !row.DKIM {
			failed += row.Count
		}
	}
	in.log.LogAttrs(ctx, logs.LevelMajor, "aggregate report", append(attrs, slog.Int("rows", len(r.Rows)), slog.Int64("failed", failed))...)
	return kept250
}

var kept250 = envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: "the report is counted"}

func (in *Inbox) take(it *queue.Item) (r *Report, domain string, added bool, err error) {
	f, err := os.Open(it.File)
	if err != nil {
		return nil, "", false, err
	}
	defer f.Close()
	if r, domain, err = in.read(io.NewSectionReader(f, it.Offset, it.Size), it.Size); err != nil {
		return nil, "", false, err
	}
	added, err = in.store.Add(domain, r)
	return r, domain, added, err
}

// Policy says how the queues are run. A report is counted once, whatever is repeated.
func (in *Inbox) Policy() queue.Policy {
	return queue.Policy{Workers: 2, BatchSize: 20, MayRepeat: true,
		Retry: queue.Schedule{First: []time.Duration{time.Minute, 5 * time.Minute}, Every: time.Hour, Expire: 5 * 24 * time.Hour}}
}

// Sum is what reporters say of a domain.
func (in *Inbox) Sum(ctx context.Context, domain string, days int) (*Summary, error) {
	return in.store.Sum(ctx, domain, days)
}
