package imap

import "testing"

func TestBaseSubject(t *testing.T) {
	for _, test := range []struct {
		subject, base string
		reply         bool
	}{
		{"one", "one", false},
		{"  a \t b ", "a b", false},
		{"Re: one", "one", true},
		{"RE : [list] re[2]: Fwd: one (fwd) (FWD)", "one", true},
		{"[list] one", "one", false},
		{"[a] [b] Re: one", "one", true},
		{"[list]", "[list]", false},
		{"Re: [list]", "[list]", true},
		{"[Fwd: Re: one]", "one", true},
		{"[fwd:]", "", true},
		{"Re:", "", true},
		{"Rest of it", "Rest of it", false},
		{"Fw: x", "x", true},
		{"[unclosed Re: x", "[unclosed Re: x", false},
		{"[[x]] y", "[[x]] y", false},
		{"", "", false},
	} {
		if base, reply := baseSubject(test.subject); base != test.base || reply != test.reply {
			t.Errorf("%q: %q %v", test.subject, base, reply)
		}
	}
}
