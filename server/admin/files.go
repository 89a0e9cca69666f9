package admin

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"strings"
	"time"

	"gatepost/accounts/access"
	"gatepost/accounts/files"
	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about the file storage of an account. Each takes the account with whose rights to act, which may be the zero Name:
// then all is allowed. Another account than the owner has the rights that ACLs of directories give it, see package files.

// maxRead bounds what one call reads of a file.
const maxRead = 16 << 20

// storage opens the storage of the account that the operation is about, and looks whether who acts has rights to a path: reading and lists need
// them in the directory itself, changes where the name lies, and Delete below it too.
func (o *operation) storage(as Name, file string, rights access.Rights) (area *files.Area, path string, owner access.Owner, err error) {
	if owner, err = o.owner(as); err != nil {
		return nil, "", owner, err
	}
	if path, err = storagePath(file); err != nil {
		return nil, "", owner, err
	}
	if area, err = o.admin.server.FileStorage().Open(owner.Account); err != nil {
		return nil, "", owner, err
	}
	dir := area.DirOf(path)
	if rights&(access.Write|access.Delete) != 0 {
		dir = path[:max(0, strings.LastIndexByte(path, '/'))]
	}
	has, err := area.Rights(o, &owner, dir)
	if err == nil && rights.Has(access.Delete) && area.DirOf(path) == path {
		var below access.Rights
		below, err = area.RightsToAll(o, &owner, path)
		has &= below
	}
	if err == nil && !has.Has(rights) {
		err = fault.New("admin.Files", fault.Denied, "access denied")
	}
	if err != nil {
		area.Close()
		return nil, "", owner, err
	}
	return area, path, owner, nil
}

func storagePath(file string) (string, error) {
	var names []string
	for n := range strings.SplitSeq(file, "/") {
		if n != "" {
			names = append(names, n)
		}
	}
	return files.Join(names)
}

// StorageFiles lists a directory: for each name a dictionary with Size and Modified, or an empty array for a directory.
func (a Actor) StorageFiles(ctx context.Context, n, as Name, dir string) (dataformat.Dict, error) {
	return look(ctx, a, "LISTSTORAGEFILES", account(n), func(o *operation) (dataformat.Dict, error) {
		area, path, owner, err := o.storage(as, dir, access.Lookup)
		if err != nil {
			return nil, err
		}
		defer area.Close()
		list, err := area.List(path)
		if err != nil {
			return nil, err
		}
		out := dataformat.Dict{}
		for _, i := range list {
			switch {
			case i.Dir:
				has, err := area.Rights(o, &owner, i.Path)
				if err != nil {
					return nil, err
				}
				if has.Has(access.Lookup) {
					out[i.Name()] = dataformat.Array{}
				}
			default:
				out[i.Name()] = dataformat.Dict{"Size": dataformat.Number(i.Size), "Modified": dataformat.Time{T: i.Modified.Truncate(time.Second)}}
			}
		}
		return out, nil
	})
}

// StorageInfo is the size of the files of an account and how many there are, or of those below a directory.
func (a Actor) StorageInfo(ctx context.Context, n, as Name, dir string) (dataformat.Array, error) {
	return look(ctx, a, "GETSTORAGEFILEINFO", account(n), func(o *operation) (dataformat.Array, error) {
		area, path, owner, err := o.storage(as, dir, access.Lookup)
		if err != nil {
			return nil, err
		}
		defer area.Close()
		if has, err := area.RightsToAll(o, &owner, area.DirOf(path)); err != nil || !has.Has(access.Lookup) {
			return nil, cmp.Or(err, denied())
		}
		size, count, err := area.Measure(path)
		if err != nil {
			return nil, err
		}
		return dataformat.Array{dataformat.Number(size), dataformat.Number(count)}, nil
	})
}

