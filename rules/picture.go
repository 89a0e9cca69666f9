package rules

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// picture is a text in which an asterisk stands for any characters, also for none. Everything else
// stands for itself, whatever the letters' case. A picture matches a whole value.
//
// Matching takes time linear in the value and the picture: what stands before the first asterisk
// and after the last one is compared in place, and what stands between two is searched from left to
// right without going back in the value (Knuth, Morris, Pratt). Short texts are left to
// strings.Index, which is quicker and linear for them.
type picture struct {
	first  []rune   // before the first asterisk, or all if there is none
	stars  bool     // there is an asterisk
	middle []needle // between two asterisks, without empty ones
	last   []rune   // after the last asterisk
	// start is what first begins with, as far as it is ASCII.
	start string
}

// text is a value that pictures are compared with.
type text struct {
	shown string // as people read it
	low   string // with the letters A to Z in lower case, of the same length
}

func newText(s string) text { return text{s, lower(s)} }

// lower turns the letters A to Z into lower case and leaves everything else, also what is not UTF-8.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = byte(foldASCII(b[i]))
			}
			return string(b)
		}
	}
	return s
}

// needle is a text that is searched.
type needle struct {
	text []rune
	// ascii is the text if it is ASCII: then no character of more than one byte is part of it.
	ascii string
	// fail[i] is the length of the longest proper prefix of text that text[:i+1] ends with.
	fail []int32
}

func newPicture(s string) picture {
	parts := strings.Split(s, "*")
	p := picture{first: folded(parts[0]), stars: len(parts) > 1}
	p.start = asciiStart(p.first)
	if !p.stars {
		return p
	}
	p.last = folded(parts[len(parts)-1])
	for _, part := range parts[1 : len(parts)-1] {
		if part != "" {
			p.middle = append(p.middle, newNeedle(folded(part)))
		}
	}
	return p
}

func newNeedle(text []rune) needle {
	fail := make([]int32, len(text))
	n := int32(0)
	for i := 1; i < len(text); i++ {
		for n > 0 && text[n] != text[i] {
			n = fail[n-1]
		}
		if text[n] == text[i] {
			n++
		}
		fail[i] = n
	}
	ascii := asciiStart(text)
	if len(ascii) < len(text) {
		ascii = ""
	}
	return needle{text, ascii, fail}
}

// asciiStart is what a text begins with, as far as it is ASCII.
func asciiStart(text []rune) string {
	var b strings.Builder
	for _, r := range text {
		if r >= utf8.RuneSelf {
			break
		}
		b.WriteByte(byte(r))
	}
	return b.String()
}

// match reports whether the picture matches a value.
func (p *picture) match(value text) bool {
	s, ok := strings.CutPrefix(value.low, p.start)
	if !ok {
		return false
	}
	for _, want := range p.first[len(p.start):] {
		if s == "" {
			return false
		}
		r, n := firstRune(s)
		if r != want {
			return false
		}
		s = s[n:]
	}
	if !p.stars {
		return s == ""
	}
	for i := len(p.last) - 1; i >= 0; i-- {
		if s == "" {
			return false
		}
		r, n := lastRune(s)
		if r != p.last[i] {
			return false
		}
		s = s[:len(s)-n]
	}
	for i := range p.middle {
		end := p.middle[i].find(s)
		if end < 0 {
			return false
		}
		s = s[end:]
	}
	return true
}

// longShort is the longest text that strings.Index finds in linear time whatever the value.
const longShort = 32

// find returns the end of the first place where s, the lower-case form of a value, has the text, or -1.
func (n *needle) find(s string) int {
	at := int32(0)
	if n.ascii != "" {
		if len(n.ascii) <= longShort {
			if i := strings.Index(s, n.ascii); i >= 0 {
				return i + len(n.ascii)
			}
			return -1
		}
		for i := range len(s) {
			c := s[i]
			for at > 0 && n.ascii[at] != c {
				at = n.fail[at-1]
			}
			if n.ascii[at] != c {
				continue
			}
			if at++; int(at) == len(n.ascii) {
				return i + 1
			}
		}
		return -1
	}
	for i := 0; i < len(s); {
		r, width := firstRune(s[i:])
		i += width
		for at > 0 && n.text[at] != r {
			at = n.fail[at-1]
		}
		if n.text[at] != r {
			continue
		}
		if at++; int(at) == len(n.text) {
			return i
		}
	}
	return -1
}

func folded(s string) []rune {
	if s == "" {
		return nil
	}
	out := make([]rune, 0, len(s))
	for s != "" {
		r, n := firstRune(s)
		out = append(out, r)
		s = s[n:]
	}
	return out
}

// firstRune returns the first character of s in the form that ignores case, and its width. A byte
// that is not UTF-8 is a character of its own.
func firstRune(s string) (rune, int) {
	if c := s[0]; c < utf8.RuneSelf {
		return foldASCII(c), 1
	}
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		return notUTF8(s[0]), 1
	}
	return fold(r), n
}

// lastRune is firstRune for the last character.
func lastRune(s string) (rune, int) {
	if c := s[len(s)-1]; c < utf8.RuneSelf {
		return foldASCII(c), 1
	}
	r, n := utf8.DecodeLastRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		return notUTF8(s[len(s)-1]), 1
	}
	return fold(r), n
}

func foldASCII(c byte) rune {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return rune(c)
}

// fold goes through the upper case, so that letters with two lower-case forms (σ and ς) are one. No
// letter outside of ASCII becomes one of ASCII.
func fold(r rune) rune {
	if low := unicode.ToLower(unicode.ToUpper(r)); low >= utf8.RuneSelf {
		return low
	}
	return r
}

func notUTF8(c byte) rune { return unicode.MaxRune + 1 + rune(c) }
