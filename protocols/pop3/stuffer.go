package pop3

import (
	"bufio"
	"bytes"
)

// A stuffer writes a message as a multi-line response (RFC 1939 section 3): a
// dot is put before each line that begins with a dot, and a line with a dot alone ends it. For TOP,
// it stops after the given number of lines of the body.
//
// Lines end in CRLF. A bare LF, which a message should not have, is treated as a
// line end as well, since some clients do so.
type stuffer struct {
	out   *bufio.Writer
	whole bool
	lines int64 // of the body still wanted
	err   error // of out

	body    bool // the empty line was seen
	inLine  bool // the last byte was not a line end
	content bool // the line has had more than CR
}

// done reports whether no more of the message is needed.
func (w *stuffer) done() bool {
	return w.err != nil || !w.whole && w.body && w.lines == 0
}

// write writes the next chunk of the message.
func (w *stuffer) write(p []byte) {
	if w.whole {
		w.writeAll(p)
		return
	}
	for len(p) > 0 && !w.done() {
		n := bytes.IndexByte(p, '\n') + 1
		ended := n > 0
		if !ended {
			n = len(p)
		}
		w.line(p[:n], ended)
		p = p[n:]
	}
}

// writeAll is write for a whole message. It makes few, long writes.
func (w *stuffer) writeAll(p []byte) {
	for len(p) > 0 && w.err == nil {
		if !w.inLine && p[0] == '.' {
			w.put([]byte{'.'})
		}
		n := bytes.Index(p, []byte("\n.")) + 1
		if n == 0 {
			n = len(p)
		}
		w.put(p[:n])
		w.inLine = p[n-1] != '\n'
		p = p[n:]
	}
}

// line writes a line, or a part of one.
func (w *stuffer) line(p []byte, ended bool) {
	if !w.inLine {
		w.content = false
		if p[0] == '.' {
			w.put([]byte{'.'})
		}
	}
	w.put(p)
	text := p
	if ended {
		text = p[:len(p)-1]
	}
	w.content = w.content || len(bytes.TrimRight(text, "\r")) > 0
	w.inLine = !ended
	switch {
	case !ended:
	case w.body:
		w.lines--
	default:
		w.body = !w.content
	}
}

func (w *stuffer) put(p []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(p)
	}
}

// end completes the last line and ends the response.
func (w *stuffer) end() {
	if w.inLine {
		w.put([]byte("\r\n"))
	}
	w.put([]byte(".\r\n"))
}
