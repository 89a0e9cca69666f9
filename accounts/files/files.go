// Package files is the file storage of accounts: a tree of directories and files for each, as they are on the disk.
//
// # On disk
//
//	<account>.macnt/FileStorage/files/   the tree, by its names
//	<account>.macnt/FileStorage/work/    what is being uploaded, copied or removed
//	<account>.macnt/FileStorage/acl      the ACLs of directories
//
// Whatever a client sends is written below work, synced, and renamed into the tree, and then the directory is synced: a name stands for
// the old file or the whole new one, also after a crash. What a crash leaves below work is removed before the account's storage is used
// the next time. Properties that clients keep lie with a file or directory in its extended attribute user.gatepost: they move along with
// it, and copies have them too. ACLs of directories lie in the file acl (acl.go). No path leads out of the tree, by symbolic links neither (os.Root).
//
// # Limits
//
// Files and directories count, and the bytes of the files; MaxWebFiles, MaxWebSize and MaxFileSize bound them. What is counted is read
// from the tree when an account's storage is first used, and kept from then on while it is in use.
//
// # Who may run at the same time
//
// An Area is for one request. Changes of names in one account come one after the other; the bytes of a file arrive, and are copied,
// without others waiting. The directory of the account may be renamed meanwhile: an Area holds it open.
package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"gatepost/accounts"
	"gatepost/server/fault"
)

const (
	storageDir = "FileStorage"
	treeDir    = "files"
	workDir    = "work"

	// The bounds of a path: bytes of a name, names, bytes.
	maxName  = 255
	maxDepth = 64
	maxPath  = 3000

	// maxIdle bounds the accounts whose counters are kept while nobody uses them.
	maxIdle = 1000

	attribute = "user.gatepost"

	// Private is the directory that others do not see, unless an ACL lets them.
	Private = "private"
)

// Store is the file storage of all accounts. It may be used by many goroutines at once.
type Store struct {
	mu    sync.Mutex
	usage map[uint64]*usage // by account ID
	next  atomic.Uint64     // names below work
}

// New returns a Store.
func New() *Store { return &Store{usage: map[uint64]*usage{}} }

// usage is what an account has in use.
type usage struct {
	users int // Areas that are open; under Store.mu

	mu    sync.Mutex // held while names change; taken before count
	known bool       // bytes and files were read from the tree

	count sync.Mutex
	bytes int64
	files int
}

// Area is the storage of one account for one request. Close ends it.
type Area struct {
	store   *Store
	account *accounts.Account
	use     *usage
	root    *os.Root // FileStorage; nil while there is none
	dir     string
}

// Info is what is known of a file or directory.
type Info struct {
	Path     string // "" is the top
	Dir      bool
	Size     int64 // 0 for a directory
	Modified time.Time
	ETag     string // of the content, with quotes; "" for a directory
}

// Name is the last name of the path.
func (i *Info) Name() string { return path.Base("/" + i.Path) }

// Open opens the storage of an account. Nothing is made on the disk until something is stored.
func (s *Store) Open(a *accounts.Account) (*Area, error) {
	s.mu.Lock()
	u := s.usage[a.ID]
	if u == nil {
		for id, other := range s.usage {
			if len(s.usage) < maxIdle {
				break
			}
			if other.users == 0 {
				delete(s.usage, id)
			}
		}
		u = new(usage)
		s.usage[a.ID] = u
	}
	u.users++
	s.mu.Unlock()
	area := &Area{store: s, account: a, use: u, dir: filepath.Join(a.Dir(), storageDir)}
	if err := area.open(); err != nil {
		area.Close()
		return nil, err
	}
	return area, nil
}

// Close ends the use of the storage.
func (a *Area) Close() {
	if a.root != nil {
		_ = a.root.Close() // it was read, or is synced
	}
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	a.use.users--
}

// Account is whose storage it is.
func (a *Area) Account() *accounts.Account { return a.account }

