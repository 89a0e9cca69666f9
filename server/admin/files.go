package admin

import (
	"bytes"
	"context"
	"io"
	"strings"
	"time"

	"gatepost/accounts/files"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about the file storage of an account. Each takes the account with whose rights to act, which may be the zero Name:
// then all is allowed. Another account than the owner reads what is not in the directory private, and changes nothing.

// maxRead bounds what one call reads of a file.
const maxRead = 16 << 20

// storage opens the storage of the account that the operation is about, and looks whether who acts may use a path.
func (o *operation) storage(as Name, file string, change bool) (*files.Area, string, error) {
	const op = "admin.Files"
	owner, err := o.owner(as)
	if err != nil {
		return nil, "", err
	}
	var names []string
	for n := range strings.SplitSeq(file, "/") {
		if n != "" {
			names = append(names, n)
		}
	}
	path, err := files.Join(names)
	if err != nil {
		return nil, "", err
	}
	if owner.Foreign() && (change || path != "" && files.Within(path, files.Private)) {
		return nil, "", fault.New(op, fault.Denied, "access denied")
	}
	area, err := o.admin.server.FileStorage().Open(owner.Account)
	return area, path, err
}

// StorageFiles lists a directory: for each name a dictionary with Size and Modified, or an empty array for a directory.
func (a Actor) StorageFiles(ctx context.Context, n, as Name, dir string) (dataformat.Dict, error) {
	return look(ctx, a, "LISTSTORAGEFILES", account(n), func(o *operation) (dataformat.Dict, error) {
		area, path, err := o.storage(as, dir, false)
		if err != nil {
			return nil, err
		}
		defer area.Close()
		list, err := area.List(path)
		if err != nil {
			return nil, err
		}
		foreign := as != (Name{}) && path == ""
		out := dataformat.Dict{}
		for _, i := range list {
			switch {
			case foreign && i.Path == files.Private:
			case i.Dir:
				out[i.Name()] = dataformat.Array{}
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
		area, path, err := o.storage(as, dir, false)
		if err != nil {
			return nil, err
		}
		defer area.Close()
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
		area, path, err := o.storage(as, file, false)
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
		area, path, err := o.storage(as, file, true)
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
		area, old, err := o.storage(as, from, true)
		if err != nil {
			return err
		}
		defer area.Close()
		other, path, err := o.storage(as, to, true)
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
		area, path, err := o.storage(as, file, true)
		if err != nil {
			return err
		}
		defer area.Close()
		return area.Remove(path, nil)
	})
}
