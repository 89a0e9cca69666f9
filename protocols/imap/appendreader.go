package imap

import (
	"bytes"
	"io"

	"gatepost/accounts/message"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// appendReader reads the message of an APPEND for the store. It returns io.EOF only after the whole
// command was read and is valid, so that nothing is stored for a command that is
// answered with BAD. Bare LF becomes CRLF, and the binary parts of a literal8 become
// base64: stored messages consist of lines, which every protocol can send (RFC 9051 section
// 4.3.1). The first Read sends the continuation request: by then the store has validated name
// and flags.
type appendReader struct {
	s       *session
	literal *wire.Literal
	utf8    bool
	binary  *message.BinaryEncoder // of a literal8, until its end
	last    byte                   // the last byte that was read
	pending []byte                 // converted bytes that Read has not returned yet
	buf     []byte                 // the memory of pending
	ended   bool                   // the command was read to its end
	err     error                  // an error of the message, the command or the connection
}

func newAppendReader(s *session, l *wire.Literal, utf8 bool) *appendReader {
	m := &appendReader{s: s, literal: l, utf8: utf8}
	if l.Binary {
		m.binary = &message.BinaryEncoder{Emit: m.convert}
	}
	return m
}

func (m *appendReader) Read(p []byte) (int, error) {
	for len(m.pending) == 0 {
		if m.err != nil {
			return 0, m.err
		}
		if m.ended {
			return 0, io.EOF
		}
		n, err := m.next(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
	n := copy(p, m.pending)
	m.pending = m.pending[n:]
	return n, nil
}

// next reads a piece of the message: into p if nothing has to be converted, else into pending. A piece may
// convert to nothing.
func (m *appendReader) next(p []byte) (int, error) {
	if m.literal.Sync {
		if m.err = m.s.requestContinuation("Ready for the message"); m.err != nil {
			return 0, m.err
		}
		m.literal.Sync = false
	}
	n, err := m.s.in.Body().Read(p)
	switch chunk := p[:n]; {
	case n > 0 && m.binary == nil && m.clean(chunk):
		m.last = chunk[n-1]
		return n, nil
	case n > 0:
		m.buf = m.buf[:0]
		if m.binary == nil {
			m.convert(chunk)
		} else if _, err := m.binary.Write(chunk); err != nil && m.err == nil {
			m.err = err
		}
		m.pending = m.buf
	case err == io.EOF && m.binary != nil:
		m.buf = m.buf[:0]
		m.binary.Close(false)
		m.binary, m.pending = nil, m.buf
	case err == io.EOF:
		m.ended = true
		m.err = m.finish()
	default:
		m.err = err
	}
	return 0, m.err
}

// clean reports whether every LF follows a CR, and there is no NUL.
func (m *appendReader) clean(chunk []byte) bool {
	if bytes.IndexByte(chunk, 0) >= 0 {
		return false
	}
	for at := 0; ; {
		i := bytes.IndexByte(chunk[at:], '\n')
		if i < 0 {
			return true
		}
		if at += i; at == 0 && m.last != '\r' || at > 0 && chunk[at-1] != '\r' {
			return false
		}
		at++
	}
}

// convert appends text to the pending bytes, with CRLF line ends.
func (m *appendReader) convert(text []byte) {
	if bytes.IndexByte(text, 0) >= 0 && m.err == nil {
		err := no(fault.Unsupported, "NUL can only be stored in a binary part of a literal8")
		m.err = withCode(err, fault.Unsupported, "UNKNOWN-CTE")
	}
	if m.err != nil {
		return
	}
	out := m.buf
	for _, b := range text {
		if b == '\n' && m.last != '\r' {
			out = append(out, '\r')
		}
		out = append(out, b)
		m.last = b
	}
	m.buf = out
}

// finish reads what follows the message in its command. An error keeps the message from being stored.
func (m *appendReader) finish() error {
	tail, _, err := m.s.in.Next(func([]byte, wire.Literal) (wire.LiteralAction, error) {
		return 0, wire.Bad("APPEND takes one message")
	}, true)
	switch {
	case err != nil:
		return err
	case m.utf8 && string(bytes.TrimRight(tail, " \t")) != ")":
		return wire.Bad("a closing parenthesis expected after the message")
	case !m.utf8 && len(bytes.TrimRight(tail, " \t")) > 0:
		return wire.Bad("unexpected text after the message")
	}
	return m.s.present() // the client may have gone while it sent the message
}
