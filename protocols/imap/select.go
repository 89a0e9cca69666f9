package imap

import (
	"slices"
	"strings"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/server/logs"
)

func (s *session) selectMailbox(c *call, p *wire.Parser) error { return s.open(c, p, false) }
func (s *session) examine(c *call, p *wire.Parser) error       { return s.open(c, p, true) }

// open is SELECT and EXAMINE (RFC 9051 sections 6.3.2 and 6.3.3). Also when it fails, the mailbox that was
// selected before is closed.
func (s *session) open(c *call, p *wire.Parser, readOnly bool) error {
	p.Space()
	name, bad := s.mailboxName(p)
	var params selectParams
	if p.SkipSpace() {
		params = s.parseSelectParams(p)
	}
	if err := p.End(); err != nil {
		return err
	}
	if s.view != nil {
		s.leave()
		s.out.Raw("* OK [CLOSED] The previously selected mailbox is closed").CRLF()
	}
	if bad != nil {
		return bad
	}
	m, err := s.find(name, access.Read)
	if err != nil {
		return err
	}
	readOnly = readOnly || m.Rights&changing == 0
	box, err := m.Mail().Select(s.ctx, m.Name, readOnly) // see carryOut
	if err != nil {
		return err
	}
	box.Allow(flagsOf(m.Rights))
	s.condstore = s.condstore || params.condstore
	s.view = &view{responder: &s.responder, mailbox: box, info: box.Info(), target: m}
	if m.Foreign() {
		s.log.Log(s.ctx, logs.LevelMajor, "selected a mailbox of another account", logs.AttrAccount, s.account.Address(),
			"owner", m.Account.Address(), "mailbox", m.Name)
	}
	s.view.describe()
	if s.rev2 {
		if err := s.putSelected(name); err != nil {
			s.leave()
			return err
		}
	}
	if params.resync != nil {
		if err := s.view.resync(params.resync); err != nil {
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

// changing are the rights without any of which a mailbox is opened read-only (RFC 4314 section 5.2).
const changing = access.Seen | access.Write | access.Insert | access.Delete

// flagsOf returns the flags that rights let change (RFC 4314 section 4).
func flagsOf(rights access.Rights) mailbox.FlagSet {
	var f mailbox.FlagSet
	if rights.Has(access.Seen) {
		f.Flags |= mailbox.Seen
	}
	if rights.Has(access.Delete) {
		f.Flags |= mailbox.Deleted
	}
	if rights.Has(access.Write) {
		f.Flags, f.Keywords = f.Flags|^(mailbox.Seen|mailbox.Deleted), true
	}
	return f
}

// allowedFlags returns those of the flags that rights let change.
func allowedFlags(flags []imap.Flag, rights access.Rights) []imap.Flag {
	return slices.DeleteFunc(slices.Clone(flags), func(f imap.Flag) bool {
		switch {
		case strings.EqualFold(string(f), string(imap.FlagSeen)):
			return !rights.Has(access.Seen)
		case strings.EqualFold(string(f), string(imap.FlagDeleted)):
			return !rights.Has(access.Delete)
		}
		return !rights.Has(access.Write)
	})
}

// mayDelete returns an error if the mailbox is selected read-write without the right to expunge messages.
func (v *view) mayDelete() error {
	if v.info.ReadOnly { // which is another error
		return nil
	}
	return v.target.Require(access.Delete)
}

// describe writes the responses that a client needs about a mailbox it has selected.
func (v *view) describe() {
	v.putFlagLists()
	info := v.info
	v.recent = v.mailbox.Recent()
	v.out.Raw("* ").Number(uint64(info.Exists)).Raw(" EXISTS").CRLF()
	if !v.rev2 {
		v.out.Raw("* ").Number(uint64(v.recent)).Raw(" RECENT").CRLF()
		if info.FirstUnseen > 0 && !v.uidOnly {
			v.out.Raw("* OK [UNSEEN ").Number(uint64(info.FirstUnseen)).Raw("] First unread message").CRLF()
		}
	}
	v.out.Raw("* OK [UIDVALIDITY ").Number(uint64(info.UIDValidity)).Raw("] UIDs are valid").CRLF()
	v.out.Raw("* OK [UIDNEXT ").Number(uint64(info.UIDNext)).Raw("] Next UID").CRLF()
	v.putHighestModSeq(info.HighestModSeq)
	v.out.Raw("* OK [MAILBOXID (").Raw(mailboxID(&v.target.Owner, info.ID)).Raw(")] Identifier of the mailbox").CRLF()
}

// putSelected writes the LIST response of the selected mailbox, with OLDNAME if the client has used another
// name (RFC 9051 section 6.3.2).
func (s *session) putSelected(asked string) error {
	info, err := s.view.target.Mail().Status(s.ctx, s.view.info.Name)
	if err != nil {
		return err
	}
	return s.putAsked(&s.view.target.Owner, info, asked)
}

// putAsked writes the LIST response of a mailbox for which the client may have used another name.
func (s *session) putAsked(o *access.Owner, info mailbox.Info, asked string) error {
	account, err := s.srv.acc.Current(s.ctx, s.account)
	if err != nil {
		return err
	}
	n := listed{Info: info, hasChildren: info.HasChildren}
	if !o.Foreign() {
		own := *o
		own.Prefix = ""
		o, n.uses = &own, account.SpecialUses()[info.Name]
	}
	n.Name = o.Shown(info.Name)
	if n.hasChildren { // only those that the client may see count
		names, err := (&listing{session: s}).names(o)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(names, func(l listed) bool { return l.Name == n.Name }); i >= 0 {
			n = names[i]
		}
	}
	if asked != n.Name {
		n.asked = asked
	}
	(&listing{session: s}).putListed(&n)
	return nil
}

// leave closes the selected mailbox.
func (s *session) leave() {
	s.view.mailbox.Close()
	s.view = nil
}

// close is CLOSE. It expunges the messages with \Deleted without EXPUNGE responses (RFC
// 9051 section 6.4.1). If that fails the mailbox stays selected, so that the client does not take the
// messages for expunged.
func (s *session) close(c *call, p *wire.Parser) error {
	if err := p.End(); err != nil {
		return err
	}
	if !s.view.info.ReadOnly && s.view.target.Rights.Has(access.Delete) {
		if _, err := s.view.mailbox.Expunge(s.ctx, nil); err != nil {
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