// ReadStorageFile reads a part of a file: its bytes, when it was changed, and the size of the whole. size 0 is all from the offset on. Errors:
// NotFound; TooLarge for more than 16 MB at a time.
func (a Actor) ReadStorageFile(ctx context.Context, n, as Name, file string, offset, size int64) (dataformat.Array, error) {
	return look(ctx, a, "READSTORAGEFILE", account(n), func(o *operation) (dataformat.Array, error) {
		const op = "admin.ReadStorageFile"
		area, path, _, err := o.storage(as, file, access.Read)
		if err != nil {
			return nil, err
		}
		defer area.Close()
		f, i, err := area.OpenFile(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if offset < 0 || size < 0 {
			return nil, fault.New(op, fault.Invalid, "OFFSET and SIZE are not negative")
		}
		left := max(i.Size-offset, 0)
		if size > 0 {
			left = min(left, size)
		}
		if left > maxRead {
			return nil, fault.New(op, fault.TooLarge, "the file has more than 16 MB: read it in parts, with OFFSET and SIZE")
		}
		text := make([]byte, left)
		if _, err := io.ReadFull(io.NewSectionReader(f, offset, left), text); err != nil {
			return nil, fault.Wrap(op, fault.Internal, err)
		}
		return dataformat.Array{dataformat.Data(text), dataformat.Time{T: i.Modified.Truncate(time.Second)}, dataformat.Number(i.Size)}, nil
	})
}

// Where says where WriteStorageFile writes.
type Where struct {
	New    bool  // the file must not be there
	Part   bool  // from Offset on; without it the file is replaced
	End    bool  // at its end
	Offset int64 // for Part
}

// WriteStorageFile writes a file, or a part of one. A name that ends with a slash makes a directory. Errors: NotFound of the directory above; Exists;
// OverQuota; TooLarge.
func (a Actor) WriteStorageFile(ctx context.Context, n, as Name, file string, at Where, data []byte) error {
	return do(ctx, a, "WRITESTORAGEFILE", account(n), func(o *operation) error {
		o.new = dataformat.String(file)
		area, path, _, err := o.storage(as, file, access.Write)
		if err != nil {
			return err
		}
		defer area.Close()
		if strings.HasSuffix(file, "/") && len(data) == 0 {
			return area.MakeDir(path, nil)
		}
		present, err := area.Stat(path)
		switch {
		case fault.Is(err, fault.NotFound) && !(at.Part && at.Offset > 0):
			_, _, err = area.Put(o, path, bytes.NewReader(data), func(i *files.Info) error {
				if i != nil && at.New {
					return fault.New("admin.WriteStorageFile", fault.Exists, "there is a file of this name")
				}
				return nil
			})
			return err
		case err != nil:
			return err
		case at.New:
			return fault.New("admin.WriteStorageFile", fault.Exists, "there is a file of this name")
		case at.End:
			_, err = area.WriteAt(o, path, present.Size, bytes.NewReader(data), nil)
		case at.Part:
			_, err = area.WriteAt(o, path, at.Offset, bytes.NewReader(data), nil)
		default:
			_, _, err = area.Put(o, path, bytes.NewReader(data), nil)
		}
		return err
	})
}

// RenameStorageFile gives a file or directory another path. Errors: NotFound, Exists.
func (a Actor) RenameStorageFile(ctx context.Context, n, as Name, from, to string) error {
	return do(ctx, a, "RENAMESTORAGEFILE", account(n), func(o *operation) error {
		o.old, o.new = dataformat.String(from), dataformat.String(to)
		area, old, _, err := o.storage(as, from, access.Read|access.Delete)
		if err != nil {
			return err
		}
		defer area.Close()
		other, path, _, err := o.storage(as, to, access.Write)
		if err != nil {
			return err
		}
		defer other.Close()
		_, err = area.Move(old, path, func(present *files.Info) error {
			if present != nil {
				return fault.New("admin.RenameStorageFile", fault.Exists, "there is something of this name")
			}
			return nil
		})
		return err
	})
}

// DeleteStorageFile removes a file, or a directory with all that is in it. Errors: NotFound.
func (a Actor) DeleteStorageFile(ctx context.Context, n, as Name, file string) error {
	return do(ctx, a, "DELETESTORAGEFILE", account(n), func(o *operation) error {
		o.old = dataformat.String(file)
		area, path, _, err := o.storage(as, file, access.Delete)
		if err != nil {
			return err
		}
		defer area.Close()
		return area.Remove(path, nil)
	})
}

// StorageACL is the ACL that a directory has of its own: identifiers with their letters.
func (a Actor) StorageACL(ctx context.Context, n, as Name, dir string) (dataformat.Dict, error) {
	return look(ctx, a, "GETSTORAGEFILEACL", account(n), func(o *operation) (dataformat.Dict, error) {
		area, path, _, err := o.storage(as, dir, access.Administer)
		if err != nil {
			return nil, err
		}
		defer area.Close()
		acl, err := area.ACL(path)
		out := dataformat.Dict{}
		for _, e := range acl {
			out[e.Identifier] = dataformat.String(access.Rights(e.Rights).String())
		}
		return out, err
	})
}

// SetStorageACL changes the ACL of a directory: letters of rights for each identifier, with + or - before them more or fewer than it has. Errors: NotFound,
// Invalid, TooMany.
func (a Actor) SetStorageACL(ctx context.Context, n, as Name, dir string, change dataformat.Dict) error {
	return do(ctx, a, "SETSTORAGEFILEACL", account(n), func(o *operation) error {
		o.new = change
		area, path, _, err := o.storage(as, dir, access.Administer)
		if err != nil {
			return err
		}
		defer area.Close()
		return area.ChangeACL(path, func(acl mailbox.ACL) (mailbox.ACL, error) {
			for who, rights := range change {
				text, ok := rights.(dataformat.String)
				if !ok {
					return nil, fault.Newf("admin.SetStorageACL", fault.Invalid, "the rights of %s are not letters", who)
				}
				var err error
				if acl, err = access.Change(acl, who, string(text)); err != nil {
					return nil, err
				}
			}
			return acl, nil
		})
	})
}
