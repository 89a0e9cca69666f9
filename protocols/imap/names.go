package imap

import (
	"unicode/utf8"

	"gatepost/accounts/access"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// mailboxName reads a mailbox name and returns it in UTF-8, as the store has it. A name that is not valid
// modified UTF-7 is no syntax error: no mailbox has that name. The handler answers this error
// after it has parsed the remaining arguments.
func (r *responder) mailboxName(p *wire.Parser) (string, error) {
	name, ok := r.decodeName(p.AString())
	if !ok {
		return "", no(fault.NoMailbox, "The mailbox name is not encoded correctly")
	}
	return name, nil
}

// decodeName decodes a name in the form that the client has enabled (RFC 9051 section 5.1). Modified UTF-7
// is ASCII, so a name with other characters is UTF-8, which servers that offer UTF8=ACCEPT accept without
// ENABLE (RFC 6855 section 3).
func (r *responder) decodeName(raw []byte) (string, bool) {
	if r.rev2 || r.utf8 || !isASCII(raw) {
		return string(raw), utf8.Valid(raw)
	}
	return wire.DecodeUTF7(raw)
}

// find returns the mailbox with a name, to which the user needs the rights.
func (s *session) find(name string, rights access.Rights) (access.Mailbox, error) {
	m, err := s.srv.access.Mailbox(s.ctx, s.account, name)
	if err != nil {
		return m, err
	}
	return m, m.Require(rights)
}

// putName writes a mailbox name.
func (r *responder) putName(name string) {
	if r.rev2 || r.utf8 {
		r.out.Set(wire.AppendString(r.out.Buf(), name, true))
		return
	}
	var buf [128]byte
	r.out.Set(wire.AppendString(r.out.Buf(), wire.AppendUTF7(buf[:0], name), false))
}
