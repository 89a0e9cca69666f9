package searchtext

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"gatepost/accounts/message"
)

// Fold appends a text in the form in which SEARCH compares texts, which ignores case
// (RFC 9051 section 6.4.4).
func Fold(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, c)
		} else {
			dst = utf8.AppendRune(dst, unicode.ToLower(unicode.ToUpper(r)))
		}
		i += n
	}
	return dst
}

// WholeRunes returns the length of b without an incomplete UTF-8 sequence at its end.
func WholeRunes(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}

// FoldField appends a field, folded. It returns what it has appended, the whole field with its name, and the value in it.
func FoldField(dst, field []byte) (whole, value []byte) {
	head := bytes.IndexByte(field, ':') + 1
	at := len(dst)
	dst = FoldHeader(dst, field[:head])
	start := len(dst)
	text := field[head:]
	if bare := bytes.TrimLeft(text, " \t\r\n"); len(bare) < len(text) {
		dst, text = append(dst, ' '), bare
	}
	dst = FoldHeader(dst, text)
	whole = bytes.TrimRight(dst[at:], " ")
	return whole, bytes.TrimLeft(whole[min(start-at, len(whole)):], " ")
}

// headerBytes has for each ASCII character the one that FoldHeader writes, 0 for those that it leaves
// out, and 0xff for other bytes.
var headerBytes = func() (t [256]byte) {
	for i := range t {
		c := byte(i)
		switch {
		case c == 0 || c == '\r' || c == '\n':
			t[i] = 0
		case c < ' ' || c == 0x7f:
			t[i] = ' '
		case c >= 'A' && c <= 'Z':
			t[i] = c | 0x20
		case c >= 0x80:
			t[i] = 0xff
		default:
			t[i] = c
		}
	}
	return t
}()

// FoldHeader appends Fold(message.DecodeHeader(text)), but keeps the blanks at both ends. Most texts are ASCII
// without encoded-words: these it folds itself, which is faster.
func FoldHeader(dst, text []byte) []byte {
	start := len(dst)
	for _, c := range text {
		switch l := headerBytes[c]; l {
		case 0:
		case 0xff:
			return Fold(dst[:start], []byte(message.DecodeHeader(text)))
		default:
			dst = append(dst, l)
		}
	}
	if bytes.Contains(dst[start:], []byte("=?")) {
		return Fold(dst[:start], []byte(message.DecodeHeader(text)))
	}
	return dst
}

// FoldForHeaders folds a text of the client as FoldHeader folds headers. All blanks become spaces, so that a
// text with a TAB finds a header with a TAB, and a header whose line is folded with a space.
func FoldForHeaders(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch c := text[0]; {
		case c == 0 || c == '\r' || c == '\n':
		case unicode.IsControl(r) && c < utf8.RuneSelf, r == 0x2028, r == 0x2029:
			out = append(out, ' ')
		default:
			out = append(out, text[:n]...)
		}
		text = text[n:]
	}
	return Fold(nil, out)
}

// FirstField returns the first field of a header, with its continuation lines.
func FirstField(header []byte) []byte {
	for at := 0; ; {
		i := bytes.IndexByte(header[at:], '\n')
		if i < 0 {
			return header
		}
		at += i + 1
		if at == len(header) || header[at] != ' ' && header[at] != '\t' {
			return header[:at]
		}
	}
}
