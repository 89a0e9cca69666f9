package imap

import (
	"unicode/utf8"

	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// boxName reads a mailbox name and returns it as the store has it: in UTF-8. A name that
// is no modified UTF-7 is not a matter of syntax but names no mailbox; its error is
// returned for the handler to answer once it has parsed the rest.
func (s *session) boxName(p *wire.Parser) (string, error) {
	name, ok := s.decodeName(p.AString())
	if !ok {
		return "", no(fault.NoMailbox, "The mailbox name is not encoded correctly")
	}
	return name, nil
}

// decodeName reads the form of names that the client has chosen (RFC 9051
// section 5.1, RFC 6855 section 3). Modified UTF-7 is ASCII: a name with other letters is one in UTF-8, which
// servers that offer UTF8=ACCEPT take in any case.
func (s *session) decodeName(raw []byte) (string, bool) {
	if s.rev2 || s.utf8 || !isASCII(raw) {
		return string(raw), utf8.Valid(raw)
	}
	return wire.DecodeUTF7(raw)
}

// putName writes a mailbox name.
func (s *session) putName(name string) {
	if s.rev2 || s.utf8 {
		s.out.Set(wire.AppendString(s.out.Buf(), name, true))
		return
	}
	var buf [128]byte
	s.out.Set(wire.AppendString(s.out.Buf(), wire.AppendUTF7(buf[:0], name), false))
}
