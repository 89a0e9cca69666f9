package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A SyntaxError is input that breaks the grammar or a limit of it. The session
// goes on; the command is answered with BAD and the text.
type SyntaxError struct {
	Text string
}

func (e *SyntaxError) Error() string { return e.Text }

// Bad returns a SyntaxError.
func Bad(format string, args ...any) error {
	return &SyntaxError{Text: fmt.Sprintf(format, args...)}
}

// ErrFlood means that the rest of a refused command is too long to be
// discarded, or of unknown length. The connection cannot be used any more.
var ErrFlood = errors.New("imap: too much input for a refused command")

// Literal is the announcement of a literal.
type Literal struct {
	Size int64
	// Sync: the client waits for a continuation request before it sends.
	Sync bool
	// Binary: a literal8, which may hold NUL.
	Binary bool
}

// LiteralAction says how a literal is read.
type LiteralAction uint8

const (
	// Buffer reads the literal into the command's buffer.
	Buffer LiteralAction = iota
	// Stream leaves the literal to the caller, who reads it from Body.
	Stream
)

// LiteralFunc decides about each literal before it is read. head is the command up to the literal's
// announcement. If the literal is to be buffered and the client waits (Sync), it sends the continuation
// request. If it returns an error, the rest of the command is
// discarded, and Reader.Next returns that error.
type LiteralFunc func(head []byte, l Literal) (LiteralAction, error)

// Limits bound what one command may hold.
type Limits struct {
	// Line is the number of bytes in all lines of a command together, literals aside.
	Line int
	// Literals is the number of bytes in all buffered literals together.
	Literals int64
	// Discard is how much of a refused command is discarded.
	Discard int64
}

const (
	// peekSize is how much a waiting Reader can receive without a buffer from the pool: most commands.
	peekSize = 128
	// pooledSize is the size of a buffer from the pool. Buffers that have grown are not put back.
	pooledSize = 4 << 10
)

var inputs = sync.Pool{New: func() any { return new([pooledSize]byte) }}

// Reader reads commands. It belongs to the goroutine of one session.
type Reader struct {
	src    io.Reader
	limits Limits

	// buf[start:end] is input that was not returned yet. The bytes before start
	// may be the command that the caller still uses.
	buf        []byte
	start, end int
	// body is the unread length of a literal that the caller streams.
	body int64
	// usedLine and usedLit count the bytes of the command under way.
	usedLine int
	usedLit  int64
	peek     [peekSize]byte
}

// NewReader returns a Reader from src.
func NewReader(src io.Reader, l Limits) *Reader {
	return &Reader{src: src, limits: l}
}

// SetLimits changes the limits from the next command on.
func (r *Reader) SetLimits(l Limits) { r.limits = l }

// Buffered reports whether input was received that was not returned yet.
func (r *Reader) Buffered() bool { return r.end > r.start }

// Reset discards the buffered input, and reads from src
// from now on. Bytes after STARTTLS were sent in the clear
// and must not be used after the handshake (RFC 9051 section 6.2.1).
func (r *Reader) Reset(src io.Reader) {
	r.start, r.end = 0, 0
	r.release()
	r.src = src
}

// Wait waits for input. If none is buffered it releases the buffer first, and
// what was returned before is not valid any more.
func (r *Reader) Wait() error {
	if r.Buffered() {
		return nil
	}
	r.release()
	n, err := r.read(r.peek[:])
	if n == 0 {
		return err
	}
	r.borrow()
	r.end = copy(r.buf, r.peek[:n])
	return nil
}

func (r *Reader) borrow() {
	r.buf = inputs.Get().(*[pooledSize]byte)[:]
	r.start, r.end = 0, 0
}

func (r *Reader) release() {
	if len(r.buf) == pooledSize {
		inputs.Put((*[pooledSize]byte)(r.buf))
	}
	r.buf = nil
	r.start, r.end = 0, 0
}

