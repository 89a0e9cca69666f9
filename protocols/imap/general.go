package imap

import (
	"strings"

	"gatepost/protocols/imap/wire"
	"gatepost/server/logs"
)

func (s *session) capability(c *call, p *wire.Parser) error {
	if err := p.End(); err != nil {
		return err
	}
	s.out.Raw("* CAPABILITY ").Bytes(s.capabilities()).CRLF()
	return nil
}

// noop is NOOP and CHECK. Changes of the mailbox are sent before every tagged OK, and
// everything that was answered is on the disk already.
func (s *session) noop(c *call, p *wire.Parser) error { return p.End() }

func (s *session) logout(c *call, p *wire.Parser) error {
	if err := p.End(); err != nil {
		return err
	}
	s.bye("logout", "Logging out")
	return nil
}

// id is ID (RFC 2971). The client's name and version are logged: administrators need them when users report
// problems.
func (s *session) id(c *call, p *wire.Parser) error {
	const maxFields = 30
	p.Space()
	var client []string
	if p.Peek() == '(' {
		p.List(func() {
			if client = append(client, p.Text()); len(client) > 2*maxFields {
				p.Fail("more than %d fields", maxFields)
			}
		})
		if len(client)%2 != 0 {
			p.Fail("a field without a value")
		}
	} else {
		p.Nil()
	}
	if err := p.End(); err != nil {
		return err
	}
	s.log.Log(s.ctx, logs.LevelLowLevel, "client", "id", strings.Join(client, " "))
	s.out.Raw(`* ID ("name" "Gatepost")`).CRLF()
	return nil
}

// enable is ENABLE (RFC 5161). It ignores unknown capabilities, and lists those that it has
// enabled.
func (s *session) enable(c *call, p *wire.Parser) error {
	var rev2, utf8, condstore, qresync, uidOnly bool
	p.Space()
	for more := true; more; more = p.SkipSpace() {
		switch string(p.Keyword()) {
		case "IMAP4REV2":
			rev2 = true
		case "UTF8=ACCEPT":
			utf8 = true
		case "UIDONLY":
			uidOnly = true
		case "CONDSTORE":
			condstore = true
		case "QRESYNC":
			qresync = true
		}
	}
	if err := p.End(); err != nil {
		return err
	}
	if condstore || qresync {
		condstore = !s.condstore && condstore
		s.enableCondstore()
	}
	s.out.Raw("* ENABLED")
	if rev2 && !s.rev2 {
		s.rev2 = true
		s.out.Raw(" IMAP4rev2")
	}
	if utf8 && !s.utf8 {
		s.utf8 = true
		s.out.Raw(" UTF8=ACCEPT")
	}
	if condstore {
		s.out.Raw(" CONDSTORE")
	}
	if qresync && !s.qresync {
		s.qresync = true
		s.out.Raw(" QRESYNC")
	}
	if uidOnly && !s.uidOnly {
		s.uidOnly = true
		s.out.Raw(" UIDONLY")
	}
	s.out.CRLF()
	return nil
}

func (s *session) namespace(c *call, p *wire.Parser) error {
	if err := p.End(); err != nil {
		return err
	}
	s.out.Raw(`* NAMESPACE (("" "/")) (("~" "/")) NIL`).CRLF()
	return nil
}
