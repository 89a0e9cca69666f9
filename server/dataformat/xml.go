package dataformat

import "strings"

// xmlEnd returns the offset behind the XML element that starts at start. It
// checks that tags match and quotes close, not what a validating parser would;
// declarations are refused, so that no entity can be defined.
func (p *parser) xmlEnd(start, depth int) (int, error) {
	var open []string
	for pos := start; pos < len(p.s); {
		tok := xmlToken(p.s[pos:])
		if tok.len == 0 {
			return 0, p.fail(pos, "bad XML")
		}
		if strings.IndexByte(p.s[pos:pos+tok.len], 0) >= 0 {
			return 0, p.fail(pos, "zero byte in XML")
		}
		switch tok.kind {
		case xmlOpen:
			if depth+len(open) >= MaxDepth {
				return 0, p.fail(pos, "objects are nested too deeply")
			}
			open = append(open, tok.name)
		case xmlClose:
			if len(open) == 0 || open[len(open)-1] != tok.name {
				return 0, p.fail(pos, "XML end tag without its start tag")
			}
			open = open[:len(open)-1]
		}
		pos += tok.len
		if len(open) == 0 {
			if tok.kind != xmlClose && tok.kind != xmlEmpty {
				return 0, p.fail(start, "bad XML") // a comment or text in place of the element
			}
			return pos, nil
		}
	}
	return 0, p.fail(start, "XML element without end")
}

type xmlKind uint8

const (
	xmlText xmlKind = iota
	xmlOpen
	xmlClose
	xmlEmpty   // <tag/>
	xmlComment // or a processing instruction
	xmlCDATA
)

type xmlTok struct {
	kind xmlKind
	len  int // 0: malformed
	name string
}

// xmlToken recognises the token that s starts with.
func xmlToken(s string) xmlTok {
	until := func(kind xmlKind, prefix int, end string) xmlTok {
		if n := strings.Index(s[prefix:], end); n >= 0 {
			return xmlTok{kind: kind, len: prefix + n + len(end)}
		}
		return xmlTok{}
	}
	switch {
	case s[0] != '<':
		if n := strings.IndexByte(s, '<'); n >= 0 {
			return xmlTok{kind: xmlText, len: n}
		}
		return xmlTok{}
	case strings.HasPrefix(s, "<!--"):
		return until(xmlComment, 4, "-->")
	case strings.HasPrefix(s, "<![CDATA["):
		return until(xmlCDATA, 9, "]]>")
	case strings.HasPrefix(s, "<?"):
		return until(xmlComment, 2, "?>")
	case strings.HasPrefix(s, "</"):
		name := xmlName(s[2:])
		end := 2 + len(name)
		for end < len(s) && isXMLSpace(s[end]) {
			end++
		}
		if name == "" || end >= len(s) || s[end] != '>' {
			return xmlTok{}
		}
		return xmlTok{kind: xmlClose, len: end + 1, name: name}
	}
	return xmlTag(s)
}

// xmlTag recognises a start tag or an empty-element tag.
func xmlTag(s string) xmlTok {
	name := xmlName(s[1:])
	if after := 1 + len(name); name == "" || after < len(s) && !isXMLSpace(s[after]) && s[after] != '/' && s[after] != '>' {
		return xmlTok{}
	}
	var quote byte
	for i := 1 + len(name); i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			} else if c == '<' {
				return xmlTok{}
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '<':
			return xmlTok{}
		case c == '>':
			if s[i-1] == '/' {
				return xmlTok{kind: xmlEmpty, len: i + 1, name: name}
			}
			return xmlTok{kind: xmlOpen, len: i + 1, name: name}
		}
	}
	return xmlTok{}
}

func xmlName(s string) string {
	i := 0
	for i < len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' || c >= 0x80
		if !letter && (i == 0 || !isDigit(c) && c != '-' && c != '.') {
			break
		}
		i++
	}
	return s[:i]
}

func isXMLSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// flattenXML puts an element on one line without changing what it says: line
// ends in text and attribute values become character references, those
// elsewhere blanks. s is well-formed in the sense of xmlEnd.
func flattenXML(s string) string {
	if !strings.ContainsAny(s, "\r\n") {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		tok := xmlToken(s)
		text := lineEnds.Replace(s[:tok.len])
		switch tok.kind {
		case xmlText:
			text = strings.ReplaceAll(text, "\n", "&#10;")
		case xmlCDATA:
			text = strings.ReplaceAll(text, "\n", "]]>&#10;<![CDATA[")
		case xmlComment:
			text = strings.ReplaceAll(text, "\n", " ")
		default:
			text = flattenTag(text)
		}
		b.WriteString(text)
		s = s[tok.len:]
	}
	return b.String()
}

func flattenTag(s string) string {
	var b strings.Builder
	var quote byte
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '\n' && quote != 0:
			b.WriteString("&#10;")
			continue
		case c == '\n':
			c = ' '
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		}
		b.WriteByte(c)
	}
	return b.String()
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// flattenOpaque keeps an opaque object on one line and within its parentheses.
func flattenOpaque(s string) string {
	if !strings.ContainsAny(s, "\r\n)\x00") {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '\r', '\n', 0, ')':
			return ' '
		}
		return r
	}, s)
}
