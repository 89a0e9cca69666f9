package imap

import (
	"bytes"
	"io"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// streams tells of a command that is about to get a literal whether that is the
// message of an APPEND, which is never taken into memory. Its first literal is
// not, if it stands for the mailbox name.
func streams(head []byte) bool {
	var p wire.Parser
	p.Reset(head)
	p.Tag()
	p.Space()
	if string(p.Keyword()) != "APPEND" {
		return false
	}
	p.Space()
	return p.OK() && (p.Peek() != '{' && p.Peek() != '~' || bytes.IndexByte(head, '\n') >= 0)
}

// appendArgs is what stands before the message.
type appendArgs struct {
	name  string
	bad   error // of the name
	flags []imap.Flag
	date  time.Time
	utf8  bool // UTF8 (~{n}...), RFC 6855 section 4
}

func (s *session) parseAppend(c *call, p *wire.Parser) appendArgs {
	var a appendArgs
	p.Space()
	a.name, a.bad = s.boxName(p)
	p.Space()
	if p.Peek() == '(' {
		p.List(func() { a.flags = append(a.flags, imap.Flag(p.Flag())) })
		p.Space()
	}
	if p.Peek() == '"' {
		a.date = p.DateTime()
		p.Space()
	}
	if p.Peek() == 'U' || p.Peek() == 'u' {
		if string(p.Keyword()) != "UTF8" {
			p.Fail("a message expected")
		}
		p.Space()
		p.Expect('(')
		a.utf8 = true
	}
	if c.body == nil {
		p.Fail("the message has to be a literal")
		return a
	}
	p.Announcement()
	return a
}

// append is APPEND (RFC 9051 section 6.3.12). What can be refused before the message is
// sent is refused before a client that waits is told to go on, and before a byte is
// written of what another one sends.
func (s *session) append(c *call, p *wire.Parser) error {
	a := s.parseAppend(c, p)
	if err := p.End(); err != nil {
		return err
	}
	if a.bad != nil {
		return withCode(a.bad, fault.NoMailbox, "TRYCREATE")
	}
	if limit := s.srv.cfg.Get().MaxMessageSize; limit.Exceeds(c.body.Size) {
		return no(fault.TooLarge, "A message may have %d bytes at most", int64(limit))
	}
	if c.body.Size == 0 {
		return no(fault.Invalid, "A message cannot be empty")
	}
	if err := s.mail.Fits(s.ctx, c.body.Size); err != nil {
		return err
	}
	in := &incoming{s: s, literal: c.body, utf8: a.utf8}
	done, err := s.mail.Append(s.ctx, a.name, mailbox.AppendMessage{Body: in, Flags: a.flags, InternalDate: a.date})
	if in.ended {
		c.body = nil // nothing is left to be thrown away
	}
	if in.err != nil {
		return in.err
	}
	if err != nil {
		return withCode(err, fault.NoMailbox, "TRYCREATE")
	}
	c.code = string(wire.AppendRange(append(wire.AppendRange([]byte("APPENDUID "), done.UIDValidity, done.UIDValidity), ' '),
		uint32(done.UID), uint32(done.UID)))
	return nil
}

// incoming reads the message of an APPEND for the store. It ends only when the whole
// command is read and right, so that nothing is stored for a command that is
// answered with BAD. Bare LF becomes CRLF. The first Read asks a client that waits to go
// on: the store has looked at name and flags by then.
type incoming struct {
	s       *session
	literal *wire.Literal
	utf8    bool
	last    byte   // of what was read
	waiting []byte // converted, and not yet passed on
	spare   []byte
	ended   bool  // the command was read to its end
	err     error // what was wrong with message, command or connection
}

func (m *incoming) Read(p []byte) (int, error) {
	if len(m.waiting) > 0 {
		n := copy(p, m.waiting)
		m.waiting = m.waiting[n:]
		return n, nil
	}
	if m.err != nil {
		return 0, m.err
	}
	if m.ended {
		return 0, io.EOF
	}
	if m.literal.Sync {
		if m.err = m.s.goOn("Ready for the message"); m.err != nil {
			return 0, m.err
		}
		m.literal.Sync = false
	}
	n, err := m.s.in.Body().Read(p)
	chunk := p[:n]
	switch {
	case n > 0:
	case err == io.EOF:
		m.ended = true
		if m.err = m.finish(); m.err != nil {
			return 0, m.err
		}
		return 0, io.EOF
	default:
		m.err = err
		return 0, err
	}
	if bytes.IndexByte(chunk, 0) >= 0 {
		m.err = withCode(no(fault.Unsupported, "A message with NUL in it cannot be stored"), fault.Unsupported, "UNKNOWN-CTE")
		return 0, m.err
	}
	if m.clean(chunk) {
		m.last = chunk[n-1]
		return n, nil
	}
	m.convert(chunk)
	return m.Read(p)
}

// clean reports whether every LF has its CR before it.
func (m *incoming) clean(chunk []byte) bool {
	for at := 0; ; {
		i := bytes.IndexByte(chunk[at:], '\n')
		if i < 0 {
			return true
		}
		if at += i; at == 0 && m.last != '\r' || at > 0 && chunk[at-1] != '\r' {
			return false
		}
		at++
	}
}

func (m *incoming) convert(chunk []byte) {
	out := m.spare[:0]
	for _, b := range chunk {
		if b == '\n' && m.last != '\r' {
			out = append(out, '\r')
		}
		out = append(out, b)
		m.last = b
	}
	m.spare, m.waiting = out, out
}

// finish reads what follows the message in its command.
func (m *incoming) finish() error {
	tail, _, err := m.s.in.Next(func([]byte, wire.Literal) (wire.Verdict, error) {
		return 0, wire.Bad("APPEND takes one message")
	}, true)
	switch {
	case err != nil:
		return err
	case m.utf8 && string(tail) != ")":
		return wire.Bad("a closing parenthesis expected after the message")
	case !m.utf8 && len(bytes.TrimRight(tail, " ")) > 0:
		return wire.Bad("unexpected text after the message")
	}
	return nil
}