// open opens the directory if it is there, and counts what is in it once.
func (a *Area) open() error {
	const op = "files.Open"
	a.use.mu.Lock()
	defer a.use.mu.Unlock()
	root, err := os.OpenRoot(a.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	a.root = root
	if a.use.known {
		return nil
	}
	if err := root.RemoveAll(workDir); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	bytes, files, err := a.measure(treeDir)
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	a.use.count.Lock()
	defer a.use.count.Unlock()
	a.use.bytes, a.use.files, a.use.known = bytes, files, true
	return nil
}

// measure counts what is below a directory, without it.
func (a *Area) measure(name string) (bytes int64, files int, err error) {
	err = fs.WalkDir(a.root.FS(), name, func(at string, e fs.DirEntry, err error) error {
		if err != nil {
			if at == name && errors.Is(err, fs.ErrNotExist) {
				return fs.SkipAll
			}
			return err
		}
		if at == name {
			return nil
		}
		files++
		if !e.IsDir() {
			i, err := e.Info()
			if err != nil {
				return err
			}
			bytes += i.Size()
		}
		return nil
	})
	return bytes, files, err
}

// Measure counts the bytes and the files and directories below a directory; of a file, its own bytes. Errors: NotFound.
func (a *Area) Measure(p string) (bytes int64, files int, err error) {
	i, err := a.Stat(p)
	switch {
	case err != nil:
		return 0, 0, err
	case !i.Dir:
		return i.Size, 1, nil
	case a.root == nil:
		return 0, 0, nil
	}
	bytes, files, err = a.measure(in(p))
	return bytes, files, failed("files.Measure", err)
}

// make makes the directories of the storage. use.mu is not held.
func (a *Area) make() error {
	const op = "files.Make"
	a.use.mu.Lock()
	defer a.use.mu.Unlock()
	if a.root == nil {
		if err := os.Mkdir(a.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fault.Wrap(op, fault.Internal, err)
		}
		root, err := os.OpenRoot(a.dir)
		if err != nil {
			return fault.Wrap(op, fault.Internal, err)
		}
		a.root, a.use.known = root, true
	}
	for _, name := range []string{treeDir, workDir} {
		err := a.root.Mkdir(name, 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = a.sync(".")
		}
		if err == nil { // the directory may be new itself
			err = syncPath(filepath.Dir(a.dir))
		}
		if err != nil {
			return failed(op, err)
		}
	}
	return nil
}

func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fault.Wrap("files.Sync", fault.Internal, err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// sync makes the names of a directory durable.
func (a *Area) sync(name string) error {
	d, err := a.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Join makes a path of names as a client gives them. Errors: Invalid.
func Join(names []string) (string, error) {
	const op = "files.Path"
	if len(names) > maxDepth {
		return "", fault.New(op, fault.Invalid, "The path has too many directories.")
	}
	for _, n := range names {
		switch {
		case n == "" || n == "." || n == ".." || strings.ContainsAny(n, "/\x00"):
			return "", fault.New(op, fault.Invalid, "The path has a name that no file can have.")
		case len(n) > maxName:
			return "", fault.Newf(op, fault.Invalid, "A name has more than %d bytes.", maxName)
		case !utf8.ValidString(n) || strings.ContainsFunc(n, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return "", fault.New(op, fault.Invalid, "A name has control characters, or is not UTF-8.")
		}
	}
	p := strings.Join(names, "/")
	if len(p) > maxPath {
		return "", fault.New(op, fault.Invalid, "The path is too long.")
	}
	return p, nil
}

// in is the name of a path below the root.
func in(p string) string {
	if p == "" {
		return treeDir
	}
	return treeDir + "/" + p
}

func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// IsNoParent reports whether an error says that there is no directory for what shall be made.
func IsNoParent(err error) bool { return errors.Is(err, errNoParent) }

var errNoParent = fault.New("files.Parent", fault.NotFound, "There is no directory of this path.")

func notFound() error {
	return fault.New("files.Stat", fault.NotFound, "There is no file of this name.")
}

// failed gives an error of the system its kind.
func failed(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return notFound()
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Wrap(op, fault.NoSpace, err)
	}
	if own := new(fault.Error); errors.As(err, &own) {
		return err
	}
	return fault.Wrap(op, fault.Internal, err)
}

// Stat tells of a file or directory. The top is there in any case. Errors: NotFound.
func (a *Area) Stat(p string) (*Info, error) {
	if a.root == nil {
		if p == "" {
			return &Info{Dir: true, Modified: time.Unix(0, 0)}, nil
		}
		return nil, notFound()
	}
	i, err := a.root.Lstat(in(p))
	if p == "" && errors.Is(err, fs.ErrNotExist) {
		return &Info{Dir: true, Modified: time.Unix(0, 0)}, nil
	}
	if err != nil {
		return nil, failed("files.Stat", err)
	}
	return infoOf(p, i)
}

// infoOf describes what is on the disk. What is neither a file nor a directory is not shown.
func infoOf(p string, i fs.FileInfo) (*Info, error) {
	if !i.IsDir() && !i.Mode().IsRegular() {
		return nil, notFound()
	}
	out := &Info{Path: p, Dir: i.IsDir(), Modified: i.ModTime()}
	if !out.Dir {
		out.Size = i.Size()
		var inode uint64
		if st, ok := i.Sys().(*syscall.Stat_t); ok {
			inode = st.Ino
		}
		out.ETag = fmt.Sprintf(`"%x-%x-%x"`, i.ModTime().UnixNano(), i.Size(), inode)
	}
	return out, nil
}

// List tells of what lies directly in a directory, by name. Errors: NotFound.
func (a *Area) List(p string) ([]*Info, error) {
	if a.root == nil {
		if p == "" {
			return nil, nil
		}
		return nil, notFound()
	}
	entries, err := fs.ReadDir(a.root.FS(), in(p))
	if err != nil {
		if p == "" && errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, failed("files.List", err)
	}
	var list []*Info
	for _, e := range entries {
		i, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has gone meanwhile
		}
		if err != nil {
			return nil, failed("files.List", err)
		}
		if one, err := infoOf(path.Join(p, e.Name()), i); err == nil {
			list = append(list, one)
		}
	}
	return list, nil
}

// OpenFile opens a file to be read. Errors: NotFound, also for a directory.
func (a *Area) OpenFile(p string) (*os.File, *Info, error) {
	const op = "files.OpenFile"
	if a.root == nil {
		return nil, nil, notFound()
	}
	f, err := a.root.OpenFile(in(p), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, failed(op, err)
	}
	i, err := f.Stat()
	if err == nil {
		var info *Info
		if info, err = infoOf(p, i); err == nil && !info.Dir {
			return f, info, nil
		}
		if err == nil {
			err = notFound()
		}
	}
	return nil, nil, errors.Join(failed(op, err), f.Close())
}

// Usage is what the account has in use.
func (a *Area) Usage() (bytes int64, files int) {
	a.use.count.Lock()
	defer a.use.count.Unlock()
	return a.use.bytes, a.use.files
}

// take counts more bytes and files in, or refuses them. credit are bytes that the change frees later.
func (a *Area) take(bytes int64, files int, credit int64) error {
	const op = "files.Quota"
	set := a.account.Settings()
	a.use.count.Lock()
	defer a.use.count.Unlock()
	if limit := int64(set.MaxWebSize); limit >= 0 && bytes > 0 && a.use.bytes+bytes > limit+credit {
		return fault.New(op, fault.OverQuota, "There is no room for this: the limit of the file storage is reached.")
	}
	if limit := set.MaxWebFiles; limit >= 0 && files > 0 && a.use.files+files > limit {
		return fault.New(op, fault.OverQuota, "The account has as many files as it may have.")
	}
	a.use.bytes += bytes
	a.use.files += files
	return nil
}

func (a *Area) give(bytes int64, files int) {
	a.use.count.Lock()
	defer a.use.count.Unlock()
	a.use.bytes -= bytes
	a.use.files -= files
}

// work returns a new name below the directory for work.
func (a *Area) work() string { return workDir + "/" + strconv.FormatUint(a.store.next.Add(1), 10) }

// counted copies a stream to a file and counts its bytes in. It returns how many were counted, also with an error.
func (a *Area) counted(ctx context.Context, w io.Writer, r io.Reader, credit int64) (n int64, err error) {
	const op = "files.Put"
	largest := int64(a.account.Settings().MaxFileSize)
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return n, fault.Wrap(op, fault.Canceled, err)
		}
		got, end := fill(r, buf)
		if got > 0 {
			if err := a.take(int64(got), 0, credit); err != nil {
				return n, err
			}
			n += int64(got)
			if largest >= 0 && n > largest {
				return n, fault.New(op, fault.TooLarge, "The file is larger than a file may be.")
			}
			if _, err := w.Write(buf[:got]); err != nil {
				return n, failed(op, err)
			}
		}
		if end == io.EOF {
			return n, nil
		}
		if end != nil {
			return n, end
		}
	}
}

