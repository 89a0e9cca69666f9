package dataformat

import "strings"

// Decoder reads the words and objects of a single-line text, such as a command
// line, one by one. A Decoder that returned an error stays where it failed.
type Decoder struct {
	p parser
}

// NewDecoder returns a Decoder at the start of line, which stands without its line end.
func NewDecoder(line string) *Decoder { return &Decoder{parser{s: line}} }

// Value reads the next object. Errors are of type *SyntaxError.
func (d *Decoder) Value() (Value, error) { return d.p.value(0) }

// Word reads a keyword, an object name, an address or a file name, quoted or
// not. Unquoted it may hold more than a String: + / * ~ $ & = ' ? ^ | and a #
// that is not the first character, and an address literal.
func (d *Decoder) Word() (string, error) {
	d.blanks()
	p := &d.p
	if p.peek() == '"' {
		return p.quoted(false)
	}
	start := p.pos
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		if c == '[' && (p.pos == start || p.s[p.pos-1] == '@') {
			if n := literalLen(p.s[p.pos:]); n > 0 {
				p.pos += n
				continue
			}
		}
		if class[c]&inWord == 0 && (c != '#' || p.pos == start) {
			break
		}
		p.pos++
	}
	if p.pos == start && p.pos >= len(p.s) {
		return "", p.unexpected("a word")
	}
	if p.pos == start || !p.atDelimiter() {
		return "", p.fail(p.pos, errAtom)
	}
	return p.s[start:p.pos], nil
}

// literalLen returns the length of the address literal that s starts with, or 0.
func literalLen(s string) int {
	n := strings.IndexByte(s, ']')
	for i := 1; i < n; i++ {
		if !isDigit(s[i]) && strings.IndexByte("abcdefABCDEFIPv.:", s[i]) < 0 {
			return 0
		}
	}
	return n + 1
}

// Keyword reads the next word if it is the one given, regardless of case.
func (d *Decoder) Keyword(word string) bool {
	start := d.p.pos
	if w, err := d.Word(); err == nil && strings.EqualFold(w, word) {
		return true
	}
	d.p.pos = start
	return false
}

// Next returns the first byte of the next word or object, or 0 at the end: a (
// or { tells an array or a dictionary from a word.
func (d *Decoder) Next() byte {
	d.blanks()
	return d.p.peek()
}

// Rest returns what was not read yet, without leading blanks.
func (d *Decoder) Rest() string {
	d.blanks()
	return d.p.s[d.p.pos:]
}

// AtEnd reports whether only blanks remain.
func (d *Decoder) AtEnd() bool { return d.Rest() == "" }

// blanks skips blanks; unlike parser.space in multi-line text it cannot fail.
func (d *Decoder) blanks() {
	for c := d.p.peek(); c == ' ' || c == '\t'; c = d.p.peek() {
		d.p.pos++
	}
}
