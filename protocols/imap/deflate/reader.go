package deflate

import (
	"errors"
	"io"
)

// ErrFormat is input that is not DEFLATE.
var ErrFormat = errors.New("deflate: malformed input")

const (
	maxWindow = 32 << 10
	// inputSize is how much is received at a time.
	inputSize = 1 << 10
)

// Reader decompresses. It belongs to one goroutine.
type Reader struct {
	src   io.Reader
	err   error
	input [inputSize]byte
	in    []byte // what was received and is not decoded yet, a part of input or of carried
	// carried is the beginning of a table that was not complete yet.
	carried []byte

	bits  uint64 // received bits, the next one lowest
	nbits uint

	state   state
	final   bool // the block is the last one
	stored  int  // bytes left of a stored block
	length  int  // bytes left of a copy
	back    int  // its distance
	lengths code
	offsets code

	window []byte // a ring of a power of two, which grows up to maxWindow
	total  uint64 // bytes decoded
}

type state uint8

const (
	atHeader state = iota
	inStored
	inCodes
	atEnd
)

// NewReader returns a Reader of what src receives.
func NewReader(src io.Reader) *Reader { return &Reader{src: src} }

// Read returns what was received, decompressed. It waits for input only if nothing else can be returned.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if r.err != nil {
			return 0, r.err
		}
		n, err := r.decode(p)
		if err != nil {
			r.err = err
		}
		if n > 0 {
			return n, nil
		}
		if r.err == nil {
			r.receive()
		}
	}
}

// receive waits for more input.
func (r *Reader) receive() {
	if len(r.in) > 0 { // an incomplete step
		if r.carried = append(r.carried[:0:0], r.in...); len(r.carried) > inputSize/2 {
			r.err = ErrFormat // the largest table has less
			return
		}
	} else {
		r.carried = nil
	}
	kept := copy(r.input[:], r.carried)
	n, err := r.src.Read(r.input[kept:])
	r.in = r.input[:kept+n]
	if n == 0 {
		r.err = err
	}
}

// decode decodes into p what the received input is enough for.
func (r *Reader) decode(p []byte) (n int, err error) {
	for n < len(p) {
		switch {
		case r.length > 0:
			r.length--
			p[n] = r.window[(r.total-uint64(r.back))&uint64(len(r.window)-1)]
			r.put(p[n])
			n++
			continue
		case r.state == inStored && r.stored > 0:
			c, ok := r.take(8)
			if !ok {
				return n, nil
			}
			r.stored--
			p[n] = byte(c)
			r.put(p[n])
			n++
			continue
		case r.state == atEnd:
			return n, io.EOF
		}
		// A step that the input is not enough for is undone.
		in, bits, nbits := r.in, r.bits, r.nbits
		b, out, ok, err := r.step()
		if err != nil {
			return n, err
		}
		if !ok {
			r.in, r.bits, r.nbits = in, bits, nbits
			return n, nil
		}
		if out {
			p[n] = b
			r.put(b)
			n++
		}
	}
	return n, nil
}

// put adds a byte to the window.
func (r *Reader) put(b byte) {
	if r.total == uint64(len(r.window)) && len(r.window) < maxWindow {
		r.window = append(r.window, make([]byte, max(len(r.window), 1<<10))...)
	}
	r.window[r.total&uint64(len(r.window)-1)] = b
	r.total++
}

// step decodes a block's header, or one symbol. It reports false if the input is not enough.
func (r *Reader) step() (b byte, out, ok bool, err error) {
	switch r.state {
	case inStored:
		r.endBlock()
		return 0, false, true, nil
	case inCodes:
		return r.symbol()
	}
	ok, err = r.header()
	return 0, false, ok, err
}

func (r *Reader) endBlock() {
	r.state = atHeader
	if r.final {
		r.state = atEnd
	}
}

// take takes n bits, at most 32.
func (r *Reader) take(n uint) (uint32, bool) {
	for r.nbits < n {
		if len(r.in) == 0 {
			return 0, false
		}
		r.bits |= uint64(r.in[0]) << r.nbits
		r.nbits += 8
		r.in = r.in[1:]
	}
	v := uint32(r.bits & (1<<n - 1))
	r.bits >>= n
	r.nbits -= n
	return v, true
}

// header decodes the header of a block (RFC 1951 section 3.2.3).
func (r *Reader) header() (ok bool, err error) {
	h, ok := r.take(3)
	if !ok {
		return false, nil
	}
	switch h >> 1 {
	case 0:
		r.bits >>= r.nbits & 7
		r.nbits &^= 7
		size, ok := r.take(32)
		if !ok {
			return false, nil
		}
		if size&0xffff != ^size>>16 {
			return false, ErrFormat
		}
		r.state, r.stored = inStored, int(size&0xffff)
	case 1:
		r.lengths, r.offsets = fixedLengths, fixedOffsets
		r.state = inCodes
	case 2:
		if ok, err := r.tables(); !ok || err != nil {
			return ok, err
		}
		r.state = inCodes
	default:
		return false, ErrFormat
	}
	r.final = h&1 != 0
	return true, nil
}

// The lengths and distances that codes stand for (RFC 1951 section 3.2.5).
var (
	lengthBase  = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	offsetBase  = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	offsetExtra = [30]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

// symbol decodes a byte, a copy, or the end of the block.
func (r *Reader) symbol() (b byte, out, ok bool, err error) {
	s, ok, err := r.lengths.decode(r)
	switch {
	case !ok || err != nil:
		return 0, false, ok, err
	case s < 256:
		return byte(s), true, true, nil
	case s == 256:
		r.endBlock()
		return 0, false, true, nil
	case s-257 >= len(lengthBase):
		return 0, false, false, ErrFormat
	}
	extra, ok := r.take(uint(lengthExtra[s-257]))
	if !ok {
		return 0, false, false, nil
	}
	length := int(lengthBase[s-257]) + int(extra)
	s, ok, err = r.offsets.decode(r)
	if !ok || err != nil {
		return 0, false, ok, err
	}
	if s >= len(offsetBase) {
		return 0, false, false, ErrFormat
	}
	if extra, ok = r.take(uint(offsetExtra[s])); !ok {
		return 0, false, false, nil
	}
	back := int(offsetBase[s]) + int(extra)
	if uint64(back) > r.total {
		return 0, false, false, ErrFormat
	}
	r.length, r.back = length, back
	return 0, false, true, nil
}