// fill reads until the buffer is full. Unlike io.ReadFull it tells the end of a stream from a stream that was cut.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var got int
		got, err = r.Read(buf[n:])
		n += got
	}
	return n, err
}

// Check is asked, with what is there now or nil, whether a change may be made.
type Check func(present *Info) error

// Put stores a file. It is asked before the content is read and again when it takes its name. created says that there was
// none. Errors: NotFound of the directory (IsNoParent), Exists for a directory of this name, OverQuota, TooLarge, NoSpace, those of may.
func (a *Area) Put(ctx context.Context, p string, r io.Reader, may Check) (info *Info, created bool, err error) {
	const op = "files.Put"
	if err := a.make(); err != nil {
		return nil, false, err
	}
	present, err := a.replaceable(p, may)
	if err != nil {
		return nil, false, err
	}
	var credit int64
	if present != nil {
		credit = present.Size
	}
	temp := a.work()
	f, err := a.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, false, failed(op, err)
	}
	n, err := a.counted(ctx, f, r, credit)
	if err == nil {
		err = failed(op, f.Sync())
	}
	if err = errors.Join(err, failed(op, f.Close())); err == nil {
		info, created, err = a.name(temp, p, may)
	}
	if err != nil {
		a.give(n, 0)
		return nil, false, errors.Join(err, failed(op, a.root.RemoveAll(temp)))
	}
	return info, created, nil
}

