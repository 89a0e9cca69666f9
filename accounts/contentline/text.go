package contentline

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// ValidateText refuses what is not UTF-8 and what XML cannot carry, because a report could not return it. The number is
// that of the first line. The error is a SyntaxError.
func ValidateText(text string, number int) error {
	invalid := func(format string, args ...any) error {
		return &SyntaxError{number, fmt.Sprintf(format, args...)}
	}
	for i := 0; i < len(text); {
		c := text[i]
		if c == '\n' {
			number++
		}
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\t' && c != '\n' && (c != '\r' || i+1 == len(text) || text[i+1] != '\n') {
				return invalid("there is a control character (code %d)", c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 {
			// A character may be folded in the middle of its bytes (RFC 5545 section 3.1).
			if !foldedRune(text[i:]) {
				return invalid("the text is not UTF-8")
			}
			return invalid("a line is folded inside a UTF-8 character, which XML cannot carry")
		}
		if r == 0xfffe || r == 0xffff {
			return invalid("there is a character that is none (U+%04X)", r)
		}
		i += n
	}
	return nil
}

func foldedRune(s string) bool {
	s = s[:min(len(s), 16)]
	r, _ := utf8.DecodeRuneInString(strings.NewReplacer("\r\n ", "", "\n ", "", "\r\n\t", "", "\n\t", "").Replace(s))
	return r != utf8.RuneError
}
