package imap

import (
	"strconv"

	"gatepost/protocols/imap/wire"
)

// PARTIAL (RFC 9394): a part of the messages that were found, counted from the first one or, with negative numbers, from the last one.

// partialRange is the argument of PARTIAL.
type partialRange struct {
	low, high uint32 // low is the one nearer to the end that is counted from; 0 without PARTIAL
	fromEnd   bool
}

func parsePartial(p *wire.Parser) (r partialRange) {
	r.fromEnd = p.Skip('-')
	r.low = p.NzNumber()
	p.Expect(':')
	if p.Skip('-') != r.fromEnd {
		p.Fail("both ends of a range have to have the same sign")
	}
	if r.high = p.NzNumber(); r.high < r.low {
		r.low, r.high = r.high, r.low
	}
	return r
}

// cut returns which of n messages are in the range: those from index first to before end.
func (r partialRange) cut(n int) (first, end int) {
	first, end = min(int(r.low)-1, n), min(int(r.high), n)
	if r.fromEnd {
		first, end = n-end, n-first
	}
	return first, end
}

// append appends the range as responses have it.
func (r partialRange) append(b []byte) []byte {
	sign := ""
	if r.fromEnd {
		sign = "-"
	}
	b = strconv.AppendUint(append(b, sign...), uint64(r.low), 10)
	return strconv.AppendUint(append(append(b, ':'), sign...), uint64(r.high), 10)
}

// cutRanges returns those of the messages that are in the range.
func (r partialRange) cutRanges(seqs []wire.Range) (out []wire.Range) {
	n := 0
	for _, s := range seqs {
		n += int(s.High-s.Low) + 1
	}
	first, end := r.cut(n)
	at := 0
	for _, s := range seqs {
		size := int(s.High-s.Low) + 1
		from, to := max(first-at, 0), min(end-at, size)
		if from < to {
			out = append(out, wire.Range{Low: s.Low + uint32(from), High: s.Low + uint32(to) - 1})
		}
		at += size
	}
	return out
}
