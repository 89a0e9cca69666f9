package smtp

import "bytes"

// dotScanner finds the text of a message in the input of DATA (RFC 5321
// 4.5.2): it takes the stuffed dots out, finds the end, and looks for bare CR
// and LF. It works on blocks, not on bytes: bytes.IndexByte does the looking.
//
// A CR at the end of a window is left there until the next byte is known, so
// that no text that it returns ends between CR and LF.
type dotScanner struct {
	inLine bool // the next byte does not start a line
	bare   bool // a bare CR or LF was seen
}

// next looks at the window. text is the next piece of the message; used is how
// much of the window it stands for; end says that the message is complete. When
// used is 0 and end is false, the window has to grow first.
func (d *dotScanner) next(window []byte) (text []byte, used int, end bool) {
	from := 0
	if !d.inLine {
		switch {
		case len(window) == 0:
			return nil, 0, false
		case window[0] == '.':
			// A dot and one more byte tell; a dot and CR need a third.
			if len(window) == 1 || window[1] == '\r' && len(window) == 2 {
				return nil, 0, false
			}
			if window[1] == '\r' && window[2] == '\n' {
				return nil, 3, true
			}
			from = 1
		}
	}
	at := from
	for {
		lf := bytes.IndexByte(window[at:], '\n')
		if lf < 0 {
			break
		}
		next := at + lf + 1
		if !d.checkLine(window[at:next]) {
			at, d.inLine = next, true
			continue
		}
		if next == len(window) || window[next] == '.' {
			d.inLine = false
			return window[from:next], next, false
		}
		at, d.inLine = next, true
	}
	// The rest is the start of a line.
	to := len(window)
	if to > at && window[to-1] == '\r' {
		to--
	}
	if bytes.IndexByte(window[at:to], '\r') >= 0 {
		d.bare = true
	}
	if to > from {
		d.inLine = true // or a CR waits, and then the line does not start with a dot either
	}
	return window[from:to], to, false
}

// checkLine looks at a piece that ends in LF, and reports whether that is a line
// end.
func (d *dotScanner) checkLine(line []byte) bool {
	n := len(line)
	if n < 2 || line[n-2] != '\r' {
		d.bare = true
		return false
	}
	if bytes.IndexByte(line[:n-2], '\r') >= 0 {
		d.bare = true
	}
	return true
}

// lineScanner looks for bare CR and LF in the chunks of BDAT, where nothing is
// stuffed and a chunk may end between CR and LF.
type lineScanner struct {
	cr   bool // the last byte taken was CR, not yet returned as text
	bare bool
	open bool // text was returned and its last byte was not the LF of CR LF
}

var crlf = []byte("\r\n")

// next takes a piece of a chunk and returns it as one or two texts: the first
// begins with a CR that was held back.
func (l *lineScanner) next(piece []byte) (held, text []byte) {
	if len(piece) == 0 {
		return nil, nil
	}
	if l.cr {
		l.cr = false
		if piece[0] == '\n' {
			held, piece, l.open = crlf, piece[1:], false
		} else {
			held, l.bare, l.open = crlf[:1], true, true
		}
	}
	at := 0
	for {
		lf := bytes.IndexByte(piece[at:], '\n')
		if lf < 0 {
			break
		}
		line := piece[at : at+lf]
		n := len(line)
		l.open = n == 0 || line[n-1] != '\r'
		if l.open || bytes.IndexByte(line[:n-1], '\r') >= 0 {
			l.bare = true
		}
		at += lf + 1
	}
	if at == len(piece) {
		return held, piece
	}
	l.open = true
	if piece[len(piece)-1] == '\r' {
		l.cr = true
		piece = piece[:len(piece)-1]
	}
	if bytes.IndexByte(piece[at:], '\r') >= 0 {
		l.bare = true
	}
	return held, piece
}

// finish ends the last chunk. It returns what is missing at the end: a CR that
// was held back, which is a bare one, and the end of the last line.
func (l *lineScanner) finish() []byte {
	switch {
	case l.cr:
		l.bare = true
		return crlf
	case l.open:
		return crlf
	}
	return nil
}

// repairer puts CR LF in the place of every bare CR and LF. CRs before a CR LF go: they are what a
// program leaves that turns each LF of a text with CR LF into CR LF.
type repairer struct {
	crs int // CRs at the end of the text, of which the next byte tells what they are
	out []byte
}

// maxCRs is how many CRs may stand before the LF that ends a line with them.
const maxCRs = 16

// next returns the next piece of a repaired text, which is valid until the next call.
func (r *repairer) next(text []byte) []byte {
	if r.crs == 0 && !hasBare(text) {
		return text
	}
	r.out = r.out[:0]
	for len(text) > 0 {
		i := bytes.IndexAny(text, "\r\n")
		if i != 0 {
			r.endLines()
			if i < 0 {
				i = len(text)
			}
			r.out = append(r.out, text[:i]...)
			text = text[i:]
			continue
		}
		if text[0] == '\n' {
			r.crs = 1
			r.endLines()
		} else if r.crs++; r.crs > maxCRs {
			r.endLines()
		}
		text = text[1:]
	}
	return r.out
}

// endLines makes each of the CRs a line end.
func (r *repairer) endLines() {
	for ; r.crs > 0; r.crs-- {
		r.out = append(r.out, crlf...)
	}
}
