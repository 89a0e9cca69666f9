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

	line []byte // start of the current line
	last bool   // the field before was kept: its folded lines belong to it
}

const (
	maxEchoLine   = 300 // also holds a Delivered-To field with the longest domain
	maxEchoFields = 40
)

var echoed = []string{"From:", "Subject:", "Received:", "Resent-From:"}

// scan takes the next bytes of the message.
func (h *headerScanner) scan(p []byte) {
	for !h.done && len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		part := p
		if end >= 0 {
			part, p = p[:end], p[end+1:]
		} else {
			p = nil
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
		if h.messageID == "" && hasFold(line, messageID) {
			h.messageID = string(bytes.TrimSpace(line[len(messageID):]))
			h.idFolded = h.messageID == ""
		}
		if hasFold(line, "Received:") {
			h.received++
		}
		if len(h.all) > 0 && hasFold(line, deliveredTo) {
			h.looped = h.looped || h.namesAll(line[len(deliveredTo):])
		}
		h.last = h.echo && len(h.fields) < maxEchoFields && isEchoed(line)
		if h.last {
			h.fields = append(h.fields, string(line))
		}
	}
}

const (
	deliveredTo = "Delivered-To:"
	messageID   = "Message-ID:"
)

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

func isEchoed(line []byte) bool {
	for _, name := range echoed {
		if hasFold(line, name) {
			return true
		}
	}
	return false
}

func hasFold(line []byte, name string) bool {
	return len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name))
}
