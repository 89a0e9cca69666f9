package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatepost/accounts"
	"gatepost/server/durable"
	"gatepost/server/fault"
)

// Options are for Make.
type Options struct {
	Base string // the base directory
	// Store is that of the server that runs on it.
	Store *accounts.Store
	// Queue lists the files of the queue that are backed up.
	Queue func() ([]string, error)
	// Directory has the backups; it is made if it is not there.
	Directory string
	// Keep removes all but so many of the newest backups; 0 keeps all.
	Keep    int
	Version string
}

// Made is what came of a backup.
type Made struct {
	Path string
	Head
	// Linked are the files that were in the backup before, or are links to files of the base directory: they cost no space.
	Linked int64
	// Removed are the names of older backups that were removed; NotRemoved says why one could not be.
	Removed    []string
	NotRemoved error
}

const (
	nameForm   = "2006-01-02_15-04-05"
	partialEnd = ".partial"
	lockName   = ".lock"
)

var backupName = regexp.MustCompile(`^\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d$`)

// Make makes a backup. It is whole and durable when Make returns. Errors: Busy when another one is being made there.
func Make(ctx context.Context, o Options) (*Made, error) {
	const op = "backup.Make"
	m, err := makeBackup(ctx, &o)
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	return m, nil
}

func makeBackup(ctx context.Context, o *Options) (m *Made, err error) {
	base, err := filepath.Abs(o.Base)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Directory)
	if err != nil {
		return nil, err
	}
	if rel, err := filepath.Rel(base, dir); err == nil && filepath.IsLocal(rel) && filepath.Dir(rel) != Directory {
		return nil, fault.Newf("backup.Make", fault.Invalid, "%s is in the base directory: choose another place", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removePartial(dir); err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	name := now.Format(nameForm)
	partial := filepath.Join(dir, name+partialEnd)
	if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
		return nil, fault.New("backup.Make", fault.Busy, "a backup was made in this second already")
	}
	if err := os.Mkdir(partial, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	before, err := newest(dir)
	if err != nil {
		return nil, err
	}
	w := &writer{ctx: ctx, to: partial, made: &Made{Path: filepath.Join(dir, name)}}
	if before != "" {
		switch w.before, err = openManifest(filepath.Join(dir, before)); {
		case fault.Is(err, fault.Corrupt): // nothing is taken from it
		case err != nil:
			return nil, err
		default:
			defer w.before.close()
			w.beforeDir = filepath.Join(dir, before)
		}
	}
	staged := partial
	if err := os.RemoveAll(filepath.Join(base, Directory, "stage")); err != nil { // of a backup that was cut short
		return nil, err
	}
	links, err := canLink(base, dir)
	if err != nil {
		return nil, err
	}
	if !links {
		staged = filepath.Join(base, Directory, "stage")
		if err := os.MkdirAll(staged, 0o700); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(staged)) }()
	}
	if err := (&stage{base: base, to: staged, queue: o.Queue, ctx: ctx}).take(o.Store); err != nil {
		return nil, err
	}
	if w.manifest, err = newManifest(partial, Head{Time: now, Version: o.Version}); err != nil {
		return nil, err
	}
	w.from = staged
	if err := w.tree(""); err != nil {
		return nil, errors.Join(err, w.manifest.f.Close())
	}
	if err := syncAll(partial); err != nil {
		return nil, errors.Join(err, w.manifest.f.Close())
	}
	if err := w.manifest.end(); err != nil {
		return nil, err
	}
	if err := errors.Join(durable.SyncDir(partial), os.Rename(partial, w.made.Path), durable.SyncDir(dir)); err != nil {
		return nil, err
	}
	w.made.Head = w.manifest.head
	if o.Keep > 0 {
		w.made.Removed, w.made.NotRemoved = prune(dir, o.Keep)
	}
	return w.made, nil
}

// writer makes a backup of what is staged.
type writer struct {
	ctx       context.Context
	from, to  string // from is to if all is there already
	manifest  *manifestWriter
	before    *manifestReader // the backup before, or nil
	beforeDir string
	made      *Made
}

