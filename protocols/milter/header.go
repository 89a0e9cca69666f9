package milter

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-milter"
)

// field is a header field as it stands in the message.
type field struct {
	name string
	raw  string // all its lines, with CRLF
}

// value is what a milter gets: what follows the colon, its lines separated by LF. Without spaced, one blank at its
// start is left out, which milters take for granted.
func (f *field) value(spaced bool) string {
	_, v, _ := strings.Cut(f.raw, ":")
	v = strings.TrimSuffix(strings.ReplaceAll(v, "\r\n", "\n"), "\n")
	if !spaced {
		v = strings.TrimPrefix(v, " ")
	}
	return v
}

// header is the header of a message, in two parts: what this server has put on top, and what milters see.
type header struct {
	top, fields []field
	size        int64 // in bytes, of the message as it came
	changed     bool
}

// maxHeader bounds the headers that milters are asked about.
const maxHeader = 1 << 20

var errLargeHeader = errors.New("the header is larger than 1 MB")

// readHeader reads the header of a message, up to the empty line or its end.
func readHeader(text io.Reader) (*header, error) {
	h := new(header)
	r := bufio.NewReader(io.LimitReader(text, maxHeader+1))
	received := false
	for {
		line, err := r.ReadString('\n')
		if err != nil && err != io.EOF {
			return nil, err
		}
		if h.size+int64(len(line)) > maxHeader {
			return nil, errLargeHeader
		}
		if line == "\r\n" || line == "\n" || line == "" {
			break
		}
		name, _, ok := strings.Cut(line, ":")
		name = strings.TrimRight(name, " \t")
		switch {
		case line[0] == ' ' || line[0] == '\t':
			if len(h.fields) == 0 { // continues nothing: it is a part of the body
				return h.split(), nil
			}
			h.fields[len(h.fields)-1].raw += line
		case !ok || name == "" || strings.ContainsAny(name, " \t"):
			return h.split(), nil
		default:
			// A blank before the colon is left out for milters; the field stays as it is unless it is changed.
			h.fields = append(h.fields, field{name: name, raw: line})
			received = received || strings.EqualFold(name, "Received")
		}
		h.size += int64(len(line))
		if err == io.EOF {
			break
		}
	}
	return h.split(), nil
}

// split puts the fields up to the first Received field, which this server has put before the message, on top.
func (h *header) split() *header {
	for i := range h.fields {
		if strings.EqualFold(h.fields[i].name, "Received") {
			h.top, h.fields = slices.Clone(h.fields[:i+1]), slices.Clone(h.fields[i+1:])
			break
		}
	}
	return h
}

// bytes is the header without the empty line.
func (h *header) bytes() []byte {
	var b bytes.Buffer
	for _, part := range [][]field{h.top, h.fields} {
		for i := range part {
			b.WriteString(part[i].raw)
		}
	}
	return b.Bytes()
}

// newField makes a field of what a milter gives. It reports false for what is none.
func newField(name, value string, spaced bool) (field, bool) {
	if name == "" || len(name)+len(value) > maxHeader/2 {
		return field{}, false
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] >= 0x7f || name[i] == ':' {
			return field{}, false
		}
	}
	if !spaced {
		value = " " + value
	}
	var b strings.Builder
	b.WriteString(name + ":")
	first := true
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "").Replace(value), "\n") {
		switch {
		case !first && strings.TrimLeft(line, " \t") == "": // an empty line would end the header
			continue
		case !first && line[0] != ' ' && line[0] != '\t':
			b.WriteString("\t")
		}
		b.WriteString(line + "\r\n")
		first = false
	}
	return field{name: name, raw: b.String()}, true
}

// apply makes one change of the header. It reports false for one that cannot be made.
func (h *header) apply(m *milter.ModifyAction, spaced bool) bool {
	switch m.Code {
	case milter.ActAddHeader:
		f, ok := newField(m.HeaderName, m.HeaderValue, spaced)
		if !ok {
			return false
		}
		h.fields = append(h.fields, f)
	case milter.ActInsertHeader:
		f, ok := newField(m.HeaderName, m.HeaderValue, spaced)
		if !ok {
			return false
		}
		// Place 0 is before our Received field, which milters do not see and count as the first.
		if m.HeaderIndex == 0 {
			h.top = slices.Insert(h.top, 0, f)
			break
		}
		h.fields = slices.Insert(h.fields, min(int(m.HeaderIndex)-1, len(h.fields)), f)
	case milter.ActChangeHeader:
		return h.change(m, spaced)
	default:
		return false
	}
	h.changed = true
	return true
}

// change changes or removes the nth field with a name; one that does not exist is added.
func (h *header) change(m *milter.ModifyAction, spaced bool) bool {
	at, n := -1, uint32(0)
	for i := range h.fields {
		if strings.EqualFold(h.fields[i].name, m.HeaderName) {
			if n++; n == max(m.HeaderIndex, 1) {
				at = i
				break
			}
		}
	}
	if strings.TrimSpace(m.HeaderValue) == "" {
		if at >= 0 {
			h.fields = slices.Delete(h.fields, at, at+1)
			h.changed = true
		}
		return true
	}
	f, ok := newField(m.HeaderName, m.HeaderValue, spaced)
	if !ok {
		return false
	}
	if at < 0 {
		h.fields = append(h.fields, f)
	} else {
		h.fields[at] = f
	}
	h.changed = true
	return true
}