// replaceable returns the file that has a path, nil for none, if one may be put there.
func (a *Area) replaceable(p string, may Check) (*Info, error) {
	if p == "" {
		return nil, fault.New("files.Put", fault.Exists, "The name is that of a directory.")
	}
	if up, err := a.Stat(parent(p)); err != nil || !up.Dir {
		if err == nil || fault.Is(err, fault.NotFound) {
			err = errNoParent
		}
		return nil, err
	}
	present, err := a.Stat(p)
	if fault.Is(err, fault.NotFound) {
		present, err = nil, nil
	}
	switch {
	case err != nil:
		return nil, err
	case present != nil && present.Dir:
		return nil, fault.New("files.Put", fault.Exists, "The name is that of a directory.")
	case may != nil:
		return present, may(present)
	}
	return present, nil
}

// name gives a new file its name. The bytes of the one that had it are counted out.
func (a *Area) name(temp, p string, may Check) (*Info, bool, error) {
	const op = "files.Put"
	a.use.mu.Lock()
	defer a.use.mu.Unlock()
	present, err := a.replaceable(p, may)
	if err != nil {
		return nil, false, err
	}
	files := 1
	if present != nil {
		files = 0
		if err := a.copyAttribute(in(p), temp); err != nil {
			return nil, false, err
		}
	}
	if err := a.take(0, files, 0); err != nil {
		return nil, false, err
	}
	if err := a.root.Rename(temp, in(p)); err != nil {
		a.give(0, files)
		return nil, false, failed(op, err)
	}
	if present != nil {
		a.give(present.Size, 0)
	}
	if err := a.sync(in(parent(p))); err != nil {
		return nil, false, failed(op, err)
	}
	info, err := a.Stat(p)
	return info, present == nil, err
}

