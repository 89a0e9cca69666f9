package imap

import (
	"bytes"
	"strings"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// streams reports whether the next literal of a command is the message of an APPEND, which is streamed to
// the store and never held in memory. The first literal of APPEND may be the mailbox name.
func streams(head []byte) bool {
	var p wire.Parser
	p.Reset(head)
	p.Tag()
	p.Space()
	if string(p.Keyword()) != "APPEND" {
		return false
	}
	p.Space()
	named := p.Peek() == '{' || strings.HasPrefix(p.Rest(2), "~{") // the literal may be the name
	return p.OK() && (!named || bytes.IndexByte(head, '\n') >= 0)
}

// appendArgs are the arguments before the message.
type appendArgs struct {
	name  string
	bad   error // of the name
	flags []imap.Flag
	date  *time.Time
	utf8  bool // UTF8 (~{n}...), RFC 6855 section 4
}

func (s *session) parseAppend(c *call, p *wire.Parser) appendArgs {
	var a appendArgs
	p.Space()
	a.name, a.bad = s.mailboxName(p)
	p.Space()
	if p.Peek() == '(' {
		p.List(func() { a.flags = append(a.flags, imap.Flag(p.Flag())) })
		p.Space()
	}
	if p.Peek() == '"' {
		date := p.DateTime()
		a.date = &date
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

// append is APPEND (RFC 9051 section 6.3.12). What can be refused without the message is refused before the
// continuation request is sent, and before any of the message is written to disk.
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
	m, err := s.find(a.name, access.Insert)
	if err != nil {
		return err
	}
	if err := m.Mail().Fits(s.ctx, c.body.Size); err != nil {
		return err
	}
	in := newAppendReader(s, c.body, a.utf8)
	done, err := m.Mail().Append(s.ctx, m.Name, mailbox.AppendMessage{Body: in, Flags: allowedFlags(a.flags, m.Rights), InternalDate: a.date})
	if in.ended {
		c.body = nil // nothing is left to be discarded
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
