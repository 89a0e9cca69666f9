package queue

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

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
	// Create makes a new file.
	Create(name string) (diskFile, error)
	Rename(from, to string) error
	Remove(name string) error
	// Patch overwrites bytes of a file in place.
	Patch(name string, patches []patch) error
	// SyncDir makes the names in the directory durable.
	SyncDir() error
}

type diskFile interface {
	io.Writer
	io.Closer
	// Sync makes the content durable.
	Sync() error
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

func (d *directory) Create(name string) (diskFile, error) {
	f, err := os.OpenFile(d.file(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

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

// dirSync lets everybody who waits for the directory share one sync. A caller
// waits for a sync that began after its call; one of those who wait runs it.
type dirSync struct {
	sync func() error

	mu      sync.Mutex
	running bool
	next    *syncRound // for those who came while one runs
}

type syncRound struct {
	lead chan struct{} // tells one who waits to run the round
	done chan struct{}
	err  error // valid once done is closed
}

// Wait returns when the directory is durable as it was at the call.
func (d *dirSync) Wait() error {
	d.mu.Lock()
	if d.next == nil {
		d.next = &syncRound{lead: make(chan struct{}, 1), done: make(chan struct{})}
	}
	r := d.next
	if d.running {
		d.mu.Unlock()
		select {
		case <-r.done:
			return r.err
		case <-r.lead:
		}
		d.mu.Lock()
	}
	d.running = true
	d.next = nil
	d.mu.Unlock()

	r.err = d.sync()

	d.mu.Lock()
	if d.next != nil {
		d.next.lead <- struct{}{} // running stays true: the next round has its leader
	} else {
		d.running = false
	}
	d.mu.Unlock()
	close(r.done)
	return r.err
}
