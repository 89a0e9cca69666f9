package contentline

import (
	"fmt"
	"io"
	"strings"
)

// Limits of one content line.
const (
	// MaxLine is the length of an unfolded line in bytes: an attachment of some megabytes in base64 fits.
	MaxLine = 16 << 20
	// MaxParams is the number of parameters of a line, and of values of a parameter.
	MaxParams = 200
)

// Line is one unfolded content line.
type Line struct {
	// Group is the part before the dot of a vCard property, "" without one.
	Group string
	// Name is the name of the property in upper case.
	Name   string
	Params []Param
	// Value is the unfolded value with its escapes.
	Value string
	// Number is that of the first line of text, from 1.
	Number int
	// Start and End are the bytes of the line in what was scanned, folds and line ends included.
	Start, End int
}

// Param is a parameter with its decoded values.
type Param struct {
	// Name is in upper case.
	Name   string
	Values []string
}

// Param returns the first value of a parameter. The name is in upper case.
func (l *Line) Param(name string) (value string, ok bool) {
	for _, p := range l.Params {
		if p.Name == name {
			if len(p.Values) == 0 {
				return "", true
			}
			return p.Values[0], true
		}
	}
	return "", false
}

// ParamIs reports whether one of the values of a parameter is this one, whatever the case.
func (l *Line) ParamIs(name, value string) bool {
	for _, p := range l.Params {
		if p.Name != name {
			continue
		}
		for _, v := range p.Values {
			if strings.EqualFold(v, value) {
				return true
			}
		}
	}
	return false
}

// SyntaxError is a line that is not a content line, or an object made of lines that is not one.
type SyntaxError struct {
	// Line is the number of the line of text, from 1; 0 means the object as a whole.
	Line   int
	Reason string
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.Reason
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
}

// Scanner reads content lines from a text.
type Scanner struct {
	text   string
	pos    int
	number int // of the line at pos
	// Lenient accepts parameters without a name, as vCard 2.1 has them (they become values of TYPE, or of
	// ENCODING for the names of encodings), and soft line breaks of quoted-printable.
	Lenient bool
}

// NewScanner returns a Scanner of a text. A byte order mark at its start is stepped over.
func NewScanner(text string) *Scanner {
	s := &Scanner{text: text, number: 1}
	if strings.HasPrefix(text, "\ufeff") {
		s.pos = 3
	}
	return s
}

// physical returns the next line of text without its end.
func (s *Scanner) physical() string {
	rest := s.text[s.pos:]
	end := strings.IndexByte(rest, '\n')
	if end < 0 {
		s.pos = len(s.text)
		end = len(rest)
	} else {
		s.pos += end + 1
	}
	s.number++
	if end > 0 && rest[end-1] == '\r' {
		end--
	}
	return rest[:end]
}

func (s *Scanner) folded() bool {
	return s.pos < len(s.text) && (s.text[s.pos] == ' ' || s.text[s.pos] == '\t')
}

// Next returns the next line, io.EOF after the last one, or a SyntaxError. Empty lines are stepped over.
func (s *Scanner) Next() (Line, error) {
	for s.pos < len(s.text) {
		l := Line{Start: s.pos, Number: s.number}
		text := s.physical()
		if len(text) > MaxLine {
			return l, &SyntaxError{l.Number, fmt.Sprintf("the line is longer than %d bytes", MaxLine)}
		}
		if s.folded() {
			var b strings.Builder
			b.WriteString(text)
			for s.folded() {
				b.WriteString(s.physical()[1:])
				if b.Len() > MaxLine {
					return l, &SyntaxError{l.Number, fmt.Sprintf("the line is longer than %d bytes", MaxLine)}
				}
			}
			text = b.String()
		}
		l.End = s.pos
		if strings.TrimSpace(text) == "" {
			continue
		}
		if err := s.split(&l, text); err != nil {
			return l, err
		}
		if s.Lenient && strings.HasSuffix(l.Value, "=") && l.ParamIs("ENCODING", "QUOTED-PRINTABLE") {
			var b strings.Builder
			b.WriteString(l.Value)
			for strings.HasSuffix(text, "=") && s.pos < len(s.text) {
				text = s.physical()
				b.WriteString("\r\n")
				b.WriteString(text)
				if b.Len() > MaxLine {
					return l, &SyntaxError{l.Number, fmt.Sprintf("the line is longer than %d bytes", MaxLine)}
				}
			}
			l.Value, l.End = b.String(), s.pos
		}
		return l, nil
	}
	return Line{}, io.EOF
}

