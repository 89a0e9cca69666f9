package mailrules

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"

	"gatepost/accounts/message"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/rules"
)

// opened is a message that can be read.
type opened interface {
	io.ReaderAt
	io.ReadSeeker
	io.Closer
}

// mail is a message as rules see it.
type mail struct {
	env    *envelope.Envelope
	rcpts  []int
	routes []router.Route
	size   int64
	open   func() (opened, error)
	sum    *message.Summary // nil until it is known

	before []byte // fields that delivery puts before the message
	header []byte // of both, with the empty line that ends it; nil until it is read
	err    error  // why it cannot be read
}

func (m *mail) Envelope() *envelope.Envelope { return m.env }
func (m *mail) Recipients() []int            { return m.rcpts }
func (m *mail) Size() int64                  { return m.size }
func (m *mail) Decode(value []byte) string   { return message.DecodeHeader(value) }

// Routes prints where the recipients lead.
func (m *mail) Routes() []string {
	list := make([]string, len(m.routes))
	for i, r := range m.routes {
		list[i] = r.String()
	}
	return list
}

// Addresses lists the mailboxes of an address field.
func (m *mail) Addresses(value []byte) []rules.Mailbox {
	var out []rules.Mailbox
	for a := range message.Addresses(value) {
		if a.Kind != message.Mailbox || len(a.Local) == 0 {
			continue
		}
		addr := string(a.Local)
		if len(a.Domain) > 0 {
			addr += "@" + string(a.Domain)
		}
		out = append(out, rules.Mailbox{Name: message.DecodeHeader(a.Name), Address: addr})
	}
	return out
}

// maxHeader is how much of a header is read. What is longer has no end for rules, and cannot be
// given another header.
const maxHeader = 1 << 20

// Header reads the header with the empty line that ends it.
func (m *mail) Header() ([]byte, error) {
	if m.header == nil && m.err == nil {
		if m.header, m.err = m.readHeader(); len(m.before) > 0 {
			m.header = slices.Concat(m.before, m.header)
		}
	}
	return m.header, m.err
}

func (m *mail) readHeader() ([]byte, error) {
	f, err := m.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	buf := make([]byte, min(4<<10, m.size))
	for n := 0; ; {
		k, err := f.ReadAt(buf[n:], int64(n))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		from := max(0, n-3)
		n += k
		if n >= 2 && from == 0 && bytes.HasPrefix(buf[:n], []byte("\r\n")) {
			return buf[:2], nil
		}
		if i := bytes.Index(buf[from:n], []byte("\r\n\r\n")); i >= 0 {
			return buf[:from+i+4], nil
		}
		if int64(n) >= m.size || n >= maxHeader || k == 0 {
			return buf[:n], nil
		}
		buf = append(buf, make([]byte, min(int64(len(buf)), m.size-int64(n)))...)
	}
}

// summary is what the message is made of.
func (m *mail) summary() (*message.Summary, error) {
	if m.sum == nil {
		f, err := m.open()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if m.sum, err = message.Scan(bufio.NewReader(f), message.Options{}); err != nil {
			return nil, err
		}
	}
	return m.sum, nil
}

// CalendarMethod finds the first text/calendar part, which names its method.
func (m *mail) CalendarMethod() (string, error) {
	sum, err := m.summary()
	if err != nil {
		return "", err
	}
	return calendarMethod(sum.Root), nil
}

func calendarMethod(p *message.Part) string {
	if p == nil {
		return ""
	}
	if p.Type == "text" && p.Subtype == "calendar" {
		for _, param := range p.Params {
			if param.Name == "method" {
				return param.Value
			}
		}
	}
	for _, child := range p.Children {
		if method := calendarMethod(child); method != "" {
			return method
		}
	}
	return ""
}
