package queue

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"gatepost/queue/envelope"
)

// The extensions of queue files.
const (
	extTmp = ".tmp" // being received: nobody was promised anything
	extMsg = ".msg" // accepted
	extBad = ".bad" // does not read back; kept for the administrator
)

// disk is what the queue does to its directory. Every change goes through it, so
// that the tests can stop at each step and look at what is left.
type disk interface {
	// Create makes a new file. On file systems that can do it the file has no
	// name until Publish and vanishes by itself if the server dies; on others
	// it has the name temp.
	Create(temp string) (diskFile, error)
	Rename(from, to string) error
	Remove(name string) error
	// Patch overwrites bytes of a file in place.
	Patch(name string, patches []patch) error
	// SyncDir makes the names in the directory durable.
	SyncDir() error
}

type diskFile interface {
	io.Writer
	io.ReaderAt
	io.WriterAt
	// Sync makes the content durable.
	Sync() error
	// Publish gives the file a name that no other file has. It comes after Sync.
	Publish(name string) error
	// Close ends the writing. A file that was not published is removed.
	Close() error
}

type patch struct {
	at   int64
	text string
}

// directory is the disk as it is.
type directory struct {
	path string
	dir  *os.File
}

func openDirectory(path string) (*directory, error) {
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

func (d *directory) Patch(name string, patches []patch) error {
	f, err := os.OpenFile(d.file(name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, p := range patches {
		if _, werr := f.WriteAt([]byte(p.text), p.at); werr != nil {
			err = errors.Join(err, werr)
		}
	}
	return errors.Join(err, f.Close())
}

func fileName(id envelope.QueueID, ext string) string { return id.String() + ext }
