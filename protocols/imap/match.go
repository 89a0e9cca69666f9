package imap

import "strings"

// matcher compares mailbox names with patterns of LIST: * matches anything, %
// anything without a slash (RFC 9051 section 6.3.9). In the worst case it takes
// time proportional to the product of both lengths. It counts its steps.
type matcher struct {
	steps int
}

// maxSteps bounds the steps of one LIST. An ordinary LIST of 10,000 mailboxes takes
// about 200,000.
const maxSteps = 50_000_000

// spent reports whether the bound is reached. Then the result of match means nothing.
func (m *matcher) spent() bool { return m.steps > maxSteps }

// match reports whether the pattern matches the whole name. The case of INBOX at its beginning is
// ignored.
func (m *matcher) match(pattern, name string) bool {
	fold := 0
	if name == "INBOX" || strings.HasPrefix(name, "INBOX/") {
		fold = len("INBOX")
	}
	// Only the last * and the last % after it have to be tried with other lengths. If an earlier wildcard
	// matched less, the later one could still match up to the same positions: a % only as far as the
	// next slash, and within that range the first match of the text between two % is the best.
	p, n := 0, 0
	star, starAt := -1, 0       // the pattern after the last *, and where it was tried in the name
	percent, percentAt := -1, 0 // the same for the last % after it
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
