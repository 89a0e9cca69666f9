package smtp

import "bytes"

// headerFilter sees the message up to the end of its header.
type headerFilter interface {
	// write takes text that does not end between CR and LF, and returns what
	// is to be stored, which is valid until the next call. done means that the
	// rest of the message needs no look.
	write(text []byte) (out []byte, done bool, err error)
	// close returns what was held back at the end of the message.
	close() ([]byte, error)
}

// headerEnd puts the missing empty line before the first line that is no header
// field: a text without a header, typed by hand or sent by a script, is a body
// (RFC 5322 section 2.1: the header is fields, and the empty line tells the rest
// apart). Without the line what follows would join the fields that are put before the message, and
// readers would see an empty message. A header that is one, with its signatures,
// passes as it came; so does a message that is all header.
//
// It holds the start of a line back, up to maxFieldName bytes, until the line is
// known to be a field.
type headerEnd struct {
	held   []byte
	inLine bool // the next byte belongs to a field's line
	fields bool // there was a field
}

func (h *headerEnd) write(text []byte) (out []byte, done bool, err error) {
	if len(h.held) > 0 {
		text = append(h.held, text...)
		h.held = nil
	}
	at := 0
	for at < len(text) {
		if !h.inLine {
			switch startOfLine(text[at:], h.fields) {
			case emptyLine:
				return text, true, nil
			case bodyLine:
				return append(append(text[:at:at], crlf...), text[at:]...), true, nil
			case unknownLine:
				h.held = bytes.Clone(text[at:])
				return text[:at], false, nil
			}
			h.inLine, h.fields = true, true
		}
		lf := bytes.IndexByte(text[at:], '\n')
		if lf < 0 {
			break
		}
		at, h.inLine = at+lf+1, false
	}
	return text, false, nil
}

func (h *headerEnd) close() ([]byte, error) {
	return h.held, nil
}

type lineKind uint8

const (
	unknownLine lineKind = iota // more of it has to come
	fieldLine
	emptyLine
	bodyLine
)

// startOfLine tells what the start of a line in a header begins.
func startOfLine(text []byte, folded bool) lineKind {
	if text[0] == '\r' {
		return emptyLine
	}
	start := text[:min(len(text), maxFieldName+1)]
	if end := bytes.IndexAny(start, ":\n"); end >= 0 {
		start = start[:end+1]
	} else if len(start) <= maxFieldName && start[0] > ' ' {
		return unknownLine
	}
	if isFieldLine(start, folded) {
		return fieldLine
	}
	return bodyLine
}

// messageStart looks at the start of a message. Programs that send files leave two things there that are no
// header: a byte order mark, which is taken off, and the "From " line of an mbox file (RFC
// 4155), which becomes a Mailbox-Line field.
type messageStart struct {
	held []byte // until it is known what it is
	over bool
}

var (
	byteOrderMark = []byte("\ufeff")
	mailboxLine   = []byte("From ")
)

// next takes a piece of the message and returns what has its place there.
func (s *messageStart) next(text []byte) []byte {
	if s.over || len(text) == 0 {
		return text
	}
	if len(s.held) > 0 {
		text = append(s.held, text...)
	}
	rest := bytes.TrimPrefix(text, byteOrderMark)
	line := bytes.TrimPrefix(rest, []byte(">")) // quoted within another mailbox
	if bytes.HasPrefix(byteOrderMark, rest) || len(line) <= len(mailboxLine) && bytes.HasPrefix(mailboxLine, line) {
		s.held = bytes.Clone(text)
		return nil
	}
	s.over, s.held = true, nil
	// A field From may have blanks before its colon.
	if bytes.HasPrefix(line, mailboxLine) && bytes.IndexByte([]byte(" \t:\r"), line[len(mailboxLine)]) < 0 {
		return append([]byte("Mailbox-Line: "), rest...)
	}
	return rest
}

// rest returns what is held back when the message ends.
func (s *messageStart) rest() []byte {
	s.over = true
	return s.held
}
