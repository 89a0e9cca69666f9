package message

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// maxEncodedWord is the length of the longest encoded-word that is decoded. RFC 2047 section 2 allows 75, but
// some senders never split theirs.
const maxEncodedWord = 1000

// DecodeHeader returns the value of a header field for display and search: on one line, in valid UTF-8,
// encoded-words (RFC 2047) decoded, without
// control characters. Encoded-words that cannot be decoded are not changed.
func DecodeHeader(value []byte) string {
	value = unfold(value)
	if plainText(value) && !bytes.Contains(value, []byte("=?")) {
		return string(bytes.TrimSpace(value))
	}
	var d wordDecoder
	for len(value) > 0 {
		i := bytes.Index(value, []byte("=?"))
		if i < 0 {
			break
		}
		charset, text, n := cutWord(value[i:])
		if n == 0 {
			d.plain(value[:i+2])
			value = value[i+2:]
			continue
		}
		d.plain(value[:i])
		d.word(charset, text)
		value = value[i+n:]
	}
	d.plain(value)
	d.flush()
	return strings.TrimSpace(oneLine(d.out.String()))
}

// plainText reports whether v is printable ASCII.
func plainText(v []byte) bool {
	for _, c := range v {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// A wordDecoder joins adjacent encoded-words before it converts them, since some senders split
// a character between two.
type wordDecoder struct {
	out     strings.Builder
	charset string
	pending []byte // decoded bytes in charset
	after   bool   // the last piece was an encoded-word
}

// plain adds text between encoded-words. White space between two of them is
// ignored (RFC 2047 section 6.2).
func (d *wordDecoder) plain(v []byte) {
	if len(v) == 0 || d.after && len(bytes.TrimSpace(v)) == 0 {
		return
	}
	d.flush()
	d.out.WriteString(toUTF8(v, ""))
}

func (d *wordDecoder) word(charset string, text []byte) {
	if !strings.EqualFold(charset, d.charset) {
		d.flush()
		d.charset = charset
	}
	d.pending = append(d.pending, text...)
	d.after = true
}

func (d *wordDecoder) flush() {
	if len(d.pending) > 0 {
		d.out.WriteString(toUTF8(d.pending, d.charset))
	}
	d.pending, d.after = d.pending[:0], false
}

// cutWord decodes the encoded-word at the beginning of b. It returns its charset, its bytes
// and its length, which is 0 if there is none. Blanks in it, which RFC 2047 forbids,
// are accepted.
func cutWord(b []byte) (charset string, text []byte, n int) {
	b = b[:min(len(b), maxEncodedWord)]
	name, rest, ok := bytes.Cut(b[2:], []byte("?"))
	if !ok || len(name) == 0 || len(rest) < 4 || rest[1] != '?' {
		return "", nil, 0
	}
	encoding := lower(rest[0])
	end := bytes.Index(rest[2:], []byte("?="))
	if end < 0 {
		return "", nil, 0
	}
	raw := rest[2 : 2+end]
	n = 2 + len(name) + 1 + 2 + end + 2
	name, _, _ = bytes.Cut(name, []byte("*")) // RFC 2231 section 5: a language
	switch encoding {
	case 'q':
		return string(name), wordQ(raw), n
	case 'b':
		return string(name), wordB(raw), n
	}
	return "", nil, 0
}

// wordQ decodes the "Q" encoding (RFC 2047 section 4.2).
func wordQ(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '_':
			out = append(out, ' ')
		case c == '=' && i+2 < len(raw) && unhex(raw[i+1]) < 16 && unhex(raw[i+2]) < 16:
			out = append(out, unhex(raw[i+1])<<4|unhex(raw[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

// wordB decodes the "B" encoding up to the first error.
func wordB(raw []byte) []byte {
	raw = bytes.TrimRight(bytes.ReplaceAll(raw, []byte(" "), nil), "=")
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(raw)))
	n, _ := base64.RawStdEncoding.Decode(out, raw) // what was decoded before an error is good
	return out[:n]
}

// unhex returns the value of a hexadecimal digit, or 16.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}

// oneLine replaces control characters by blanks, and makes s valid UTF-8.
func oneLine(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}
