package imap

import (
	"iter"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// replace is REPLACE and UID REPLACE (RFC 8508): a message takes the place of another one, in the same mailbox or elsewhere. In one
// account both happen in one commit. In another one the new message is stored first; after a crash there may be both.
func replace(s *session, c *call, p *wire.Parser) error {
	p.Space()
	set := parseSet(p)
	p.Space()
	name, bad := s.mailboxName(p)
	a := newAppending(s, c)
	a.single = true
	a.scan(p)
	m, err := a.destination(p, name, bad)
	if err != nil {
		return err
	}
	seqs, err := s.view.resolve(set, c.uid)
	if err != nil {
		return err
	}
	uids := s.view.uidsOf(seqs)
	switch {
	case len(uids) == 0:
		return no(fault.NoMessage, "There is no such message")
	case len(uids) > 1:
		return wire.Bad("one message can be replaced at a time")
	case s.view.info.ReadOnly:
		return fault.New("imap.replace", fault.ReadOnly, "")
	}
	if err := s.view.target.Require(access.Delete); err != nil {
		return err
	}
	done, err := s.view.replaceBy(uids[0], m, iter.Seq[mailbox.AppendMessage](a.messages(m.Rights)))
	if err = a.end(err); err != nil {
		return err
	}
	s.out.Raw("* OK [").Raw(appendUID([]mailbox.Appended{done})).Raw("] Replaced").CRLF()
	if s.qresync {
		return s.view.tellExpunged(c)
	}
	return nil
}

func (v *view) replaceBy(uid imap.UID, m access.Mailbox, messages iter.Seq[mailbox.AppendMessage]) (mailbox.Appended, error) {
	if m.Account.ID == v.target.Account.ID {
		return v.mailbox.Replace(v.ctx, uid, m.Name, messages)
	}
	done, err := m.Mail().AppendAll(v.ctx, m.Name, messages)
	if err != nil {
		return mailbox.Appended{}, err
	}
	old := imap.UIDSetNum(uid)
	if _, err := v.mailbox.SetFlags(v.ctx, []imap.UID{uid}, mailbox.Add, []imap.Flag{imap.FlagDeleted}, mailbox.NoCondition); err != nil {
		return done[0], err
	}
	_, err = v.mailbox.Expunge(v.ctx, &old)
	return done[0], err
}
