package imap

import (
	"bytes"
	"io"

	"gatepost/accounts/message"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// incoming reads the message of an APPEND for the store. It ends only when the whole
// command is read and right, so that nothing is stored for a command that is
// answered with BAD. Bare LF becomes CRLF, and the binary parts of a literal8 become
// base64: what is stored are lines, which every reader can be given (RFC 9051 section
// 4.3.1). The first Read asks a client that waits to go on: the store has looked at name
// and flags by then.
type incoming struct {
	s       *session
	literal *wire.Literal
	utf8    bool
	binary  *message.BinaryEncoder // of a literal8, until its end
	last    byte                   // of what was read
	waiting []byte                 // converted, and not yet passed on
	spare   []byte
	ended   bool  // the command was read to its end
	err     error // what was wrong with message, command or connection
}

func newIncoming(s *session, l *wire.Literal, utf8 bool) *incoming {
	m := &incoming{s: s, literal: l, utf8: utf8}
	if l.Binary {
		m.binary = &message.BinaryEncoder{Emit: m.convert}
	}
	return m
}

func (m *incoming) Read(p []byte) (int, error) {
	for len(m.waiting) == 0 {
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
	n := copy(p, m.waiting)
	m.waiting = m.waiting[n:]
	return n, nil
}

// next takes some of the message: into p if nothing has to be converted, else it is
// waiting, or still to come.
func (m *incoming) next(p []byte) (int, error) {
	if m.literal.Sync {
		if m.err = m.s.goOn("Ready for the message"); m.err != nil {
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
		m.spare = m.spare[:0]
		if m.binary == nil {
			m.convert(chunk)
		} else if _, err := m.binary.Write(chunk); err != nil && m.err == nil {
			m.err = err
		}
		m.waiting = m.spare
	case err == io.EOF && m.binary != nil:
		m.spare = m.spare[:0]
		m.binary.Close(false)
		m.binary, m.waiting = nil, m.spare
	case err == io.EOF:
		m.ended = true
		m.err = m.finish()
	default:
		m.err = err
	}
	return 0, m.err
}

// clean reports whether every LF has its CR before it, and there is no NUL.
func (m *incoming) clean(chunk []byte) bool {
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

// convert adds text to what is waiting.
func (m *incoming) convert(text []byte) {
	if bytes.IndexByte(text, 0) >= 0 && m.err == nil {
		err := no(fault.Unsupported, "NUL can only be stored in a binary part of a literal8")
		m.err = withCode(err, fault.Unsupported, "UNKNOWN-CTE")
	}
	if m.err != nil {
		return
	}
	out := m.spare
	for _, b := range text {
		if b == '\n' && m.last != '\r' {
			out = append(out, '\r')
		}
		out = append(out, b)
		m.last = b
	}
	m.spare = out
}

// finish reads what follows the message in its command. An error keeps the message from being stored.
func (m *incoming) finish() error {
	tail, _, err := m.s.in.Next(func([]byte, wire.Literal) (wire.Verdict, error) {
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
	return m.s.present() // a long message takes its time
}
