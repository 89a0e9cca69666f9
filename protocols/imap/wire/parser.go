package wire

import (
	"math"

	"gatepost/server/fault"
)

// maxDepth is how deep parentheses and search keys may be nested. There has to be a limit since Go ends the
// process when a stack overflows. Clients that nest a search key for each message of a long thread stay
// below it.
const maxDepth = 1000

// Parser reads the tokens of one command. After the first error it reads
// nothing more and returns zero values; Err has the error.
type Parser struct {
	b     []byte
	pos   int
	depth int
	err   error
}

// Reset makes the parser read from a command, or the rest of one, without its line end.
func (p *Parser) Reset(b []byte) { *p = Parser{b: b} }

// Err returns the first error: a *SyntaxError, or one of the kind fault.TooMany.
func (p *Parser) Err() error { return p.err }

// OK reports whether there was no error so far.
func (p *Parser) OK() bool { return p.err == nil }

// Fail sets the error unless there is one already.
func (p *Parser) Fail(format string, args ...any) {
	if p.err == nil {
		p.err = Bad(format, args...)
	}
}

// Limit is Fail for a valid command that exceeds a limit. It is answered NO [LIMIT]
// (RFC 9051 section 7.1), since BAD would mean a mistake of the client.
func (p *Parser) Limit(format string, args ...any) {
	if p.err == nil {
		p.err = overLimit(format, args...)
	}
}

func overLimit(format string, args ...any) error {
	return fault.Newf("imap", fault.TooMany, format, args...)
}

// AtEnd reports whether the command was read to its end, or to an error.
func (p *Parser) AtEnd() bool { return p.err != nil || p.pos == len(p.b) }

// End fails unless the command was read to its end, and returns the first error. Blanks at the end are
// ignored, as in SMTP (RFC 5321 section 4.1.1).
func (p *Parser) End() error {
	for p.Skip(' ') || p.Skip('\t') {
	}
	if !p.AtEnd() {
		p.Fail("unexpected text after the arguments")
	}
	return p.err
}

// Peek returns the next byte, or 0 at the end.
func (p *Parser) Peek() byte {
	if p.AtEnd() {
		return 0
	}
	return p.b[p.pos]
}

// Skip reads c if it is next.
func (p *Parser) Skip(c byte) bool {
	if p.Peek() != c || p.AtEnd() {
		return false
	}
	p.pos++
	return true
}

// Expect reads c, which has to be next.
func (p *Parser) Expect(c byte) {
	if !p.Skip(c) {
		p.Fail("%q expected", c)
	}
}

// Space reads the space between two arguments. More than one is accepted.
func (p *Parser) Space() {
	if !p.Skip(' ') {
		p.Fail("another argument expected")
		return
	}
	for p.Skip(' ') {
	}
}

// SkipSpace reads a space, if there is one, and reports whether another argument follows. Blanks at
// the end of the command are ignored.
func (p *Parser) SkipSpace() bool {
	found := false
	for p.Skip(' ') {
		found = true
	}
	return found && !p.AtEnd() && p.Peek() != '\t'
}

// Enter counts one more level of nesting, and fails at the limit. Leave undoes it.
func (p *Parser) Enter() {
	if p.depth++; p.depth > maxDepth {
		p.Limit("nested deeper than %d", maxDepth)
	}
}

// Leave undoes Enter.
func (p *Parser) Leave() { p.depth-- }

// List reads a parenthesized list and calls item for each of its elements; it
// may be empty.
func (p *Parser) List(item func()) {
	p.Enter()
	defer p.Leave()
	p.Expect('(')
	for p.Skip(' ') {
	}
	for p.OK() && !p.Skip(')') {
		item()
		if p.Peek() != ')' {
			p.Space()
		}
	}
}

// The classes of bytes (RFC 9051 section 9).
const (
	atomChar    = 1 << iota // ATOM-CHAR
	astringChar             // ASTRING-CHAR
	listChar                // list-char
	tagChar                 // of a tag
	itemChar                // of the name of a FETCH item or section
	digitChar
)

var classes = func() (t [256]uint8) {
	for c := byte('!'); c < 0x7f; c++ {
		set := uint8(atomChar | astringChar | listChar | tagChar | itemChar)
		switch c {
		case '(', ')', '{', '"', '\\':
			set = 0
		case '%', '*':
			set = listChar
		case ']':
			set = astringChar | listChar | tagChar // a resp-special, no ATOM-CHAR
		case '+':
			set &^= tagChar
		case '[', '<', '>':
			set &^= itemChar
		}
		if c >= '0' && c <= '9' {
			set |= digitChar
		}
		t[c] = set
	}
	return t
}()

// run reads the bytes of a class.
func (p *Parser) run(class uint8) []byte {
	if p.err != nil {
		return nil
	}
	start := p.pos
	for p.pos < len(p.b) && classes[p.b[p.pos]]&class != 0 {
		p.pos++
	}
	return p.b[start:p.pos]
}

// Tag reads a command's tag; it is empty if there is none.
func (p *Parser) Tag() []byte { return p.run(tagChar) }

// Atom reads an atom.
func (p *Parser) Atom() []byte {
	a := p.run(atomChar)
	if len(a) == 0 {
		p.Fail("a word expected")
	}
	return a
}

// Keyword reads an atom and turns it into upper case.
func (p *Parser) Keyword() []byte { return upper(p.Atom()) }

// Item reads the name of a FETCH item or of a section, up to a bracket, in upper case. It
// may be empty.
func (p *Parser) Item() []byte { return upper(p.run(itemChar)) }

func upper(a []byte) []byte {
	for i, c := range a {
		if c >= 'a' && c <= 'z' {
			a[i] = c - ('a' - 'A')
		}
	}
	return a
}

// Number64 reads a number below 2^63.
func (p *Parser) Number64() int64 {
	digits := p.run(digitChar)
	if len(digits) == 0 {
		p.Fail("a number expected")
		return 0
	}
	var n int64
	for _, c := range digits {
		if n > (math.MaxInt64-9)/10 {
			p.Fail("a number is too big")
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// Number reads a number below 2^32.
func (p *Parser) Number() uint32 {
	n := p.Number64()
	if n > math.MaxUint32 {
		p.Fail("a number is too big")
		return 0
	}
	return uint32(n)
}

// NzNumber reads a number below 2^32 that is not 0.
func (p *Parser) NzNumber() uint32 {
	n := p.Number()
	if n == 0 {
		p.Fail("a number above 0 expected")
	}
	return n
}

// Flag reads a flag or keyword.
func (p *Parser) Flag() string {
	if p.Skip('\\') {
		return `\` + string(p.Atom())
	}
	return string(p.Atom())
}

// Rest returns up to max of the bytes that were not parsed yet, for the log.
func (p *Parser) Rest(max int) string {
	rest := p.b[p.pos:]
	if len(rest) > max {
		return string(rest[:max]) + "..."
	}
	return string(rest)
}
