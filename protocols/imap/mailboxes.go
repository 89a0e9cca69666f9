package imap

import (
	"strings"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// create is CREATE, with the USE parameter of RFC 6154 section 3. A name that ends in a slash
// creates a directory that holds no messages.
func (s *session) create(c *call, p *wire.Parser) error {
	p.Space()
	name, bad := s.mailboxName(p)
	var uses []string
	if p.SkipSpace() {
		p.List(func() {
			if string(p.Keyword()) != "USE" {
				p.Fail("unknown parameter")
				return
			}
			p.Space()
			p.List(func() { uses = append(uses, p.Flag()) })
		})
	}
	if err := p.End(); err != nil {
		return err
	}
	if bad != nil {
		return withCode(bad, fault.NoMailbox, "CANNOT")
	}
	m, err := s.find(name, 0)
	if err == nil {
		err = m.RequireCreate(s.ctx)
	}
	if err != nil {
		return withCode(err, fault.NoMailbox, "CANNOT")
	}
	var made mailbox.Info
	switch {
	case len(uses) == 0:
		made, err = m.Mail().CreateMailbox(s.ctx, m.Name, mailbox.CreateOptions{})
	case len(uses) > 1:
		err = withCode(no(fault.Unsupported, "A mailbox can have one special use"), fault.Unsupported, "USEATTR")
	case m.Foreign(): // a special use is a preference of the owner
		err = withCode(no(fault.Unsupported, "Only your own mailboxes can be given a special use"), fault.Unsupported, "USEATTR")
	default:
		made, err = s.srv.acc.CreateUsedMailbox(s.ctx, s.account, m.Name, imap.MailboxAttr(uses[0]))
		err = withCode(err, fault.Unsupported, "USEATTR")
	}
	if err != nil {
		return err
	}
	if s.rev2 {
		s.putCreated(&m)
	}
	if made.ID != 0 {
		c.code = "MAILBOXID (" + mailboxID(&m.Owner, made.ID) + ")"
	}
	return nil
}

// putCreated writes the LIST response with OLDNAME for a mailbox that was created under another name than the
// requested one (RFC 9051 section 6.3.4). An error here does not undo the creation.
func (s *session) putCreated(m *access.Mailbox) {
	if strings.HasSuffix(m.Name, "/") {
		return // a directory
	}
	info, err := m.Mail().Status(s.ctx, m.Name)
	if asked := m.Shown(m.Name); err == nil && m.Canonical(info.Name) != asked {
		err = s.putAsked(&m.Owner, info, asked)
	}
	if err != nil {
		s.log.Log(s.ctx, logs.LevelFailure, "cannot send the name of a created mailbox", logs.AttrError, err)
	}
}

// delete is DELETE. If the session has selected the mailbox, it is closed, and the session
// goes on.
// itself finds a mailbox that is to be deleted or renamed. Who names it by a mailbox alias may mean the alias alone.
func (s *session) itself(name string) (access.Mailbox, error) {
	m, err := s.find(name, access.Delete)
	if err == nil {
		err = m.RequireCreate(s.ctx)
	}
	if err == nil && m.Aliased {
		err = no(fault.Unsupported, "The name is an alias; name the mailbox itself: %s", m.Shown(m.Name))
	}
	return m, err
}

func (s *session) delete(c *call, p *wire.Parser) error {
	p.Space()
	name, bad := s.mailboxName(p)
	if err := p.End(); err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	m, err := s.itself(name)
	if err != nil {
		return err
	}
	own := false
	if s.view != nil && s.view.target.Account.ID == m.Account.ID {
		info, err := m.Mail().Status(s.ctx, m.Name)
		own = err == nil && info.ID == s.view.info.ID
	}
	if err := m.Mail().DeleteMailbox(s.ctx, m.Name); err != nil {
		return withCode(err, fault.Denied, "CANNOT")
	}
	if own {
		s.leave()
		s.out.Raw("* OK [CLOSED] The selected mailbox was deleted").CRLF()
	}
	return nil
}

// rename is RENAME, within one account.
func (s *session) rename(c *call, p *wire.Parser) error {
	p.Space()
	from, bad := s.mailboxName(p)
	p.Space()
	to, badTo := s.mailboxName(p)
	if err := p.End(); err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	if badTo != nil {
		return withCode(badTo, fault.NoMailbox, "CANNOT")
	}
	m, err := s.itself(from)
	if err != nil {
		return err
	}
	dest, err := s.find(to, 0)
	if err == nil {
		err = dest.RequireCreate(s.ctx)
	}
	switch {
	case err != nil:
		return withCode(err, fault.NoMailbox, "CANNOT")
	case m.Account.ID != dest.Account.ID:
		return no(fault.Unsupported, "A mailbox cannot be renamed into another account")
	}
	return s.srv.acc.RenameMailbox(s.ctx, m.Account, m.Name, dest.Name)
}

func (s *session) subscribe(c *call, p *wire.Parser) error   { return s.setSubscribed(p, true) }
func (s *session) unsubscribe(c *call, p *wire.Parser) error { return s.setSubscribed(p, false) }

// setSubscribed does not check whether the mailbox exists: clients subscribe to the new name
// before they rename a mailbox (RFC 9051 section 6.3.7).
func (s *session) setSubscribed(p *wire.Parser, on bool) error {
	p.Space()
	name, bad := s.mailboxName(p)
	if err := p.End(); err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	return s.mail.Subscribe(s.ctx, name, on)
}
