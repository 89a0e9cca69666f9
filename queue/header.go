package queue

import "bytes"

// headerScanner looks at the header of a message while it passes: it counts the
// Received fields, and keeps the start of the fields that the log echoes.
type headerScanner struct {
	received int
	done     bool
	echo     bool     // keep fields for the log
	fields   []string // kept so far

	line []byte // start of the current line
	last bool   // the field before was kept: its folded lines belong to it
}

const (
	maxEchoLine   = 200
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
		if n := len(h.fields); h.last && n > 0 && len(h.fields[n-1]) < maxEchoLine {
			h.fields[n-1] += " " + string(bytes.TrimSpace(line))
		}
	default:
		if hasFold(line, "Received:") {
			h.received++
		}
		h.last = h.echo && len(h.fields) < maxEchoFields && isEchoed(line)
		if h.last {
			h.fields = append(h.fields, string(line))
		}
	}
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
