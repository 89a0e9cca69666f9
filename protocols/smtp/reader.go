package smtp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"gatepost/protocols/internal/auth"
)

const (
	// maxCommand bounds a command line without CR LF. RFC 5321 4.5.3.1.4 asks
	// for 512 and RFC 3461, 6531 and 4954 for some more.
	maxCommand = 4096
	// maxLine bounds any line: an AUTH response is the longest.
	maxLine = auth.MaxResponse + len("AUTH SCRAM-SHA-256-PLUS ")
	// maxSkipped is how much of a line that is too long is read to find its end.
	maxSkipped = 1 << 20

	smallBuffer  = 16 << 10 // holds maxLine; commands
	largeBuffer  = 64 << 10 // messages
	minRate      = 100      // octets in a second, of a message that takes long
	rateAfter    = 6        // timeouts after which minRate holds
	compactBelow = 512      // is moved to the front, so that a read has the whole buffer
)

var (
	errLineTooLong = errors.New("line too long")
	errBareLine    = errors.New("bare CR, LF or NUL in a command")
	errNoLineEnd   = errors.New("line without an end")
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
)

// reader is the input of a session. Commands and message data come from the
// same buffer. Before a read that may block, it has the session write the
// replies that are due.
type reader struct {
	conn     net.Conn
	flush    func() error
	end      time.Time     // of the time for a command; zero within a message
	timeout  time.Duration // of each read of a message
	began    time.Time     // of the message
	received int64         // octets of it

	buf   *[]byte
	large bool
	r, w  int // (*buf)[r:w] was read and is not consumed yet
}

func newReader(conn net.Conn, flush func() error) *reader {
	return &reader{conn: conn, flush: flush, buf: smallBuffers.Get().(*[]byte)}
}

// release gives the buffer back. The reader is dead after it.
func (r *reader) release() {
	if r.large {
		largeBuffers.Put(r.buf)
	} else {
		smallBuffers.Put(r.buf)
	}
	r.buf = nil
}

// window is what was read and is not consumed yet.
func (r *reader) window() []byte { return (*r.buf)[r.r:r.w] }

// consume removes the first n bytes of the window.
func (r *reader) consume(n int) { r.r += n }

// discard removes the whole window.
func (r *reader) discard() { r.r = r.w }

// startMessage sets the deadlines of the next reads to those of a message that began at a time and of
// which so many octets were received before.
func (r *reader) startMessage(timeout time.Duration, began time.Time, received int64) {
	r.enlarge()
	r.end, r.timeout, r.began, r.received = time.Time{}, timeout, began, received
}

// deadline is the end of the next read. A command has one for all its bytes.
func (r *reader) deadline() time.Time {
	if !r.end.IsZero() {
		return r.end
	}
	return earlier(time.Now().Add(r.timeout), r.rateDeadline())
}

// rateDeadline is when the next octet of the message must have arrived. After rateAfter timeouts a
// message must have come at minRate, so that a client that sends a byte now and then cannot
// keep a session and a queue file forever.
func (r *reader) rateDeadline() time.Time {
	return r.began.Add(rateAfter*r.timeout + time.Duration(r.received/minRate)*time.Second)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// fill reads more behind the window. The caller has left room.
func (r *reader) fill() error {
	if err := r.flush(); err != nil {
		return err
	}
	if r.r > 0 && (r.w == len(*r.buf) || r.w-r.r < compactBelow) {
		r.w = copy(*r.buf, r.window())
		r.r = 0
	}
	if err := r.conn.SetReadDeadline(r.deadline()); err != nil {
		return err
	}
	n, err := r.conn.Read((*r.buf)[r.w:])
	r.w += n
	r.received += int64(n)
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// enlarge takes a buffer for messages.
func (r *reader) enlarge() {
	if r.large {
		return
	}
	buf := largeBuffers.Get().(*[]byte)
	r.w = copy(*buf, r.window())
	r.r = 0
	smallBuffers.Put(r.buf)
	r.buf, r.large = buf, true
}

// shrink takes a buffer for commands again, unless more than it can hold has
// been read ahead.
func (r *reader) shrink() {
	if !r.large || r.w-r.r > smallBuffer {
		return
	}
	buf := smallBuffers.Get().(*[]byte)
	r.w = copy(*buf, r.window())
	r.r = 0
	largeBuffers.Put(r.buf)
	r.buf, r.large = buf, false
}

// line takes the next line and returns it without CR LF; it is valid until the
// next call. It has to be there before end. After errLineTooLong and errBareLine the
// line has been taken and the session can go on.
func (r *reader) line(end time.Time) ([]byte, error) {
	r.end = end
	seen := 0 // bytes of the window without LF
	for {
		if i := bytes.IndexByte(r.window()[seen:], '\n'); i >= 0 {
			line := r.window()[:seen+i]
			r.consume(seen + i + 1)
			if len(line) > maxLine+1 {
				return nil, errLineTooLong
			}
			if len(line) == 0 || line[len(line)-1] != '\r' {
				r.dropRest()
				return nil, errBareLine
			}
			line = line[:len(line)-1]
			if bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0 {
				return nil, errBareLine
			}
			return line, nil
		}
		seen = r.w - r.r
		if seen > maxLine+2 {
			return nil, r.skipLine()
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// dropRest drops what came with a bare LF up to the next CR LF: in a program that puts what strangers write into its commands, that is
// their text, and no command. Who types lines that end in LF sends one at a time.
func (r *reader) dropRest() {
	if i := bytes.Index(r.window(), crlf); i >= 0 {
		r.consume(i + len(crlf))
		return
	}
	r.discard()
}

// skipLine reads on to the end of a line that is too long.
func (r *reader) skipLine() error {
	for skipped := 0; skipped < maxSkipped; {
		if i := bytes.IndexByte(r.window(), '\n'); i >= 0 {
			r.consume(i + 1)
			return errLineTooLong
		}
		skipped += r.w - r.r
		r.discard()
		if err := r.fill(); err != nil {
			return err
		}
	}
	return errNoLineEnd
}
