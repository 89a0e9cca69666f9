package files

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// A directory may have an ACL of its own. It counts for the directory, for what lies in it, and for the directories below it that have none.
// What is moved keeps its ACL, a copy has none. Its letters are Letters; identifiers are those of mailboxes (package access).
//
//	l  see the directory, and what is in it
//	r  read its files
//	w  store and change files, make directories, lock
//	d  remove and move away what is in it
//	a  see and change the ACL
//
// The owner has all rights, and who administers the files of the owner. Everybody who has logged in has l and r to what does not lie in
// the directory Private, besides what ACLs give, unless an ACL at or above it takes them from anyone (-anyone).

// Letters are the rights that an ACL of a directory can have.
const Letters = "lrwda"

// aclRights are those of Letters.
const aclRights = access.Lookup | access.Read | access.Write | access.Delete | access.Administer

const (
	// aclFile has the ACLs of all directories, by path: with plain files they are in every backup.
	aclFile = "acl"
	// maxACL bounds an ACL as it is stored, maxACLs all of an account, in bytes.
	maxACL  = 2 << 10
	maxACLs = 64 << 10
)

// aclTable has the ACLs by directory, each as pairs of identifier and letters.
type aclTable map[string][][2]string

// readACLs reads the ACLs of the account.
func (a *Area) readACLs() (aclTable, error) {
	const op = "files.ACL"
	if a.root == nil {
		return nil, nil
	}
	text, err := a.root.ReadFile(aclFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failed(op, err)
	}
	var all aclTable
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fault.Wrap(op, fault.Corrupt, err)
	}
	return all, nil
}

// writeACLs replaces the ACLs of the account, durably. use.mu is held. Errors: TooMany.
func (a *Area) writeACLs(all aclTable) error {
	const op = "files.ACL"
	text, err := json.Marshal(all)
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	if len(text) > maxACLs {
		return fault.New(op, fault.TooMany, "The ACLs of all directories together are too long.")
	}
	temp := a.work()
	f, err := a.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return failed(op, err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = a.root.Rename(temp, aclFile)
	}
	if err != nil {
		return errors.Join(failed(op, err), failed(op, a.root.RemoveAll(temp)))
	}
	return failed(op, a.sync("."))
}

// forgetACLs drops the ACLs at and below a path at which there is nothing now. use.mu is held.
func (a *Area) forgetACLs(p string) error {
	all, err := a.readACLs()
	if err != nil || !all.drop(p) {
		return err
	}
	return a.writeACLs(all)
}

// carryACLs gives the directories that are about to be at a path the ACLs that they have at another one; from is empty for what has none. What an earlier
// directory there had goes. use.mu is held.
func (a *Area) carryACLs(from, to string) error {
	all, err := a.readACLs()
	if err != nil || len(all) == 0 {
		return err
	}
	changed := all.drop(to)
	for dir, acl := range maps.Clone(all) {
		if from != "" && Within(dir, from) {
			all[to+dir[len(from):]], changed = acl, true
		}
	}
	if !changed {
		return nil
	}
	return a.writeACLs(all)
}

func (t aclTable) drop(p string) (changed bool) {
	for dir := range t {
		if Within(dir, p) {
			delete(t, dir)
			changed = true
		}
	}
	return changed
}

// of returns the ACL that a directory has of its own.
func (t aclTable) of(dir string) (acl mailbox.ACL, err error) {
	for _, e := range t[dir] {
		rights, err := access.ParseRights(e[1])
		if err != nil {
			return nil, fault.Wrap("files.ACL", fault.Corrupt, err)
		}
		acl = append(acl, mailbox.ACLEntry{Identifier: e[0], Rights: uint32(rights)})
	}
	return acl, nil
}

// ACL returns the ACL that a directory has of its own, by identifier. Errors: NotFound.
func (a *Area) ACL(p string) (mailbox.ACL, error) {
	if _, err := a.Stat(p); err != nil {
		return nil, err
	}
	all, err := a.readACLs()
	if err != nil {
		return nil, err
	}
	return all.of(p)
}

