package wire

import (
	"bytes"
	"errors"
)

// errLongLine is replaced by a SyntaxError once the line was read to its end.
var errLongLine = errors.New("long line")

// refuse ends a command whose line at buf[line:] is too long.
func (r *Reader) refuse(from, line int, err error) ([]byte, *Literal, error) {
	if err != errLongLine {
		if r.end > from {
			err = unexpected(err)
		}
		return nil, nil, err
	}
	tooLong := Bad("command line longer than %d bytes", r.limits.Line)
	head := r.head(from)
	tail := r.buf[max(line, r.start-maxAnnouncement):r.start]
	var l *Literal
	if r.buf[r.start-1] == '\n' {
		l, err = announcedAtEnd(tail, r.start-line)
	} else {
		l, err = r.drainLine(tail)
	}
	if err != nil {
		return head, nil, err
	}
	return head, nil, r.drain(l, tooLong)
}

// skip throws away what follows of a command from a literal on, if any; the command is
// then refused with why.
func (r *Reader) skip(from int, l *Literal, why error) ([]byte, *Literal, error) {
	head := r.head(from)
	return head, nil, r.drain(l, why)
}

// head copies the beginning of a refused command, where its tag and name are.
func (r *Reader) head(from int) []byte {
	return bytes.Clone(trimEnd(r.buf[from:min(r.start, from+256)]))
}

// drain reads a literal and the lines and literals behind it, and returns why.
func (r *Reader) drain(l *Literal, why error) error {
	budget := r.limits.Drain
	for l != nil && !l.Sync {
		if l.Size > budget {
			return ErrFlood
		}
		budget -= l.Size
		if err := r.discard(l.Size); err != nil {
			return err
		}
		var err error
		if l, err = r.drainLine(nil); err != nil {
			return err
		}
		budget -= maxAnnouncement // so that endless empty literals end, too
	}
	// A client that waits for leave to send takes the answer as the end of its
	// command (RFC 9051 section 4.3).
	return why
}

// drainLine throws away the rest of a line that began with seen, and returns the
// literal that it announces.
func (r *Reader) drainLine(seen []byte) (*Literal, error) {
	tail := append(make([]byte, 0, 2*maxAnnouncement), seen...)
	n := len(seen)
	for {
		chunk := r.buf[r.start:r.end]
		i := bytes.IndexByte(chunk, '\n')
		if i >= 0 {
			chunk = chunk[:i+1]
		}
		r.start += len(chunk)
		n += len(chunk)
		keep := chunk[max(0, len(chunk)-maxAnnouncement):]
		if over := len(tail) + len(keep) - cap(tail); over > 0 {
			tail = append(tail[:0], tail[over:]...)
		}
		tail = append(tail, keep...)
		if i >= 0 {
			return announcedAtEnd(tail[max(0, len(tail)-maxAnnouncement):], n)
		}
		if int64(n) > r.limits.Drain {
			return nil, ErrFlood
		}
		if _, err := r.fill(r.start); err != nil {
			return nil, unexpected(err)
		}
	}
}

// discard throws away n bytes.
func (r *Reader) discard(n int64) error {
	for n > 0 {
		if !r.Buffered() {
			if _, err := r.fill(r.start); err != nil {
				return unexpected(err)
			}
		}
		k := min(n, int64(r.end-r.start))
		r.start += int(k)
		n -= k
	}
	return nil
}

// Abandon throws away what is left of a streamed literal and of the command
// behind it, unless the client still waits for leave to send it (l.Sync). It
// returns why if that worked.
func (r *Reader) Abandon(l Literal, why error) error {
	l.Size, r.body = r.body, 0
	return r.drain(&l, why)
}
