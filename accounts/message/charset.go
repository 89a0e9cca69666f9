package message

import (
	"encoding/binary"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/transform"
)

// ToUTF8 converts text from a charset to UTF-8, for search and display. Text
// in UTF-8, US-ASCII and unknown charsets is read as UTF-8. Bytes that are not valid UTF-8 are
// read as windows-1252, which they mostly are.
func ToUTF8(r io.Reader, charset string) io.Reader {
	if e := lookup(charset); e != nil {
		return transform.NewReader(r, e.NewDecoder())
	}
	return transform.NewReader(r, guess{})
}

// toUTF8 is ToUTF8 for a text in memory.
func toUTF8(b []byte, charset string) string {
	e := lookup(charset)
	if e == nil {
		if utf8.Valid(b) {
			return string(b)
		}
		out, _, _ := transform.Bytes(guess{}, b) // guess has no errors
		return string(out)
	}
	out, err := e.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(out)
}

// lookup returns a charset's encoding; nil for UTF-8, US-ASCII and unknown charsets. The list of the WHATWG comes
// first, since most senders mean what it says: by iso-8859-1, for example, windows-1252. IANA's
// list has more names.
func lookup(charset string) encoding.Encoding {
	name := strings.ToLower(strings.Trim(charset, " \t\"'"))
	switch name {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown":
		return nil
	}
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		return e
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil {
		return e
	}
	return nil
}

// Charset returns the encoding of a charset that the package knows: nil for UTF-8 and US-ASCII, which is what no name means.
func Charset(name string) (e encoding.Encoding, ok bool) {
	if e := lookup(name); e != nil {
		return e, true
	}
	switch strings.ToLower(name) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return nil, true
	}
	return nil, false
}

// guess leaves valid UTF-8 unchanged, and converts all other bytes from windows-1252.
type guess struct{ transform.NopResetter }

func (guess) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		run := ascii(src[nSrc:])
		if run > len(dst)-nDst {
			n := copy(dst[nDst:], src[nSrc:])
			return nDst + n, nSrc + n, transform.ErrShortDst
		}
		nDst += copy(dst[nDst:], src[nSrc:nSrc+run])
		nSrc += run
		if nSrc == len(src) {
			break
		}
		if !atEOF && !utf8.FullRune(src[nSrc:]) {
			return nDst, nSrc, transform.ErrShortSrc
		}
		r, size := utf8.DecodeRune(src[nSrc:])
		if r == utf8.RuneError && size == 1 {
			r = charmap.Windows1252.DecodeByte(src[nSrc])
		}
		if utf8.RuneLen(r) > len(dst)-nDst {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += size
	}
	return nDst, nSrc, nil
}

// ascii returns the number of ASCII bytes at the beginning of b.
func ascii(b []byte) int {
	const high = 0x8080808080808080
	i := 0
	for ; i+8 <= len(b) && binary.LittleEndian.Uint64(b[i:])&high == 0; i += 8 {
	}
	for i < len(b) && b[i] < utf8.RuneSelf {
		i++
	}
	return i
}
