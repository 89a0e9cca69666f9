package dav

import (
	"encoding/xml"

	"gatepost/accounts/access"
)

// privilege is one of RFC 3744 section 3: who has the rights that it needs has it, and who is given it gets what it gives.
type privilege struct {
	name         xml.Name
	needs, gives access.Rights
	within       string // the privilege of which it is a part
	help         string
}

const both = access.Insert | access.Delete

// privileges are those of calendars and address books.
var privileges = []privilege{
	{d("read"), access.Lookup | access.Read, access.Lookup | access.Read | access.Seen, "all", "see and read"},
	{d("bind"), access.Insert, access.Insert, "write", "add items"},
	{d("unbind"), access.Delete, access.Delete, "write", "remove items"},
	{d("write-content"), both, both, "write", "change items"},
	{d("write-properties"), access.Lookup, access.Lookup, "write", "keep properties, each account its own"},
	{d("write"), both | access.Write, both | access.Write | access.Lookup, "all", "add, change and remove items"},
	{d("read-acl"), access.Administer, access.Administer | access.Lookup, "all", "see the acl"},
	{d("write-acl"), access.Administer, access.Administer | access.Lookup, "all", "change the acl"},
	{d("read-current-user-privilege-set"), 0, access.Lookup, "all", "see the own privileges"},
	{d("all"), access.All, access.All, "", "all"},
}

const allOfFiles = access.Lookup | access.Read | access.Write | access.Delete | access.Administer

// filePrivileges are those of directories of files (see accounts/files).
var filePrivileges = []privilege{
	{d("read"), access.Lookup | access.Read, access.Lookup | access.Read, "all", "see and read"},
	{d("bind"), access.Write, access.Write, "write", "add files and directories"},
	{d("unbind"), access.Delete, access.Delete, "write", "remove files and directories"},
	{d("write-content"), access.Write, access.Write, "write", "change files"},
	{d("write-properties"), access.Write, access.Write, "write", "change properties"},
	{d("write"), access.Write | access.Delete, access.Write | access.Delete, "all", "add, change and remove files"},
	{d("read-acl"), access.Administer, access.Administer, "all", "see the acl"},
	{d("write-acl"), access.Administer, access.Administer, "all", "change the acl"},
	{d("read-current-user-privilege-set"), 0, access.Lookup, "all", "see the own privileges"},
	{d("all"), allOfFiles, allOfFiles, "", "all"},
}

func writePrivileges(_ *exchange, x *xmlWriter, r *resource) error {
	rights := access.Lookup | access.Read
	switch {
	case r.coll != nil:
		rights = r.coll.Rights
	case r.kind == homeKind && !r.owner.Foreign():
		rights = access.All
	}
	x.privileges(privileges, rights)
	switch {
	case r.isInbox():
		x.raw("<D:privilege><C:schedule-deliver/></D:privilege>")
	case r.kind == outboxKind:
		x.raw("<D:privilege><C:schedule-send/></D:privilege>")
	case r.realm == calRealm && rights.Has(access.Lookup|access.Read):
		x.raw("<D:privilege><C:read-free-busy/></D:privilege>")
	}
	x.raw("<D:privilege><D:read-current-user-privilege-set/></D:privilege>")
	return nil
}

// privileges writes the privileges that rights are.
func (x *xmlWriter) privileges(table []privilege, rights access.Rights) {
	for _, p := range shown(table, rights, false) {
		x.one(p.name)
	}
}

// shown are the privileges that rights are, or that are denied where these rights are taken.
func shown(table []privilege, rights access.Rights, denied bool) (list []privilege) {
	for _, p := range table {
		if told := p.told(denied); told != 0 && rights.Has(told) {
			list = append(list, p)
		}
	}
	return list
}

// told are the rights that the privilege tells of in an ACL.
func (p privilege) told(denied bool) access.Rights {
	if denied {
		return p.takes()
	}
	return p.needs
}

// takes are the rights that are taken with the privilege.
func (p privilege) takes() access.Rights {
	if p.name == d("read") || p.name == d("all") {
		return p.needs
	}
	return p.needs &^ (access.Lookup | access.Read)
}

func (x *xmlWriter) one(n xml.Name) {
	x.raw("<D:privilege>")
	x.empty(n)
	x.raw("</D:privilege>")
}

func writeSupportedPrivileges(_ *exchange, x *xmlWriter, r *resource) error {
	x.supported(privileges, "", r.realm == calRealm)
	return nil
}

// supported writes the privileges of a table that are parts of one (RFC 3744 section 5.3). Reading a calendar includes its free and busy times (RFC 4791
// section 6.1.1).
func (x *xmlWriter) supported(table []privilege, within string, calendar bool) {
	for _, p := range table {
		if p.within != within {
			continue
		}
		x.raw("<D:supported-privilege>")
		x.one(p.name)
		x.raw(`<D:description xml:lang="en">` + p.help + `</D:description>`)
		if p.name == d("read") && calendar {
			x.raw(`<D:supported-privilege><D:privilege><C:read-free-busy/></D:privilege><D:description xml:lang="en">see free and busy times</D:description></D:supported-privilege>`)
		}
		if within == "" || p.name == d("write") {
			x.supported(table, p.name.Local, calendar)
		}
		x.raw("</D:supported-privilege>")
	}
}
