package message

import (
	"bytes"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// summary completes what run has found.
func (s *scanner) summary() *Summary {
	sum := s.sum
	sum.HasMedia = hasMedia(sum.Root)
	if sum.Preview = previewText(s.plain.reader()); sum.Preview == "" {
		sum.Preview = previewHTML(s.html.reader())
	}
	return sum
}

// reader decodes a sample to UTF-8.
func (c *sample) reader() io.Reader {
	if c.part == nil || len(c.text) == 0 {
		return bytes.NewReader(nil)
	}
	return ToUTF8(Decode(bytes.NewReader(c.text), c.part.Encoding), c.part.Param("charset"))
}

// A previewLine collects the characters of a preview. Runs of white space become one
// blank; characters that are not seen, which newsletters fill their beginning with,
// are dropped.
type previewLine struct {
	text  strings.Builder
	n     int // characters
	blank bool
}

// add takes text and reports whether there is room for more.
func (l *previewLine) add(b []byte) bool {
	for len(b) > 0 && l.n < MaxPreview {
		r, size := utf8.DecodeRune(b)
		b = b[size:]
		switch {
		case unicode.IsSpace(r):
			l.blank = l.n > 0
			continue
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == 0x34f:
			continue
		}
		if l.blank {
			l.text.WriteByte(' ')
			l.n++
			l.blank = false
			if l.n == MaxPreview {
				break
			}
		}
		l.text.WriteRune(r)
		l.n++
	}
	return l.n < MaxPreview
}

func (l *previewLine) String() string { return strings.TrimRight(l.text.String(), " ") }

func previewText(r io.Reader) string {
	var l previewLine
	b, err := io.ReadAll(r)
	if err != nil {
		return "" // the sample is in memory and decoding has no errors
	}
	l.add(b)
	return l.String()
}

// previewHTML takes the text of a page without its head, styles and scripts.
func previewHTML(r io.Reader) string {
	var l previewLine
	z := html.NewTokenizer(r)
	z.SetMaxBuf(2 * htmlSample)
	hidden := 0
	for {
		switch z.Next() {
		case html.ErrorToken:
			return l.String()
		case html.StartTagToken:
			name, _ := z.TagName()
			switch {
			case hiddenTag(name):
				hidden++
			case string(name) == "body":
				hidden = 0
			}
			l.blank = l.blank || l.n > 0 && !inlineTag(name)
		case html.SelfClosingTagToken:
			l.blank = l.blank || l.n > 0
		case html.EndTagToken:
			if name, _ := z.TagName(); hiddenTag(name) {
				hidden = max(0, hidden-1)
			} else {
				l.blank = l.blank || l.n > 0 && !inlineTag(name)
			}
		case html.TextToken:
			if hidden == 0 && !l.add(z.Text()) {
				return l.String()
			}
		}
	}
}

func hiddenTag(name []byte) bool {
	switch string(name) {
	case "head", "style", "script", "title":
		return true
	}
	return false
}

// inlineTag reports whether a tag leaves the words on both sides together.
func inlineTag(name []byte) bool {
	switch string(name) {
	case "a", "b", "i", "u", "em", "strong", "span", "font", "small", "big", "sub", "sup", "code":
		return true
	}
	return false
}
