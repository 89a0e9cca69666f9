package reports

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/durable"
	"gatepost/server/logs"
)

// daily is a directory with what was counted, a file for each day, and beside it the list of those that have their report of
// the day. A report is sent once, whatever crashes: it is held by the queue, noted in the list, and then published.
type daily struct {
	dir   string
	queue Queue
	log   *slog.Logger
	now   func() time.Time
}

const (
	sentFile = ".sent"
	// giveUp is the age in days at which a report that could not be sent is dropped.
	giveUp = 3
)

func (d *daily) path(day, ext string) string { return filepath.Join(d.dir, day+ext) }

// publishSent publishes the reports that a crash has left held although they are noted as sent.
func (d *daily) publishSent() error {
	held := d.queue.Held()
	if len(held) == 0 {
		return nil
	}
	days, err := dayNames(d.dir, sentFile)
	if err != nil {
		return err
	}
	for _, one := range days {
		sent, err := readSent(d.path(one, sentFile))
		if err != nil {
			return err
		}
		for _, id := range sent {
			if slices.Contains(held, id) {
				if err := d.queue.Publish(id); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// sendAll sends the reports of the days that have ended. sendDay says how many could not be sent for now: these are tried again in an
// hour.
func (d *daily) sendAll(ctx context.Context, failed string, sendDay func(ctx context.Context, day string, begin time.Time, list *sentList) (waiting int, err error)) {
	days, err := dayNames(d.dir, dayFile)
	orphans, err2 := dayNames(d.dir, sentFile)
	err = errors.Join(err, err2)
	now := day(d.now())
	for _, one := range days {
		if one >= now || ctx.Err() != nil {
			break
		}
		err = errors.Join(err, d.endDay(ctx, one, sendDay))
	}
	for _, one := range orphans {
		if !slices.Contains(days, one) {
			err = errors.Join(err, os.Remove(d.path(one, sentFile)))
		}
	}
	if err != nil && ctx.Err() == nil {
		d.log.Log(ctx, logs.LevelFailure, failed, logs.AttrError, err)
	}
}

// endDay sends the reports of a day, and removes its files when that is done.
func (d *daily) endDay(ctx context.Context, one string, sendDay func(ctx context.Context, day string, begin time.Time, list *sentList) (int, error)) error {
	begin, err := time.Parse(time.DateOnly, one)
	if err != nil {
		return err
	}
	list, err := openSent(d.path(one, sentFile))
	if err != nil {
		return err
	}
	defer list.Close()
	waiting, err := sendDay(ctx, one, begin, list)
	if err != nil || ctx.Err() != nil {
		return err
	}
	if waiting > 0 && d.now().Sub(begin) < (giveUp+1)*24*time.Hour {
		return nil
	}
	return errors.Join(os.Remove(d.path(one, dayFile)), os.Remove(d.path(one, sentFile)), durable.SyncDir(d.dir))
}

// hold has the queue hold a report, and notes it as sent. The caller publishes it.
func (d *daily) hold(ctx context.Context, env *envelope.Envelope, text []byte, domain string, list *sentList) (envelope.QueueID, error) {
	s, err := d.queue.BeginHeld(ctx, env)
	if err != nil {
		return 0, err
	}
	if _, err := s.Write(text); err != nil {
		s.Abort()
		return 0, err
	}
	if err := s.Hold(ctx); err != nil {
		return 0, err
	}
	return s.ID(), list.note(domain, s.ID()) // with an error it stays held: the next start decides
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

// sentList is an open file of those that are sent.
type sentList struct {
	f    *os.File
	sent map[string]envelope.QueueID
}

// has reports whether a domain has its report.
func (l *sentList) has(domain string) bool {
	_, ok := l.sent[domain]
	return ok
}

// openSent opens the file for lines at its end; what a crash has left of a line is ended first.
func openSent(path string) (*sentList, error) {
	sent, err := readSent(path)
	if err != nil {
		return nil, err
	}
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
	return &sentList{f, sent}, nil
}

func (l *sentList) Close() error { return l.f.Close() }

// note notes durably that the report of a domain is sent; with the ID 0, that it gets none.
func (l *sentList) note(domain string, id envelope.QueueID) error {
	w := bufio.NewWriter(l.f)
	w.WriteString(domain + " " + strconv.FormatUint(uint64(id), 10) + "\n")
	return errors.Join(w.Flush(), l.f.Sync())
}
