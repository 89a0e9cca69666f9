// Package durable makes changes of files and of their names outlive a power cut. On
// disk a new content is safe after a sync of the file, a new, changed or removed name
// after a sync of its directory, and neither implies the other.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// SyncDir makes the names in a directory durable.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReplaceFile puts a file with the given content in the place of the one at path:
// after a crash there is the old file or the new one, never a part. When it returns,
// the new one is on the disk. A crash may leave a file .name.*.tmp beside it, which
// nobody reads.
func ReplaceFile(path string, content []byte, mode os.FileMode) (err error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+name+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close() // once more, if it was closed
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err = f.Write(content); err != nil {
		return err
	}
	if err = errors.Join(f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}

// WriteNewFile makes a file that is not there yet, with the given content. When it returns, the content is on the disk;
// the name is when its directory has been synced (SyncDir).
func WriteNewFile(path string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
