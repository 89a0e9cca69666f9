package archive

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// clean returns a text of people with lines that end in \n, in valid UTF-8, without characters that control a terminal or the
// direction of text, behind which a text may hide that it is another one (Unicode Technical Report 36).
func clean(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r == '\n', r == '\t':
			return r
		case unicode.Is(unicode.Cc, r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F, r == 0x061C, r == 0xFEFF:
			return -1
		case r == 0x2028, r == 0x2029:
			return '\n'
		}
		return r
	}, s)
}

// CleanLine is a text of people for a place that has one line: without characters that control a terminal or the direction of text, of 1,000 bytes
// at most.
func CleanLine(s string) string {
	if len(s) > 1000 {
		s = strings.ToValidUTF8(s[:1000], "")
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, clean(s)))
}

// maxDepth bounds the nesting of what is not shown.
const maxDepth = 1000

// plainText is what an HTML text says: its texts, with a line end where a block begins or ends, and the addresses of links that lead to
// web pages. Scripts, styles, and all that would load something are left out.
func plainText(r io.Reader, most int) (string, error) {
	z := html.NewTokenizer(r)
	z.SetMaxBuf(maxMarkup)
	w := &textWriter{}
	hidden, link := 0, ""
	for w.b.Len() <= most {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, html.ErrBufferExceeded) {
				return "", err
			}
			return w.b.String(), nil
		case html.TextToken:
			if hidden == 0 {
				w.text(string(z.Text()))
			}
		case html.StartTagToken:
			name, more := z.TagName()
			switch tag := atom.Lookup(name); tag {
			case atom.Script, atom.Style, atom.Title, atom.Iframe, atom.Noembed, atom.Noframes, atom.Noscript, atom.Template, atom.Object, atom.Svg, atom.Math, atom.Select:
				hidden = min(hidden+1, maxDepth)
			case atom.Body:
				hidden = 0
			case atom.A:
				link = ""
				for more && link == "" {
					var key, value []byte
					if key, value, more = z.TagAttr(); bytes.Equal(key, []byte("href")) {
						link = webAddress(string(value))
					}
				}
			default:
				w.block(tag)
			}
		case html.SelfClosingTagToken:
			name, _ := z.TagName()
			w.block(atom.Lookup(name))
		case html.EndTagToken:
			name, _ := z.TagName()
			switch tag := atom.Lookup(name); tag {
			case atom.Script, atom.Style, atom.Title, atom.Iframe, atom.Noembed, atom.Noframes, atom.Noscript, atom.Template, atom.Object, atom.Svg, atom.Math, atom.Select:
				hidden = max(hidden-1, 0)
			case atom.A:
				if link != "" && hidden == 0 && !strings.HasSuffix(w.b.String()[max(0, w.b.Len()-len(link)):], link) {
					w.text(" <" + link + ">")
				}
				link = ""
			default:
				w.block(tag)
			}
		}
	}
	return w.b.String(), nil
}

// webAddress is an address of a web page, or "".
func webAddress(s string) string {
	s = strings.TrimSpace(s)
	low := strings.ToLower(s)
	if !strings.HasPrefix(low, "https://") && !strings.HasPrefix(low, "http://") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '<' || r == '>' || r == '"' }) || len(s) > 2000 {
		return ""
	}
	return s
}

// textWriter joins white space as browsers do.
type textWriter struct {
	b     strings.Builder
	blank bool
	lines int // line ends at the end
}

func (w *textWriter) text(s string) {
	for _, r := range s {
		if unicode.IsSpace(r) && r != '\u00a0' {
			w.blank = true
			continue
		}
		if w.blank && w.lines == 0 && w.b.Len() > 0 {
			w.b.WriteByte(' ')
		}
		w.blank, w.lines = false, 0
		w.b.WriteRune(r)
	}
}

// block ends the line where a tag does, and leaves one line empty between paragraphs.
func (w *textWriter) block(tag atom.Atom) {
	want := 0
	switch tag {
	case atom.Br:
		want = w.lines + 1
	case atom.P, atom.Blockquote, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Table, atom.Hr, atom.Pre:
		want = 2
	case atom.Div, atom.Tr, atom.Li, atom.Dt, atom.Dd, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Center:
		want = 1
	case atom.Td, atom.Th:
		w.blank = true
	}
	for w.b.Len() > 0 && w.lines < min(want, 2) {
		w.b.WriteByte('\n')
		w.lines++
	}
}
