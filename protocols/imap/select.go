package imap

import (
	"slices"

	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
)

func (s *session) selectMailbox(c *call, p *wire.Parser) error { return s.open(c, p, false) }
func (s *session) examine(c *call, p *wire.Parser) error       { return s.open(c, p, true) }

// open is SELECT and EXAMINE (RFC 9051 sections 6.3.2 and 6.3.3). Also when it fails, the mailbox that was
// selected before is closed.
func (s *session) open(c *call, p *wire.Parser, readOnly bool) error {
	p.Space()
	name, bad := s.mailboxName(p)
	if p.SkipSpace() {
		p.List(func() { p.Fail("unknown parameter %s", p.Atom()) }) // RFC 4466 section 2.1
	}
	if err := p.End(); err != nil {
		return err
	}
	if s.mailbox != nil {
		s.leave()
		s.out.Raw("* OK [CLOSED] The previously selected mailbox is closed").CRLF()
	}
	if bad != nil {
		return bad
	}
	box, err := s.mail.Open(s.ctx, name, readOnly)
	if err != nil {
		return err
	}
	s.mailbox, s.info = box, box.Info()
	s.describe()
	if s.rev2 {
		if err := s.putSelected(name); err != nil {
			s.leave()
			return err
		}
	}
	c.code = "READ-WRITE"
	if readOnly {
		c.code = "READ-ONLY"
	}
	return nil
}

// describe writes the responses that a client needs about a mailbox it has selected.
func (s *session) describe() {
	s.putFlagLists()
	info := s.info
	s.recent = s.mailbox.Recent()
	s.out.Raw("* ").Number(uint64(info.Exists)).Raw(" EXISTS").CRLF()
	if !s.rev2 {
		s.out.Raw("* ").Number(uint64(s.recent)).Raw(" RECENT").CRLF()
		if info.FirstUnseen > 0 {
			s.out.Raw("* OK [UNSEEN ").Number(uint64(info.FirstUnseen)).Raw("] First unread message").CRLF()
		}
	}
	s.out.Raw("* OK [UIDVALIDITY ").Number(uint64(info.UIDValidity)).Raw("] UIDs are valid").CRLF()
	s.out.Raw("* OK [UIDNEXT ").Number(uint64(info.UIDNext)).Raw("] Next UID").CRLF()
}

// putSelected writes the LIST response of the selected mailbox, with OLDNAME if the client has used another
// name (RFC 9051 section 6.3.2).
func (s *session) putSelected(asked string) error {
	info, err := s.mail.Status(s.ctx, s.info.Name)
	if err != nil {
		return err
	}
	return s.putAsked(info, asked)
}

// putAsked writes the LIST response of a mailbox for which the client may have used another name.
func (s *session) putAsked(info mailbox.Info, asked string) error {
	account, err := s.srv.acc.Current(s.ctx, s.account)
	if err != nil {
		return err
	}
	n := listed{Info: info, uses: account.SpecialUses()[info.Name], hasChildren: info.HasChildren}
	if n.hasChildren { // only those that the client may see count
		names, err := s.names(false)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(names, func(l listed) bool { return l.Name == info.Name }); i >= 0 {
			n = names[i]
		}
	}
	if asked != n.Name {
		n.asked = asked
	}
	s.putListed(&n, &listArgs{})
	return nil
}

// leave closes the selected mailbox.
func (s *session) leave() {
	s.mailbox.Close()
	s.mailbox = nil
	s.saved = nil
}

// close is CLOSE. It expunges the messages with \Deleted without EXPUNGE responses (RFC
// 9051 section 6.4.1). If that fails the mailbox stays selected, so that the client does not take the
// messages for expunged.
func (s *session) close(c *call, p *wire.Parser) error {
	if err := p.End(); err != nil {
		return err
	}
	if !s.info.ReadOnly {
		if _, err := s.mailbox.Expunge(s.ctx, nil); err != nil {
			return err
		}
	}
	s.leave()
	return nil
}

func (s *session) unselect(c *call, p *wire.Parser) error {
	if err := p.End(); err != nil {
		return err
	}
	s.leave()
	return nil
}
