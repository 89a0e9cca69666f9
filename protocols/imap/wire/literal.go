package wire

import (
	"bytes"
	"math"
)

// maxAnnouncement is the length of the longest announcement that is looked for
// at the end of a line that is thrown away: ~{9223372036854775807+} CR LF.
const maxAnnouncement = 26

// announced returns the literal that a line ends with, or nil. The line includes
// its line end. A count above the greatest int64 is that.
func announced(line []byte) *Literal {
	line = trimEnd(line)
	if len(line) < 3 || line[len(line)-1] != '}' {
		return nil
	}
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return nil
	}
	digits := line[open+1 : len(line)-1]
	l := Literal{Sync: true}
	if n := len(digits); n > 0 && digits[n-1] == '+' {
		l.Sync, digits = false, digits[:n-1]
	}
	if len(digits) == 0 {
		return nil
	}
	for _, c := range digits {
		switch {
		case c < '0' || c > '9':
			return nil
		case l.Size > (math.MaxInt64-9)/10:
			l.Size = math.MaxInt64
		default:
			l.Size = l.Size*10 + int64(c-'0')
		}
	}
	l.Binary = open > 0 && line[open-1] == '~'
	return &l
}

// announcedAtEnd is announced for a line of n bytes of which only the tail is
// known. A count of which the beginning is not in the tail is ErrFlood.
func announcedAtEnd(tail []byte, n int) (*Literal, error) {
	l := announced(tail)
	if l == nil && n > len(tail) && bytes.HasSuffix(trimEnd(tail), []byte("+}")) {
		return nil, ErrFlood
	}
	return l, nil
}
