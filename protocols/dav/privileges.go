package dav

import "gatepost/accounts/access"

// privileges are those of RFC 3744 with the rights that each needs.
var privileges = []struct {
	name   string
	rights access.Rights
}{
	{"read", access.Lookup | access.Read}, {"bind", access.Insert}, {"unbind", access.Delete},
	{"write-content", access.Insert | access.Delete}, {"write-properties", access.Lookup}, {"write", access.Insert | access.Delete | access.Write},
	{"read-acl", access.Administer}, {"all", access.All},
}

func writePrivileges(_ *exchange, x *xmlWriter, r *resource) error {
	rights := access.Lookup | access.Read
	switch {
	case r.coll != nil:
		rights = r.coll.Rights
	case r.kind == homeKind && !r.owner.Foreign():
		rights = access.All
	}
	x.privileges(rights)
	switch {
	case r.isInbox():
		x.raw("<D:privilege><C:schedule-deliver/></D:privilege>")
	case r.kind == outboxKind:
		x.raw("<D:privilege><C:schedule-send/></D:privilege>")
	}
	x.raw("<D:privilege><D:read-current-user-privilege-set/></D:privilege>")
	return nil
}

// privileges writes the privileges that rights are.
func (x *xmlWriter) privileges(rights access.Rights) {
	for _, p := range privileges {
		if rights.Has(p.rights) {
			x.raw("<D:privilege><D:" + p.name + "/></D:privilege>")
		}
	}
}

func writeSupportedPrivileges(_ *exchange, x *xmlWriter, _ *resource) error {
	x.raw("<D:supported-privilege><D:privilege><D:all/></D:privilege>")
	for _, p := range privileges[:len(privileges)-1] {
		x.raw("<D:supported-privilege><D:privilege><D:" + p.name + "/></D:privilege></D:supported-privilege>")
	}
	x.raw("</D:supported-privilege>")
	return nil
}

// writeACL writes the rights of the owner and those that the ACL of the mailbox gives and takes (RFC 3744 section 5.5). Groups and domains have
// hrefs that no resource has.
func writeACL(e *exchange, x *xmlWriter, r *resource) error {
	acl, err := r.coll.ACL(e.r.Context())
	if err != nil {
		return err
	}
	x.raw("<D:ace><D:principal><D:property><D:owner/></D:property></D:principal><D:grant><D:privilege><D:all/></D:privilege></D:grant><D:protected/></D:ace>")
	for _, entry := range acl {
		id, err := access.ParseIdentifier(entry.Identifier)
		if err != nil {
			continue
		}
		gives := "grant"
		if id.Takes() {
			gives = "deny"
		}
		x.raw("<D:ace><D:principal>")
		if id.Everybody() {
			x.raw("<D:authenticated/>")
		} else {
			x.href(hrefOf("UserDAV", id.Names(r.owner.Account.Domain)) + "/")
		}
		x.raw("</D:principal><D:" + gives + ">")
		x.privileges(access.Rights(entry.Rights))
		x.raw("</D:" + gives + "></D:ace>")
	}
	return nil
}

// writeACLRestrictions says what elements of an ACL there can be (RFC 3744 section 5.6).
func writeACLRestrictions(_ *exchange, x *xmlWriter, _ *resource) error {
	x.raw("<D:no-invert/>")
	return nil
}