// tree goes through a directory in the order of names.
func (w *writer) tree(rel string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(w.from, rel))
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(rel, e.Name())
		switch {
		case name == Manifest:
		case e.IsDir():
			if w.from != w.to {
				err := os.Mkdir(filepath.Join(w.to, name), 0o700)
				if err == nil {
					err = copyAttributes(filepath.Join(w.from, name), filepath.Join(w.to, name))
				}
				if err != nil {
					return err
				}
			}
			if err := w.tree(name); err != nil {
				return err
			}
		default:
			if err := w.file(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) file(name string) error {
	from, to := filepath.Join(w.from, name), filepath.Join(w.to, name)
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	e := &entry{size: info.Size(), modified: info.ModTime(), name: filepath.ToSlash(name)}
	var old *entry
	if w.before != nil {
		if old, err = w.before.find(e.name); err != nil {
			return err
		}
	}
	same := old != nil && old.size == e.size && old.modified.Equal(e.modified)
	switch {
	case same && w.from == w.to && isSame(info, filepath.Join(w.beforeDir, name)):
		e.sum = old.sum
		w.made.Linked++
		return w.manifest.add(e)
	case same && w.from != w.to:
		if err := os.Link(filepath.Join(w.beforeDir, name), to); err == nil {
			e.sum = old.sum
			w.made.Linked++
			return w.manifest.add(e)
		}
	}
	sum := sha256.New()
	if w.from != w.to {
		e.size, err = copyFile(from, to, sum)
	} else {
		err = addFile(sum, from)
		if info.Sys().(*syscall.Stat_t).Nlink > 1 {
			w.made.Linked++
		}
	}
	if err != nil {
		return err
	}
	sum.Sum(e.sum[:0])
	return w.manifest.add(e)
}

func isSame(info fs.FileInfo, path string) bool {
	other, err := os.Lstat(path)
	return err == nil && os.SameFile(info, other)
}

func addFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}

// syncAll makes all of a directory's file system durable.
func syncAll(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		if err := unix.Syncfs(int(d.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// canLink reports whether files of the base directory can have links in a directory: it is on the same file system, and under the same mount.
func canLink(base, dir string) (bool, error) {
	if err := os.MkdirAll(filepath.Join(base, Directory), 0o700); err != nil {
		return false, err
	}
	f, err := os.CreateTemp(filepath.Join(base, Directory), "link-*")
	if err != nil {
		return false, err
	}
	there := filepath.Join(dir, "."+filepath.Base(f.Name()))
	linked := os.Link(f.Name(), there)
	err = errors.Join(f.Close(), os.Remove(f.Name()))
	if linked == nil {
		err = errors.Join(err, os.Remove(there))
	}
	return linked == nil, err
}

// lock keeps others from making a backup in a directory.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fault.New("backup.Make", fault.Busy, "another backup is being made there")
	}
	return func() { f.Close() }, nil
}

// List returns the names of the whole backups in a directory, the oldest first.
func List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && backupName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Newest is the time of the newest backup in a directory, the zero time if there is none.
func Newest(dir string) (time.Time, error) {
	name, err := newest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil || name == "" {
		return time.Time{}, err
	}
	return time.Parse(nameForm, name)
}

func newest(dir string) (string, error) {
	names, err := List(dir)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[len(names)-1], nil
}

// removePartial removes backups that were cut short.
func removePartial(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+partialEnd))
	for _, p := range paths {
		if backupName.MatchString(filepath.Base(p)[:len(filepath.Base(p))-len(partialEnd)]) {
			err = errors.Join(err, os.RemoveAll(p))
		}
	}
	return err
}

// prune removes all but the newest backups.
func prune(dir string, keep int) (removed []string, err error) {
	names, err := List(dir)
	if err != nil {
		return nil, err
	}
	for len(names) > keep {
		old := filepath.Join(dir, names[0])
		// Without its name it is no backup any more, should the removal be cut short.
		gone := old + partialEnd
		if err := os.Rename(old, gone); err != nil {
			return removed, err
		}
		if err := os.RemoveAll(gone); err != nil {
			return removed, err
		}
		removed = append(removed, names[0])
		names = names[1:]
	}
	return removed, nil
}

// String tells what was made in one line.
func (m *Made) String() string {
	return fmt.Sprintf("%s: %d files, %d bytes; %d of the files take no space of their own", m.Path, m.Files, m.Bytes, m.Linked)
}
