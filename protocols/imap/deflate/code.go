package deflate

const (
	maxBits    = 15
	maxLengths = 288
	maxOffsets = 32
)

// code is a canonical Huffman code (RFC 1951 section 3.2.2): how many codes there are of each length, and the symbols in the order of
// their codes. It is small, which matters more here than the speed of larger tables.
type code struct {
	count   [maxBits + 1]uint16
	symbols [maxLengths]uint16
}

// newCode makes the code with the lengths of the codes of all symbols. Codes of one symbol, or none, may be incomplete.
func newCode(lengths []uint8) (c code, ok bool) {
	for _, n := range lengths {
		c.count[n]++
	}
	left := 1
	for n := 1; n <= maxBits; n++ {
		if left = left<<1 - int(c.count[n]); left < 0 {
			return c, false
		}
	}
	if left > 0 && len(lengths)-int(c.count[0]) > 1 {
		return c, false
	}
	var next [maxBits + 2]uint16
	for n := 1; n <= maxBits; n++ {
		next[n+1] = next[n] + c.count[n]
	}
	for s, n := range lengths {
		if n > 0 {
			c.symbols[next[n]] = uint16(s)
			next[n]++
		}
	}
	return c, true
}

// decode decodes a symbol. It reports false if the input is not enough.
func (c *code) decode(r *Reader) (symbol int, ok bool, err error) {
	code, first, index := 0, 0, 0
	for n := 1; n <= maxBits; n++ {
		bit, ok := r.take(1)
		if !ok {
			return 0, false, nil
		}
		code |= int(bit)
		count := int(c.count[n])
		if code-first < count {
			return int(c.symbols[index+code-first]), true, nil
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, false, ErrFormat
}

// The fixed codes (RFC 1951 section 3.2.6).
var fixedLengths, fixedOffsets = func() (code, code) {
	var lengths [maxLengths]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	var offsets [maxOffsets]uint8
	for i := range offsets {
		offsets[i] = 5
	}
	l, _ := newCode(lengths[:])
	o, _ := newCode(offsets[:])
	return l, o
}()

// tableOrder is the order in which a table has the lengths of the codes that it is written in.
var tableOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// tables decodes the codes of a block (RFC 1951 section 3.2.7).
func (r *Reader) tables() (ok bool, err error) {
	h, ok := r.take(14)
	if !ok {
		return false, nil
	}
	nlen, ndist, ncode := int(h&31)+257, int(h>>5&31)+1, int(h>>10)+4
	if nlen > 286 || ndist > 30 {
		return false, ErrFormat
	}
	var lengths [maxLengths + maxOffsets]uint8
	for _, at := range tableOrder[:ncode] {
		n, ok := r.take(3)
		if !ok {
			return false, nil
		}
		lengths[at] = uint8(n)
	}
	c, ok := newCode(lengths[:19])
	if !ok {
		return false, ErrFormat
	}
	clear(lengths[:])
	for i := 0; i < nlen+ndist; {
		s, ok, err := c.decode(r)
		if !ok || err != nil {
			return ok, err
		}
		if s < 16 {
			lengths[i] = uint8(s)
			i++
			continue
		}
		var value uint8
		bits, least := uint(2), 3
		switch s {
		case 16:
			if i == 0 {
				return false, ErrFormat
			}
			value = lengths[i-1]
		case 17:
			bits = 3
		default:
			bits, least = 7, 11
		}
		n, ok := r.take(bits)
		if !ok {
			return false, nil
		}
		times := least + int(n)
		if i+times > nlen+ndist {
			return false, ErrFormat
		}
		for range times {
			lengths[i] = value
			i++
		}
	}
	if lengths[256] == 0 {
		return false, ErrFormat // the block could not end
	}
	if r.lengths, ok = newCode(lengths[:nlen]); !ok {
		return false, ErrFormat
	}
	if r.offsets, ok = newCode(lengths[nlen : nlen+ndist]); !ok {
		return false, ErrFormat
	}
	return true, nil
}
