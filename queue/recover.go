package queue

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/logs"
)

// recover lists what an earlier run left. Nothing is read here: the enqueuer
// does that, one file at a time, while deliveries already run.
func (q *Queue) recover() error {
	var ids, held []envelope.QueueID
	var stale []string
	made := map[envelope.QueueID]origin{} // of other messages
	err := scanDir(q.dir, func(name string) {
		id, ext, ok := parseName(name)
		switch {
		case ok && ext == extMsg:
			ids = append(ids, id)
		case ok && ext == extHeld:
			held = append(held, id)
		case ok && strings.HasPrefix(ext, extHeldFor):
			if o, ok := parseOrigin(ext); ok {
				made[id] = o
			}
		case ok && ext == extTmp:
			stale = append(stale, name)
		}
	})
	if err != nil {
		return err
	}
	for _, name := range stale {
		if err := q.disk.Remove(name); err != nil {
			return err
		}
	}
	slices.Sort(ids)
	if len(ids)+len(stale) > 0 {
		q.logQueueTag.Log(context.Background(), logs.LevelMajor, "queue opened", "messages", len(ids), "unfinished", len(stale))
	}
	q.mu.Lock()
	for _, id := range ids {
		q.recoverMessage(id)
	}
	for _, id := range held {
		q.held[id] = heldMessage{}
	}
	q.mu.Unlock()
	return q.settleOrigins(made, func(id envelope.QueueID) bool {
		_, there := slices.BinarySearch(ids, id)
		return there
	})
}

// recoverMessage has the enqueuer read a file that an earlier run left. q.mu is held.
func (q *Queue) recoverMessage(id envelope.QueueID) {
	m := &message{id: id}
	q.messages[id] = m
	q.enter(m, enqueuer, "", nil, time.Time{}, "")
}

// upgrade rewrites a queue file of an older server in our form: the message
// gets CRLF line ends.
func (q *Queue) upgrade(id envelope.QueueID, h *head) (*head, error) {
	return q.replace(id, h.env, h.layout.Message, func(w *bufio.Writer, r *bufio.Reader) error { return copyCRLF(w, r) })
}

// rewrite gives a queue file another envelope, and a prefix in the place of what stands
// before an offset.
func (q *Queue) rewrite(id envelope.QueueID, env *envelope.Envelope, prefix []byte, offset int64) (*head, error) {
	return q.replace(id, env, offset, func(w *bufio.Writer, r *bufio.Reader) error {
		if _, err := w.Write(prefix); err != nil {
			return err
		}
		_, err := r.WriteTo(w)
		return err
	})
}

// replace puts a new file in the place of a queue file: an envelope, and what copy makes
// of the old file from an offset on. A crash leaves one of the two.
func (q *Queue) replace(id envelope.QueueID, env *envelope.Envelope, offset int64, copy func(*bufio.Writer, *bufio.Reader) error) (*head, error) {
	q.files.RLock()
	defer q.files.RUnlock()
	old, err := os.Open(q.path(id, extMsg))
	if err != nil {
		return nil, err
	}
	defer old.Close()
	if _, err := old.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	text, _, err := envelope.AppendHead(nil, env)
	if err != nil {
		return nil, err
	}
	tmp := fileName(id, extTmp)
	f, err := q.disk.Create(tmp)
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 32<<10)
	_, err = w.Write(text)
	err = errors.Join(err, copy(w, bufio.NewReaderSize(old, 32<<10)), w.Flush(), f.Sync())
	if err == nil {
		err = f.Publish(tmp)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := q.disk.Rename(tmp, fileName(id, extMsg)); err != nil {
		return nil, errors.Join(err, q.disk.Remove(tmp))
	}
	if err := q.names.Wait(); err != nil {
		return nil, err
	}
	return q.readHead(id)
}

// copyCRLF copies a message and makes every line end a CRLF.
func copyCRLF(w *bufio.Writer, r *bufio.Reader) error {
	last := byte(0)
	for {
		c, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if c == '\n' && last != '\r' {
			w.WriteByte('\r')
		}
		if err := w.WriteByte(c); err != nil {
			return err
		}
		last = c
	}
}
