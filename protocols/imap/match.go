package imap

import "strings"

// matcher compares mailbox names with patterns of LIST: * stands for anything, %
// for anything without a slash (RFC 9051 section 6.3.9). It needs time
// proportional to the product of both lengths at the worst, and counts it.
type matcher struct {
	steps int
}

// maxSteps bounds the work of one LIST. An ordinary one over 10,000 mailboxes takes
// about 200,000.
const maxSteps = 50_000_000

// spent reports whether the bound is reached; then what match says is of no meaning.
func (m *matcher) spent() bool { return m.steps > maxSteps }

// match reports whether the whole name fits the pattern. INBOX at its beginning fits
// without regard to case.
func (m *matcher) match(pattern, name string) bool {
	fold := 0
	if name == "INBOX" || strings.HasPrefix(name, "INBOX/") {
		fold = len("INBOX")
	}
	// It is enough to try other lengths for the last * and the last % behind it.
	// Where an earlier wildcard took less, the later one can reach all the same
	// places: a % only as far as the next slash, and in that reach the earliest
	// place of what comes between two % is the best.
	p, n := 0, 0
	star, starAt := -1, 0       // behind the last *, and where what follows it was tried
	percent, percentAt := -1, 0 // the same for the last % behind it
	for {
		m.steps++
		if m.spent() {
			return false
		}
		if p < len(pattern) {
			switch c := pattern[p]; {
			case c == '*':
				p++
				star, starAt, percent = p, n, -1
				continue
			case c == '%':
				p++
				percent, percentAt = p, n
				continue
			case n < len(name) && (c == name[n] || n < fold && c|0x20 == name[n]|0x20):
				p++
				n++
				continue
			}
		} else if n == len(name) {
			return true
		}
		switch {
		case percent >= 0 && percentAt < len(name) && name[percentAt] != '/':
			percentAt++
			p, n = percent, percentAt
		case star >= 0 && starAt < len(name):
			starAt++
			p, n, percent = star, starAt, -1
		default:
			return false
		}
	}
}
