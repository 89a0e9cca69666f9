package pickup

import (
	"bytes"
	"io"
)

// lineEnds writes text with CRLF as line end, whatever it had: LF, CRLF, or a CR alone, which no
// message may hold (RFC 5322 section 2.3).
type lineEnds struct {
	w    io.Writer
	cr   bool // the text so far ends in a CR that is not written yet
	open bool // the last line has no end yet
	buf  []byte
}

func (l *lineEnds) Write(p []byte) (int, error) {
	l.buf = l.buf[:0]
	for rest := p; len(rest) > 0; {
		if l.cr {
			l.cr = false
			l.buf = append(l.buf, "\r\n"...)
			l.open = false
			if rest[0] == '\n' {
				rest = rest[1:]
				continue
			}
		}
		end := bytes.IndexAny(rest, "\r\n")
		if end < 0 {
			l.buf = append(l.buf, rest...)
			l.open = true
			break
		}
		l.buf = append(l.buf, rest[:end]...)
		if rest[end] == '\r' {
			l.cr, l.open = true, true
		} else {
			l.buf = append(l.buf, "\r\n"...)
			l.open = false
		}
		rest = rest[end+1:]
	}
	if _, err := l.w.Write(l.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}

// close ends the last line.
func (l *lineEnds) close() error {
	if !l.open {
		return nil
	}
	l.open, l.cr = false, false
	_, err := l.w.Write([]byte("\r\n"))
	return err
}

// octets is what a message is made of.
type octets struct {
	eightBit bool // beyond US-ASCII
	nul      bool
}

func (o *octets) Write(p []byte) (int, error) {
	o.nul = o.nul || bytes.IndexByte(p, 0) >= 0
	for _, c := range p {
		if o.eightBit {
			break
		}
		o.eightBit = c >= 0x80
	}
	return len(p), nil
}
