package imap

import (
	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// storeArgs are the arguments of STORE.
type storeArgs struct {
	set    messageSet
	op     mailbox.Op
	silent bool
	flags  []imap.Flag
}

func (s *session) parseStore(p *wire.Parser) storeArgs {
	var a storeArgs
	p.Space()
	a.set = s.parseSet(p)
	p.Space()
	switch {
	case p.Skip('+'):
		a.op = mailbox.Add
	case p.Skip('-'):
		a.op = mailbox.Remove
	}
	switch string(p.Keyword()) {
	case "FLAGS":
	case "FLAGS.SILENT":
		a.silent = true
	default:
		p.Fail("FLAGS or FLAGS.SILENT expected")
	}
	p.Space()
	if p.Peek() == '(' {
		p.List(func() { a.flags = append(a.flags, imap.Flag(p.Flag())) })
		return a
	}
	for more := true; more; more = p.SkipSpace() {
		a.flags = append(a.flags, imap.Flag(p.Flag()))
	}
	return a
}

// store is STORE (RFC 9051 section 6.4.6). Messages that another session has expunged, of which the client
// does not know yet, are answered for like the others.
func (s *session) store(c *call, p *wire.Parser) error {
	a := s.parseStore(p)
	if err := p.End(); err != nil {
		return err
	}
	seqs, err := s.resolve(a.set, c.uid)
	if err != nil {
		return err
	}
	// RFC 4314 section 4: those that the user may not change stay as they are, unless that is all of them.
	if rights := s.target.Rights; !s.info.ReadOnly && rights&(access.Seen|access.Write|access.Delete) == 0 ||
		a.op != mailbox.Set && len(a.flags) > 0 && len(allowedFlags(a.flags, rights)) == 0 {
		return fault.New("imap.store", fault.Denied, "")
	}
	if _, err := s.mailbox.SetFlags(s.ctx, s.uidsOf(seqs), a.op, a.flags, mailbox.NoCondition); err != nil {
		return err
	}
	if a.silent {
		return nil
	}
	// Keywords that are new to the mailbox have to be sent in FLAGS first.
	if !s.update(false) {
		return nil // dispatch answers, and ends the session
	}
	for _, r := range seqs {
		for seq := r.Low; seq <= r.High; seq++ {
			s.putFlags(int(seq), c.uid || s.rev2)
		}
	}
	return nil
}
