package message

import (
	"bytes"
	"io"
)

// A reader splits a stream into lines. A line that is longer than the buffer is returned
// in pieces.
type reader struct {
	r   io.Reader
	err error // the error of r that ended the stream
	buf []byte
	// buf[pos:end] was not returned yet; buf[pos:seen] has no line end.
	pos, seen, end int

	at      int64 // offset of buf[pos]
	midLine bool  // the last piece did not end its line
	lastCR  bool  // … and ended in CR

	ends    int64 // line ends consumed
	lastLen int64 // length of the last line consumed, without its end
	lastEnd int64 // offset where its end began
}

func (l *reader) reset(r io.Reader) {
	*l = reader{r: r, buf: l.buf}
}

// next returns the next line with its end, or a piece of it, and whether it
// begins a line; nil at the end of the stream. It is valid until the next call.
func (l *reader) next() (line []byte, begins bool) {
	begins = !l.midLine
	for {
		if i := bytes.IndexByte(l.buf[l.seen:l.end], '\n'); i >= 0 {
			return l.cut(l.seen + i + 1), begins
		}
		l.seen = l.end
		if l.err != nil || l.pos == 0 && l.end == len(l.buf) {
			if l.pos == l.end {
				return nil, false
			}
			return l.cut(l.end), begins
		}
		l.fill()
	}
}

func (l *reader) cut(to int) []byte {
	line := l.buf[l.pos:to]
	l.at += int64(len(line))
	l.pos, l.seen = to, to
	return line
}

// fill reads more after buf[pos:end].
func (l *reader) fill() {
	if l.pos == l.end {
		l.pos, l.end = 0, 0
	} else if l.end == len(l.buf) {
		l.end = copy(l.buf, l.buf[l.pos:l.end])
		l.pos = 0
	}
	l.seen = l.end
	for range 100 {
		n, err := l.r.Read(l.buf[l.end:])
		l.end += n
		l.err = err
		if n > 0 || err != nil {
			return
		}
	}
	l.err = io.ErrNoProgress
}

// consumed counts the line or piece that next has returned last.
func (l *reader) consumed(line []byte) {
	n := len(line)
	ended := line[n-1] == '\n'
	if !ended {
		if !l.midLine {
			l.lastLen = 0
		}
		l.lastLen += int64(n)
		l.midLine, l.lastCR = true, line[n-1] == '\r'
		return
	}
	end := 1
	if n > 1 && line[n-2] == '\r' || n == 1 && l.midLine && l.lastCR {
		end = 2
	}
	if l.midLine {
		l.lastLen += int64(n - end)
	} else {
		l.lastLen = int64(n - end)
	}
	l.lastEnd = l.at - int64(end)
	l.ends++
	l.midLine, l.lastCR = false, false
}
