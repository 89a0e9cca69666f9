package imap

import (
	imap "github.com/emersion/go-imap/v2"

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
	data, err := s.mailbox.Copy(s.ctx, uids, dest)
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
	data, err := s.mailbox.Move(s.ctx, uids, dest)
	switch {
	case len(data.Source) > 0:
		s.out.Raw("* OK [").Raw(copyUID(data)).Raw("] Moved").CRLF()
	case err == nil:
		return no(fault.NoMessage, "")
	}
	return withCode(err, fault.NoMailbox, "TRYCREATE")
}

func (s *session) parseCopy(c *call, p *wire.Parser) ([]imap.UID, string, error) {
	p.Space()
	set := s.parseSet(p)
	p.Space()
	dest, bad := s.mailboxName(p)
	if err := p.End(); err != nil {
		return nil, "", err
	}
	seqs, err := s.resolve(set, c.uid)
	if err != nil {
		return nil, "", err
	}
	if bad != nil {
		return nil, "", bad
	}
	return s.uidsOf(seqs), dest, nil
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