// read reads once, or again if the source returns nothing without an error.
func (r *Reader) read(p []byte) (int, error) {
	for range 100 {
		n, err := r.src.Read(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// fill receives more. It keeps the bytes from keep on, and returns by how much they moved
// towards the front.
func (r *Reader) fill(keep int) (moved int, err error) {
	if r.buf == nil {
		r.borrow()
	}
	if r.end == len(r.buf) {
		if keep > 0 {
			copy(r.buf, r.buf[keep:r.end])
			r.start -= keep
			r.end -= keep
			moved = keep
		} else {
			// The old array may still be looked at: it is left to the collector.
			r.buf = append(r.buf, make([]byte, len(r.buf))...)
		}
	}
	n, err := r.read(r.buf[r.end:])
	r.end += n
	if n > 0 {
		err = nil
	}
	return moved, err
}

// Next reads a command up to its end, or up to a literal that the onLiteral wants
// streamed, and returns it without the last line end. The literal is then read
// from Body, and Next, called again with more, reads on behind it.
//
// An error of type *SyntaxError or of the kind fault.TooMany, or one of the onLiteral's, means that the
// command was read to its end and can be answered; what there is of it is returned for the
// sake of its tag. Every other error ends the connection.
func (r *Reader) Next(onLiteral LiteralFunc, more bool) (command []byte, streamed *Literal, err error) {
	if r.body > 0 {
		if err := r.discardBytes(r.body); err != nil {
			return nil, nil, err
		}
		r.body = 0
	}
	if !more {
		r.usedLine, r.usedLit = 0, 0
	}
	from := r.start // the first byte of what is returned
	for {
		line := r.start
		moved, err := r.line(from)
		from, line = from-moved, line-moved
		if err != nil {
			return r.refuseLine(from, line, err)
		}
		l := announced(r.buf[line:r.start])
		switch {
		case bytes.IndexByte(r.buf[line:r.start], 0) >= 0:
			return r.refuseLiteral(from, l, Bad("NUL is not allowed here"))
		case l == nil:
			return trimEnd(r.buf[from:r.start]), nil, nil
		}
		action, err := onLiteral(trimEnd(r.buf[from:r.start]), *l)
		if err != nil {
			return r.refuseLiteral(from, l, err)
		}
		if action == Stream {
			r.body = l.Size
			return trimEnd(r.buf[from:r.start]), l, nil
		}
		if err := r.CheckSize(*l); err != nil {
			return r.refuseLiteral(from, l, err)
		}
		r.usedLit += l.Size
		moved, err = r.buffer(from, int(l.Size))
		if err != nil {
			return nil, nil, err
		}
		from -= moved
		if !l.Binary && bytes.IndexByte(r.buf[r.start-int(l.Size):r.start], 0) >= 0 {
			return r.refuseLiteral(from, &Literal{}, Bad("NUL is not allowed in a literal"))
		}
	}
}

// CheckSize refuses a literal that does not fit in what is left of the limits; for
// gates, which have to know before they ask a client to go on.
func (r *Reader) CheckSize(l Literal) error {
	if l.Size > r.limits.Literals-r.usedLit {
		return overLimit("literals longer than %d bytes in all", r.limits.Literals)
	}
	return nil
}

// line moves start behind the next LF, keeping the bytes from keep on.
func (r *Reader) line(keep int) (moved int, err error) {
	scanned := r.start
	for {
		if i := bytes.IndexByte(r.buf[scanned:r.end], '\n'); i >= 0 {
			r.usedLine += scanned + i + 1 - r.start
			r.start = scanned + i + 1
			if r.usedLine > r.limits.Line {
				return moved, errLongLine
			}
			return moved, nil
		}
		scanned = r.end
		if r.usedLine+r.end-r.start > r.limits.Line {
			r.start = r.end
			return moved, errLongLine
		}
		m, err := r.fill(keep)
		moved, keep, scanned = moved+m, keep-m, scanned-m
		if err != nil {
			return moved, err
		}
	}
}

// take moves start behind the next n bytes.
func (r *Reader) buffer(keep, n int) (moved int, err error) {
	for r.end-r.start < n {
		m, err := r.fill(keep)
		moved, keep = moved+m, keep-m
		if err != nil {
			return moved, unexpected(err)
		}
	}
	r.start += n
	return moved, nil
}

// ReadLine returns one line that is not a command, without its line end: a SASL response,
// or DONE. A line above max bytes is thrown away and refused with a *SyntaxError.
func (r *Reader) ReadLine(max int) ([]byte, error) {
	limits := r.limits
	defer func() { r.limits = limits }()
	r.limits.Line, r.usedLine = max, 0
	from := r.start
	moved, err := r.line(from)
	from -= moved
	if err == errLongLine {
		if r.buf[r.start-1] != '\n' {
			if _, err := r.discardLine(nil); err != nil {
				return nil, err
			}
		}
		return nil, Bad("line longer than %d bytes", max)
	}
	if err != nil {
		return nil, err
	}
	return trimEnd(r.buf[from:r.start]), nil
}

// Body reads the literal that Next left to be streamed.
func (r *Reader) Body() io.Reader { return (*body)(r) }

type body Reader

func (b *body) Read(p []byte) (int, error) {
	r := (*Reader)(b)
	if r.body == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.body {
		p = p[:r.body]
	}
	var n int
	var err error
	if r.Buffered() {
		n = copy(p, r.buf[r.start:r.end])
		r.start += n
	} else if n, err = r.read(p); n > 0 {
		err = nil
	}
	r.body -= int64(n)
	return n, unexpected(err)
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func trimEnd(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'})
}
