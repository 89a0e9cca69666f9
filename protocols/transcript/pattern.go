package transcript

import (
	"fmt"
	"regexp"
	"strings"
)

var reference = regexp.MustCompile(`^<\$([A-Za-z][A-Za-z0-9_]*)>`)
var capture = regexp.MustCompile(`^<([A-Za-z][A-Za-z0-9_]*)=`)

// expand replaces every <$name>.
func expand(text string, vars map[string]string) (string, error) {
	var b strings.Builder
	for text != "" {
		i := strings.Index(text, "<$")
		if i < 0 {
			break
		}
		m := reference.FindStringSubmatch(text[i:])
		if m == nil {
			b.WriteString(text[:i+1])
			text = text[i+1:]
			continue
		}
		v, ok := vars[m[1]]
		if !ok {
			return "", fmt.Errorf("no text has the name %s yet", m[1])
		}
		b.WriteString(text[:i] + v)
		text = text[i+len(m[0]):]
	}
	return b.String() + text, nil
}

// compile turns the text of an S: line into a regular expression.
func compile(text string, vars map[string]string) (*regexp.Regexp, error) {
	var re strings.Builder
	re.WriteString(`(?s)\A`)
	for text != "" {
		i := strings.IndexAny(text, `<\`)
		if i < 0 {
			break
		}
		re.WriteString(regexp.QuoteMeta(text[:i]))
		text = text[i:]
		switch {
		case strings.HasPrefix(text, `\<`):
			re.WriteByte('<')
			text = text[2:]
		case strings.HasPrefix(text, `<*>`):
			re.WriteString(`.*`)
			text = text[3:]
		case reference.MatchString(text):
			m := reference.FindStringSubmatch(text)
			v, ok := vars[m[1]]
			if !ok {
				return nil, fmt.Errorf("no text has the name %s yet", m[1])
			}
			re.WriteString(regexp.QuoteMeta(v))
			text = text[len(m[0]):]
		case capture.MatchString(text):
			m := capture.FindStringSubmatch(text)
			expr, rest, ok := cutExpression(text[len(m[0]):])
			if !ok {
				return nil, fmt.Errorf("<%s= has no end", m[1])
			}
			fmt.Fprintf(&re, "(?P<%s>%s)", m[1], expr)
			text = rest
		default:
			re.WriteString(regexp.QuoteMeta(text[:1]))
			text = text[1:]
		}
	}
	re.WriteString(regexp.QuoteMeta(text))
	re.WriteString(`\z`)
	return regexp.Compile(re.String())
}

// cutExpression splits at the > that ends a capture; \> within is a letter.
func cutExpression(s string) (expr, rest string, ok bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '>':
			return s[:i], s[i+1:], true
		}
	}
	return "", "", false
}

// match reports whether the line fits, and keeps what it captures.
func match(re *regexp.Regexp, line string, vars map[string]string) bool {
	m := re.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	for i, name := range re.SubexpNames() {
		if name != "" {
			vars[name] = m[i]
		}
	}
	return true
}
