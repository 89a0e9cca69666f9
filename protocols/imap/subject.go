package imap

import (
	"strings"
)

// baseSubject returns a subject without what replies and forwarding put around it, and whether there was such a thing (RFC 5256
// section 2.1). The subject is decoded.
func baseSubject(subject string) (base string, reply bool) {
	s := strings.Join(strings.Fields(subject), " ")
	for {
		for {
			t := strings.TrimRight(s, " ")
			if n := len(t) - len("(fwd)"); n >= 0 && strings.EqualFold(t[n:], "(fwd)") {
				t, reply = t[:n], true
			}
			if t == s {
				break
			}
			s = t
		}
		for {
			t := strings.TrimLeft(s, " ")
			if rest, ok := withoutLeader(t); ok {
				t, reply = rest, true
			} else if rest, ok := withoutBlob(t); ok && rest != "" {
				t = rest
			}
			if t == s {
				break
			}
			s = t
		}
		n := len("[fwd:")
		if len(s) <= n || !strings.EqualFold(s[:n], "[fwd:") || s[len(s)-1] != ']' {
			return s, reply
		}
		s, reply = s[n:len(s)-1], true
	}
}

// withoutLeader removes Re: or Fwd:, with what stands in brackets before it and before the colon.
func withoutLeader(s string) (rest string, ok bool) {
	for {
		t, blob := withoutBlob(s)
		if !blob {
			break
		}
		s = t
	}
	switch {
	case len(s) >= 3 && strings.EqualFold(s[:3], "fwd"):
		s = s[3:]
	case len(s) >= 2 && (strings.EqualFold(s[:2], "re") || strings.EqualFold(s[:2], "fw")):
		s = s[2:]
	default:
		return "", false
	}
	s = strings.TrimLeft(s, " ")
	if t, blob := withoutBlob(s); blob {
		s = t
	}
	return strings.CutPrefix(s, ":")
}

// withoutBlob removes a text in brackets.
func withoutBlob(s string) (rest string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return s, false
	}
	end := strings.IndexAny(s[1:], "[]")
	if end < 0 || s[1+end] != ']' {
		return s, false
	}
	return strings.TrimLeft(s[end+2:], " "), true
}
