package backup

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/mailbox/msgfile"
)

const (
	indexDir       = "Index"
	subscribersDir = "Subscribers"
	queueDir       = "Queue"
	pendingDir     = "Pending"
	// Directory is where backups for other file systems are put together, and those that become one file.
	Directory = "Backup"
	// openMarker says that an index was not closed, see package mailbox.
	openMarker = "open"
)

// leftOut are entries of the base directory that are in no backup.
var leftOut = map[string]bool{"SystemLogs": true, "Spool": true, "Filter": true, "Search": true, "control.sock": true, "ProcessID": true, Directory: true,
	indexDir: true, subscribersDir: true, queueDir: true}

// stage makes in a directory what a crash would leave of a base directory now. Message files are linked if that can be.
type stage struct {
	base, to string
	queue    func() ([]string, error) // the names of the files of the queue
	ctx      context.Context
}

// take stages the base directory of a store.
func (s *stage) take(store *accounts.Store) error {
	var frozen *accounts.Frozen
	err := store.Freeze(s.ctx, s.queueFiles, func(f *accounts.Frozen) error {
		frozen = f
		return s.everything()
	})
	if frozen == nil {
		return err
	}
	if err == nil {
		err = errors.Join(frozen.Mail.Write(filepath.Join(s.to, indexDir)), frozen.Subscribers.Write(filepath.Join(s.to, subscribersDir)))
	}
	return errors.Join(err, frozen.Close())
}

// queueFiles copies the queue: its files are written to in place.
func (s *stage) queueFiles() error {
	names, err := s.queue()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.to, queueDir), 0o700); err != nil {
		return err
	}
	for _, name := range names {
		rel := filepath.Join(queueDir, name)
		if err := s.copy(rel); err != nil && !errors.Is(err, fs.ErrNotExist) { // delivered meanwhile
			return err
		}
	}
	return nil
}

// everything stages all but the queue and the indexes.
func (s *stage) everything() error {
	entries, err := os.ReadDir(s.base)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case leftOut[name]:
		case name == pendingDir:
			err = s.pending()
		default:
			err = s.tree(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pending stages renames that are under way. What else is there is being made, or was deleted.
func (s *stage) pending() error {
	entries, err := os.ReadDir(filepath.Join(s.base, pendingDir))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.to, pendingDir), 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "job") && e.Type().IsRegular() {
			if err := s.copy(filepath.Join(pendingDir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// tree stages a file or a directory with all below it. Symbolic links are followed.
func (s *stage) tree(rel string) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if strings.HasSuffix(rel, ".macnt/FileStorage/work") {
		return nil // what is being uploaded
	}
	info, err := os.Stat(filepath.Join(s.base, rel))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile
	}
	if err != nil {
		return err
	}
	switch {
	case info.Mode().IsRegular():
		err := s.file(rel)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	case !info.IsDir():
		return nil // a socket, a pipe
	}
	if err := os.MkdirAll(filepath.Join(s.to, rel), 0o700); err != nil {
		return err
	}
	if err := copyAttributes(filepath.Join(s.base, rel), filepath.Join(s.to, rel)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d, err := os.Open(filepath.Join(s.base, rel))
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(1000)
		for _, e := range entries {
			if e.Type().IsRegular() {
				err := s.file(filepath.Join(rel, e.Name()))
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				continue
			}
			if err := s.tree(filepath.Join(rel, e.Name())); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// unchanging reports whether a file never changes once it has its name: a message, or a stored file.
func unchanging(rel string) bool {
	return strings.Contains(rel, ".macnt/"+msgfile.Directory+"/") || strings.Contains(rel, ".macnt/FileStorage/files/")
}

func (s *stage) file(rel string) error {
	if !unchanging(rel) {
		return s.copy(rel)
	}
	err := os.Link(filepath.Join(s.base, rel), filepath.Join(s.to, rel))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.copy(rel) // another file system, or too many links
}

func (s *stage) copy(rel string) error {
	_, err := copyFile(filepath.Join(s.base, rel), filepath.Join(s.to, rel), nil)
	return err
}

// copyFile copies a file with its time and mode, and tells its bytes to sum if there is one.
func copyFile(from, to string, sum io.Writer) (size int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return 0, err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o200)
	if err != nil {
		return 0, err
	}
	if sum == nil {
		size, err = io.Copy(out, in)
	} else {
		size, err = io.Copy(io.MultiWriter(out, sum), in)
	}
	return size, errors.Join(err, out.Close(), copyAttributes(from, to), os.Chtimes(to, info.ModTime(), info.ModTime()))
}
