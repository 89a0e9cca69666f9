package mailbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"gatepost/server/fault"
)

// links remembers the directories in which Deliver has made links that may not
// be on the disk yet.
type links struct {
	base string

	// syncing is held while directories are synced, so that a call returns only
	// when what an earlier call took over is durable too.
	syncing sync.Mutex
	broken  error // guarded by syncing

	mu      sync.Mutex
	touched map[messageDir]struct{}
}

func (l *links) touch(dir messageDir) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.touched == nil {
		l.touched = make(map[messageDir]struct{})
	}
	l.touched[dir] = struct{}{}
}

// fewDirs is up to how many directories of a file system are synced one by one;
// above, one call syncs the file system.
const fewDirs = 8

// SyncLinks makes every link durable that Deliver has made so far. The queue
// calls it before it removes files that were delivered. After a failed sync it
// fails until the server is started again: a second sync could report success
// for what the first has lost. What fails before, such as the opening of a
// directory while the process has no descriptors left, may be tried again.
func (s *Store) SyncLinks(ctx context.Context) error {
	const op = "mailbox.SyncLinks"
	l := &s.links
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if l.broken != nil {
		return fault.Wrap(op, fault.Unavailable, l.broken)
	}
	if err := ctx.Err(); err != nil {
		return fault.Wrap(op, fault.Canceled, err)
	}
	l.mu.Lock()
	touched := l.touched
	l.touched = nil
	l.mu.Unlock()
	dirs, err := l.open(touched)
	if err != nil {
		for dir := range touched {
			l.touch(dir)
		}
		return fault.Wrap(op, fault.Unavailable, errors.Join(err, dirs.close()))
	}
	if l.broken = dirs.sync(); l.broken != nil {
		return fault.Wrap(op, fault.Unavailable, errors.Join(l.broken, dirs.close()))
	}
	return fault.Wrap(op, fault.Unavailable, dirs.close())
}

// openDirs are directories to be synced, by the file system that they are on.
type openDirs map[uint64][]*os.File

// open opens directories. Of a file system with many of them one more than
// fewDirs is enough: then it is synced as a whole. Nothing is synced here.
func (l *links) open(touched map[messageDir]struct{}) (openDirs, error) {
	dirs := make(openDirs)
	for dir := range touched {
		d, err := dir.open()
		whole := errors.Is(err, fs.ErrNotExist)
		if whole {
			// The account was removed since, or somebody moved its directory: where
			// that is now is not known, so all is synced.
			d, err = os.Open(l.base)
		}
		if err != nil {
			return dirs, err
		}
		if err := dirs.add(d, whole); err != nil {
			return dirs, err
		}
	}
	return dirs, nil
}

// add takes over an open directory; whole asks for its whole file system.
func (o openDirs) add(d *os.File, whole bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(d.Fd()), &st); err != nil {
		return errors.Join(err, d.Close())
	}
	dev := uint64(st.Dev)
	if len(o[dev]) > fewDirs {
		return d.Close()
	}
	o[dev] = append(o[dev], d)
	for whole && len(o[dev]) <= fewDirs {
		o[dev] = append(o[dev], nil) // counts as one of many
	}
	return nil
}

func (o openDirs) sync() error {
	for _, dirs := range o {
		if len(dirs) > fewDirs {
			if err := unix.Syncfs(int(dirs[0].Fd())); err != nil {
				return err
			}
			continue
		}
		for _, d := range dirs {
			if err := d.Sync(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o openDirs) close() (err error) {
	for _, dirs := range o {
		for _, d := range dirs {
			if d != nil {
				err = errors.Join(err, d.Close())
			}
		}
	}
	return err
}
