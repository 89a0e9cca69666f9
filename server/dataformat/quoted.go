package dataformat

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// quoted reads a quoted string; adjacent says whether quoted pieces that
// follow belong to it.
func (p *parser) quoted(adjacent bool) (string, error) {
	s, err := p.piece()
	if err != nil || !adjacent {
		return s, err
	}
	if err := p.space(); err != nil {
		return "", err
	}
	if p.peek() != '"' {
		return s, nil
	}
	joined := []byte(s)
	for p.peek() == '"' {
		if s, err = p.piece(); err != nil {
			return "", err
		}
		joined = append(joined, s...)
		if err := p.space(); err != nil {
			return "", err
		}
	}
	return string(joined), nil
}

// piece reads one quoted piece. Without escapes it is a part of the text.
func (p *parser) piece() (string, error) {
	open := p.pos
	p.pos++
	start := p.pos
	var decoded []byte
	escaped := false
	for p.pos < len(p.s) {
		switch p.s[p.pos] {
		case '"':
			last := p.s[start:p.pos]
			p.pos++
			if !escaped {
				return last, nil
			}
			return string(append(decoded, last...)), nil
		case 0:
			return "", p.fail(p.pos, "zero byte in a string")
		case '\\':
			escaped = true
			decoded = append(decoded, p.s[start:p.pos]...)
			var err error
			if decoded, err = p.escape(decoded); err != nil {
				return "", err
			}
			start = p.pos
		default:
			p.pos++
		}
	}
	return "", p.fail(open, "quoted string without end")
}

// escape reads what a backslash introduces and appends what it means.
func (p *parser) escape(dst []byte) ([]byte, error) {
	start := p.pos
	p.pos++
	c := p.peek()
	if p.pos >= len(p.s) {
		return nil, p.fail(start, "quoted string without end")
	}
	p.pos++
	switch {
	case c == 'e' || c == 'n':
		return append(dst, '\n'), nil
	case c == 'r':
		return append(dst, '\r'), nil
	case c == 't':
		return append(dst, '\t'), nil
	case c == 0:
		return nil, p.fail(start, "zero byte in a string")
	case isDigit(c) && p.pos+2 <= len(p.s) && isDigit(p.s[p.pos]) && isDigit(p.s[p.pos+1]):
		n, err := strconv.ParseUint(p.s[p.pos-1:p.pos+2], 10, 8)
		if err != nil {
			return nil, p.fail(start, "byte code above 255")
		}
		if n == 0 {
			return nil, p.fail(start, "zero byte in a string")
		}
		p.pos += 2
		return append(dst, byte(n)), nil
	case c == 'u' && p.peek() == '\'':
		return p.unicodeEscape(dst, start)
	case p.multi && (c == '\n' || c == '\r'):
		// The string is folded: the line end and the next line's indentation are no part of it.
		for p.pos < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.pos]) >= 0 {
			p.pos++
		}
		return dst, nil
	}
	return append(dst, c), nil
}

// unicodeEscape reads 'hex' of \u'hex'.
func (p *parser) unicodeEscape(dst []byte, start int) ([]byte, error) {
	hex, _, found := strings.Cut(p.s[p.pos+1:min(len(p.s), p.pos+10)], "'")
	n, err := strconv.ParseUint(hex, 16, 32)
	if !found || err != nil || n == 0 || !utf8.ValidRune(rune(n)) {
		return nil, p.fail(start, "bad character code")
	}
	p.pos += len(hex) + 2
	return utf8.AppendRune(dst, rune(n)), nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// Quote returns a string as it is printed: bare if it can be, else quoted.
func Quote(s string) string {
	if isAtom(s) {
		return s
	}
	return string(appendString(make([]byte, 0, len(s)+8), s))
}

func isAtom(s string) bool {
	if s == "" || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if class[s[i]]&isBare == 0 {
			return false
		}
	}
	return true
}

func appendString(dst []byte, s string) []byte {
	if isAtom(s) {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\e`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == 0:
		case c < ' ' || c == 0x7f:
			dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
