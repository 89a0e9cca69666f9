package helper

import (
	"strconv"
	"strings"
)

// A line of a helper is one of three things.
type lineKind uint8

const (
	lineAnswer lineKind = iota
	lineInfo            // begins with *
	lineOther           // nothing that we know
)

// parseLine reads a line: the number of the command and the text after one blank.
func parseLine(line string) (kind lineKind, seq uint64, text string) {
	if strings.HasPrefix(line, "*") {
		return lineInfo, 0, strings.TrimSpace(line[1:])
	}
	digits, text, _ := strings.Cut(line, " ")
	seq, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return lineOther, 0, line
	}
	return lineAnswer, seq, text
}

// word cuts the first word off a text, in upper case as helpers write it.
func word(s string) (word, rest string) {
	s = strings.TrimLeft(s, " \t")
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}

// quoted reads a quoted string at the start of s, with the escapes of the data format. It reports false
// if there is none that ends.
func quoted(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", s, false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", s, false
			}
			switch c := s[i]; c {
			case 'e', 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			default:
				if n, ok := decimal(s[i:]); ok {
					b.WriteByte(n)
					i += 2
					break
				}
				b.WriteByte(c)
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", s, false
}

// decimal reads three decimal digits as a byte.
func decimal(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	n := 0
	for i := range 3 {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return byte(n), n <= 255
}

// quote writes a value as one word that scripts can read which split lines at blanks: plain if it is, else
// quoted, with blanks and what is not ASCII in decimal.
func quote(s string) string {
	plain := s != ""
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			plain = false
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c <= ' ' || c >= 0x7f:
			b.WriteByte('\\')
			b.WriteString(strconv.Itoa(1000 + int(c))[1:])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// report reads the text of a refusal: a quoted string, or the rest of the line.
func report(s string) string {
	s = strings.TrimSpace(s)
	if text, rest, ok := quoted(s); ok && strings.TrimSpace(rest) == "" {
		s = text
	}
	return strings.TrimSpace(strings.ReplaceAll(s, "\r", ""))
}
