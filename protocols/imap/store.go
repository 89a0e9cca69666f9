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
	// A conditional STORE leaves messages alone that have changed after since (RFC 7162).
	conditional bool
	since       uint64
}

func (s *session) parseStore(p *wire.Parser) storeArgs {
	var a storeArgs
	p.Space()
	a.set = parseSet(p)
	p.Space()
	a.since = mailbox.NoCondition
	if p.Peek() == '(' {
		parseStoreModifiers(p, &a)
	}
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
	seqs, err := s.view.resolve(a.set, c.uid)
	if err != nil {
		return err
	}
	// RFC 4314 section 4: those that the user may not change stay as they are, unless that is all of them.
	if rights := s.view.target.Rights; !s.view.info.ReadOnly && rights&(access.Seen|access.Write|access.Delete) == 0 ||
		a.op != mailbox.Set && len(a.flags) > 0 && len(allowedFlags(a.flags, rights)) == 0 {
		return fault.New("imap.store", fault.Denied, "")
	}
	if a.conditional {
		s.enableCondstore()
	}
	done, err := s.view.mailbox.SetFlags(s.ctx, s.view.uidsOf(seqs), a.op, a.flags, a.since)
	if err != nil {
		return err
	}
	if a.silent && !s.condstore {
		return nil
	}
	// Keywords that are new to the mailbox have to be sent in FLAGS first.
	if !s.view.update(false) {
		return nil // dispatch answers, and ends the session
	}
	if len(done.Modified) > 0 {
		c.code = "MODIFIED " + string(wire.AppendSet(nil, s.view.numbersOf(done.Modified, c.uid)))
		c.text = "Conditional STORE failed"
	}
	if a.silent {
		s.view.putModSeqs(done.Changed, c.uid)
		seqs = rangesOf(s.view.numbersOf(done.Modified, false))
	}
	for _, r := range seqs {
		for seq := r.Low; seq <= r.High; seq++ {
			s.view.putFlags(int(seq), c.uid)
		}
	}
	return nil
}

// putModSeqs writes FETCH responses with nothing but the MODSEQ of messages, which a silent STORE has to send as well (RFC
// 7162 section 3.1.3).
func (v *view) putModSeqs(uids []imap.UID, withUID bool) {
	for _, uid := range uids {
		seq, ok := v.mailbox.Seq(uid)
		if !ok {
			continue
		}
		st, ok := v.mailbox.StateAt(seq)
		if !ok {
			continue
		}
		v.beginFetch(seq, uid, withUID)
		v.putModSeq(st.ModSeq)
		v.out.Byte(')').CRLF()
	}
}
