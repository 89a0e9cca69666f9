package wire

import (
	"cmp"
	"slices"
	"strconv"
)

// Range is a range of sequence numbers or UIDs, both ends included.
type Range struct {
	Low, High uint32
}

// NumSet is a set of sequence numbers or UIDs. As parsed, 0 stands for *, and
// ranges may be in any order and overlap; Resolve puts it right.
type NumSet []Range

// maxRanges bounds a set; a command line has room for about as many.
const maxRanges = 32 << 10

// Set reads a sequence-set (RFC 9051 section 9).
func (p *Parser) Set() NumSet {
	var s NumSet
	for p.OK() {
		low := p.setNumber()
		high := low
		if p.Skip(':') {
			high = p.setNumber()
		}
		s = append(s, Range{low, high})
		if len(s) > maxRanges {
			p.Limit("more than %d ranges in a set", maxRanges)
		}
		if !p.Skip(',') {
			break
		}
	}
	if !p.OK() {
		return nil
	}
	return s
}

func (p *Parser) setNumber() uint32 {
	if p.Skip('*') {
		return 0
	}
	return p.NzNumber()
}

// Max returns the greatest number in the set, other than *.
func (s NumSet) Max() uint32 {
	var n uint32
	for _, r := range s {
		n = max(n, r.Low, r.High)
	}
	return n
}

// Blind reports whether the set consists of * and 1:* only, which clients send without knowing whether the
// mailbox has messages.
func (s NumSet) Blind() bool {
	for _, r := range s {
		if max(r.Low, r.High) > 1 || min(r.Low, r.High) > 0 {
			return false
		}
	}
	return true
}

// Resolve replaces * by the number of the last message, sorts the ranges and joins them, in
// place. With last 0 (no messages) * is no message, but a range to it still has
// its other end.
func (s NumSet) Resolve(last uint32) NumSet {
	for i, r := range s {
		if r.Low == 0 {
			r.Low = last
		}
		if r.High == 0 {
			r.High = last
		}
		s[i] = Range{min(r.Low, r.High), max(r.Low, r.High)}
	}
	slices.SortFunc(s, func(a, b Range) int { return cmp.Compare(a.Low, b.Low) })
	out := s[:0]
	for _, r := range s {
		if n := len(out); n > 0 && uint64(r.Low) <= uint64(out[n-1].High)+1 {
			out[n-1].High = max(out[n-1].High, r.High)
			continue
		}
		out = append(out, r)
	}
	return out
}

// Contains reports whether a resolved set has n.
func (s NumSet) Contains(n uint32) bool {
	i, found := slices.BinarySearchFunc(s, n, func(r Range, n uint32) int { return cmp.Compare(r.Low, n) })
	return found || i > 0 && n <= s[i-1].High
}

// HasStar reports whether * is in a set as parsed.
func (s NumSet) HasStar() bool {
	return slices.ContainsFunc(s, func(r Range) bool { return r.Low == 0 || r.High == 0 })
}

// Above returns the part of a resolved set above n.
func (s NumSet) Above(n uint32) NumSet {
	if n == 1<<32-1 {
		return nil
	}
	return s.Intersect(NumSet{{Low: n + 1, High: 1<<32 - 1}})
}

// Intersect returns the numbers that are in both of two resolved sets.
func (s NumSet) Intersect(other NumSet) (both NumSet) {
	for len(s) > 0 && len(other) > 0 {
		low, high := max(s[0].Low, other[0].Low), min(s[0].High, other[0].High)
		if low <= high {
			both = append(both, Range{low, high})
		}
		if s[0].High < other[0].High {
			s = s[1:]
		} else {
			other = other[1:]
		}
	}
	return both
}

// Ascending returns a function that returns the numbers of a set without * one after the other, and 0 at its end or where they do
// not ascend.
func (s NumSet) Ascending() func() uint32 {
	var last uint32
	return func() uint32 {
		for len(s) > 0 {
			low, high := min(s[0].Low, s[0].High), max(s[0].Low, s[0].High)
			switch {
			case last < low:
				last = low
				return last
			case last < high && last >= low:
				last++
				return last
			}
			if s = s[1:]; len(s) > 0 && min(s[0].Low, s[0].High) <= last {
				s = nil
			}
		}
		return 0
	}
}

// AppendRanges appends a resolved set.
func AppendRanges(dst []byte, s NumSet) []byte {
	for i, r := range s {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendRange(dst, r.Low, r.High)
	}
	return dst
}

// AppendSet appends the numbers, which are sorted, as a set: 1:3,7.
func AppendSet[N ~uint32](dst []byte, numbers []N) []byte {
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendRange(dst, uint32(numbers[i]), uint32(numbers[j]))
		i = j + 1
	}
	return dst
}

// AppendRange appends a range: 1:3, or 1 alone.
func AppendRange(dst []byte, low, high uint32) []byte {
	dst = strconv.AppendUint(dst, uint64(low), 10)
	if high != low {
		dst = append(dst, ':')
		dst = strconv.AppendUint(dst, uint64(high), 10)
	}
	return dst
}