func isName(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// word returns the length of the name that a text begins with.
func word(text string) int {
	n := 0
	for n < len(text) && isName(text[n]) {
		n++
	}
	return n
}

// encodings are what vCard 2.1 writes without ENCODING=.
var encodings = map[string]string{"QUOTED-PRINTABLE": "QUOTED-PRINTABLE", "BASE64": "BASE64", "B": "B", "8BIT": "8BIT", "7BIT": "7BIT"}

func (s *Scanner) split(l *Line, text string) error {
	fail := func(reason string) error { return &SyntaxError{l.Number, reason} }
	n := word(text)
	if n < len(text) && text[n] == '.' && n > 0 {
		l.Group = text[:n]
		text = text[n+1:]
		n = word(text)
	}
	if n == 0 {
		return fail("the line does not begin with the name of a property")
	}
	l.Name = strings.ToUpper(text[:n])
	text = text[n:]
	for strings.HasPrefix(text, ";") {
		text = text[1:]
		n := word(text)
		if n == 0 {
			if s.Lenient && (strings.HasPrefix(text, ";") || strings.HasPrefix(text, ":")) {
				continue
			}
			return fail("a parameter of " + l.Name + " has no name")
		}
		if len(l.Params) >= MaxParams {
			return fail(fmt.Sprintf("%s has more than %d parameters", l.Name, MaxParams))
		}
		p := Param{Name: strings.ToUpper(text[:n])}
		text = text[n:]
		if !strings.HasPrefix(text, "=") {
			if !s.Lenient {
				return fail("the parameter " + p.Name + " of " + l.Name + " has no value")
			}
			p.Values = []string{p.Name}
			p.Name = "TYPE"
			if _, ok := encodings[p.Values[0]]; ok {
				p.Name = "ENCODING"
			}
			l.Params = append(l.Params, p)
			continue
		}
		for sep := byte('='); len(text) > 0 && text[0] == sep; sep = ',' {
			text = text[1:]
			var value string
			if strings.HasPrefix(text, `"`) {
				end := strings.IndexByte(text[1:], '"')
				if end < 0 {
					return fail("the parameter " + p.Name + " of " + l.Name + " has an opening quote without a closing one")
				}
				value, text = text[1:1+end], text[2+end:]
			} else {
				end := strings.IndexAny(text, ",;:\"")
				if end < 0 {
					return fail(l.Name + " has no colon")
				}
				value, text = text[:end], text[end:]
			}
			if len(p.Values) >= MaxParams {
				return fail(fmt.Sprintf("the parameter %s of %s has more than %d values", p.Name, l.Name, MaxParams))
			}
			p.Values = append(p.Values, DecodeParam(value))
		}
		l.Params = append(l.Params, p)
	}
	if !strings.HasPrefix(text, ":") {
		return fail(l.Name + " has no colon where one must be")
	}
	l.Value = text[1:]
	return nil
}

// DecodeParam undoes the escapes of a parameter value (RFC 6868).
func DecodeParam(v string) string {
	if strings.IndexByte(v, '^') < 0 {
		return v
	}
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] == '^' && i+1 < len(v) {
			switch v[i+1] {
			case 'n':
				b.WriteByte('\n')
				i++
				continue
			case '\'':
				b.WriteByte('"')
				i++
				continue
			case '^':
				i++
			}
		}
		b.WriteByte(v[i])
	}
	return b.String()
}

// AppendParam appends ;NAME=value,value, escaped (RFC 6868) and quoted where it must be. Control characters
// cannot be written and are left out.
func AppendParam(b []byte, name string, values ...string) []byte {
	b = append(b, ';')
	b = append(b, name...)
	for i, v := range values {
		if i == 0 {
			b = append(b, '=')
		} else {
			b = append(b, ',')
		}
		quote := strings.ContainsAny(v, ",;:")
		if quote {
			b = append(b, '"')
		}
		for i := 0; i < len(v); i++ {
			switch c := v[i]; {
			case c == '\n':
				b = append(b, "^n"...)
			case c == '"':
				b = append(b, "^'"...)
			case c == '^':
				b = append(b, "^^"...)
			case c < ' ' && c != '\t' || c == 0x7f:
			default:
				b = append(b, c)
			}
		}
		if quote {
			b = append(b, '"')
		}
	}
	return b
}

// AppendHead appends what stands before the value: group, name, parameters and the colon.
func (l *Line) AppendHead(b []byte) []byte {
	if l.Group != "" {
		b = append(b, l.Group...)
		b = append(b, '.')
	}
	b = append(b, l.Name...)
	for _, p := range l.Params {
		b = AppendParam(b, p.Name, p.Values...)
	}
	return append(b, ':')
}

// Append appends the line, folded, with its line end.
func (l *Line) Append(b []byte) []byte {
	return Fold(b, string(append(l.AppendHead(nil), l.Value...)))
}

// Fold appends a line in pieces of at most 75 bytes with CRLF after each (RFC 5545 section 3.1). Characters are
// not broken. Line breaks inside the text are left out: they would begin another property.
func Fold(b []byte, text string) []byte {
	width := 0
	for i := 0; i < len(text); {
		n := 1
		if c := text[i]; c >= 0xc0 {
			for i+n < len(text) && n < 4 && text[i+n]&0xc0 == 0x80 {
				n++
			}
		} else if c == '\r' || c == '\n' {
			i++
			continue
		}
		if width+n > 75 {
			b = append(b, "\r\n "...)
			width = 1
		}
		b = append(b, text[i:i+n]...)
		width += n
		i += n
	}
	return append(b, "\r\n"...)
}

// EscapeText writes a value of type TEXT (RFC 5545 section 3.3.11, RFC 6350 section 4).
func EscapeText(v string) string {
	if !strings.ContainsAny(v, "\\;,\n\r") {
		return v
	}
	return escaper.Replace(v)
}

var escaper = strings.NewReplacer(`\`, `\\`, `;`, `\;`, `,`, `\,`, "\r\n", `\n`, "\n", `\n`, "\r", `\n`)

// UnescapeText reads a value of type TEXT.
func UnescapeText(v string) string {
	if strings.IndexByte(v, '\\') < 0 {
		return v
	}
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) {
			i++
			if v[i] == 'n' || v[i] == 'N' {
				b.WriteByte('\n')
				continue
			}
		}
		b.WriteByte(v[i])
	}
	return b.String()
}

// Split cuts a value at each separator that has no backslash before it. The pieces keep their escapes.
func Split(v string, sep byte) []string {
	if strings.IndexByte(v, sep) < 0 {
		return []string{v}
	}
	var out []string
	from := 0
	for i := 0; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case sep:
			out = append(out, v[from:i])
			from = i + 1
		}
	}
	return append(out, v[from:])
}
