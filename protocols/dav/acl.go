package dav

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// The method ACL (RFC 3744 section 8.1) replaces the ACL of a calendar, an address book or a directory of files. Privileges are groups of the rights
// of mailboxes (privileges.go); a right that no privilege has, such as p, stays with who has it and stays in the ACL. An ace for the owner, who has
// all rights always, and those that are protected or inherited, which clients send back as they have read them, change nothing.

// maxACEs bounds what one request sets.
const maxACEs = 200

// acl answers ACL of a calendar or an address book.
func (e *exchange) acl() error {
	if e.at.kind != collectionKind || e.at.isInbox() {
		return fault.New("dav.acl", fault.Denied, "Only calendars and address books have an ACL.")
	}
	aces, err := e.readACEs(privileges)
	if err != nil {
		return err
	}
	err = e.at.coll.ChangeACL(e.r.Context(), func(acl mailbox.ACL) (mailbox.ACL, error) {
		return replaceACL(acl, aces, privileges, e.at.owner.Account.Domain), nil
	})
	if err == nil {
		e.w.WriteHeader(http.StatusOK)
	}
	return err
}

// acl answers ACL of a directory of files.
func (e *fileExchange) acl() error {
	if err := e.needHere(access.Administer); err != nil {
		return err
	}
	e.exchange.at = &resource{owner: e.at.owner}
	aces, err := e.readACEs(filePrivileges)
	if err != nil {
		return err
	}
	err = e.at.area.ChangeACL(e.at.path, func(acl mailbox.ACL) (mailbox.ACL, error) {
		return replaceACL(acl, aces, filePrivileges, e.at.owner.Account.Domain), nil
	})
	if err != nil {
		return fileError(err)
	}
	e.w.WriteHeader(http.StatusOK)
	return nil
}

// ace is an element of an ACL as a client wants it.
type ace struct {
	who    access.Identifier
	deny   bool
	rights access.Rights
}

func forbidden(name, text string) error {
	return &precondition{status: http.StatusForbidden, name: d(name), text: text}
}

// readACEs reads the body of ACL.
func (e *exchange) readACEs(table []privilege) (list []ace, err error) {
	body, err := readXML(e.r.Body)
	if err != nil {
		return nil, err
	}
	if body == nil || body.name != d("acl") {
		return nil, fault.New("dav.acl", fault.Invalid, "The body is not an acl.")
	}
	granted := false
	for _, c := range body.children {
		if c.name != d("ace") || c.child(d("protected")) != nil || c.child(d("inherited")) != nil {
			continue
		}
		if c.child(d("invert")) != nil {
			return nil, forbidden("no-invert", "An ace names who is meant, not who is not.")
		}
		grant, deny := c.child(d("grant")), c.child(d("deny"))
		if (grant == nil) == (deny == nil) {
			return nil, fault.New("dav.acl", fault.Invalid, "An ace grants or denies.")
		}
		who, owner, err := e.acePrincipal(c.child(d("principal")))
		switch {
		case err != nil:
			return nil, err
		case owner && deny != nil:
			return nil, forbidden("no-protected-ace-conflict", "The owner has all rights.")
		case owner:
			continue
		case deny != nil && granted:
			return nil, forbidden("deny-before-grant", "What is denied comes before what is granted.")
		}
		granted = granted || grant != nil
		one := ace{who: who, deny: deny != nil}
		for _, p := range append(grant.all(), deny.all()...) {
			if p.name != d("privilege") {
				continue
			}
			for _, word := range p.children {
				rights, ok := rightsOf(table, word.name, one.deny)
				if !ok {
					return nil, forbidden("not-supported-privilege", "There is no privilege "+word.name.Local+".")
				}
				one.rights |= rights
			}
		}
		if list = append(list, one); len(list) > maxACEs {
			return nil, forbidden("limited-number-of-aces", "The acl is too long.")
		}
	}
	return list, nil
}

// acePrincipal returns whom the principal of an ace means. owner says that it is the owner of the resource.
func (e *exchange) acePrincipal(p *element) (id access.Identifier, owner bool, err error) {
	unknown := forbidden("recognized-principal", "The principal of an ace is not known.")
	switch {
	case p == nil:
		return id, false, fault.New("dav.acl", fault.Invalid, "An ace has no principal.")
	case p.child(d("authenticated")) != nil:
		id, err = access.ParseIdentifier("anyone")
		return id, false, err
	case p.child(d("property")).child(d("owner")) != nil:
		return id, true, nil
	case p.child(d("href")) == nil: // all, unauthenticated, self, other properties
		return id, false, forbidden("allowed-principal", "Rights go to accounts, groups, domains, and to all who have logged in.")
	}
	u, err := url.Parse(strings.TrimSpace(p.child(d("href")).text))
	if err != nil {
		return id, false, unknown
	}
	name, ok := strings.CutPrefix(u.EscapedPath(), "/UserDAV/")
	text, err := url.PathUnescape(strings.TrimSuffix(name, "/"))
	if !ok || err != nil || strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") {
		return id, false, unknown
	}
	if id, err = access.ParseIdentifier(text); err != nil {
		return id, false, unknown
	}
	of := e.at.owner.Account
	address := id.Names(of.Domain)
	if strings.EqualFold(address, of.Address()) {
		return id, true, nil
	}
	if id.Account() && strings.HasSuffix(address, "@"+of.Domain) && !e.accountThere(address) {
		return id, false, unknown
	}
	return id, false, nil
}

