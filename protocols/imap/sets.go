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

func parseSet(p *wire.Parser) messageSet {
	if p.Skip('$') {
		return messageSet{saved: true}
	}
	return messageSet{numbers: p.Set()}
}

// resolve returns the messages of the view that a set names, as sorted ranges of sequence numbers.
// UIDs without a message are left out. A sequence number without a message is
// an error of the client (RFC 9051 section 9, seq-number), except for "*" and "1:*" in an empty mailbox, which
// clients send without knowing that it is empty.
func (v *view) resolve(set messageSet, uid bool) ([]wire.Range, error) {
	n := v.mailbox.Len()
	switch high := set.numbers.Max(); {
	case set.saved:
		return v.savedRanges(), nil
	case !uid && uint64(high) > uint64(n) && (n > 0 || !set.numbers.Blind()):
		return nil, wire.Bad("there is no message number %d", high)
	case n == 0:
		return nil, nil
	case !uid:
		return set.numbers.Resolve(uint32(n)), nil
	}
	uids := v.mailbox.UIDs()
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

// uidRanges returns the UIDs that a set names, whether there are messages or not. A range to * has no end, so that it has
// the UIDs of messages that were expunged above the last one.
func (v *view) uidRanges(set messageSet) wire.NumSet {
	if set.saved {
		return rangesOf(v.numbersOf(v.saved, true))
	}
	return slices.Clone(set.numbers).Resolve(1<<32 - 1)
}

// savedRanges returns the messages of the saved result that the view still has.
func (v *view) savedRanges() []wire.Range {
	return rangesOf(v.numbersOf(v.saved, false))
}

// numbersOf returns UIDs as a response has them: as they are, or as sequence numbers.
func (v *view) numbersOf(uids []imap.UID, uid bool) []uint32 {
	numbers := make([]uint32, 0, len(uids))
	for _, u := range uids {
		if uid {
			numbers = append(numbers, uint32(u))
		} else if seq, ok := v.mailbox.Seq(u); ok {
			numbers = append(numbers, uint32(seq))
		}
	}
	return numbers
}

// rangesOf returns sorted numbers as ranges.
func rangesOf(numbers []uint32) (ranges []wire.Range) {
	for _, n := range numbers {
		if last := len(ranges) - 1; last >= 0 && ranges[last].High+1 == n {
			ranges[last].High = n
			continue
		}
		ranges = append(ranges, wire.Range{Low: n, High: n})
	}
	return ranges
}

// uidsOf returns the UIDs of ranges of sequence numbers.
func (v *view) uidsOf(seqs []wire.Range) []imap.UID {
	n := 0
	for _, r := range seqs {
		n += int(r.High-r.Low) + 1
	}
	uids := make([]imap.UID, 0, n)
	all := v.mailbox.UIDs()
	for _, r := range seqs {
		uids = append(uids, all[r.Low-1:r.High]...)
	}
	return uids
}
