package mailbox

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
)

// An APPEND waits for its file and for the index to be synced, and not for a directory: names of files are made
// durable ahead of need. An account that gets one message after the other has some empty files whose names
// are durable, and each message takes the next. Those that nobody takes are removed. What a crash
// leaves of them is removed with the leftovers, as nothing is in them.

const (
	// maxPrepared is up to how many names are made at a time.
	maxPrepared = 64
	// keepNames is how long names wait for a message.
	keepNames = 10 * time.Second
)

// preparedNames are the empty files of an account whose names are durable, and that nobody has taken yet.
type preparedNames struct {
	mu    sync.Mutex // held while they are made or taken
	files []msgfile.Ref
	made  int // how many were made the last time
	taken time.Time
}

// takeFile returns an empty file, open for writing, whose name is durable. It is marked as being made.
func (a *Account) takeFile() (f *os.File, ref msgfile.Ref, err error) {
	n := &a.names
	n.mu.Lock()
	defer n.mu.Unlock()
	for try := range 2 {
		if len(n.files) == 0 {
			if err := a.prepareNames(); err != nil {
				return nil, ref, err
			}
		}
		ref, n.files, n.taken = n.files[0], n.files[1:], time.Now()
		a.moving.RLock()
		f, err = os.OpenFile(a.path(ref), os.O_WRONLY, 0)
		a.moving.RUnlock()
		if err == nil {
			return f, ref, nil
		}
		a.abandon(ref)
		if !errors.Is(err, fs.ErrNotExist) || try > 0 {
			break
		}
		a.dropNames() // the directory has lost what it had
	}
	return nil, ref, fault.Wrap("mailbox.add", fault.Internal, err)
}

// prepareNames makes empty files: one for an account that gets its first message, then twice as many as the last
// time. n.mu is held.
func (a *Account) prepareNames() error {
	n := &a.names
	n.made = max(1, min(2*n.made, maxPrepared))
	var failed error
	dirs := make(map[messageDir]struct{})
	for len(n.files) < n.made && failed == nil {
		var ref msgfile.Ref
		_, failed = a.store.nextNumber(func(id uint64) (err error) {
			ref, err = a.newFile(id, func(path string) error {
				f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err == nil {
					err = f.Close()
				}
				return err
			})
			return err
		})
		if failed == nil {
			n.files = append(n.files, ref)
			dirs[messageDir{a, ref.Dir}] = struct{}{}
		}
	}
	if len(n.files) == 0 {
		return failed
	}
	for d := range dirs {
		if err := d.sync(); err != nil {
			a.dropNames()
			return fault.Wrap("mailbox.add", fault.Internal, err)
		}
	}
	if len(n.files) > 1 {
		a.store.upkeep.prepared(a)
	}
	return nil
}

// dropNames removes the files that nobody has taken. n.mu is held.
func (a *Account) dropNames() {
	for _, ref := range a.names.files {
		a.abandon(ref)
	}
	a.names.files, a.names.made = nil, 0
}

// dropOldNames removes the files that nobody has taken for long, and reports whether there are none left.
func (a *Account) dropOldNames(age time.Duration) bool {
	n := &a.names
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.taken) >= age {
		a.dropNames()
	}
	return len(n.files) == 0
}
