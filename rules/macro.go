package rules

import (
	"strings"
	"unicode"
)

// template is a text with macros.
type template []piece

// piece is a text, or a macro's letter.
type piece struct {
	text  string
	macro byte
}

// macros are the letters that stand for something of the message after a ^.
const macros = "SsFTIR"

// newTemplate reads a text: ^S and its like are macros, ^^ is ^, anything else stays as it is.
func newTemplate(s string) template {
	var t template
	var text strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '^' || i+1 == len(s) {
			text.WriteByte(s[i])
			continue
		}
		switch c := s[i+1]; {
		case c == '^':
			text.WriteByte('^')
			i++
		case strings.IndexByte(macros, c) >= 0:
			if text.Len() > 0 {
				t = append(t, piece{text: text.String()})
				text.Reset()
			}
			t = append(t, piece{macro: c})
			i++
		default:
			text.WriteByte('^')
		}
	}
	if text.Len() > 0 {
		t = append(t, piece{text: text.String()})
	}
	return t
}

func (t template) hasMacro() bool {
	for _, p := range t {
		if p.macro != 0 {
			return true
		}
	}
	return false
}

// expand returns the text for a message. encode, if not nil, is applied to the values of macros.
func (t template) expand(r *Run, encode func(string) string) string {
	if len(t) == 1 && t[0].macro == 0 {
		return t[0].text
	}
	var b strings.Builder
	for _, p := range t {
		if p.macro == 0 {
			b.WriteString(p.text)
			continue
		}
		v := r.macro(p.macro)
		if encode != nil {
			v = encode(v)
		}
		b.WriteString(v)
	}
	return b.String()
}

// maxMacro bounds the value of a macro: it is a stranger's text.
const maxMacro = 900

// macro is what a letter stands for, on one line.
func (r *Run) macro(letter byte) string {
	s := ""
	switch letter {
	case 'S':
		v, _ := r.subject()
		s = v.shown
	case 's':
		s = r.raw("Subject")
	case 'F':
		s = r.decoded("From")
	case 'T':
		s = r.decoded("Date")
	case 'I':
		v, _ := r.messageID()
		s = v.shown
	case 'R':
		s = r.written(r.in.Owner)
	}
	if s = oneLine(s); len(s) > maxMacro {
		s = strings.ToValidUTF8(s[:maxMacro], "")
	}
	return s
}

// raw is the value of the first field with a name as it stands in the header.
func (v *view) raw(name string) string {
	if i := v.find(name); i >= 0 {
		return strings.TrimSpace(string(v.fields[i].value))
	}
	return ""
}

// decoded is the value of the first field with a name.
func (v *view) decoded(name string) string {
	if i := v.find(name); i >= 0 {
		return v.message.Decode(v.fields[i].value)
	}
	return ""
}

// oneLine makes a text one that can stand in a line: line ends and other controls become blanks.
func oneLine(s string) string {
	s = strings.ReplaceAll(s, "\r\n", " ")
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s)
}

// percentEncode makes a text a part of a URL (RFC 3986 section 2.3).
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
