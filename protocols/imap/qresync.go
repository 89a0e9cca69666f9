package imap

import (
	imap "github.com/emersion/go-imap/v2"

	"gatepost/protocols/imap/wire"
)

// QRESYNC (RFC 7162 section 3.2): a client that comes back is told what has changed since it was there last.

// selectParams are the parameters of SELECT and EXAMINE (RFC 4466 section 2.1).
type selectParams struct {
	condstore bool
	resync    *resyncParams
}

// resyncParams are what a client knows of a mailbox (RFC 7162 section 3.2.5).
type resyncParams struct {
	validity uint32
	modSeq   uint64
	known    wire.NumSet // UIDs; nil for all
	// Sequence numbers that the client knows, and the UIDs that they had.
	seqs, uids wire.NumSet
}

func (s *session) parseSelectParams(p *wire.Parser) (params selectParams) {
	p.List(func() {
		switch name := p.Keyword(); string(name) {
		case "CONDSTORE":
			params.condstore = true
		case "QRESYNC":
			if !s.qresync {
				p.Fail("enable QRESYNC first")
				return
			}
			p.Space()
			params.resync = parseResync(p)
			if s.uidOnly && params.resync.seqs != nil && p.OK() {
				p.Fail("%v", errUIDRequired())
			}
		default:
			p.Fail("unknown parameter %s", name)
		}
	})
	return params
}

func parseResync(p *wire.Parser) *resyncParams {
	r := new(resyncParams)
	p.Expect('(')
	r.validity = p.NzNumber()
	p.Space()
	r.modSeq = parseModSeq(p)
	more := p.SkipSpace()
	if more && p.Peek() != '(' {
		r.known = p.Set()
		more = p.SkipSpace()
	}
	if more {
		p.Expect('(')
		r.seqs = p.Set()
		p.Space()
		r.uids = p.Set()
		p.Expect(')')
	}
	p.Expect(')')
	if r.known.HasStar() || r.seqs.HasStar() || r.uids.HasStar() {
		p.Fail("* is not allowed here")
	}
	return r
}

// resync tells the client what has changed in the selected mailbox.
func (v *view) resync(r *resyncParams) error {
	if err := v.mailbox.Load(v.ctx); err != nil {
		return err
	}
	if r.validity != v.info.UIDValidity {
		return nil // the client finds that out by itself
	}
	known := r.known
	if known == nil {
		known = wire.NumSet{{Low: 1, High: 1<<32 - 1}}
	}
	known = known.Resolve(1)
	if err := v.putVanished(r.modSeq, known.Above(v.lastMatch(r))); err != nil {
		return err
	}
	for seq := 1; seq <= v.mailbox.Len(); seq++ {
		st, ok := v.mailbox.StateAt(seq)
		if ok && st.ModSeq > r.modSeq && known.Contains(uint32(st.UID)) {
			v.putFlags(seq, true)
		}
	}
	return nil
}

// lastMatch returns the highest UID that still has the sequence number which the client knows, or 0. UIDs only rise, so that no
// message up to there can have vanished.
func (v *view) lastMatch(r *resyncParams) (match uint32) {
	seqs, uids := r.seqs.Ascending(), r.uids.Ascending()
	for {
		seq, uid := seqs(), uids()
		if seq == 0 || uid == 0 || uint64(seq) > uint64(v.mailbox.Len()) {
			return match
		}
		if v.mailbox.UID(int(seq)) == imap.UID(uid) {
			match = uid
		}
	}
}

// putVanished writes VANISHED (EARLIER) with those UIDs of a resolved set that were expunged after a change.
func (v *view) putVanished(since uint64, of wire.NumSet) error {
	gone, err := v.mailbox.Vanished(v.ctx, since)
	if err != nil {
		return err
	}
	ranges := make(wire.NumSet, len(gone))
	for i, r := range gone {
		ranges[i] = wire.Range{Low: uint32(r.Start), High: uint32(r.Stop)}
	}
	if ranges = ranges.Intersect(of); len(ranges) == 0 {
		return nil
	}
	v.out.Raw("* VANISHED (EARLIER) ").Set(wire.AppendRanges(v.out.Buf(), ranges))
	v.out.CRLF()
	return nil
}
