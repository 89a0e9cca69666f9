package logs

import "bytes"

// Mailing lists have secrets in addresses and in the paths of pages: whoever knows one acts for a subscriber or for the owner. Records of
// many parts show such addresses and paths, so that the secrets are taken out here, in all of them at once.

const (
	secretLength = 16 // of a subscriber: name-report+SECRET@domain, name-off+SECRET@domain
	tokenLength  = 26 // of a question: name-confirm+TOKEN@domain, name+TOKEN@domain, confirm/TOKEN, <list-approval-TOKEN@domain>
)

// hideTokens puts "..." in the place of each secret of a line.
func hideTokens(line []byte) []byte {
	for at := 0; ; {
		n := bytes.IndexAny(line[at:], "+-/")
		if n < 0 {
			return line
		}
		at += n + 1
		length, upper := token(line[at:])
		before := line[:at-1]
		hide := false
		switch line[at-1] {
		case '+':
			service := endsIn(before, "-report") || endsIn(before, "-off") || endsIn(before, "-confirm")
			hide = length == tokenLength && (upper || service) || length == secretLength && service
		case '-':
			hide = length == tokenLength && (upper && endsIn(before, "approval") || endsIn(before, "+reject"))
		case '/':
			hide = length == tokenLength && upper
		}
		if hide {
			line = append(append(line[:at:at], "..."...), line[at+length:]...)
			at += len("...")
		}
	}
}

// token is the length of the run of letters and digits that secrets consist of (RFC 4648 section 6), and whether all letters are capitals; 0 if
// a character follows that belongs to the word.
func token(b []byte) (length int, upper bool) {
	upper = true
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z', c >= '2' && c <= '7':
		case c >= 'a' && c <= 'z':
			upper = false
		case c >= '0' && c <= '9', c == '_', c == '-', c == '+', c == '=':
			return 0, false
		default:
			return i, upper
		}
	}
	return len(b), upper
}

func endsIn(b []byte, word string) bool {
	return len(b) >= len(word) && bytes.EqualFold(b[len(b)-len(word):], []byte(word))
}
