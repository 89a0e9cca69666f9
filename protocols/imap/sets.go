package imap

import (
	"slices"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/protocols/imap/wire"
)

// messageSet is a set of messages in a client's command: numbers, or $,
// the result that the last SEARCH with SAVE has saved (RFC 5182).
type messageSet struct {
	numbers wire.NumSet
	saved   bool
}

func (s *session) parseSet(p *wire.Parser) messageSet {
	if p.Skip('$') {
		return messageSet{saved: true}
	}
	return messageSet{numbers: p.Set()}
}

// resolve returns the messages of the view that a set names, as sorted ranges of sequence numbers.
// UIDs without a message are left out. A sequence number without a message is
// an error of the client (RFC 9051 section 9, seq-number), except for "*" and "1:*" in an empty mailbox, which
// clients send without knowing that it is empty.
func (s *session) resolve(set messageSet, uid bool) ([]wire.Range, error) {
	n := s.mailbox.Len()
	switch high := set.numbers.Max(); {
	case set.saved:
		return s.savedRanges(), nil
	case !uid && uint64(high) > uint64(n) && (n > 0 || !set.numbers.Blind()):
		return nil, wire.Bad("there is no message number %d", high)
	case n == 0:
		return nil, nil
	case !uid:
		return set.numbers.Resolve(uint32(n)), nil
	}
	uids := s.mailbox.UIDs()
	ranges := set.numbers.Resolve(uint32(uids[n-1]))
	out := ranges[:0]
	for _, r := range ranges {
		low, _ := slices.BinarySearch(uids, imap.UID(r.Low))
		high, found := slices.BinarySearch(uids, imap.UID(r.High))
		if found {
			high++
		}
		if low < high {
			out = append(out, wire.Range{Low: uint32(low) + 1, High: uint32(high)})
		}
	}
	return out, nil
}

// savedRanges returns the messages of the saved result that the view still has.
func (s *session) savedRanges() []wire.Range {
	var out []wire.Range
	for _, uid := range s.saved {
		seq, ok := s.mailbox.Seq(uid)
		switch {
		case !ok:
		case len(out) > 0 && out[len(out)-1].High+1 == uint32(seq):
			out[len(out)-1].High++
		default:
			out = append(out, wire.Range{Low: uint32(seq), High: uint32(seq)})
		}
	}
	return out
}

// uidsOf returns the UIDs of ranges of sequence numbers.
func (s *session) uidsOf(seqs []wire.Range) []imap.UID {
	n := 0
	for _, r := range seqs {
		n += int(r.High-r.Low) + 1
	}
	uids := make([]imap.UID, 0, n)
	all := s.mailbox.UIDs()
	for _, r := range seqs {
		uids = append(uids, all[r.Low-1:r.High]...)
	}
	return uids
}
