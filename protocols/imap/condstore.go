package imap

import (
	"gatepost/protocols/imap/wire"
)

// CONDSTORE (RFC 7162 section 3.1): each change of a mailbox has a number, and each message that of its last change.

// enableCondstore has the flags of messages sent with their MODSEQ from now on. Commands that show that the client knows
// CONDSTORE call it.
func (s *session) enableCondstore() {
	if s.view != nil {
		s.view.enableCondstore()
	}
	s.condstore = true
}

// putHighestModSeq tells up to which change the client knows all. It is less than the greatest MODSEQ that was sent while
// expunges are held back.
func (v *view) putHighestModSeq(n uint64) {
	v.out.Raw("* OK [HIGHESTMODSEQ ").Number(n).Raw("] Highest change number").CRLF()
}

// putModSeq writes a MODSEQ item.
func (r *responder) putModSeq(n uint64) { r.out.Raw("MODSEQ (").Number(n).Byte(')') }

// parseModSeq reads the number of a change.
func parseModSeq(p *wire.Parser) uint64 { return uint64(p.Number64()) }

// parseStoreModifiers reads the modifiers of STORE (RFC 7162 section 3.1.3, RFC 4466 section 2.5).
func parseStoreModifiers(p *wire.Parser, a *storeArgs) {
	p.List(func() {
		if name := p.Keyword(); string(name) != "UNCHANGEDSINCE" {
			p.Fail("unknown modifier %s", name)
		}
		p.Space()
		a.since, a.conditional = parseModSeq(p), true
	})
	p.Space()
}

// parseSearchModSeq reads the argument of the search key MODSEQ. The name and the type of a metadata item are allowed and
// mean nothing here: all flags of a message share one number (RFC 7162 section 3.1.5).
func parseSearchModSeq(p *wire.Parser) uint64 {
	if p.Peek() == '"' {
		p.String()
		p.Space()
		switch string(p.Keyword()) {
		case "PRIV", "SHARED", "ALL":
		default:
			p.Fail("priv, shared or all expected")
		}
		p.Space()
	}
	return parseModSeq(p)
}

// highestOf returns the greatest ModSeq of messages.
func (v *view) highestOf(found []uint32) (highest uint64) {
	for _, seq := range found {
		if st, ok := v.mailbox.StateAt(int(seq)); ok {
			highest = max(highest, st.ModSeq)
		}
	}
	return highest
}
