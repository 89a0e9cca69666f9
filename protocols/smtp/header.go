package smtp

import (
	"bytes"
	"net/mail"
	"strings"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// maxHeader bounds the header of a submission, which is held in memory.
const maxHeader = 1 << 20

// A From beyond these limits is nobody's.
const (
	maxFromField     = 64 << 10
	maxFromAddresses = 100
)

var errLargeHeader = fault.New("smtp.header", fault.TooLarge, "the message header is too large")

var errTwoFroms = fault.New("smtp.header", fault.Rejected, "more than one From field")

// headerFix completes the header of a submission (RFC 6409 section 8): Date,
// Message-ID and From that are missing are added, Bcc is removed, and a From
// with an address that is not the account's gets a Sender. Two From fields are
// refused: readers differ in which of them they show. It holds the header until it is complete; the
// body never passes through it.
type headerFix struct {
	session *session
	id      envelope.QueueID
	buf     []byte
	seen    int // bytes of buf that are complete lines of the header
	looked  int // bytes behind them that hold no line end
}

// write takes text. done means that the header is complete: out is the fixed
// header and what follows it.
func (h *headerFix) write(text []byte) (out []byte, done bool, err error) {
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
func (h *headerFix) close() ([]byte, error) {
	rest := h.buf[h.seen:]
	return h.fix(h.buf[:h.seen], append([]byte("\r\n"), rest...))
}

// isFieldLine tells whether a line belongs to a header: a field name and a
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
func (h *headerFix) fix(header, rest []byte) ([]byte, error) {
	if len(header) > maxHeader {
		return nil, errLargeHeader
	}
	out := make([]byte, 0, len(header)+len(rest)+256)
	var from, sender []string
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
			from = append(from, string(value))
		case "sender":
			sender = append(sender, string(value))
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
	switch {
	case len(from) > 1:
		return nil, errTwoFroms
	case s.account == nil:
	case len(from) == 0:
		out = h.appendOwn(out, "From")
	default:
		foreign, err := h.foreign(from)
		if err == nil && foreign && s.cfg.ForeignFrom == "Refuse" {
			err = fault.New("smtp.header", fault.Denied, "From has to be an address of "+s.account.Address())
		}
		if err != nil {
			return nil, err
		}
		if foreign {
			out, err = h.setSender(out, sender)
			if err != nil {
				return nil, err
			}
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

// setSender makes Sender name the account, in the place of any other.
func (h *headerFix) setSender(out []byte, sender []string) ([]byte, error) {
	if len(sender) == 1 {
		foreign, err := h.foreign(sender)
		if err != nil || !foreign {
			return out, err
		}
	}
	if len(sender) > 0 {
		out = appendWithout(make([]byte, 0, len(out)+256), out, "sender")
	}
	return h.appendOwn(out, "Sender"), nil
}

// appendOwn appends a field with the account's address.
func (h *headerFix) appendOwn(out []byte, name string) []byte {
	a := h.session.account
	own := address.Address{Local: a.Name, Domain: a.Domain}
	return append(append(append(append(out, name...), ": <"...), own.String()...), ">\r\n"...)
}

// foreign tells whether any of the addresses in the fields may be somebody
// else's: a reader shows all of them. What cannot be read, and a field without
// an address, is nobody's.
func (h *headerFix) foreign(fields []string) (bool, error) {
	looked := 0
	for _, field := range fields {
		if len(field) > maxFromField {
			return true, nil
		}
		list, err := mail.ParseAddressList(strings.Join(strings.Fields(field), " "))
		if err != nil || len(list) == 0 {
			return true, nil
		}
		for _, entry := range list {
			if looked++; looked > maxFromAddresses {
				return true, nil
			}
			a, err := address.Parse(entry.Address)
			if err != nil {
				return true, nil
			}
			own, err := h.session.srv.accounts.OwnsAddress(h.session.ctx, h.session.account, a)
			if err != nil || !own {
				return true, err
			}
		}
	}
	return false, nil
}
