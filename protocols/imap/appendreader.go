package imap

import (
	"bytes"
	"io"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// appending reads the messages of an APPEND for the store. At the end of a message it returns io.EOF only after what follows was
// read and is valid, at the last one the rest of the command, so that nothing is stored for a command that is
// answered with BAD. Bare LF becomes CRLF, and the binary parts of a literal8 become
// base64: stored messages consist of lines, which every protocol can send (RFC 9051 section
// 4.3.1). The first Read of a literal sends the continuation request: by then the store has validated name
// and flags.
type appending struct {
	appendScan
	s  *session
	c  *call
	to *mailbox.Account // that the messages go to

	begun   bool                   // the literal that is next is being read
	binary  *message.BinaryEncoder // of a literal8, until its end
	part    *urlPart               // the part of another message that is being read
	last    byte                   // the last byte that was read of the message
	read    int64                  // how much of the message was read or announced
	all     int64                  // the same of all messages
	pending []byte                 // converted bytes that Read has not returned yet
	buf     []byte                 // the memory of pending
	err     error                  // an error of the messages, the command or the connection
}

func newAppending(s *session, c *call) *appending { return &appending{s: s, c: c} }

// literalSize returns the announced size of the literal that is next.
func (a *appending) literalSize() int64 {
	if a.c.body == nil {
		return 0
	}
	return a.c.body.Size
}

// checkSize refuses a message that has become too large.
func (a *appending) checkSize(size int64) error {
	if limit := a.s.srv.cfg.Get().MaxMessageSize; limit.Exceeds(size) {
		return no(fault.TooLarge, "A message may have %d bytes at most", int64(limit))
	}
	return nil
}

// grow counts what is added to a message, and refuses what does not fit.
func (a *appending) grow(size int64) error {
	a.read += size
	a.all += size
	if err := a.checkSize(a.read); err != nil {
		return err
	}
	return a.to.Fits(a.s.ctx, a.all)
}

// Read reads the message. Only its own end is io.EOF: that of the connection would let the store keep a message that the client has
// not finished.
func (a *appending) Read(p []byte) (int, error) {
	for len(a.pending) == 0 {
		var n int
		err := a.err
		if err == nil {
			n, err = a.next(p)
		}
		if err == io.EOF && a.err != nil {
			err = io.ErrUnexpectedEOF
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	n := copy(p, a.pending)
	a.pending = a.pending[n:]
	return n, nil
}

// next reads a piece of the message: into p if nothing has to be converted, else into pending. A piece may
// convert to nothing. At the end of the message it returns io.EOF.
func (a *appending) next(p []byte) (int, error) {
	switch item := &a.items[0]; item.kind {
	case endItem: // which messages removes
		if a.read == 0 {
			a.err = errEmpty()
			return 0, a.err
		}
		return 0, io.EOF
	case urlItem:
		return a.nextOfPart(p, item.url)
	}
	if !a.begun {
		if a.err = a.beginLiteral(); a.err != nil {
			return 0, a.err
		}
	}
	n, err := a.s.in.Body().Read(p)
	switch {
	case n > 0:
		return a.take(p[:n]), a.err
	case err == io.EOF && a.binary != nil:
		a.buf = a.buf[:0]
		a.binary.Close(false)
		a.binary, a.pending = nil, a.buf
	case err == io.EOF:
		a.err = a.endLiteral()
	default:
		a.err = err
	}
	return 0, a.err
}

// beginLiteral requests the literal that is next, if it is welcome.
func (a *appending) beginLiteral() error {
	l := a.c.body
	if l.Size == 0 && !a.catenate {
		return errEmpty()
	}
	if err := a.grow(l.Size); err != nil {
		return err
	}
	a.begun = true
	if l.Binary {
		a.binary = &message.BinaryEncoder{Emit: a.convert}
	}
	if !l.Sync {
		return nil
	}
	l.Sync = false
	return a.s.requestContinuation("Ready for the message")
}

// endLiteral reads what follows a literal in its command, up to the next one or to the end.
func (a *appending) endLiteral() error {
	a.begun = false
	a.items = a.items[1:]
	before := a.appendScan
	line, body, err := a.s.in.Next(func(head []byte, l wire.Literal) (wire.LiteralAction, error) {
		var p wire.Parser
		p.Reset(head)
		scan := before
		scan.items = nil
		if stream, err := scan.streams(&p); stream || err != nil {
			return wire.Stream, err
		}
		if err := a.s.in.CheckSize(l); err != nil {
			return 0, err
		}
		if l.Sync {
			return wire.Buffer, a.s.requestContinuation("Go on")
		}
		return wire.Buffer, nil
	}, true)
	a.c.body = body
	if err != nil {
		return err
	}
	var p wire.Parser
	p.Reset(line)
	a.scan(&p)
	if !p.OK() {
		return p.Err()
	}
	return a.s.present() // the client may have gone while it sent the message
}

// take returns how much of a piece, which lies in the store's buffer, can be stored as it is: all of it, or nothing if it was
// converted to pending.
func (a *appending) take(chunk []byte) int {
	if a.binary == nil && a.clean(chunk) {
		a.last = chunk[len(chunk)-1]
		return len(chunk)
	}
	a.buf = a.buf[:0]
	if a.binary == nil {
		a.convert(chunk)
	} else if _, err := a.binary.Write(chunk); err != nil && a.err == nil {
		a.err = err
	}
	a.pending = a.buf
	return 0
}

// clean reports whether every LF follows a CR, and there is no NUL.
func (a *appending) clean(chunk []byte) bool {
	if bytes.IndexByte(chunk, 0) >= 0 {
		return false
	}
	for at := 0; ; {
		i := bytes.IndexByte(chunk[at:], '\n')
		if i < 0 {
			return true
		}
		if at += i; at == 0 && a.last != '\r' || at > 0 && chunk[at-1] != '\r' {
			return false
		}
		at++
	}
}

// convert appends text to the pending bytes, with CRLF line ends.
func (a *appending) convert(text []byte) {
	if bytes.IndexByte(text, 0) >= 0 && a.err == nil {
		err := no(fault.Unsupported, "NUL can only be stored in a binary part of a literal8")
		a.err = withCode(err, fault.Unsupported, "UNKNOWN-CTE")
	}
	if a.err != nil {
		return
	}
	out := a.buf
	for _, b := range text {
		if b == '\n' && a.last != '\r' {
			out = append(out, '\r')
		}
		out = append(out, b)
		a.last = b
	}
	a.buf = out
}
