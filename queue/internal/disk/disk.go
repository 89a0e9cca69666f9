// Package disk is what the queue does to its directory. Every change goes through a
// Disk, so that tests can stop at each step and look at what is left (disktest).
package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Disk is the directory of queue files.
type Disk interface {
	// Create makes a new file.
	Create(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// Patch overwrites bytes of a file in place. With sync they are durable when it
	// returns.
	Patch(name string, patches []Patch, sync bool) error
	// SyncDir makes the names in the directory durable.
	SyncDir() error
	Close() error
}

// File is a file that is being written.
type File interface {
	io.Writer
	io.ReaderAt
	io.WriterAt
	// Truncate cuts the file.
	Truncate(size int64) error
	// Sync makes the content durable.
	Sync() error
	// Publish gives the file a name that no other file has. It comes after Sync.
	Publish(name string) error
	// Close ends the writing. A file that was not published is removed.
	Close() error
}

// Patch is bytes that take the place of others.
type Patch struct {
	At   int64
	Text string
}

type directory struct {
	path string
	dir  *os.File
}

// Open opens a directory, which is created if it is missing.
func Open(path string) (Disk, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &directory{path: path, dir: d}, nil
}

func (d *directory) file(name string) string { return d.path + string(filepath.Separator) + name }

func (d *directory) Rename(from, to string) error { return os.Rename(d.file(from), d.file(to)) }
func (d *directory) Remove(name string) error     { return os.Remove(d.file(name)) }
func (d *directory) SyncDir() error               { return d.dir.Sync() }
func (d *directory) Close() error                 { return d.dir.Close() }

func (d *directory) Patch(name string, patches []Patch, sync bool) error {
	f, err := os.OpenFile(d.file(name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, p := range patches {
		if _, werr := f.WriteAt([]byte(p.Text), p.At); werr != nil {
			err = errors.Join(err, werr)
		}
	}
	if sync {
		_, serr := ignoringEINTR(func() (int, error) { return 0, unix.Fdatasync(int(f.Fd())) })
		err = errors.Join(err, serr)
	}
	return errors.Join(err, f.Close())
}
