package wire

import (
	"io"
	"strconv"
	"sync"
	"unicode/utf8"
)

const (
	// flushAt is how much the buffer may hold at the end of a line: one TLS record.
	flushAt = 16 << 10
	// outputSize is the size of a buffer from the pool. The room above flushAt is for the
	// line that is being written, and for reading large pieces of files.
	outputSize = 32 << 10
)

var outputs = sync.Pool{New: func() any { return new([outputSize]byte) }}

// Encoder writes responses. It buffers them until
// Flush, or until a line ends with at least 16 KB in the buffer. After the first error of
// the connection it writes nothing more, and keeps that error.
type Encoder struct {
	w   io.Writer
	buf []byte
	err error
}

// NewEncoder returns an Encoder that writes to w.
func NewEncoder(w io.Writer) *Encoder { return &Encoder{w: w} }

// Reset makes the encoder write to w from now on. It must be flushed before.
func (e *Encoder) Reset(w io.Writer) { e.w = w }

// Err returns the first error.
func (e *Encoder) Err() error { return e.err }

// Buf returns the buffer. A caller may append to it and pass the result to Set.
func (e *Encoder) Buf() []byte {
	if e.buf == nil {
		e.buf = outputs.Get().(*[outputSize]byte)[:0]
	}
	return e.buf
}

// Set replaces the buffer by b, which is the result of Buf with something appended.
func (e *Encoder) Set(b []byte) { e.buf = b }

// Raw appends a text unchanged.
func (e *Encoder) Raw(s string) *Encoder {
	e.buf = append(e.Buf(), s...)
	return e
}

// Bytes appends bytes unchanged.
func (e *Encoder) Bytes(b []byte) *Encoder {
	e.buf = append(e.Buf(), b...)
	return e
}

// Byte appends one byte.
func (e *Encoder) Byte(c byte) *Encoder {
	e.buf = append(e.Buf(), c)
	return e
}

// Number appends a number.
func (e *Encoder) Number(n uint64) *Encoder {
	e.buf = strconv.AppendUint(e.Buf(), n, 10)
	return e
}

// String appends a quoted string, or a literal if it needs one.
func (e *Encoder) String(s string) *Encoder {
	e.buf = AppendString(e.Buf(), s, false)
	return e
}

// CRLF ends a line.
func (e *Encoder) CRLF() *Encoder {
	e.buf = append(e.Buf(), '\r', '\n')
	if len(e.buf) >= flushAt {
		e.Flush()
	}
	return e
}

// Spill flushes the buffer if it is full, within a response of any length.
func (e *Encoder) Spill() {
	if len(e.buf) >= flushAt {
		e.Flush()
	}
}

// Flush writes the buffer and returns the first error.
func (e *Encoder) Flush() error {
	if len(e.buf) > 0 && e.err == nil {
		_, e.err = e.w.Write(e.buf)
	}
	if cap(e.buf) > outputSize {
		e.buf = nil
	} else {
		e.buf = e.buf[:0]
	}
	return e.err
}

// Release puts the buffer back into the pool, and has the writer release what it can. It must be flushed before.
func (e *Encoder) Release() {
	if w, ok := e.w.(interface{ Release() }); ok {
		w.Release()
	}
	if cap(e.buf) == outputSize && len(e.buf) == 0 {
		outputs.Put((*[outputSize]byte)(e.buf[:outputSize]))
	}
	e.buf = nil
}

// CopyAt appends the n bytes of r from off on, which a literal announced. When they
// cannot be read the connection is of no more use, since the client counts on them.
func (e *Encoder) CopyAt(r io.ReaderAt, off, n int64) {
	e.Buf()
	for n > 0 && e.err == nil {
		if len(e.buf) >= flushAt {
			if e.Flush() != nil {
				return
			}
			e.Buf()
		}
		k := int(min(n, int64(cap(e.buf)-len(e.buf))))
		m, err := r.ReadAt(e.buf[len(e.buf):len(e.buf)+k], off)
		e.buf = e.buf[:len(e.buf)+m]
		off, n = off+int64(m), n-int64(m)
		if m < k {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			e.Fail(err)
		}
	}
}

// CopyN appends n bytes of r, as CopyAt does.
func (e *Encoder) CopyN(r io.Reader, n int64) {
	e.Buf()
	for n > 0 && e.err == nil {
		if len(e.buf) >= flushAt {
			if e.Flush() != nil {
				return
			}
			e.Buf()
		}
		k := int(min(n, int64(cap(e.buf)-len(e.buf))))
		m, err := r.Read(e.buf[len(e.buf) : len(e.buf)+k])
		e.buf = e.buf[:len(e.buf)+m]
		n -= int64(m)
		if err != nil && n > 0 {
			e.Fail(unexpected(err))
		}
	}
}

// Fail makes err stick: a response that was begun can't be finished.
func (e *Encoder) Fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// AppendString appends a string: quoted if it can be, else as a literal. With
// utf8OK, quoted strings may hold UTF-8 (RFC 9051 section 9, RFC 6855).
func AppendString[S ~string | ~[]byte](dst []byte, s S, utf8OK bool) []byte {
	quotable := len(s) <= 1000
	for i := 0; i < len(s) && quotable; i++ {
		c := s[i]
		quotable = c >= ' ' && c < 0x7f || c >= 0x80 && utf8OK
	}
	if quotable && utf8OK {
		quotable = utf8.ValidString(string(s))
	}
	if !quotable {
		dst = AppendLiteral(dst, int64(len(s)))
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// AppendLiteral appends the announcement of a literal.
func AppendLiteral(dst []byte, n int64) []byte {
	dst = append(dst, '{')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "}\r\n"...)
}

// AppendNumber appends a number.
func AppendNumber(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// AppendAString appends an atom if s can be one, else a string.
func AppendAString(dst, s []byte) []byte {
	for _, c := range s {
		if classes[c]&atomChar == 0 {
			return AppendString(dst, s, false)
		}
	}
	if len(s) == 0 {
		return append(dst, `""`...)
	}
	return append(dst, s...)
}
