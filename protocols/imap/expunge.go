package imap

import (
	"strconv"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/protocols/imap/wire"
)

// expunge is EXPUNGE and UID EXPUNGE (RFC 4315 section 2.1). The EXPUNGE responses come
// from the update before the tagged OK.
func (s *session) expunge(c *call, p *wire.Parser) error {
	var uids *imap.UIDSet
	if c.uid {
		p.Space()
		set := parseSet(p)
		if err := p.End(); err != nil {
			return err
		}
		seqs, err := s.view.resolve(set, true)
		if err != nil {
			return err
		}
		uids = new(imap.UIDSet)
		for _, r := range seqs {
			uids.AddRange(s.view.mailbox.UID(int(r.Low)), s.view.mailbox.UID(int(r.High)))
		}
	}
	if err := p.End(); err != nil {
		return err
	}
	if err := s.view.mayDelete(); err != nil {
		return err
	}
	gone, err := s.view.mailbox.Expunge(s.ctx, uids)
	if err != nil || len(gone) == 0 || !s.qresync {
		return err
	}
	return s.view.tellExpunged(c)
}

// tellExpunged sends VANISHED for what a command has expunged, and has the tagged OK tell the change number that the client
// then knows (RFC 7162 sections 3.2.7 and 3.2.8).
func (v *view) tellExpunged(c *call) error {
	if v.update(true) { // else dispatch ends the session
		c.code = "HIGHESTMODSEQ " + strconv.FormatUint(v.mailbox.Info().HighestModSeq, 10)
	}
	return nil
}
