package mailbox

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"strings"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// The ACL of a mailbox is kept in the record of its name, so that it goes where the mailbox goes, and goes with it.
// A container and a directory of one name have one ACL. A new name gets a copy of the ACL of the name that it lies
// in; later changes of that one do not reach it. INBOX keeps its ACL when it is renamed, and the new
// mailbox gets what a new mailbox gets. What an ACL means is for package access to say.

// ACLEntry gives rights to those whom an identifier means.
type ACLEntry struct {
	Identifier string
	Rights     uint32
}

// ACL lists who else than the owner may use a mailbox, by identifiers in order, each once.
type ACL []ACLEntry

// maxACL bounds an ACL as it is stored, in bytes: each new mailbox gets a copy.
const maxACL = 8 << 10

func (l ACL) marshal() string {
	var b []byte
	for _, e := range l {
		b = binary.AppendUvarint(appendText(b, e.Identifier), uint64(e.Rights))
	}
	return string(b)
}

func unmarshalACL(s string) (ACL, error) {
	if s == "" {
		return nil, nil
	}
	d := decoder{b: []byte(s)}
	var l ACL
	for len(d.b) > 0 {
		l = append(l, ACLEntry{Identifier: d.text(), Rights: d.uint32()})
	}
	return l, d.err("ACL")
}

// ACL returns the ACL of a mailbox or a directory; without a name, that of the account itself. Errors: NoMailbox.
func (a *Account) ACL(ctx context.Context, name string) (l ACL, err error) {
	if name, err = aclName(name); err != nil {
		return nil, noMailbox(err)
	}
	err = a.shard.View(func(tx index.Tx) error {
		if name == "" {
			if _, err := readAccount(tx, a.id); err != nil {
				return err
			}
			l, err = unmarshalACL(string(tx.Get(index.Mail, named(a.id, kindACL, ""))))
			return err
		}
		_, rec, found, err := lookUp(tx, a.id, name)
		if err == nil && !found {
			err = fault.New("mailbox.ACL", fault.NoMailbox, "")
		}
		if err == nil {
			l, err = unmarshalACL(rec.acl)
		}
		return err
	})
	return l, err
}

// ChangeACL replaces the ACL of a mailbox or a directory by what change makes of it; without a name, that of the
// account itself. change may be called several times, and may reorder and change what it is given. Errors:
// NoMailbox, TooMany (the ACL is too long), those of change.
func (a *Account) ChangeACL(ctx context.Context, name string, change func(ACL) (ACL, error)) error {
	const op = "mailbox.ChangeACL"
	name, err := aclName(name)
	if err != nil {
		return noMailbox(err)
	}
	changed := func(stored string) (string, error) {
		l, err := unmarshalACL(stored)
		if err == nil {
			l, err = change(l)
		}
		if err != nil {
			return "", err
		}
		slices.SortFunc(l, func(x, y ACLEntry) int { return cmp.Compare(x.Identifier, y.Identifier) })
		if stored = l.marshal(); len(stored) > maxACL {
			err = fault.New(op, fault.TooMany, "the ACL is too long, give rights to a group instead")
		}
		return stored, err
	}
	return a.update(ctx, func(e *edit) error {
		if name == "" {
			key := named(a.id, kindACL, "")
			stored, err := changed(string(e.tx.Get(index.Mail, key)))
			if err != nil {
				return err
			}
			if stored == "" {
				return e.tx.Delete(index.Mail, key)
			}
			return e.tx.Put(index.Mail, key, []byte(stored))
		}
		found, rec, there, err := lookUp(e.tx, a.id, name)
		if err == nil && !there {
			err = fault.New(op, fault.NoMailbox, "")
		}
		if err != nil {
			return err
		}
		if rec.acl, err = changed(rec.acl); err != nil {
			return err
		}
		if rec.mailbox != 0 { // sessions in it may have to go
			x, err := e.box(rec.mailbox)
			if err != nil {
				return err
			}
			x.regranted = true
		}
		return e.putName(found, rec)
	})
}

func aclName(name string) (string, error) {
	if name = strings.TrimSuffix(name, "/"); name == "" {
		return "", nil
	}
	return cleanName(name)
}

// aclAbove returns the ACL, as it is stored, that a new name copies.
func (e *edit) aclAbove(name string) (string, error) {
	for p := parent(name); p != ""; p = parent(p) {
		if rec, found, err := e.name(p); found || err != nil {
			return rec.acl, err
		}
	}
	return "", nil
}
