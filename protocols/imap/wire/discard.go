package wire

import (
	"bytes"
	"errors"
)

// errLongLine is replaced by a SyntaxError once the line was read to its end.
var errLongLine = errors.New("long line")

// refuseLine ends a command whose line at buf[line:] could not be read, mostly because it is too long.
func (r *Reader) refuseLine(from, line int, err error) ([]byte, *Literal, error) {
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
		l, err = r.discardLine(tail)
	}
	if err != nil {
		return head, nil, err
	}
	return head, nil, r.discardCommand(l, tooLong)
}

// refuseLiteral discards the rest of a command, which begins with a literal if l is not nil, and returns the
// error why.
func (r *Reader) refuseLiteral(from int, l *Literal, why error) ([]byte, *Literal, error) {
	head := r.head(from)
	return head, nil, r.discardCommand(l, why)
}

// head copies the beginning of a refused command, which has its tag and name.
func (r *Reader) head(from int) []byte {
	return bytes.Clone(trimEnd(r.buf[from:min(r.start, from+256)]))
}

// discardCommand discards a literal and the lines and literals after it, and returns why.
func (r *Reader) discardCommand(l *Literal, why error) error {
	budget := r.limits.Discard
	for l != nil && !l.Sync {
		if l.Size > budget {
			return ErrFlood
		}
		budget -= l.Size
		if err := r.discardBytes(l.Size); err != nil {
			return err
		}
		var err error
		if l, err = r.discardLine(nil); err != nil {
			return err
		}
		budget -= maxAnnouncement // so that an endless row of empty literals ends, too
	}
	// To a client that waits for a continuation request, the tagged response ends its
	// command (RFC 9051 section 4.3).
	return why
}

// discardLine discards the rest of a line that begins with seen, and returns the
// literal that it announces.
func (r *Reader) discardLine(seen []byte) (*Literal, error) {
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
		if int64(n) > r.limits.Discard {
			return nil, ErrFlood
		}
		if _, err := r.fill(r.start); err != nil {
			return nil, unexpected(err)
		}
	}
}

// discardBytes discards n bytes.
func (r *Reader) discardBytes(n int64) error {
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

// DiscardBody discards the rest of a streamed literal and of its command, unless the client still waits for
// the continuation request (l.Sync). It returns why, or the error of the connection.
func (r *Reader) DiscardBody(l Literal, why error) error {
	l.Size, r.body = r.body, 0
	return r.discardCommand(&l, why)
}
