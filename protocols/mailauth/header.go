package mailauth

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// The limits of a header that is verified. Headers beyond them verify as errors.
const (
	maxHeader      = 256 << 10
	maxHeaderLines = 5000
)

var (
	errLargeHeader = errors.New("the header is too large to be verified")
	errNoHeader    = errors.New("the message has no end of its header")
)

// field is a header field as it came.
type field struct {
	name string // in lower case, without spaces before the colon
	raw  string // all of it, with the CRLF at its end
}

// value is what follows the colon.
func (f field) value() string {
	_, v, _ := strings.Cut(f.raw, ":")
	return v
}

// readHeader reads the fields of a message and says where its body begins. They stand without gaps from
// the message's first byte on. With errLargeHeader it returns the first of them.
func readHeader(text io.ReaderAt, size int64) (fields []field, body int64, err error) {
	buf := make([]byte, min(size, maxHeader))
	n, err := text.ReadAt(buf, 0)
	if err != nil && (err != io.EOF || int64(n) < min(size, maxHeader)) {
		return nil, 0, err
	}
	for at, lines := 0, 0; ; lines++ {
		end := bytes.Index(buf[at:], []byte("\r\n"))
		switch {
		case end < 0 && size > maxHeader, lines >= maxHeaderLines:
			return fields, 0, errLargeHeader
		case end < 0 && len(buf) == at: // a message that is all header
			return fields, size, nil
		case end < 0:
			return nil, 0, errNoHeader
		case end == 0:
			return fields, int64(at + 2), nil
		}
		line := string(buf[at : at+end+2])
		if (line[0] == ' ' || line[0] == '\t') && len(fields) > 0 {
			// Joined below: appending to the field for each line would cost the square of the lines.
			start := at
			for at += end + 2; at < len(buf) && (buf[at] == ' ' || buf[at] == '\t'); lines++ {
				end = bytes.Index(buf[at:], []byte("\r\n"))
				if end < 0 {
					break
				}
				at += end + 2
			}
			fields[len(fields)-1].raw += string(buf[start:at])
			continue
		}
		name, _, _ := strings.Cut(line, ":")
		fields = append(fields, field{strings.ToLower(strings.TrimRight(name, " \t")), line})
		at += end + 2
	}
}

// whole reads a message. One without a body ends in an empty line then, which may be missing: for signatures
// that makes no difference (RFC 6376 section 3.4).
func whole(text io.ReaderAt, size, body int64) io.Reader {
	r := io.NewSectionReader(text, 0, size)
	if body < size {
		return r
	}
	return io.MultiReader(r, strings.NewReader("\r\n"))
}

// picker hands out the fields of a name from the last to the first, as signatures name them
// (RFC 6376 section 5.4.2).
type picker struct {
	fields []field
	below  map[string]int // fields of that name from here on are used
}

func newPicker(fields []field) *picker { return &picker{fields, map[string]int{}} }

// pick returns the next field of a name, or false when there is none left.
func (p *picker) pick(name string) (field, bool) {
	name = strings.ToLower(name)
	below, seen := p.below[name]
	if !seen {
		below = len(p.fields)
	}
	for below--; below >= 0; below-- {
		if p.fields[below].name == name {
			p.below[name] = below
			return p.fields[below], true
		}
	}
	p.below[name] = 0
	return field{}, false
}

// tags are the tags of a DKIM-like field or record (RFC 6376 section 3.2).
type tags map[string]string

// parseTags reads "name=value; name=value". White space in values is kept but at the ends.
func parseTags(s string) (tags, error) {
	t := tags{}
	parts := strings.Split(s, ";")
	for i, part := range parts {
		part = strings.Trim(part, " \t\r\n")
		if part == "" && i == len(parts)-1 {
			break
		}
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimRight(name, " \t\r\n")
		if !ok || name == "" {
			return nil, errors.New("a tag without =")
		}
		if _, twice := t[name]; twice {
			return nil, errors.New("tag " + clean(name) + " is there twice")
		}
		t[name] = strings.TrimLeft(value, " \t\r\n")
	}
	return t, nil
}

// compact is a tag's value without white space.
func (t tags) compact(name string) string { return removeSpace(t[name]) }

// list is a tag's value as a list separated by colons.
func (t tags) list(name string) []string { return strings.Split(t.compact(name), ":") }

func removeSpace(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '\r', '\n':
			return -1
		}
		return r
	}, s)
}

// emptySignature is a field with the value of its tag b taken out (RFC 6376 section 3.7).
func emptySignature(raw string) string {
	name, value, _ := strings.Cut(raw, ":")
	parts := strings.Split(value, ";")
	for i, part := range parts {
		tag, v, ok := strings.Cut(part, "=")
		if ok && strings.Trim(tag, " \t\r\n") == "b" {
			rest := ""
			if i == len(parts)-1 && strings.HasSuffix(v, "\r\n") {
				rest = "\r\n"
			}
			parts[i] = tag + "=" + rest
		}
	}
	return name + ":" + strings.Join(parts, ";")
}

// clean makes text of a message fit for logs and header fields: no control characters, bounded.
func clean(s string) string {
	if len(s) > 250 {
		s = s[:250]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
}
