package imap

import (
	"context"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// copy is COPY (RFC 9051 section 6.4.7).
func (s *session) copy(c *call, p *wire.Parser) error {
	uids, dest, err := s.parseCopy(c, p)
	if err != nil || len(uids) == 0 {
		return err
	}
	data, err := s.view.mailbox.CopyWith(s.ctx, uids, flagsOf(dest.Rights), dest.Mail(), dest.Name)
	if err != nil {
		return withCode(err, fault.NoMailbox, "TRYCREATE")
	}
	if len(data.Source) == 0 {
		return no(fault.NoMessage, "")
	}
	c.code = copyUID(data)
	return nil
}

// move is MOVE (RFC 6851). COPYUID comes untagged, before the EXPUNGE responses of the
// update, also when only some of the messages were moved before an error.
func (s *session) move(c *call, p *wire.Parser) error {
	uids, dest, err := s.parseCopy(c, p)
	if err != nil || len(uids) == 0 {
		return err
	}
	if err := s.view.mayDelete(); err != nil {
		return err
	}
	var data mailbox.CopyData
	if flags := flagsOf(dest.Rights); dest.Account.ID != s.view.target.Account.ID || flags != mailbox.EveryFlag {
		data, err = s.view.moveTo(s.ctx, uids, flags, dest.Mail(), dest.Name)
	} else {
		data, err = s.view.mailbox.Move(s.ctx, uids, dest.Name)
	}
	switch {
	case len(data.Source) > 0:
		s.out.Raw("* OK [").Raw(copyUID(data)).Raw("] Moved").CRLF()
		if err == nil && s.qresync {
			return s.view.tellExpunged(c)
		}
	case err == nil:
		return no(fault.NoMessage, "")
	}
	return withCode(err, fault.NoMailbox, "TRYCREATE")
}

// moveTo moves messages to a mailbox of another account, or to one where they lose flags. After a crash a message may be in both, but it is in
// one of them at least.
func (v *view) moveTo(ctx context.Context, uids []imap.UID, flags mailbox.FlagSet, to *mailbox.Account, dest string) (mailbox.CopyData, error) {
	if v.info.ReadOnly {
		return mailbox.CopyData{}, fault.New("imap.moveTo", fault.ReadOnly, "")
	}
	data, err := v.mailbox.CopyWith(ctx, uids, flags, to, dest)
	if err != nil {
		return data, err
	}
	var copied []imap.UID
	for _, r := range data.Source {
		for uid := r.Start; uid <= r.Stop; uid++ {
			copied = append(copied, uid)
		}
	}
	if _, err := v.mailbox.SetFlags(ctx, copied, mailbox.Add, []imap.Flag{imap.FlagDeleted}, mailbox.NoCondition); err != nil {
		return data, err
	}
	_, err = v.mailbox.Expunge(ctx, &data.Source)
	return data, err
}

func (s *session) parseCopy(c *call, p *wire.Parser) ([]imap.UID, access.Mailbox, error) {
	p.Space()
	set := parseSet(p)
	p.Space()
	name, bad := s.mailboxName(p)
	if err := p.End(); err != nil {
		return nil, access.Mailbox{}, err
	}
	seqs, err := s.view.resolve(set, c.uid)
	if err != nil {
		return nil, access.Mailbox{}, err
	}
	if bad != nil {
		return nil, access.Mailbox{}, bad
	}
	dest, err := s.find(name, access.Insert)
	return s.view.uidsOf(seqs), dest, err
}

// copyUID is the response code of RFC 4315 section 3.
func copyUID(d mailbox.CopyData) string {
	b := wire.AppendRange([]byte("COPYUID "), d.UIDValidity, d.UIDValidity)
	for _, set := range []imap.UIDSet{d.Source, d.Dest} {
		b = append(b, ' ')
		for i, r := range set {
			if i > 0 {
				b = append(b, ',')
			}
			b = wire.AppendRange(b, uint32(r.Start), uint32(r.Stop))
		}
	}
	return string(b)
}