// WriteAt writes a part of a file that is there, or makes it longer. The part arrives whole before the file changes. Errors: as Put,
// NotFound, Invalid for a part behind the end.
func (a *Area) WriteAt(ctx context.Context, p string, offset int64, r io.Reader, may Check) (*Info, error) {
	const op = "files.WriteAt"
	present, err := a.Stat(p)
	if err != nil {
		return nil, err
	}
	if may != nil {
		if err := may(present); err != nil {
			return nil, err
		}
	}
	if err := a.make(); err != nil {
		return nil, err
	}
	temp := a.work()
	part, err := a.root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, failed(op, err)
	}
	n, err := a.counted(ctx, part, r, 0)
	grown := int64(0)
	if err == nil {
		present, grown, err = a.writePart(p, offset, part, n, may)
	}
	a.give(n-grown, 0)
	return present, errors.Join(err, failed(op, part.Close()), failed(op, a.root.Remove(temp)))
}

// writePart writes n bytes into a copy of the file, which then takes its place; grown is by how much it is longer.
func (a *Area) writePart(p string, offset int64, part *os.File, n int64, may Check) (info *Info, grown int64, err error) {
	const op = "files.WriteAt"
	a.use.mu.Lock()
	defer a.use.mu.Unlock()
	present, err := a.replaceable(p, may)
	switch {
	case err != nil:
		return nil, 0, err
	case present == nil:
		return nil, 0, notFound()
	case offset < 0 || offset > present.Size:
		return nil, 0, fault.New(op, fault.Invalid, "The part begins behind the end of the file.")
	}
	temp := a.work()
	f, err := a.root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, 0, failed(op, err)
	}
	old, _, err := a.OpenFile(p)
	if err == nil {
		_, err = io.Copy(f, old)
		err = errors.Join(err, old.Close())
	}
	if err == nil {
		_, err = io.Copy(io.NewOffsetWriter(f, offset), io.NewSectionReader(part, 0, n))
	}
	if err == nil {
		err = a.copyAttribute(in(p), temp)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = a.root.Rename(temp, in(p))
	}
	if err != nil {
		return nil, 0, errors.Join(failed(op, err), failed(op, a.root.RemoveAll(temp)))
	}
	if err := a.sync(in(parent(p))); err != nil {
		return nil, 0, failed(op, err)
	}
	info, err = a.Stat(p)
	return info, max(0, offset+n-present.Size), err
}

// MakeDir makes a directory. Errors: NotFound of the directory above (IsNoParent), Exists, OverQuota.
func (a *Area) MakeDir(p string, may Check) error {
	const op = "files.MakeDir"
	if err := a.make(); err != nil {
		return err
	}
	a.use.mu.Lock()
	defer a.use.mu.Unlock()
	present, err := a.Stat(p)
	switch {
	case err == nil:
		return fault.New(op, fault.Exists, "There is something of this name.")
	case !fault.Is(err, fault.NotFound):
		return err
	}
	if up, err := a.Stat(parent(p)); err != nil || !up.Dir {
		if err == nil || fault.Is(err, fault.NotFound) {
			err = errNoParent
		}
		return err
	}
	if may != nil {
		if err := may(present); err != nil {
			return err
		}
	}
	if err := a.forgetACLs(p); err != nil { // of one that a crash has left
		return err
	}
	if err := a.take(0, 1, 0); err != nil {
		return err
	}
	if err := a.root.Mkdir(in(p), 0o700); err != nil {
		a.give(0, 1)
		return failed(op, err)
	}
	return failed(op, a.sync(in(parent(p))))
}

// Remove removes a file, or a directory with all that is in it. Errors: NotFound, Denied for the top.
func (a *Area) Remove(p string, may Check) error {
	const op = "files.Remove"
	if p == "" {
		return fault.New(op, fault.Denied, "The whole storage cannot be removed.")
	}
	if a.root == nil {
		return notFound()
	}
	if err := a.make(); err != nil {
		return err
	}
	temp, err := a.setAside(p, may)
	if err != nil {
		return err
	}
	return a.discard(temp)
}

