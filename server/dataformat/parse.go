package dataformat

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// errAtom is what scripts know as the answer to a bad character in a bare string.
const errAtom = "failed to read an unquoted string: non a/n data"

// Parse reads a multi-line text that holds one object and nothing else.
// Errors are of type *SyntaxError.
func Parse(text []byte) (Value, error) {
	p := parser{s: string(text), multi: true}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if err := p.space(); err != nil {
		return nil, err
	}
	if p.pos < len(p.s) {
		return nil, p.fail(p.pos, "text after the end of the object")
	}
	return v, nil
}

// parser reads s from pos on.
type parser struct {
	s     string
	pos   int
	multi bool // multi-line text: line ends and comments separate
}

func (p *parser) fail(at int, msg string) error {
	return &SyntaxError{Offset: at, Line: 1 + strings.Count(p.s[:at], "\n"), Msg: msg}
}

// unexpected describes the byte at pos where something else was needed.
func (p *parser) unexpected(want string) error {
	if p.pos >= len(p.s) {
		return p.fail(p.pos, want+" expected, but the text ends")
	}
	return p.fail(p.pos, want+" expected")
}

// peek returns the byte at pos, or 0 at the end; a zero byte has no place in a text.
func (p *parser) peek() byte {
	if p.pos < len(p.s) {
		return p.s[p.pos]
	}
	return 0
}

// space skips what separates.
func (p *parser) space() error {
	for p.pos < len(p.s) {
		switch c := p.s[p.pos]; {
		case c == ' ' || c == '\t':
			p.pos++
		case p.multi && (c == '\n' || c == '\r'):
			p.pos++
		case p.multi && c == '/' && strings.HasPrefix(p.s[p.pos:], "//"):
			n := strings.IndexAny(p.s[p.pos:], "\r\n")
			if n < 0 {
				n = len(p.s) - p.pos
			}
			p.pos += n
		case p.multi && c == '/' && strings.HasPrefix(p.s[p.pos:], "/*"):
			n := strings.Index(p.s[p.pos+2:], "*/")
			if n < 0 {
				return p.fail(p.pos, "comment without end")
			}
			p.pos += n + 4
		default:
			return nil
		}
	}
	return nil
}

// value reads one object after any space. depth counts what it is nested in.
func (p *parser) value(depth int) (Value, error) {
	if err := p.space(); err != nil {
		return nil, err
	}
	switch p.peek() {
	case '"':
		s, err := p.quoted(p.multi || depth > 0)
		return String(s), err
	case '[':
		return p.data(p.multi || depth > 0)
	case '#':
		return p.special()
	case '(':
		return p.array(depth + 1)
	case '{':
		return p.dict(depth + 1)
	case '<':
		end, err := p.xmlEnd(p.pos, depth)
		if err != nil {
			return nil, err
		}
		x := flattenXML(p.s[p.pos:end])
		p.pos = end
		return XML(x), nil
	}
	s, err := p.atom()
	return String(s), err
}

// atom reads a bare string.
func (p *parser) atom() (string, error) {
	start := p.pos
	for p.pos < len(p.s) && class[p.s[p.pos]]&inAtom != 0 {
		p.pos++
	}
	if p.pos == start && p.pos >= len(p.s) {
		return "", p.unexpected("an object")
	}
	if p.pos == start || !p.atDelimiter() {
		return "", p.fail(p.pos, errAtom)
	}
	return p.s[start:p.pos], nil
}

// atDelimiter reports whether a bare token may end at pos.
func (p *parser) atDelimiter() bool {
	if p.pos >= len(p.s) {
		return true
	}
	c := p.s[p.pos]
	return class[c]&endsAtom != 0 || p.multi && (c == '\n' || c == '\r')
}

// array reads ( object, object ... ).
func (p *parser) array(depth int) (Value, error) {
	if depth > MaxDepth {
		return nil, p.fail(p.pos, "objects are nested too deeply")
	}
	p.pos++
	if err := p.space(); err != nil {
		return nil, err
	}
	a := Array{}
	if p.peek() == ')' {
		p.pos++
		return a, nil
	}
	for {
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
		if err := p.space(); err != nil {
			return nil, err
		}
		switch p.peek() {
		case ',':
			p.pos++
		case ')':
			p.pos++
			return a, nil
		default:
			return nil, p.unexpected(", or ) after an array element")
		}
	}
}

// dict reads { key = object; ... }. Of equal keys the last one wins.
func (p *parser) dict(depth int) (Value, error) {
	if depth > MaxDepth {
		return nil, p.fail(p.pos, "objects are nested too deeply")
	}
	p.pos++
	d := Dict{}
	for {
		if err := p.space(); err != nil {
			return nil, err
		}
		if p.peek() == '}' {
			p.pos++
			return d, nil
		}
		key, err := p.key()
		if err != nil {
			return nil, err
		}
		if err := p.space(); err != nil {
			return nil, err
		}
		if p.peek() != '=' {
			return nil, p.unexpected("= after a dictionary key")
		}
		p.pos++
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		d[key] = v
		if err := p.space(); err != nil {
			return nil, err
		}
		if p.peek() != ';' {
			return nil, p.unexpected("; after a dictionary value")
		}
		p.pos++
	}
}

