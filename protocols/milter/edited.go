package milter

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-milter"

	"gatepost/protocols/smtp"
	"gatepost/queue/envelope"
	"gatepost/router/address"
)

// edited is a message with what milters have changed of it. Later ones see the changes.
type edited struct {
	*smtp.Message
	*header
	envelope envelope.Envelope // with the changes

	bodyAt int64 // where the body begins in Text
	body   []byte
	other  bool // body takes its place

	returnPath  bool // it is another one
	add, remove []address.Address
}

// maxAdded bounds the recipients that milters add to a message.
const maxAdded = 1000

// edit begins with a message as it came.
func edit(m *smtp.Message) (*edited, error) {
	h, err := readHeader(io.NewSectionReader(m.Text, 0, m.Size))
	if err != nil {
		return nil, err
	}
	e := &edited{Message: m, header: h, envelope: *m.Envelope, bodyAt: h.size}
	e.envelope.Recipients = slices.Clone(m.Envelope.Recipients)
	var line [2]byte
	if n, err := m.Text.ReadAt(line[:], h.size); n == 2 && line == [2]byte{'\r', '\n'} {
		e.bodyAt += 2
	} else if err != nil && err != io.EOF {
		return nil, err
	}
	return e, nil
}

// text is the body.
func (e *edited) text() io.Reader {
	if e.other {
		return bytes.NewReader(e.body)
	}
	return io.NewSectionReader(e.Text, e.bodyAt, e.Size-e.bodyAt)
}

// verdict puts the changes into a verdict.
func (e *edited) verdict(v *smtp.Verdict) {
	if e.changed {
		v.Header, v.HeaderSize = e.header.bytes(), e.header.size
	}
	if e.other {
		v.Body, v.BodyAt = e.body, e.bodyAt
		if e.bodyAt == e.header.size { // there was no empty line
			v.Body = append([]byte("\r\n"), e.body...)
		}
	}
	if e.returnPath {
		v.ReturnPath = &e.envelope.ReturnPath
	}
	v.Add, v.Remove = e.add, e.remove
}

// withCRLF gives a text CRLF line ends, also at its end. The result is not nil, since a nil body is no change.
func withCRLF(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/40+2)
	for i, c := range text {
		switch {
		case c == '\r' && i+1 < len(text) && text[i+1] == '\n':
		case c == '\r', c == '\n':
			out = append(out, "\r\n"...)
		default:
			out = append(out, c)
		}
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, "\r\n"...)
	}
	return out
}

// apply makes the changes that a milter wants, of those kinds that were agreed on. It returns those that were not made.
func (e *edited) apply(changes []milter.ModifyAction, s *milter.ClientSession, spaced bool) (refused []milter.ModifyAction) {
	body, other := []byte(nil), false
	for i := range changes {
		c, ok := &changes[i], false
		switch c.Code {
		case milter.ActReplBody: // comes in pieces
			if ok = s.ActionOption(milter.OptChangeBody); ok {
				body, other = append(body, c.Body...), true
			}
		case milter.ActAddRcpt:
			ok = s.ActionOption(milter.OptAddRcpt) && e.addRecipient(c.Rcpt)
		case milter.ActDelRcpt:
			ok = s.ActionOption(milter.OptRemoveRcpt) && e.removeRecipient(c.Rcpt)
		case milter.ActChangeFrom:
			ok = s.ActionOption(milter.OptChangeFrom) && e.changeReturnPath(c.From)
		default:
			ok = e.header.apply(c, spaced)
		}
		if !ok {
			refused = append(refused, *c)
		}
	}
	if other {
		e.body, e.other = withCRLF(body), true
	}
	return refused
}

// addressOf reads an address as milters write it.
func addressOf(s string) (address.Address, bool) {
	a, err := address.Parse(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s), "<"), ">"))
	return a, err == nil
}

func (e *edited) addRecipient(s string) bool {
	a, ok := addressOf(s)
	if !ok || a.IsNull() || len(e.add) >= maxAdded {
		return false
	}
	e.remove = slices.DeleteFunc(e.remove, func(b address.Address) bool { return a == b })
	if !slices.ContainsFunc(e.envelope.Recipients, func(r envelope.Recipient) bool { return r.Address == a }) {
		e.add = append(e.add, a)
		e.envelope.Recipients = append(e.envelope.Recipients, envelope.Recipient{Address: a})
	}
	return true
}

// removeRecipient takes a recipient away. One that is not there is none of the message either.
func (e *edited) removeRecipient(s string) bool {
	a, ok := addressOf(s)
	if !ok {
		return false
	}
	e.add = slices.DeleteFunc(e.add, func(b address.Address) bool { return a == b })
	e.envelope.Recipients = slices.DeleteFunc(e.envelope.Recipients, func(r envelope.Recipient) bool { return r.Address == a })
	if slices.ContainsFunc(e.Envelope.Recipients, func(r envelope.Recipient) bool { return r.Address == a }) && !slices.Contains(e.remove, a) {
		e.remove = append(e.remove, a)
	}
	return true
}

func (e *edited) changeReturnPath(s string) bool {
	if a := strings.TrimSpace(s); a == "" || a == "<>" {
		e.envelope.ReturnPath, e.returnPath = address.Address{}, true
		return true
	}
	a, ok := addressOf(s)
	if ok {
		e.envelope.ReturnPath, e.returnPath = a, true
	}
	return ok
}
