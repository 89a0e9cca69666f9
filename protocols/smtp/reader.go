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
	// maxJunk is how much of a line that is too long is read to find its end.
	maxJunk = 1 << 20

	smallBuffer = 16 << 10 // holds maxLine; commands
	largeBuffer = 64 << 10 // messages
	minRate     = 100      // octets in a second, of a message that takes long
	longMessage = 6        // timeouts after which minRate holds
	smallRest   = 512      // is moved to the front, so that a read has the whole buffer
)

var (
	errLineTooLong = errors.New("line too long")
	errBareLine    = errors.New("bare CR, LF or NUL in a command")
	errEndless     = errors.New("line without an end")
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
)

// reader is the input of a session. Commands and message data come from the
// same buffer. Before a read that may wait, it has the session write what it
// owes the client.
type reader struct {
	conn    net.Conn
	flush   func() error
	end     time.Time     // of the time for a command; zero within a message
	timeout time.Duration // of each read of a message
	began   time.Time     // of the message
	got     int64         // octets of it

	buf   *[]byte
	large bool
	r, w  int // (*buf)[r:w] is read and not yet taken
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

// window is what is read and not yet taken.
func (r *reader) window() []byte { return (*r.buf)[r.r:r.w] }

// take removes the first n bytes of the window.
func (r *reader) take(n int) { r.r += n }

// drop removes the whole window.
func (r *reader) drop() { r.r = r.w }

// startMessage has the next reads wait as for a message that began earlier and
// has got octets already.
func (r *reader) startMessage(timeout time.Duration, began time.Time, got int64) {
	r.enlarge()
	r.end, r.timeout, r.began, r.got = time.Time{}, timeout, began, got
}

// deadline is the end of the next read. A command has one for all its bytes.
func (r *reader) deadline() time.Time {
	if !r.end.IsZero() {
		return r.end
	}
	return earlier(time.Now().Add(r.timeout), r.slowest())
}

// slowest is until when the next octet of the message has to come. One that takes
// longer than longMessage timeouts has to come at minRate: a client that sends a byte now
// and then does not keep a session and a queue file for ever.
func (r *reader) slowest() time.Time {
	return r.began.Add(longMessage*r.timeout + time.Duration(r.got/minRate)*time.Second)
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
	if r.r > 0 && (r.w == len(*r.buf) || r.w-r.r < smallRest) {
		r.w = copy(*r.buf, r.window())
		r.r = 0
	}
	if err := r.conn.SetReadDeadline(r.deadline()); err != nil {
		return err
	}
	n, err := r.conn.Read((*r.buf)[r.w:])
	r.w += n
	r.got += int64(n)
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
			r.take(seen + i + 1)
			if len(line) > maxLine+1 {
				return nil, errLineTooLong
			}
			if len(line) == 0 || line[len(line)-1] != '\r' {
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

// skipLine reads on to the end of a line that is too long.
func (r *reader) skipLine() error {
	for skipped := 0; skipped < maxJunk; {
		if i := bytes.IndexByte(r.window(), '\n'); i >= 0 {
			r.take(i + 1)
			return errLineTooLong
		}
		skipped += r.w - r.r
		r.drop()
		if err := r.fill(); err != nil {
			return err
		}
	}
	return errEndless
}
