package relay

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"

	"gatepost/queue"
)

// copyMessage sends a message with dot-stuffing and the final dot (RFC 5321
// section 4.5.2). Line ends that are not CRLF are made so: a bare CR or LF could
// end the message early for a server that is less strict.
func (c *conn) copyMessage(t text, it *queue.Item) error {
	d := dotWriter{w: c.w, start: true}
	err := c.copyFile(t, it, func(p []byte) error {
		d.write(p)
		return d.err
	})
	if err != nil {
		return err
	}
	d.end()
	if d.err != nil {
		return d.err
	}
	return c.w.Flush()
}

// fileError is a failure of the queue file: the peer has nothing to do with it.
type fileError struct{ err error }

func (e *fileError) Error() string { return e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// copyFile passes the head of a text and what follows in the file to a function in pieces, each within the time
// limit of a block. A file that ends too early is a *fileError too.
func (c *conn) copyFile(t text, it *queue.Item, piece func(p []byte) error) error {
	f, err := os.Open(it.File)
	if err != nil {
		return &fileError{err}
	}
	defer f.Close()
	if len(t.head) > 0 {
		if err := c.within(c.limits.block, c.net.SetWriteDeadline); err != nil {
			return err
		}
		if err := piece(t.head); err != nil {
			return err
		}
	}
	src := io.NewSectionReader(f, it.Offset+t.skip, it.Size-t.skip)
	buf := make([]byte, 16<<10)
	for left := it.Size - t.skip; ; {
		n, err := src.Read(buf)
		left -= int64(n)
		if n > 0 {
			if err := c.within(c.limits.block, c.net.SetWriteDeadline); err != nil {
				return err
			}
			if err := piece(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			if left > 0 {
				return &fileError{io.ErrUnexpectedEOF}
			}
			return nil
		}
		if err != nil {
			return &fileError{err}
		}
	}
}

// dotWriter stuffs dots and makes all line ends CRLF.
type dotWriter struct {
	w     *bufio.Writer
	start bool // at the start of a line
	cr    bool // the last byte was a CR that is not written yet
	err   error
}

func (d *dotWriter) write(p []byte) {
	for len(p) > 0 && d.err == nil {
		if d.cr {
			d.cr = false
			if p[0] == '\n' {
				p = p[1:]
			}
			d.newLine()
			continue
		}
		if d.start {
			d.start = false
			if p[0] == '.' {
				d.put(".")
			}
		}
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			d.bytes(p)
			return
		}
		d.bytes(p[:end])
		if p[end] == '\r' {
			d.cr = true
		} else {
			d.newLine()
		}
		p = p[end+1:]
	}
}

func (d *dotWriter) newLine() {
	d.put("\r\n")
	d.start = true
}

// end writes what ends the message.
func (d *dotWriter) end() {
	if d.cr || !d.start {
		d.cr = false
		d.newLine()
	}
	d.put(".\r\n")
}

func (d *dotWriter) put(s string) {
	if _, err := d.w.WriteString(s); err != nil && d.err == nil {
		d.err = err
	}
}

func (d *dotWriter) bytes(p []byte) {
	if _, err := d.w.Write(p); err != nil && d.err == nil {
		d.err = err
	}
}
