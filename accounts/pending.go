package accounts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"gatepost/accounts/mailbox"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Changes of more than one file go through the directory Pending, where a name
// is a number and what has to happen after a crash:
//
//	N.new      an account that is being made: N is its ID. Removed.
//	N.old      an account that was deleted: N is its ID. Removed.
//	N.newdom   a domain that is being made. Removed.
//	N.olddom   a domain that was deleted, with its accounts. Removed.
//	N.job      a rename, see renames.go. Done again; every step but the first may be repeated.
//	N.badjob   one that cannot be read. Left to the administrator.
//
// An account appears by one rename of N.new, whole, and disappears by one rename
// to N.old. Removing takes its time and happens in the background.
const (
	newAccount = ".new"
	oldAccount = ".old"
	newDomain  = ".newdom"
	oldDomain  = ".olddom"
	jobFile    = ".job"
)

// messagesDirectory is where the message store keeps an account's messages.
const messagesDirectory = "Messages"

// pending is the path of an entry in Pending.
func (s *Store) pending(id uint64, suffix string) string {
	return filepath.Join(s.base, pendingDirectory, strconv.FormatUint(id, 10)+suffix)
}

// recover finishes renames and starts the removal of what is left.
func (s *Store) recover() error {
	entries, err := os.ReadDir(filepath.Join(s.base, pendingDirectory))
	if err != nil {
		return fault.Wrap("accounts.Open", fault.Internal, err)
	}
	var rest, jobs []string
	for _, e := range entries {
		path := filepath.Join(s.base, pendingDirectory, e.Name())
		if filepath.Ext(path) != jobFile {
			rest = append(rest, path)
			continue
		}
		jobs = append(jobs, path)
	}
	sortJobs(jobs)
	for _, path := range jobs {
		if err := s.renames.recover(path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if len(rest) > 0 {
		s.removals.Go(func() {
			for _, path := range rest {
				s.removals.sweep(s.life, path)
			}
		})
	}
	return nil
}

// directoryIdentity reads the identity of the account in a directory.
func directoryIdentity(dir string) (identity, bool) {
	id, ok := readIdentity(readInfo(filepath.Join(dir, accountFile)))
	if !ok {
		id, ok = readIdentity(readInfo(filepath.Join(dir, infoFile)))
	}
	return id, ok
}

// maxRemovals is how many directories are removed at a time.
const maxRemovals = 8

// removals removes what was deleted, in the background.
type removals struct {
	store *Store
	slots chan struct{} // maxRemovals
	sync.WaitGroup
}

// sweep removes an entry of Pending. What fails is tried again at the next start.
func (r *removals) sweep(ctx context.Context, path string) {
	var err error
	switch filepath.Ext(path) {
	case newAccount, oldAccount:
		err = r.sweepAccount(ctx, path)
	case newDomain, oldDomain:
		err = r.sweepDomain(ctx, path)
	default:
		return // not ours
	}
	if err != nil && ctx.Err() == nil {
		r.store.log.Log(ctx, logs.LevelFailure, "directory not removed", "path", path, logs.AttrError, err)
	}
}

func (r *removals) sweepAccount(ctx context.Context, path string) error {
	id, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), 10, 64)
	if err != nil {
		return err
	}
	return r.account(ctx, id, path)
}

// account removes an account's messages and directory.
func (r *removals) account(ctx context.Context, id uint64, dir string) error {
	if id != 0 {
		r.store.logins.forget(id)
		if err := r.store.mail.Remove(ctx, mailbox.Owner{ID: id, Dir: dir}); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

func (r *removals) sweepDomain(ctx context.Context, path string) error {
	if linked, err := r.linkInside(path); err != nil {
		return err
	} else if linked {
		return os.Remove(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), accountSuffix) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		dir := filepath.Join(path, e.Name())
		id, _ := directoryIdentity(dir)
		r.store.moving.RLock()
		other := r.store.ids.original(id, dir)
		r.store.moving.RUnlock()
		if other != "" {
			continue // what belongs to the account stays
		}
		if err := r.account(ctx, id.id, dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(path)
}

// linkInside reports whether a path is a symbolic link to something in the base
// directory, which has another name there. One to another disk stands for what it names.
func (r *removals) linkInside(path string) (bool, error) {
	if i, err := os.Lstat(path); err != nil || i.Mode()&fs.ModeSymlink == 0 {
		return false, err
	}
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // to nothing
	}
	if err != nil {
		return false, err
	}
	base, err := filepath.EvalSymlinks(r.store.base)
	return strings.HasPrefix(target, base+string(filepath.Separator)), err
}

// discard sweeps in the background; when many removals are under way, the caller
// does the work, so that deleting cannot run ahead of removing.
func (r *removals) discard(path string) {
	select {
	case r.slots <- struct{}{}:
		r.Go(func() {
			defer func() { <-r.slots }()
			r.sweep(r.store.life, path)
		})
	default:
		r.sweep(r.store.life, path)
	}
}

// moveDir renames the directory of accounts and makes that durable. A directory that was
// moved already is no error. After an error it may have moved all the same, as moved says.
func (s *Store) moveDir(from, to string) (moved bool, err error) {
	s.still.RLock()
	defer s.still.RUnlock()
	err = s.mail.Move(from, to, &s.moving, func() error {
		err := os.Rename(from, to)
		s.lists.drop(filepath.Dir(from))
		s.lists.drop(filepath.Dir(to))
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, err = os.Stat(to)
		return err
	})
	if err != nil {
		return false, err
	}
	return true, syncMove(from, to)
}

// syncMove makes the move of a directory durable.
func syncMove(from, to string) error {
	err := durable.SyncDir(filepath.Dir(from))
	if errors.Is(err, fs.ErrNotExist) { // removed since
		err = nil
	}
	return errors.Join(err, durable.SyncDir(filepath.Dir(to)))
}
