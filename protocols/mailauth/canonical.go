package mailauth

import (
	"bufio"
	"io"
	"strings"
)

// canonical is a pair of canonicalizations, each relaxed or simple (RFC 6376 section 3.4).
type canonical struct{ relaxedHeader, relaxedBody bool }

// parseCanonical reads the tag c. The body is simple unless it says otherwise.
func parseCanonical(s string) (c canonical, ok bool) {
	head, body, _ := strings.Cut(s, "/")
	known := map[string]bool{"": true, "simple": true, "relaxed": true}
	return canonical{head == "relaxed", body == "relaxed"}, known[head] && known[body]
}

// header is a field in canonical form.
func (c canonical) header(raw string) string {
	if c.relaxedHeader {
		return relaxedField(raw)
	}
	return raw
}

// relaxedField has its name in lower case and its white space as single spaces (section 3.4.2).
func relaxedField(raw string) string {
	name, value, _ := strings.Cut(raw, ":")
	var b strings.Builder
	b.WriteString(strings.ToLower(strings.TrimRight(name, " \t")))
	b.WriteByte(':')
	start, space := b.Len(), false
	for i := range len(value) {
		switch c := value[i]; c {
		case ' ', '\t':
			space = true
		case '\r', '\n':
		default:
			if space && b.Len() > start {
				b.WriteByte(' ')
			}
			space = false
			b.WriteByte(c)
		}
	}
	b.WriteString("\r\n")
	return b.String()
}

// body writes a body in canonical form (sections 3.4.3 and 3.4.4).
func (c canonical) body(w io.Writer, r io.Reader) error {
	in, out := bufio.NewReaderSize(r, 32<<10), bufio.NewWriterSize(w, 32<<10)
	var (
		lines int  // ends of lines that are not written yet: those at the end of the body are dropped
		space bool // white space that is not written yet
		cr    bool // a CR that may begin a line end
		some  bool // something was written
	)
	put := func(b byte) {
		for ; lines > 0; lines-- {
			out.WriteString("\r\n")
		}
		if space {
			out.WriteByte(' ')
			space = false
		}
		out.WriteByte(b)
		some = true
	}
	for {
		b, err := in.ReadByte()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if cr {
			cr = false
			if b == '\n' {
				lines++
				space = false
				continue
			}
			put('\r')
		}
		switch {
		case b == '\r':
			cr = true
		case c.relaxedBody && (b == ' ' || b == '\t'):
			space = true
		default:
			put(b)
		}
	}
	if cr {
		put('\r')
	}
	if some || !c.relaxedBody { // the last line has its end, whatever came
		out.WriteString("\r\n")
	}
	return out.Flush()
}
