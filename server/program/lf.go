package program

import (
	"bufio"
	"io"
)

// LF reads what has CRLF as its line ends with LF alone, as programs of this system want it. A CR that
// no LF follows stays.
func LF(r io.Reader) io.Reader { return &lfReader{bufio.NewReaderSize(r, 32<<10)} }

type lfReader struct{ r *bufio.Reader }

func (l *lfReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if _, err := l.r.Peek(1); err != nil {
		return 0, err
	}
	in, err := l.r.Peek(min(l.r.Buffered(), len(p)))
	if err != nil {
		return 0, err
	}
	out, used := 0, 0
	for used < len(in) {
		c := in[used]
		if c == '\r' {
			next, err := l.after(in, used)
			if err != nil && err != io.EOF {
				return 0, err
			}
			if next == '\n' && err == nil {
				used++
				if used == len(in) {
					break
				}
				c = in[used]
			}
		}
		p[out] = c
		out++
		used++
	}
	_, _ = l.r.Discard(used) // it is buffered
	if out == 0 {
		return l.Read(p) // a CR whose LF comes now
	}
	return out, nil
}

// after returns the byte after one of what was looked at.
func (l *lfReader) after(in []byte, i int) (byte, error) {
	if i+1 < len(in) {
		return in[i+1], nil
	}
	more, err := l.r.Peek(i + 2)
	if err != nil {
		return 0, err
	}
	return more[i+1], nil
}
