package queue

import (
	"bytes"
	"strings"
)

// headerScanner looks at the header of a message while it passes: it counts the
// Received fields, looks for signs of a loop, and keeps the start of the fields
// that the log echoes.
type headerScanner struct {
	received int
	all      []string // addresses all@domain that the message goes to
	looped   bool     // a Delivered-To field names one of them
	done     bool
	echo     bool     // keep fields for the log
	fields   []string // kept so far

	messageID string // value of the first Message-ID field
	idFolded  bool   // its value is on the next line

	tlsOptional bool // there is TLS-Required: No (RFC 8689 section 3)

	keep   bool   // keep the header for rules
	header []byte // kept so far; nil if it is too long

	line []byte // start of the current line
	last bool   // the field before was kept: its folded lines belong to it
}

const (
	maxEchoLine   = 300 // also holds a Delivered-To field with the longest domain
	maxEchoFields = 40
)

var echoed = [...]string{"From", "Subject", "Received", "Resent-From"}

// scan takes the next bytes of the message.
func (h *headerScanner) scan(p []byte) {
	for !h.done && len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		part, raw := p, p
		if end >= 0 {
			part, raw, p = p[:end], p[:end+1], p[end+1:]
		} else {
			p = nil
		}
		if h.keep {
			h.keepHeader(raw)
		}
		if room := maxEchoLine - len(h.line); room < len(part) {
			part = part[:room]
		}
		h.line = append(h.line, part...)
		if end >= 0 {
			h.endLine()
		}
	}
}

// maxKeptHeader bounds the header that is kept for rules; they read a longer one from the file.
const maxKeptHeader = 32 << 10

func (h *headerScanner) keepHeader(raw []byte) {
	if len(h.header)+len(raw) > maxKeptHeader {
		h.keep, h.header = false, nil
		return
	}
	h.header = append(h.header, raw...)
}

// whole is the header with the empty line that ends it, if it was kept.
func (h *headerScanner) whole() []byte {
	if !h.done {
		return nil
	}
	return h.header
}

func (h *headerScanner) endLine() {
	line := bytes.TrimSuffix(h.line, []byte("\r"))
	h.line = h.line[:0]
	switch {
	case len(line) == 0:
		h.done = true
	case line[0] == ' ' || line[0] == '\t':
		if h.idFolded {
			h.messageID, h.idFolded = string(bytes.TrimSpace(line)), false
		}
		if n := len(h.fields); h.last && n > 0 && len(h.fields[n-1]) < maxEchoLine {
			h.fields[n-1] += " " + string(bytes.TrimSpace(line))
		}
	default:
		h.idFolded = false
		name, value := cutField(line)
		switch {
		case isField(name, "Message-ID") && h.messageID == "":
			h.messageID = string(bytes.TrimSpace(value))
			h.idFolded = h.messageID == ""
		case isField(name, "Received"):
			h.received++
		case isField(name, "TLS-Required"):
			h.tlsOptional = h.tlsOptional || strings.EqualFold(string(bytes.TrimSpace(value)), "No")
		case isField(name, "Delivered-To"):
			h.looped = h.looped || h.namesAll(value)
		}
		h.last = h.echo && len(h.fields) < maxEchoFields && isEchoed(name)
		if h.last {
			h.fields = append(h.fields, string(line))
		}
	}
}

// cutField returns the name of a field, empty if the line has none, and its value. Blanks may stand
// before the colon (RFC 5322 section 4.5).
func cutField(line []byte) (name, value []byte) {
	before, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return nil, nil
	}
	return bytes.TrimRight(before, " \t"), value
}

// areFields reports whether text is complete header fields: anything else before a message would
// change what it says.
func areFields(text []byte) bool {
	first := true
	for line := range bytes.Lines(text) {
		line, ok := bytes.CutSuffix(line, []byte("\r\n"))
		folded := !first && len(line) > 0 && (line[0] == ' ' || line[0] == '\t')
		if name, _ := cutField(line); !ok || bytes.ContainsAny(line, "\r\x00") || !folded && (len(name) == 0 || bytes.ContainsAny(name, " \t")) {
			return false
		}
		first = false
	}
	return true
}

func isField(name []byte, want string) bool {
	return len(name) == len(want) && bytes.EqualFold(name, []byte(want))
}

// namesAll reports whether the value of a field is an address that the message goes to.
func (h *headerScanner) namesAll(value []byte) bool {
	addr := string(bytes.Trim(bytes.TrimSpace(value), "<>"))
	for _, a := range h.all {
		if strings.EqualFold(a, addr) {
			return true
		}
	}
	return false
}

func isEchoed(name []byte) bool {
	for _, e := range echoed {
		if isField(name, e) {
			return true
		}
	}
	return false
}
