package smtp

import (
	"bytes"
	"strings"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// maxHeader bounds the header of a submission, which is held in memory.
const maxHeader = 1 << 20

var errLargeHeader = fault.New("smtp.header", fault.TooLarge, "the message header is too large")

var errTwoFroms = fault.New("smtp.header", fault.Rejected, "more than one From field")

// submissionHeader completes the header of a submission (RFC 6409 section 8): Date,
// Message-ID and From that are missing are added, Bcc is removed, and a Sender
// that is not the account's own is replaced. A From with an address that is not the
// account's own gets a Sender, and so does one with several addresses (RFC 5322
// 3.6.2). Two From fields are refused: readers differ in which of them they show.
// It holds the header until it is complete; the body never passes through it.
type submissionHeader struct {
	session *session
	id      envelope.QueueID
	buf     []byte
	seen    int // bytes of buf that are complete lines of the header
	looked  int // bytes behind them that hold no line end
}

// write takes text. done means that the header is complete: out is the fixed
// header and what follows it.
func (h *submissionHeader) write(text []byte) (out []byte, done bool, err error) {
	h.buf = append(h.buf, text...)
	for {
		lf := bytes.IndexByte(h.buf[h.seen+h.looked:], '\n')
		if lf < 0 {
			h.looked = len(h.buf) - h.seen
			break
		}
		lf, h.looked = lf+h.looked, 0
		line := bytes.TrimSuffix(h.buf[h.seen:h.seen+lf], crlf[:1])
		switch {
		case len(line) == 0:
			out, err = h.fix(h.buf[:h.seen], h.buf[h.seen:])
			return out, true, err
		case !isFieldLine(line, h.seen > 0):
			// A message without a header, or one whose empty line is missing.
			out, err = h.fix(h.buf[:h.seen], append([]byte("\r\n"), h.buf[h.seen:]...))
			return out, true, err
		}
		h.seen += lf + 1
	}
	if len(h.buf) > maxHeader {
		return nil, false, errLargeHeader
	}
	return nil, false, nil
}

// close ends a message that is all header.
func (h *submissionHeader) close() ([]byte, error) {
	rest := h.buf[h.seen:]
	return h.fix(h.buf[:h.seen], append([]byte("\r\n"), rest...))
}

// isFieldLine reports whether a line belongs to a header: a field name and a
// colon, or, after the first, a folded line.
func isFieldLine(line []byte, folded bool) bool {
	if line[0] == ' ' || line[0] == '\t' {
		return folded
	}
	name, _, ok := bytes.Cut(line, []byte(":"))
	return ok && isFieldName(bytes.TrimRight(name, " \t"))
}

// maxFieldName is how long the name of a field may be: a line (RFC 5322 2.1.1).
const maxFieldName = 998

func isFieldName(name []byte) bool {
	if len(name) > maxFieldName {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(name) > 0
}

// fix returns the header as it is sent on, and rest, which begins with the
// empty line.
func (h *submissionHeader) fix(header, rest []byte) ([]byte, error) {
	if len(header) > maxHeader {
		return nil, errLargeHeader
	}
	out := make([]byte, 0, len(header)+len(rest)+256)
	var from, sender [][]byte
	var date, messageID bool
	for len(header) > 0 {
		field := header[:fieldEnd(header)]
		header = header[len(field):]
		name, value, _ := bytes.Cut(field, []byte(":"))
		switch strings.ToLower(string(bytes.TrimRight(name, " \t"))) {
		case "bcc", "resent-bcc":
			continue
		case "date":
			date = true
		case "message-id":
			messageID = true
		case "from":
			from = append(from, value)
		case "sender":
			sender = append(sender, value)
		}
		out = append(out, field...)
	}
	s := h.session
	if !date {
		out = append(time.Now().AppendFormat(append(out, "Date: "...), rfc5322), crlf...)
	}
	if !messageID {
		out = append(append(append(out, "Message-ID: <smtp-"...), h.id.String()...), '@')
		out = append(append(out, s.name...), ">\r\n"...)
	}
	if len(from) > 1 {
		return nil, errTwoFroms
	}
	if s.account != nil {
		var err error
		if out, err = h.setAuthors(out, from, sender); err != nil {
			return nil, err
		}
	}
	return append(out, rest...), nil
}

// fieldEnd returns the length of the first field with its folded lines.
func fieldEnd(header []byte) int {
	end := 0
	for {
		lf := bytes.IndexByte(header[end:], '\n')
		if lf < 0 {
			return len(header)
		}
		end += lf + 1
		if end == len(header) || header[end] != ' ' && header[end] != '\t' {
			return end
		}
	}
}

// appendWithout appends the fields of a header except those of a name, which is
// given in lower case.
func appendWithout(dst, header []byte, name string) []byte {
	for len(header) > 0 {
		field := header[:fieldEnd(header)]
		header = header[len(field):]
		key, _, _ := bytes.Cut(field, []byte(":"))
		if strings.ToLower(string(bytes.TrimRight(key, " \t"))) != name {
			dst = append(dst, field...)
		}
	}
	return dst
}

// setAuthors ensures that From or Sender names the account, and Sender nobody else.
// from and sender are the values of these fields in the header out.
func (h *submissionHeader) setAuthors(out []byte, from, sender [][]byte) ([]byte, error) {
	s := h.session
	needed := false
	if len(from) == 0 {
		out = h.appendOwn(out, "From")
	} else {
		authors, err := s.srv.accounts.Authors(s.ctx, s.account, from[0])
		if err != nil {
			return nil, err
		}
		if !authors.Own && s.cfg.ForeignFrom == "Refuse" {
			return nil, fault.New("smtp.header", fault.Denied, "From must be an address of "+s.account.Address())
		}
		needed = !authors.Own || authors.Count > 1
	}
	if len(sender) == 0 && !needed {
		return out, nil
	}
	if len(sender) == 1 {
		authors, err := s.srv.accounts.Authors(s.ctx, s.account, sender[0])
		if err != nil || authors.Own && authors.Count == 1 {
			return out, err
		}
	}
	if len(sender) > 0 {
		out = appendWithout(make([]byte, 0, len(out)+256), out, "sender")
	}
	return h.appendOwn(out, "Sender"), nil
}

// appendOwn appends a field with the account's address.
func (h *submissionHeader) appendOwn(out []byte, name string) []byte {
	a := h.session.account
	own := address.Address{Local: a.Name, Domain: a.Domain}
	return append(append(append(append(out, name...), ": <"...), own.String()...), ">\r\n"...)
}
