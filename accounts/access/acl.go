package access

import (
	"context"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/router/address"
	"gatepost/server/fault"
)

// Identifier names those to whom an element of an ACL gives rights:
//
//	name           an account of the owner's domain, under its name or an alias
//	name@domain    an account of another domain of the server
//	#group         the members of a group of the owner's domain, also through groups in it
//	#group@domain  the same of another domain
//	anyone@        all accounts of the owner's domain
//	anyone@domain  all accounts of a domain
//	anyone         all accounts of the server; authenticated is the same
//
// A + before it adds the rights to what other elements give, a - takes them away from that.
type Identifier struct {
	sign         byte // '+', '-', or 0
	kind         kind
	name, domain string // domain is "" for the owner's
}

// kind is a kind of identifier, the most specific first.
type kind uint8

const (
	accountKind kind = iota
	groupKind
	domainKind
	anyoneKind

	kinds = iota
)

// Names of everybody. There is no access without a login.
const (
	anyone        = "anyone"
	authenticated = "authenticated"
)

// ParseIdentifier reads an identifier; it is told apart without regard to case. Errors: Invalid.
func ParseIdentifier(text string) (Identifier, error) {
	var id Identifier
	rest := strings.ToLower(strings.TrimSpace(text))
	if rest != "" && (rest[0] == '+' || rest[0] == '-') {
		id.sign, rest = rest[0], rest[1:]
	}
	rest, group := strings.CutPrefix(rest, "#")
	name, domain, full := strings.Cut(rest, "@")
	bad := !address.ValidName(name)
	if domain != "" && !bad {
		var err error
		domain, err = address.NormalizeDomain(domain)
		bad = err != nil || domain == ""
	}
	switch {
	case group:
		id.kind = groupKind
	case name == anyone && full:
		id.kind = domainKind
	case name == anyone, name == authenticated && !full:
		id.kind = anyoneKind
	}
	if bad || full && domain == "" && id.kind != domainKind {
		return Identifier{}, fault.Newf("access.ParseIdentifier", fault.Invalid, "%q is not an identifier of an ACL: "+
			"an account, an account@domain, #group, anyone@, anyone@domain or anyone is expected, with + or - before it or without", text)
	}
	id.name, id.domain = name, domain
	return id, nil
}

// String returns the identifier as ACLs have it.
func (id Identifier) String() string {
	var b strings.Builder
	if id.sign != 0 {
		b.WriteByte(id.sign)
	}
	if id.kind == groupKind {
		b.WriteByte('#')
	}
	b.WriteString(id.name)
	if id.domain != "" || id.kind == domainKind {
		b.WriteString("@" + id.domain)
	}
	return b.String()
}

// ParseRights reads the letters of rights. Errors: Invalid.
func ParseRights(text string) (Rights, error) {
	var r Rights
	for _, c := range text {
		i := strings.IndexRune(letters, c)
		if i < 0 {
			return 0, fault.Newf("access.ParseRights", fault.Invalid, "%q is not a right: those are %s", c, letters)
		}
		r |= 1 << i
	}
	return r, nil
}

// Change returns an ACL in which an identifier has other rights: those that text has letters of, or with a + or
// - before them, more or fewer than now. An element without rights goes. Errors: Invalid.
func Change(acl mailbox.ACL, identifier, text string) (mailbox.ACL, error) {
	id, err := ParseIdentifier(identifier)
	if err != nil {
		return nil, err
	}
	text = strings.TrimSpace(text)
	sign := byte(0)
	if text != "" && (text[0] == '+' || text[0] == '-') {
		sign, text = text[0], text[1:]
	}
	rights, err := ParseRights(text)
	if err != nil {
		return nil, err
	}
	key := id.String()
	i := slices.IndexFunc(acl, func(e mailbox.ACLEntry) bool { return e.Identifier == key })
	if i < 0 {
		i = len(acl)
		acl = append(acl, mailbox.ACLEntry{Identifier: key})
	}
	e := &acl[i]
	switch sign {
	case '+':
		e.Rights |= uint32(rights)
	case '-':
		e.Rights &^= uint32(rights)
	default:
		e.Rights = uint32(rights)
	}
	if e.Rights == 0 {
		acl = slices.Delete(acl, i, i+1)
	}
	return acl, nil
}

// evaluate returns the rights that an ACL gives: of the elements without a sign those of the most specific kind that
// means the user, several of this kind together; then what elements with + add; then without what those with - name.
func evaluate(acl mailbox.ACL, means func(Identifier) (bool, error)) (Rights, error) {
	var given [kinds]Rights
	var added, removed Rights
	for _, e := range acl {
		id, err := ParseIdentifier(e.Identifier)
		if err != nil {
			return 0, fault.Wrap("access.evaluate", fault.Corrupt, err)
		}
		meant, err := means(id)
		switch {
		case err != nil:
			return 0, err
		case !meant:
		case id.sign == '+':
			added |= Rights(e.Rights)
		case id.sign == '-':
			removed |= Rights(e.Rights)
		default:
			given[id.kind] |= Rights(e.Rights)
		}
	}
	var rights Rights
	for _, r := range given {
		if r != 0 {
			rights = r
			break
		}
	}
	return (rights | added) &^ removed & All, nil
}

// asked is the question whether identifiers in the ACLs of an owner mean a user.
type asked struct {
	context.Context
	accounts    *accounts.Store
	user, owner *accounts.Account
}

// means reports whether an identifier means the user.
func (a *asked) means(id Identifier) (bool, error) {
	domain := id.domain
	if domain == "" {
		domain = a.owner.Domain
	}
	switch id.kind {
	case anyoneKind:
		return true, nil
	case domainKind:
		real, ours := a.accounts.DomainName(domain)
		return ours && real == a.user.Domain, nil
	case groupKind:
		return a.accounts.Groups().Includes(a, domain, id.name, a.user)
	}
	return a.accounts.IsNamed(a, a.user, id.name, domain)
}

// Account reports whether the identifier names an account.
func (id Identifier) Account() bool { return id.kind == accountKind }

// Takes reports whether the identifier takes rights away from those that it names.
func (id Identifier) Takes() bool { return id.sign == '-' }

// Everybody reports whether the identifier names all accounts of the server.
func (id Identifier) Everybody() bool { return id.kind == anyoneKind }

// Names returns the identifier without its sign and with a domain, that of the owner where it has none.
func (id Identifier) Names(ownerDomain string) string {
	id.sign = 0
	if id.domain == "" && id.kind != anyoneKind {
		id.domain = ownerDomain
	}
	return id.String()
}
