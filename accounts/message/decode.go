package message

import (
	"io"
	"strings"
)

// KnownEncoding reports whether Decode knows a Content-Transfer-Encoding (RFC
// 2045 section 6.1).
func KnownEncoding(encoding string) bool {
	switch strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary", "base64", "quoted-printable":
		return true
	}
	return false
}

// Decode decodes a Content-Transfer-Encoding. Of damaged input it returns what can be
// decoded; it has no errors of its own. With an unknown encoding it returns r.
func Decode(r io.Reader, encoding string) io.Reader {
	switch strings.ToLower(encoding) {
	case "base64":
		return &decoder{r: r, step: &base64Step{}}
	case "quoted-printable":
		return &decoder{r: r, step: &quotedStep{}}
	}
	return r
}

// A decodeStep turns encoded bytes into decoded ones.
type decodeStep interface {
	// decode appends the decoded src to dst; finish appends what decode has held back.
	decode(dst, src []byte) []byte
	finish(dst []byte) []byte
}

// A decoder is a Reader of decoded bytes.
type decoder struct {
	r    io.Reader
	step decodeStep
	in   []byte
	out  []byte // decoded
	next int    // out[next:] is not read yet
	err  error
}

const decodeChunk = 4 << 10

func (d *decoder) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if d.in == nil {
		d.in = make([]byte, decodeChunk)
	}
	for empty := 0; d.next == len(d.out); {
		if d.err != nil {
			return 0, d.err
		}
		n, err := d.r.Read(d.in)
		d.out, d.next = d.step.decode(d.out[:0], d.in[:n]), 0
		if d.err = err; err == io.EOF {
			d.out = d.step.finish(d.out)
		}
		if n == 0 && err == nil {
			if empty++; empty == 100 {
				d.err = io.ErrNoProgress
			}
		}
	}
	n := copy(p, d.out[d.next:])
	d.next += n
	return n, nil
}

// A base64Step decodes base64 and ignores all other characters (RFC 2045 section
// 6.8). Padding ends a group of four, so that concatenated base64 texts
// are decoded completely.
type base64Step struct {
	bits uint32
	n    int // characters in bits
}

// base64Values has the value of each character of the alphabet, 64 for others, 65 for padding.
var base64Values = func() (v [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range v {
		v[i] = 64
	}
	for i := range len(alphabet) {
		v[alphabet[i]] = byte(i)
	}
	v['='] = 65
	return v
}()

func (s *base64Step) decode(dst, src []byte) []byte {
	bits, n := s.bits, s.n
	for _, c := range src {
		v := base64Values[c]
		if v >= 64 {
			if v == 65 {
				s.bits, s.n = bits, n
				dst = s.finish(dst)
				bits, n = 0, 0
			}
			continue
		}
		bits = bits<<6 | uint32(v)
		if n++; n == 4 {
			dst = append(dst, byte(bits>>16), byte(bits>>8), byte(bits))
			bits, n = 0, 0
		}
	}
	s.bits, s.n = bits, n
	return dst
}

func (s *base64Step) finish(dst []byte) []byte {
	switch s.n {
	case 2:
		dst = append(dst, byte(s.bits>>4))
	case 3:
		dst = append(dst, byte(s.bits>>10), byte(s.bits>>2))
	}
	s.bits, s.n = 0, 0
	return dst
}

// A quotedStep decodes quoted-printable (RFC 2045 section 6.7). It removes soft line breaks and
// blanks before a line end, and keeps an equals sign that encodes nothing.
type quotedStep struct {
	held []byte // an unfinished "=…", or blanks that may end the line
}

// maxHeldBlanks is how many blanks are held back until it is known whether the line ends after them.
const maxHeldBlanks = 1000

func (s *quotedStep) decode(dst, src []byte) []byte {
	for _, c := range src {
		dst = s.put(dst, c)
	}
	return dst
}

func (s *quotedStep) put(dst []byte, c byte) []byte {
	if len(s.held) > 0 {
		if s.held[0] == '=' {
			return s.escape(dst, c)
		}
		return s.blank(dst, c)
	}
	switch c {
	case '=', ' ', '\t':
		s.held = append(s.held, c)
		return dst
	}
	return append(dst, c)
}

// blank decodes the character after held blanks.
func (s *quotedStep) blank(dst []byte, c byte) []byte {
	switch {
	case c == ' ' || c == '\t':
		if len(s.held) < maxHeldBlanks {
			s.held = append(s.held, c)
			return dst
		}
	case c == '\r' || c == '\n':
		s.held = s.held[:0]
		return append(dst, c)
	}
	dst = append(dst, s.held...)
	s.held = s.held[:0]
	return s.put(dst, c)
}

// escape decodes the character after "=", "=X", "= " or "=\r".
func (s *quotedStep) escape(dst []byte, c byte) []byte {
	last := s.held[len(s.held)-1]
	switch {
	case c == '\n':
		if last == '=' || last == '\r' || last == ' ' || last == '\t' {
			s.held = s.held[:0] // a soft line break, with the blanks that some put there
			return dst
		}
	case len(s.held) == 2 && unhex(last) < 16 && unhex(c) < 16:
		s.held = s.held[:0]
		return append(dst, unhex(last)<<4|unhex(c))
	case len(s.held) == 1 && unhex(c) < 16:
		s.held = append(s.held, c)
		return dst
	case (c == '\r' || c == ' ' || c == '\t') && unhex(last) == 16 && last != '\r' && len(s.held) < maxHeldBlanks:
		s.held = append(s.held, c)
		return dst
	}
	// The equals sign encodes nothing; the characters after it are decoded again.
	again := append([]byte(nil), s.held[1:]...)
	s.held = s.held[:0]
	dst = append(dst, '=')
	for _, b := range again {
		dst = s.put(dst, b)
	}
	return s.put(dst, c)
}

func (s *quotedStep) finish(dst []byte) []byte {
	if len(s.held) > 0 && s.held[0] == '=' && len(s.held) > 1 {
		dst = append(dst, s.held...)
	}
	s.held = s.held[:0]
	return dst
}