func (p *parser) key() (string, error) {
	if p.peek() == '"' {
		return p.quoted(true)
	}
	return p.atom()
}

// data reads [base64]; adjacent says whether pieces that follow belong to it.
func (p *parser) data(adjacent bool) (Value, error) {
	d := Data{}
	for {
		n := strings.IndexByte(p.s[p.pos:], ']')
		if n < 0 {
			return nil, p.fail(p.pos, "datablock without ]")
		}
		text := p.s[p.pos+1 : p.pos+n]
		if strings.ContainsAny(text, " \t\r\n") {
			text = strings.Join(strings.Fields(text), "")
		}
		for pad := 0; pad < 2 && strings.HasSuffix(text, "="); pad++ {
			text = text[:len(text)-1]
		}
		var err error
		if d, err = base64.RawStdEncoding.AppendDecode(d, []byte(text)); err != nil {
			return nil, p.fail(p.pos, "datablock is not in Base64")
		}
		p.pos += n + 1
		if !adjacent {
			return d, nil
		}
		if err := p.space(); err != nil {
			return nil, err
		}
		if p.peek() != '[' {
			return d, nil
		}
	}
}

// special reads the objects that start with #.
func (p *parser) special() (Value, error) {
	start := p.pos
	rest := p.s[start:]
	switch {
	case strings.HasPrefix(rest, "#NULL#"):
		p.pos += len("#NULL#")
		if p.atDelimiter() {
			return Null{}, nil
		}
	case strings.HasPrefix(rest, "#("):
		n := strings.IndexByte(rest, ')')
		if n < 0 {
			return nil, p.fail(start, "opaque object without )")
		}
		p.pos += n + 1
		return Opaque(flattenOpaque(rest[2:n])), nil
	case strings.HasPrefix(rest, "#I["):
		return p.ip()
	case strings.HasPrefix(rest, "#T"):
		text := p.bare(len("#T"))
		if t, ok := parseTime(text); ok && p.atDelimiter() {
			return t, nil
		}
		return nil, p.fail(start, "bad time stamp")
	}
	p.pos = start
	text := p.bare(len("#"))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && p.atDelimiter() {
		return Number(n), nil
	}
	return nil, p.fail(start, "bad number")
}

// bare skips a prefix and returns the characters of an atom that follow it.
func (p *parser) bare(prefix int) string {
	p.pos += prefix
	start := p.pos
	for p.pos < len(p.s) && class[p.s[p.pos]]&inAtom != 0 {
		p.pos++
	}
	return p.s[start:p.pos]
}

// ip reads #I[address] and an optional :port.
func (p *parser) ip() (Value, error) {
	start := p.pos
	n := strings.IndexByte(p.s[start:], ']')
	if n < 0 {
		return nil, p.fail(start, "IP address without ]")
	}
	addr, err := netip.ParseAddr(p.s[start+len("#I[") : start+n])
	if err != nil || addr.Zone() != "" {
		return nil, p.fail(start, "bad IP address")
	}
	p.pos += n + 1
	if p.peek() != ':' {
		if !p.atDelimiter() {
			return nil, p.fail(start, "bad IP address")
		}
		return IP{Addr: addr}, nil
	}
	port, err := strconv.ParseUint(p.bare(len(":")), 10, 16)
	if err != nil || !p.atDelimiter() {
		return nil, p.fail(start, "bad port of an IP address")
	}
	return IP{Addr: addr, Port: uint16(port), HasPort: true}, nil
}

// parseTime reads DD-MM-YYYY, DD-MM-YYYY_hh:mm:ss, PAST and FUTURE.
func parseTime(s string) (Time, bool) {
	switch s {
	case "PAST":
		return Time{Kind: Past}, true
	case "FUTURE":
		return Time{Kind: Future}, true
	}
	layout := timeLayout
	if len(s) == len(dateLayout) {
		layout = dateLayout
	}
	if len(s) != len(layout) {
		return Time{}, false
	}
	t, err := time.Parse(layout, s)
	return Time{T: t}, err == nil
}

const (
	dateLayout = "02-01-2006"
	timeLayout = "02-01-2006_15:04:05"
)

// The classes of bytes outside quotes.
const (
	inAtom   = 1 << iota // may stand in a bare string
	endsAtom             // may follow one (line ends too, in multi-line text)
	inWord               // may stand in a bare word of a command
	isBare               // prints bare
)

var class = func() (t [256]uint8) {
	for c := range t {
		b := byte(c)
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '.', b == '_', b == '-', b == '@':
			t[c] = inAtom | inWord | isBare
		case b >= 0x80, b == ':', b == '!', b == '%':
			t[c] = inAtom | inWord
		case strings.IndexByte("+/*~$&='?^|", b) >= 0:
			t[c] = inWord
		}
		if strings.IndexByte("\"(){}[],;= \t", b) >= 0 {
			t[c] |= endsAtom
		}
	}
	return t
}()
