package files

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

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
	aclAttribute = "user.gatepost.acl"
	// maxACL bounds an ACL as it is stored, in bytes.
	maxACL = 2 << 10
)

// ACL returns the ACL that a directory has of its own, by identifier. Errors: NotFound.
func (a *Area) ACL(p string) (mailbox.ACL, error) {
	if a.root == nil {
		if p == "" {
			return nil, nil
		}
		return nil, notFound()
	}
	text, err := a.readNamed(in(p), aclAttribute)
	if err != nil || len(text) == 0 {
		if p == "" && fault.Is(err, fault.NotFound) {
			err = nil
		}
		return nil, err
	}
	var entries [][2]string
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, fault.Wrap("files.ACL", fault.Corrupt, err)
	}
	var acl mailbox.ACL
	for _, e := range entries {
		rights, err := access.ParseRights(e[1])
		if err != nil {
			return nil, fault.Wrap("files.ACL", fault.Corrupt, err)
		}
		acl = append(acl, mailbox.ACLEntry{Identifier: e[0], Rights: uint32(rights)})
	}
	return acl, nil
}

// ChangeACL replaces the ACL of a directory by what change makes of it; without an element it has none of its own. Errors: NotFound,
// Invalid for a file and for other rights than Letters, TooMany, Unsupported where the file system has no room for it, those of change.
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
	acl, err := a.ACL(p)
	if err == nil {
		acl, err = change(acl)
	}
	if err != nil {
		return err
	}
	var entries [][2]string
	for _, e := range acl {
		rights := access.Rights(e.Rights)
		if rights&^aclRights != 0 {
			return fault.Newf(op, fault.Invalid, "The rights to a directory are %s.", Letters)
		}
		if rights != 0 {
			entries = append(entries, [2]string{e.Identifier, rights.String()})
		}
	}
	if entries == nil {
		return a.writeNamed(in(p), aclAttribute, nil)
	}
	slices.SortFunc(entries, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	text, err := json.Marshal(entries)
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	if len(text) > maxACL {
		return fault.New(op, fault.TooMany, "The ACL is too long.")
	}
	return a.writeNamed(in(p), aclAttribute, text)
}

// DirOf returns the directory whose rights count for a path: the path itself if it is one, else that in which it lies or would lie.
func (a *Area) DirOf(p string) string {
	if i, err := a.Stat(p); err == nil && i.Dir {
		return p
	}
	return parent(p)
}

// acls returns the nearest ACL at or above a directory, and the rights that everybody has there.
func (a *Area) acls(dir string) (acl mailbox.ACL, open access.Rights, err error) {
	open = access.Lookup | access.Read
	if dir != "" && Within(dir, Private) {
		open = 0
	}
	for at := ""; ; {
		own, err := a.ACL(at)
		if fault.Is(err, fault.NotFound) {
			return acl, open, nil // the directories below are not there either
		}
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
	for at := dir; ; at = parent(at) {
		own, err := a.ACL(at)
		if err != nil {
			return dir, err
		}
		if len(own) > 0 {
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
	acl, open, err := a.acls(dir)
	if err != nil {
		return 0, err
	}
	return o.RightsBy(ctx, acl, open)
}

// OpenRights returns what everybody may do with a directory, without a login too.
func (a *Area) OpenRights(dir string) (access.Rights, error) {
	_, open, err := a.acls(dir)
	return open, err
}

// RightsToAll returns the rights that a user has to a directory and to every directory below it. Errors: as of Rights.
func (a *Area) RightsToAll(ctx context.Context, o *access.Owner, dir string) (access.Rights, error) {
	rights, err := a.Rights(ctx, o, dir)
	if err != nil || !o.Foreign() || a.root == nil {
		return rights, err
	}
	err = fs.WalkDir(a.root.FS(), in(dir), func(at string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() || at == in(dir) {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if err := ctx.Err(); err != nil {
			return fault.Wrap("files.Rights", fault.Canceled, err)
		}
		below := strings.TrimPrefix(at, treeDir+"/")
		if own, err := a.ACL(below); err != nil || len(own) == 0 {
			return err
		}
		more, err := a.Rights(ctx, o, below)
		rights &= more
		return err
	})
	return rights, failed("files.Rights", err)
}

// readNamed and writeNamed read and write an extended attribute of a file or directory; nil removes it.
func (a *Area) readNamed(name, attribute string) (text []byte, err error) {
	err = a.onFile(name, func(fd int) error {
		buf := make([]byte, 64<<10)
		n, err := unix.Fgetxattr(fd, attribute, buf)
		switch {
		case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
			return nil
		case err != nil:
			return fault.Wrap("files.Attribute", fault.Internal, err)
		}
		text = slices.Clone(buf[:n])
		return nil
	})
	return text, err
}

func (a *Area) writeNamed(name, attribute string, text []byte) error {
	const op = "files.Attribute"
	return a.onFile(name, func(fd int) error {
		var err error
		if text == nil {
			if err = unix.Fremovexattr(fd, attribute); errors.Is(err, unix.ENODATA) {
				err = nil
			}
		} else {
			err = unix.Fsetxattr(fd, attribute, text, 0)
		}
		switch {
		case err == nil:
			return failed(op, unix.Fsync(fd))
		case errors.Is(err, unix.E2BIG), errors.Is(err, unix.ENOSPC), errors.Is(err, unix.ERANGE):
			return fault.New(op, fault.TooLarge, "The properties are too large: the file system has no room for more.")
		case errors.Is(err, unix.ENOTSUP):
			return fault.New(op, fault.Unsupported, "The file system of the server keeps no properties of files.")
		}
		return fault.Wrap(op, fault.Internal, err)
	})
}
