package imap

import (
	"strings"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/imap/wire"
	"gatepost/server/fault"
)

// ACL (RFC 4314): who else than the owner may use a mailbox. Package access says what rights mean. Some rights of RFC 4314 are tied here: k goes with the
// right to create (the c of RFC 2086), and t, e and x go together (its d). The owner has all rights, and no entry.

const (
	// allRights are the letters of the owner's rights, tied ones next to each other.
	allRights = "lrswipkctexda"
	// tiedRights are the rights as LISTRIGHTS has them: those of a word are given together.
	tiedRights = "l r s w i p kc texd a"
)

// rightsText writes rights with the letters of RFC 4314, and with those of RFC 2086 (section 2.1.1).
func rightsText(r access.Rights) string {
	text := r.String()
	text = strings.Replace(text, "c", "kc", 1)
	return strings.Replace(text, "d", "texd", 1)
}

// parseRights reads what SETACL says of rights, and returns it with the letters of package access. Of tied rights none is given unless all are
// named, and all are taken with one of them (RFC 4314 section 3.1). It reports false for a letter that is no right.
func parseRights(text string) (string, bool) {
	sign := ""
	if text != "" && (text[0] == '+' || text[0] == '-') {
		sign, text = text[:1], text[1:]
	}
	var out strings.Builder
	tied := 0
	for i, c := range text {
		switch {
		case !strings.ContainsRune(allRights, c):
			return "", false
		case strings.ContainsRune(text[:i], c):
		case c == 'k':
			out.WriteByte('c')
		case strings.ContainsRune("tex", c):
			tied++
		default:
			out.WriteRune(c)
		}
	}
	if tied == 3 || sign == "-" && tied > 0 {
		out.WriteByte('d')
	}
	return sign + out.String(), true
}

// aclName reads the name of a mailbox.
func aclName(s *session, p *wire.Parser) (name string, bad error) {
	p.Space()
	return s.mailboxName(p)
}

// identifier reads an identifier of an ACL.
func identifier(p *wire.Parser) string {
	p.Space()
	return string(p.AString())
}

// administered finds a mailbox whose ACL the user may see and change.
func (s *session) administered(name string, bad error) (access.Mailbox, error) {
	if bad != nil {
		return access.Mailbox{}, bad
	}
	m, err := s.find(name, access.Administer)
	if err == nil && m.Name == "" {
		err = no(fault.NoMailbox, "An account is no mailbox")
	}
	return m, err
}

// isOwner reports whether an identifier names the owner of a mailbox.
func isOwner(m *access.Mailbox, identifier string) bool {
	id, err := access.ParseIdentifier(identifier)
	return err == nil && !id.Takes() && strings.EqualFold(id.Names(m.Account.Domain), m.Account.Address())
}

// setACL is SETACL.
func setACL(s *session, c *call, p *wire.Parser) error {
	name, bad := aclName(s, p)
	who := identifier(p)
	p.Space()
	rights, known := parseRights(string(p.AString()))
	if err := p.End(); err != nil {
		return err
	}
	if !known {
		return wire.Bad("one of the rights is unknown: there are " + allRights)
	}
	return s.changeACL(name, bad, who, rights)
}

// deleteACL is DELETEACL.
func deleteACL(s *session, c *call, p *wire.Parser) error {
	name, bad := aclName(s, p)
	who := identifier(p)
	if err := p.End(); err != nil {
		return err
	}
	return s.changeACL(name, bad, who, "")
}

func (s *session) changeACL(name string, bad error, who, rights string) error {
	m, err := s.administered(name, bad)
	if err != nil {
		return err
	}
	if isOwner(&m, who) {
		return no(fault.Unsupported, "The owner has all rights")
	}
	if _, err := access.ParseIdentifier(who); err != nil {
		return no(fault.Invalid, "%s", fault.Text(err))
	}
	err = m.Mail().ChangeACL(s.ctx, m.Name, func(acl mailbox.ACL) (mailbox.ACL, error) { return access.Change(acl, who, rights) })
	if err == nil {
		s.log.Info("rights changed", "mailbox", m.Canonical(m.Name), "identifier", who, "rights", rights)
	}
	return err
}

// getACL is GETACL.
func getACL(s *session, c *call, p *wire.Parser) error {
	name, bad := aclName(s, p)
	if err := p.End(); err != nil {
		return err
	}
	m, err := s.administered(name, bad)
	if err != nil {
		return err
	}
	acl, err := m.Mail().ACL(s.ctx, m.Name)
	if err != nil {
		return err
	}
	s.out.Raw("* ACL ")
	s.putName(name)
	s.out.Byte(' ').String(m.Account.Address()).Raw(" " + allRights)
	for _, e := range acl {
		s.out.Byte(' ').String(e.Identifier).Raw(" " + rightsText(access.Rights(e.Rights)))
	}
	s.out.CRLF()
	return nil
}

// listRights is LISTRIGHTS.
func listRights(s *session, c *call, p *wire.Parser) error {
	name, bad := aclName(s, p)
	who := identifier(p)
	if err := p.End(); err != nil {
		return err
	}
	m, err := s.administered(name, bad)
	if err != nil {
		return err
	}
	if _, err := m.Mail().ACL(s.ctx, m.Name); err != nil {
		return err
	}
	if _, err := access.ParseIdentifier(who); err != nil {
		return no(fault.Invalid, "%s", fault.Text(err))
	}
	s.out.Raw("* LISTRIGHTS ")
	s.putName(name)
	s.out.Byte(' ').String(who)
	if isOwner(&m, who) {
		s.out.Raw(" " + allRights)
	} else {
		s.out.Raw(` "" ` + tiedRights)
	}
	s.out.CRLF()
	return nil
}

// myRights is MYRIGHTS.
func myRights(s *session, c *call, p *wire.Parser) error {
	name, bad := aclName(s, p)
	if err := p.End(); err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	m, err := s.find(name, 0)
	if err != nil {
		return err
	}
	if m.Rights == 0 || m.Name == "" {
		return m.Require(access.Lookup)
	}
	if _, err := m.Mail().ACL(s.ctx, m.Name); err != nil { // the owner and administrators have rights to what does not exist too
		return err
	}
	s.putMyRights(name, m.Rights)
	return nil
}

// putMyRights writes the rights that the user has to a mailbox, also for LIST (RFC 8440).
func (r *responder) putMyRights(name string, rights access.Rights) {
	r.out.Raw("* MYRIGHTS ")
	r.putName(name)
	r.out.Raw(" " + rightsText(rights)).CRLF()
}
