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
	touched map[string]struct{}
}

func (l *links) touch(dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.touched == nil {
		l.touched = make(map[string]struct{})
	}
	l.touched[dir] = struct{}{}
}

// fewDirs is up to how many directories of a file system are synced one by one;
// above, one call syncs the file system.
const fewDirs = 8

// SyncLinks makes every link durable that Deliver has made so far. The queue
// calls it before it removes files that were delivered. After a failure it
// fails until the server is started again: a second sync could report success
// for what the first has lost.
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
	l.broken = l.sync(touched)
	return fault.Wrap(op, fault.Unavailable, l.broken)
}

// sync syncs directories, grouped by the file system that they are on.
func (l *links) sync(touched map[string]struct{}) (err error) {
	devices := make(map[uint64][]*os.File)
	defer func() {
		for _, dirs := range devices {
			for _, d := range dirs {
				err = errors.Join(err, d.Close())
			}
		}
	}()
	for name := range touched {
		d, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			// The account was renamed or removed since: where the directory is
			// now is not known, so all is synced.
			if err := syncFileSystem(l.base); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Fstat(int(d.Fd()), &st); err != nil {
			return errors.Join(err, d.Close())
		}
		dev := uint64(st.Dev)
		if devices[dev] = append(devices[dev], d); len(devices[dev]) > fewDirs+1 {
			// One of them is enough to name the file system.
			last := len(devices[dev]) - 1
			if err := devices[dev][last].Close(); err != nil {
				return err
			}
			devices[dev] = devices[dev][:last]
		}
	}
	for _, dirs := range devices {
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

func syncFileSystem(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}