// accountThere reports whether an address of the owner's domain leads to an account.
func (e *exchange) accountThere(address string) bool {
	_, err := e.s.store.Owner(e.r.Context(), e.q.Account, "~"+address+"/")
	return !fault.Is(err, fault.NoMailbox)
}

// rightsOf returns the rights that a privilege gives or, denied, takes. To see and to read are taken with read and all alone: other privileges
// only need them.
func rightsOf(table []privilege, name xml.Name, deny bool) (access.Rights, bool) {
	for _, p := range table {
		if p.name != name {
			continue
		}
		if deny {
			return p.takes(), p.takes() != 0
		}
		return p.gives, true
	}
	return 0, false
}

// short is an identifier as ACLs have it where a domain is that of the owner: without it, and with its sign.
func short(id access.Identifier, domain string) string {
	name, sign := id.Names(domain), ""
	if text := id.String(); text[0] == '+' || text[0] == '-' {
		sign = text[:1]
	}
	if bare, ok := strings.CutSuffix(name, "@"+domain); ok {
		if name = bare; name == "anyone" {
			name += "@"
		}
	}
	return sign + name
}

// replaceACL returns the ACL that has the elements that a client wants. Rights that no privilege tells stay with who has them, if he is named again and
// loses nothing.
func replaceACL(present mailbox.ACL, aces []ace, table []privilege, domain string) mailbox.ACL {
	had := map[string]access.Rights{}
	for _, entry := range present {
		if id, err := access.ParseIdentifier(entry.Identifier); err == nil {
			had[short(id, domain)] |= access.Rights(entry.Rights)
		}
	}
	rights := map[string]access.Rights{}
	for _, a := range aces {
		key := short(a.who, domain)
		switch _, plain := had[key]; {
		case a.deny:
			key = "-" + key
		case !plain && had["+"+key] != 0:
			key = "+" + key // read in the same words, it stays what it was
		}
		rights[key] |= a.rights
	}
	var out mailbox.ACL
	for key, r := range rights {
		told := access.Rights(0)
		for _, p := range shown(table, had[key], key[0] == '-') {
			told |= p.told(key[0] == '-')
		}
		if r.Has(told) {
			r |= had[key] &^ told
		}
		if r != 0 {
			out = append(out, mailbox.ACLEntry{Identifier: key, Rights: uint32(r)})
		}
	}
	slices.SortFunc(out, func(a, b mailbox.ACLEntry) int { return strings.Compare(a.Identifier, b.Identifier) })
	return out
}

// writeACL writes the rights of the owner and those that the ACL of the mailbox gives and takes (RFC 3744 section 5.5). Groups and domains have
// hrefs that no resource has.
func writeACL(e *exchange, x *xmlWriter, r *resource) error {
	acl, err := r.coll.ACL(e.r.Context())
	if err != nil {
		return err
	}
	x.aces(acl, privileges, r.owner.Account)
	return nil
}

// aces writes the elements of an ACL: first what it denies (see writeACLRestrictions).
func (x *xmlWriter) aces(acl mailbox.ACL, table []privilege, owner *accounts.Account) {
	for _, denied := range []bool{true, false} {
		if !denied {
			x.raw("<D:ace><D:principal><D:property><D:owner/></D:property></D:principal><D:grant><D:privilege><D:all/></D:privilege></D:grant><D:protected/></D:ace>")
		}
		for _, entry := range acl {
			id, err := access.ParseIdentifier(entry.Identifier)
			if err != nil || id.Takes() != denied {
				continue
			}
			gives := "grant"
			if denied {
				gives = "deny"
			}
			x.raw("<D:ace><D:principal>")
			if id.Everybody() {
				x.raw("<D:authenticated/>")
			} else {
				x.href(hrefOf("UserDAV", id.Names(owner.Domain)) + "/")
			}
			x.raw("</D:principal><D:" + gives + ">")
			for _, p := range shown(table, access.Rights(entry.Rights), denied) {
				x.one(p.name)
			}
			x.raw("</D:" + gives + "></D:ace>")
		}
	}
}

// writeACLRestrictions says what elements of an ACL there can be (RFC 3744 section 5.6).
func writeACLRestrictions(_ *exchange, x *xmlWriter, _ *resource) error {
	x.raw("<D:deny-before-grant/><D:no-invert/>")
	return nil
}