// setAside takes a name out of the tree, and what it stands for below work.
func (a *Area) setAside(p string, may Check) (temp string, err error) {
	const op = "files.Remove"
	a.use.mu.Lock()
	defer a.use.mu.Unlock()
	present, err := a.Stat(p)
	if err != nil {
		return "", err
	}
	if may != nil {
		if err := may(present); err != nil {
			return "", err
		}
	}
	temp = a.work()
	if err := a.root.Rename(in(p), temp); err != nil {
		return "", failed(op, err)
	}
	return temp, errors.Join(failed(op, a.sync(in(parent(p)))), a.forgetACLs(p))
}

// discard removes what was set aside, and counts it out.
func (a *Area) discard(temp string) error {
	const op = "files.Remove"
	bytes, files, err := a.measure(temp)
	if i, serr := a.root.Lstat(temp); serr == nil && !i.IsDir() {
		bytes = i.Size()
		files = 0
	}
	if err = errors.Join(err, a.root.RemoveAll(temp)); err != nil {
		return failed(op, err)
	}
	a.give(bytes, files+1)
	return nil
}

// errWithin is the answer to a directory that shall be put into itself.
var errWithin = fault.New("files.Move", fault.Denied, "A directory cannot be put into itself.")

// Within reports whether a path is another one, or lies below it.
func Within(p, top string) bool { return p == top || top == "" || strings.HasPrefix(p, top+"/") }

// Move gives a file or directory another path; what has it is replaced. created says that nothing had. Errors: NotFound, also of the
// directory (IsNoParent); Denied; those of may, which is asked what is at the new path.
func (a *Area) Move(from, to string, may Check) (created bool, err error) {
	const op = "files.Move"
	switch {
	case a.root == nil:
		return false, notFound()
	case from == "" || to == "":
		return false, fault.New(op, fault.Denied, "The whole storage cannot be moved.")
	case Within(to, from) || Within(from, to):
		return false, errWithin
	}
	if err := a.make(); err != nil {
		return false, err
	}
	if _, err := a.Stat(from); err != nil {
		return false, err
	}
	return a.place(from, in(from), to, may, func() error {
		return errors.Join(failed(op, a.sync(in(parent(from)))), a.forgetACLs(from))
	})
}

// place puts what has a name below the root at a path of the tree; from is its path there, if it has one. done comes after the change, under the lock.
func (a *Area) place(from, name, to string, may Check, done func() error) (created bool, err error) {
	const op = "files.Move"
	replaced, err := a.placeLocked(from, name, to, may, done)
	if err != nil || replaced == "" {
		return replaced == "", err
	}
	return false, failed(op, a.discard(replaced))
}

func (a *Area) placeLocked(from, name, to string, may Check, done func() error) (replaced string, err error) {
	const op = "files.Move"
	a.use.mu.Lock()
	defer a.use.mu.Unlock()
	if up, err := a.Stat(parent(to)); err != nil || !up.Dir {
		if err == nil || fault.Is(err, fault.NotFound) {
			err = errNoParent
		}
		return "", err
	}
	present, err := a.Stat(to)
	if fault.Is(err, fault.NotFound) {
		present, err = nil, nil
	}
	if err == nil && may != nil {
		err = may(present)
	}
	if err != nil {
		return "", err
	}
	if present != nil {
		replaced = a.work()
		if err := a.root.Rename(in(to), replaced); err != nil {
			return "", failed(op, err)
		}
	}
	// The ACLs are there before what they protect.
	acls, err := a.readACLs()
	if err == nil {
		err = a.carryACLs(from, to)
	}
	if err == nil {
		if err = a.root.Rename(name, in(to)); err != nil && len(acls) > 0 {
			err = errors.Join(err, a.writeACLs(acls))
		}
	}
	if err != nil {
		if replaced != "" {
			err = errors.Join(err, a.root.Rename(replaced, in(to)))
		}
		return "", failed(op, err)
	}
	return replaced, errors.Join(failed(op, a.sync(in(parent(to)))), done())
}

