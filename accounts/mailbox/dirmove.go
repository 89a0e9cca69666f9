package mailbox

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"gatepost/accounts/mailbox/msgfile"
)

// The directory of an account moves when the account or its domain gets another name,
// and another account may take the old path at once. So a path is made and used in one
// step, under moving, and never kept: what is kept is a msgfile.Ref or a messageDir. An open
// file or directory moves along.

// Move moves the directory of an account, or one with the directories of accounts in
// it, by way of rename, which does it. While lookups is locked no account is looked up, so
// that nobody comes with the old path; whoever has a handle goes on with it.
func (s *Store) Move(from, to string, lookups sync.Locker, rename func() error) error {
	moved, leave := s.stop(from, lookups)
	defer leave()
	if err := rename(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range moved {
		o := *a.owner.Load()
		o.Dir = to + strings.TrimPrefix(o.Dir, from)
		a.owner.Store(&o)
	}
	return nil
}

// stop keeps everybody from using the directories of the accounts below a directory, and
// from looking accounts up. Look-ups of other accounts do not wait for what is done in
// these directories, which takes long when a large message is copied.
func (s *Store) stop(dir string, lookups sync.Locker) (stopped []*Account, leave func()) {
	for {
		locked := s.heldBelow(dir)
		for _, a := range locked {
			a.moving.Lock()
		}
		lookups.Lock()
		unlock := func() {
			lookups.Unlock()
			for _, a := range locked {
				a.moving.Unlock()
			}
		}
		now, all := s.heldBelow(dir), true
		for i, known := 0, len(locked); i < len(now) && all; i++ {
			if _, is := slices.BinarySearchFunc(locked[:known], now[i], byNumber); is {
				continue
			}
			if all = now[i].moving.TryLock(); all { // looked up meanwhile
				locked = append(locked, now[i])
			}
		}
		if all {
			return now, unlock
		}
		unlock()
	}
}

func byNumber(a, b *Account) int { return cmp.Compare(a.id, b.id) }

// heldBelow returns the accounts that somebody holds and that are in a directory, or
// are it. They are in the order of their numbers, as everybody takes the locks of several.
func (s *Store) heldBelow(dir string) []*Account {
	below := slices.DeleteFunc(s.held(), func(a *Account) bool {
		rest, is := strings.CutPrefix(a.owner.Load().Dir, dir)
		return !is || rest != "" && !os.IsPathSeparator(rest[0])
	})
	slices.SortFunc(below, byNumber)
	return below
}

// stay keeps the directories of two accounts, which may be one, where they are. leave ends that.
func stay(a, b *Account) (leave func()) {
	if a == b {
		a.moving.RLock()
		return a.moving.RUnlock
	}
	if a.id > b.id {
		a, b = b, a
	}
	a.moving.RLock()
	b.moving.RLock()
	return func() {
		b.moving.RUnlock()
		a.moving.RUnlock()
	}
}

// removeFile removes a message file. One that stays is moved to Leftovers after the next start.
func (a *Account) removeFile(f msgfile.Ref) {
	a.moving.RLock()
	err := os.Remove(a.path(f))
	a.moving.RUnlock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.store.unclean.Store(true)
		a.store.upkeep.report("removal of a message file", a.id, err)
	}
}

// messageDir is a directory with messages.
type messageDir struct {
	account *Account
	dir     uint32
}

func (d messageDir) open() (*os.File, error) {
	d.account.moving.RLock()
	defer d.account.moving.RUnlock()
	return os.Open(d.account.dirPath(d.dir))
}

// sync makes the names in the directory durable.
func (d messageDir) sync() error {
	f, err := d.open()
	if err != nil {
		return err
	}
	return syncAndClose(f)
}
