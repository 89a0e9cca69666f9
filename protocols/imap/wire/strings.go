package wire

import (
	"unicode/utf8"
)

// AString reads an atom or a string.
func (p *Parser) AString() []byte { return p.astring(astringChar) }

// Pattern reads a mailbox name that may have the wildcards of LIST in it.
func (p *Parser) Pattern() []byte { return p.astring(listChar) }

func (p *Parser) astring(class uint8) []byte {
	switch p.Peek() {
	case '"', '{', '~':
		if p.Peek() != '~' || p.pos+1 < len(p.b) && p.b[p.pos+1] == '{' {
			return p.String()
		}
	}
	a := p.run(class)
	if len(a) == 0 {
		p.Fail("a string expected")
	}
	return a
}

// String reads a quoted string or a literal.
func (p *Parser) String() []byte {
	switch p.Peek() {
	case '"':
		return p.quoted()
	case '{', '~':
		return p.literal()
	}
	p.Fail("a string expected")
	return nil
}

func (p *Parser) quoted() []byte {
	p.Expect('"')
	start, escaped := p.pos, false
	for ; p.pos < len(p.b); p.pos++ {
		switch c := p.b[p.pos]; {
		case c == '"':
			s := p.b[start:p.pos]
			p.pos++
			if !utf8.Valid(s) {
				p.Fail("a quoted string has to be UTF-8")
				return nil
			}
			if escaped {
				return unescape(s)
			}
			return s
		case c == '\\':
			p.pos++
			if p.pos == len(p.b) || p.b[p.pos] != '"' && p.b[p.pos] != '\\' {
				p.Fail("only \\ and \" may be quoted by a backslash")
				return nil
			}
			escaped = true
		case c == '\r' || c == '\n':
			p.Fail("a quoted string has to end in its line")
			return nil
		}
	}
	p.Fail("a quoted string has no end")
	return nil
}

func unescape(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		out = append(out, s[i])
	}
	return out
}

// ErrLiteral is the error of a literal whose content is not in the command: it was not read yet, or is streamed.
var ErrLiteral error = &SyntaxError{Text: "a literal is not allowed here"}

// literal reads a literal with its announcement.
func (p *Parser) literal() []byte {
	p.Skip('~')
	p.Expect('{')
	n := p.Number64()
	p.Skip('+')
	p.Expect('}')
	if p.err == nil && p.AtEnd() {
		p.err = ErrLiteral
	}
	p.Skip('\r')
	p.Expect('\n')
	if p.err != nil {
		return nil
	}
	if n > int64(len(p.b)-p.pos) {
		if p.err == nil {
			p.err = ErrLiteral
		}
		return nil
	}
	s := p.b[p.pos : p.pos+int(n)]
	p.pos += int(n)
	return s
}

// Nil reads NIL.
func (p *Parser) Nil() {
	if a := p.Atom(); !equalFold(a, "nil") {
		p.Fail("NIL expected")
	}
}

// Text reads a string, or NIL, for which it returns "".
func (p *Parser) Text() string {
	if c := p.Peek(); c == '"' || c == '{' {
		return string(p.String())
	}
	p.Nil()
	return ""
}

// Base64 reads the rest of the command up to a space: a SASL response.
func (p *Parser) Base64() []byte {
	if p.err != nil {
		return nil
	}
	start := p.pos
	for p.pos < len(p.b) && p.b[p.pos] > ' ' {
		p.pos++
	}
	return p.b[start:p.pos]
}

// Announcement reads the announcement of a literal that is not part of the command
// because it is streamed.
func (p *Parser) Announcement() {
	p.Skip('~')
	p.Expect('{')
	p.Number64()
	p.Skip('+')
	p.Expect('}')
}