// Copy copies a file, or a directory with all that is in it, unless it is shallow; what has the new path is replaced. Errors: as Move,
// and OverQuota.
func (a *Area) Copy(ctx context.Context, from, to string, shallow bool, may Check) (created bool, err error) {
	const op = "files.Copy"
	switch {
	case a.root == nil:
		return false, notFound()
	case to == "" || from == to || Within(from, to):
		return false, errWithin
	case Within(to, from) && !shallow:
		return false, errWithin
	}
	if err := a.make(); err != nil {
		return false, err
	}
	source, err := a.Stat(from)
	if err != nil {
		return false, err
	}
	temp := a.work()
	var took taken
	err = a.copyInto(ctx, source, temp, shallow, &took)
	if err == nil {
		if created, err = a.place("", temp, to, may, func() error { return nil }); err == nil {
			return created, nil
		}
	}
	a.give(took.bytes, took.files)
	return false, errors.Join(err, failed(op, a.root.RemoveAll(temp)))
}

// taken is what was counted in.
type taken struct {
	bytes int64
	files int
}

func (a *Area) copyInto(ctx context.Context, source *Info, to string, shallow bool, took *taken) error {
	const op = "files.Copy"
	if err := a.take(0, 1, 0); err != nil {
		return err
	}
	took.files++
	if !source.Dir {
		f, source, err := a.OpenFile(source.Path) // as it is now
		if err != nil {
			return err
		}
		w, err := a.root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return errors.Join(failed(op, err), f.Close())
		}
		err = a.take(source.Size, 0, 0)
		if err == nil {
			took.bytes += source.Size
			_, err = io.Copy(w, f)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = a.copyAttribute(in(source.Path), to)
		}
		return failed(op, errors.Join(err, w.Sync(), w.Close(), f.Close()))
	}
	if err := a.root.Mkdir(to, 0o700); err != nil {
		return failed(op, err)
	}
	if !shallow {
		list, err := a.List(source.Path)
		if err != nil {
			return err
		}
		for _, one := range list {
			if err := a.copyInto(ctx, one, to+"/"+one.Name(), false, took); err != nil {
				return err
			}
		}
	}
	return failed(op, errors.Join(a.copyAttribute(in(source.Path), to), a.sync(to)))
}

// Properties returns what clients keep with a file or directory. Errors: NotFound.
func (a *Area) Properties(p string) (map[string]string, error) {
	if a.root == nil {
		if p == "" {
			return nil, nil
		}
		return nil, notFound()
	}
	text, err := a.readAttribute(in(p))
	if err != nil || len(text) == 0 {
		if p == "" && fault.Is(err, fault.NotFound) {
			err = nil
		}
		return nil, err
	}
	var m map[string]string
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fault.Wrap("files.Properties", fault.Corrupt, err)
	}
	return m, nil
}

// SetProperties sets and, with a nil value, removes properties, all or none. Errors: NotFound, TooLarge, Unsupported where the file system
// has no room for them.
func (a *Area) SetProperties(p string, change map[string]*string) error {
	const op = "files.SetProperties"
	if err := a.make(); err != nil {
		return err
	}
	a.use.mu.Lock()
	defer a.use.mu.Unlock()
	m, err := a.Properties(p)
	if err != nil {
		return err
	}
	m = maps.Clone(m)
	if m == nil {
		m = map[string]string{}
	}
	for key, v := range change {
		if delete(m, key); v != nil {
			m[key] = *v
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	if len(m) == 0 {
		text = nil
	}
	return a.writeAttribute(in(p), text)
}

// onFile calls do with a descriptor of a file or directory.
func (a *Area) onFile(name string, do func(fd int) error) error {
	f, err := a.root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return failed("files.Attribute", err)
	}
	return errors.Join(do(int(f.Fd())), f.Close())
}

func (a *Area) readAttribute(name string) (text []byte, err error) {
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

func (a *Area) writeAttribute(name string, text []byte) error {
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

func (a *Area) copyAttribute(from, to string) error {
	text, err := a.readAttribute(from)
	if err != nil || len(text) == 0 {
		return err
	}
	return a.writeAttribute(to, text)
}
