package message

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/text/encoding/charmap"
)

// summary completes the summary after run.
func (s *scanner) summary() *Summary {
	sum := s.sum
	sum.HasMedia = hasMedia(sum.Root)
	if s.previewPlain(); s.line.n == 0 {
		s.previewHTML()
	}
	sum.Preview = s.line.String()
	return sum
}

// decodeSample decodes the first n bytes of a sample. It converts them to UTF-8 if the charset is
// known; previewLine converts other 8-bit bytes.
func (s *scanner) decodeSample(c *sample, n int) []byte {
	text := c.text[:min(n, len(c.text))]
	switch c.part.Encoding {
	case "base64":
		var step base64Step
		s.decoded = step.finish(step.decode(s.decoded[:0], text))
		text = s.decoded
	case "quoted-printable":
		var step quotedStep
		s.decoded = step.finish(step.decode(s.decoded[:0], text))
		text = s.decoded
	}
	if charset := c.part.Param("charset"); lookup(charset) != nil {
		return []byte(toUTF8(text, charset))
	}
	return text
}

// previewPlain makes the preview of the first plain text. In most cases a quarter of the
// sample is enough.
func (s *scanner) previewPlain() {
	s.line.reset()
	if len(s.plain.text) == 0 {
		return
	}
	if !s.line.add(s.decodeSample(&s.plain, plainSample/4)) || len(s.plain.text) <= plainSample/4 {
		return
	}
	s.line.reset()
	s.line.add(s.decodeSample(&s.plain, plainSample))
}

// previewHTML makes the preview of the first HTML text, without its head, styles and scripts.
func (s *scanner) previewHTML() {
	if len(s.html.text) == 0 {
		return
	}
	l := &s.line
	z := html.NewTokenizer(bytes.NewReader(s.decodeSample(&s.html, htmlSample)))
	hidden := 0
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
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
				return
			}
		}
	}
}

// A previewLine collects the characters of a preview. White space becomes one
// blank. Invisible characters, which newsletters often begin with,
// are left out.
type previewLine struct {
	text  []byte
	n     int // characters
	blank bool
}

func (l *previewLine) reset() { l.text, l.n, l.blank = l.text[:0], 0, false }

// add adds text, and reports whether the preview is still incomplete.
func (l *previewLine) add(b []byte) bool {
	for len(b) > 0 && l.n < MaxPreview {
		r, size := rune(b[0]), 1
		if r >= utf8.RuneSelf {
			if r, size = utf8.DecodeRune(b); r == utf8.RuneError && size == 1 {
				r = charmap.Windows1252.DecodeByte(b[0])
			}
		}
		b = b[size:]
		switch {
		case r == ' ' || unicode.IsSpace(r):
			l.blank = l.n > 0
			continue
		case r < utf8.RuneSelf && (r < ' ' || r == 0x7f), r >= utf8.RuneSelf && invisible(r):
			continue
		}
		if l.blank {
			l.blank = false
			l.text = append(l.text, ' ')
			if l.n++; l.n == MaxPreview {
				break
			}
		}
		l.text = utf8.AppendRune(l.text, r)
		l.n++
	}
	return l.n < MaxPreview
}

// invisible reports whether nothing is displayed for r.
func invisible(r rune) bool {
	return r == utf8.RuneError || r == 0x34f || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

func (l *previewLine) String() string { return string(bytes.TrimRight(l.text, " ")) }

func hiddenTag(name []byte) bool {
	switch string(name) {
	case "head", "style", "script", "title":
		return true
	}
	return false
}

// inlineTag reports whether a tag does not separate the words before and after it.
func inlineTag(name []byte) bool {
	switch string(name) {
	case "a", "b", "i", "u", "em", "strong", "span", "font", "small", "big", "sub", "sup", "code":
		return true
	}
	return false
}