// ChangeACL replaces the ACL of a directory by what change makes of it; without an element it has none of its own. Errors: NotFound,
// Invalid for a file and for other rights than Letters, TooMany, those of change.
func (a *Area) ChangeACL(p string, change func(mailbox.ACL) (mailbox.ACL, error)) error {
	const op = "files.ChangeACL"
	if err := a.make(); err != nil {
		return err
	}
	a.use.mu.Lock()
	defer a.use.mu.Unlock()
	switch i, err := a.Stat(p); {
	case err != nil:
		return err
	case !i.Dir:
		return fault.New(op, fault.Invalid, "Only a directory has an ACL.")
	}
	all, err := a.readACLs()
	if err != nil {
		return err
	}
	acl, err := all.of(p)
	if err == nil {
		acl, err = change(acl)
	}
	if err != nil {
		return err
	}
	var entries [][2]string
	size := 0
	for _, e := range acl {
		rights := access.Rights(e.Rights)
		if rights&^aclRights != 0 {
			return fault.Newf(op, fault.Invalid, "The rights to a directory are %s.", Letters)
		}
		if rights != 0 {
			entries = append(entries, [2]string{e.Identifier, rights.String()})
			size += len(e.Identifier) + len(Letters)
		}
	}
	if size > maxACL {
		return fault.New(op, fault.TooMany, "The ACL is too long.")
	}
	slices.SortFunc(entries, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	if all == nil {
		all = aclTable{}
	}
	if all[p] = entries; entries == nil {
		delete(all, p)
	}
	return a.writeACLs(all)
}

// DirOf returns the directory whose rights count for a path: the path itself if it is one, else that in which it lies or would lie.
func (a *Area) DirOf(p string) string {
	if i, err := a.Stat(p); err == nil && i.Dir {
		return p
	}
	return parent(p)
}

// acls returns the nearest ACL at or above a directory, and the rights that everybody has there.
func (t aclTable) acls(dir string) (acl mailbox.ACL, open access.Rights, err error) {
	open = access.Lookup | access.Read
	if dir != "" && Within(dir, Private) {
		open = 0
	}
	for at := ""; ; {
		own, err := t.of(at)
		if err != nil {
			return nil, 0, err
		}
		if len(own) > 0 {
			acl = own
		}
		for _, e := range own {
			if id, err := access.ParseIdentifier(e.Identifier); err == nil && id.Takes() && id.Everybody() {
				open &^= access.Rights(e.Rights)
			}
		}
		if at == dir {
			return acl, open, nil
		}
		next, _, _ := strings.Cut(strings.TrimPrefix(dir[len(at):], "/"), "/")
		at = strings.TrimPrefix(at+"/"+next, "/")
	}
}

// Inherited returns the nearest directory at or above one that has an ACL of its own; the directory itself if there is none.
func (a *Area) Inherited(dir string) (string, error) {
	all, err := a.readACLs()
	if err != nil {
		return dir, err
	}
	for at := dir; ; at = parent(at) {
		if len(all[at]) > 0 {
			return at, nil
		}
		if at == "" {
			return dir, nil
		}
	}
}

// Rights returns the present rights of a user to a directory of the storage, whose owner must be that of the area. Errors: NoMailbox if the
// owner does not exist any more.
func (a *Area) Rights(ctx context.Context, o *access.Owner, dir string) (access.Rights, error) {
	if !o.Foreign() {
		return access.All, nil
	}
	all, err := a.readACLs()
	if err != nil {
		return 0, err
	}
	return all.rights(ctx, o, dir)
}

func (t aclTable) rights(ctx context.Context, o *access.Owner, dir string) (access.Rights, error) {
	acl, open, err := t.acls(dir)
	if err != nil {
		return 0, err
	}
	return o.RightsBy(ctx, acl, open)
}

// OpenRights returns what everybody may do with a directory, without a login too.
func (a *Area) OpenRights(dir string) (access.Rights, error) {
	all, err := a.readACLs()
	if err != nil {
		return 0, err
	}
	_, open, err := all.acls(dir)
	return open, err
}

// RightsToAll returns the rights that a user has to a directory and to every directory below it. Errors: as of Rights.
func (a *Area) RightsToAll(ctx context.Context, o *access.Owner, dir string) (access.Rights, error) {
	rights := access.All
	if !o.Foreign() {
		return rights, nil
	}
	all, err := a.readACLs()
	if err != nil {
		return 0, err
	}
	at := []string{dir}
	for below := range all {
		if Within(below, dir) {
			at = append(at, below)
		}
	}
	if Within(Private, dir) { // what everybody may do ends there
		at = append(at, Private)
	}
	for _, one := range at {
		more, err := all.rights(ctx, o, one)
		if err != nil {
			return 0, err
		}
		rights &= more
	}
	return rights, nil
}
