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

// headerFix completes the header of a submission (RFC 6409 section 8): Date and
// Message-ID that are missing are added, Bcc is removed, and a From that is not
// the account's gets a Sender. It holds the header until it is complete; the
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

func isFieldName(name []byte) bool {
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
	senderAt, senderEnd := -1, -1 // of the last Sender in out
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
			senderAt, senderEnd = len(out), len(out)+len(field)
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
	if s.account != nil && len(from) > 0 {
		foreign, err := h.foreign(from)
		if err == nil && foreign && s.cfg.ForeignFrom == "Refuse" {
			err = fault.New("smtp.header", fault.Denied, "From has to be an address of "+s.account.Address())
		}
		if err != nil {
			return nil, err
		}
		if foreign {
			out, err = h.setSender(out, sender, senderAt, senderEnd)
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

// setSender makes Sender name the account, in the place of another one.
func (h *headerFix) setSender(out []byte, sender []string, at, end int) ([]byte, error) {
	if len(sender) == 1 {
		foreign, err := h.foreign(sender)
		if err != nil || !foreign {
			return out, err
		}
	}
	if at >= 0 {
		out = append(out[:at], out[end:]...)
	}
	a := h.session.account
	own := address.Address{Local: a.Name, Domain: a.Domain}
	out = append(append(append(out, "Sender: <"...), own.String()...), ">\r\n"...)
	return out, nil
}

// foreign tells whether none of the addresses in the fields is the account's.
func (h *headerFix) foreign(fields []string) (bool, error) {
	looked := 0
	for _, field := range fields {
		if len(field) > maxFromField {
			continue
		}
		list, err := mail.ParseAddressList(strings.Join(strings.Fields(field), " "))
		if err != nil {
			continue // nobody's
		}
		for _, entry := range list {
			if looked++; looked > maxFromAddresses {
				return true, nil
			}
			a, err := address.Parse(entry.Address)
			if err != nil {
				continue
			}
			own, err := h.session.srv.accounts.OwnsAddress(h.session.ctx, h.session.account, a)
			if err != nil || own {
				return false, err
			}
		}
	}
	return true, nil
}
