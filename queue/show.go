package queue

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/fault"
)

// maxTried bounds the messages whose last attempts are in memory, maxTriedRcpts the recipients of one.
const (
	maxTried      = 20000
	maxTriedRcpts = 100
	// maxEarlier bounds the attempts before the last one that are kept of a recipient, of the first maxEarlierRcpts
	// recipients of a message.
	maxEarlier      = 4
	maxEarlierRcpts = 10
)

// Tried is the last attempt to deliver to a recipient since the start of the server.
type Tried struct {
	Rcpt   int
	At     time.Time
	Module router.Module
	Queue  string
	Status envelope.Status
	// Earlier are some attempts before it, the latest first.
	Earlier []Attempt
}

// Attempt is one attempt to deliver.
type Attempt struct {
	At     time.Time
	Status envelope.Status
}

// remember keeps attempts after which recipients wait. q.mu is held.
func (q *Queue) remember(m *message, fates []fate, now time.Time) {
	for i := range fates {
		f := &fates[i]
		if f.module == "" || f.state != envelope.Waiting {
			continue
		}
		t := Tried{f.rcpt, now, f.module, f.queue, f.status, nil}
		known := false
		for n := range m.tried {
			if last := &m.tried[n]; last.Rcpt == f.rcpt {
				if n < maxEarlierRcpts {
					// A new array: Show gives the old one away.
					t.Earlier = append([]Attempt{{last.At, last.Status}}, last.Earlier[:min(len(last.Earlier), maxEarlier-1)]...)
				}
				*last, known = t, true
			}
		}
		switch {
		case known, len(m.tried) >= maxTriedRcpts, m.tried == nil && q.tried >= maxTried:
			continue
		case m.tried == nil:
			q.tried++
		}
		m.tried = append(m.tried, t)
	}
}

// forgetTried lets go of them. q.mu is held.
func (q *Queue) forgetTried(m *message) {
	if m.tried != nil {
		m.tried = nil
		q.tried--
	}
}

// Details is all that the queue knows of a message.
type Details struct {
	ID       envelope.QueueID
	Envelope *envelope.Envelope // with the states of the recipients as they are now; a copy
	Size     int64
	OnHold   bool
	Waiting  []Entry // recipients that wait
	Tried    []Tried
	// Header is the header of the message, at most 64 KB of it.
	Header string
	// File is the absolute path of the queue file; the message begins at Offset.
	File   string
	Offset int64
}

const maxShownHeader = 64 << 10

// Show tells of one message. Errors: fault.NoMessage, fault.Corrupt.
func (q *Queue) Show(_ context.Context, id envelope.QueueID) (*Details, error) {
	const op = "queue.Show"
	q.mu.Lock()
	m := q.messages[id]
	there := m != nil && !m.finished
	q.mu.Unlock()
	if !there {
		return nil, errNoMessage(op)
	}
	h, err := q.readHead(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoMessage(op)
	}
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	d := &Details{ID: id, Envelope: h.env, Size: h.size, File: q.path(id, extMsg), Offset: h.layout.Message, Waiting: q.entriesOf(id)}
	if d.Header, err = headerOf(d.File, d.Offset, d.Size); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	d.OnHold = m.onHold
	d.Tried = append(d.Tried, m.tried...)
	for i := range m.rcpts {
		h.env.Recipients[i].State, h.env.Recipients[i].Warned = m.rcpts[i].state, int(m.rcpts[i].warned)
	}
	return d, nil
}

// headerOf reads the header of a message, with LF as line end.
func headerOf(path string, offset, size int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	r := bufio.NewReader(io.NewSectionReader(f, offset, min(size, maxShownHeader)))
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if line != "" {
			b.WriteString(line + "\n")
		}
		if errors.Is(err, io.EOF) || err == nil && line == "" {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
	}
}
