package mailbox

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Files come before their records and go after them, so a crash leaves files without
// records. Whether one is the beginning of a message that nobody was promised, a message that was
// removed, or mail that an index from a backup does not know, cannot be told from the file.
// So none is removed: before the account gets its next file, all of them go to
//
//	<account>.macnt/Leftovers/<time>/<directory>-<number>
//
// and stay there until the administrator removes them or the setting DeleteLeftoversIn does.

const (
	leftoversDir = "Leftovers"
	// leftoversTime names a directory in it by the time when the files were moved.
	leftoversTime = "2006-01-02_15-04-05"
)

// unrecorded is a name in a message directory that no record names: of a message file, or with an
// ending that of a copy that was not finished.
type unrecorded struct {
	msgfile.Ref
	ending string
}

func (f unrecorded) String() string { return f.Ref.String() + f.ending }

// moveLeftoversOnce moves what crashes have left before the account gets a new file. As long as it has
// not returned, nobody makes one. What fails is tried again by the next run.
func (a *Account) moveLeftoversOnce() {
	if a.leftoversMoved.Load() {
		return
	}
	a.movingLeftovers.Lock()
	defer a.movingLeftovers.Unlock()
	if a.leftoversMoved.Load() {
		return
	}
	defer a.leftoversMoved.Store(true)
	due, err := a.hasLeftovers()
	if err == nil && due {
		err = a.moveLeftovers()
	}
	if !fault.Is(err, fault.NotFound) {
		a.store.upkeep.report("move of files without a record", a.id, err)
	}
}

// hasLeftovers reports whether a crash came since the files were compared with the records.
func (a *Account) hasLeftovers() (bool, error) {
	rec, err := a.record()
	return rec.crashes < a.store.crashes[a.shard], err
}

func (a *Account) moveLeftovers() error {
	if err := a.dropLeftovers(); err != nil {
		return err
	}
	files, err := a.unrecorded(context.Background())
	if err == nil && len(files) > 0 {
		err = a.setAside(files)
	}
	if err != nil {
		return err
	}
	return a.update(context.Background(), func(e *edit) error {
		e.rec.crashes, e.dirty = a.store.crashes[a.shard], true
		return nil
	})
}

// dropLeftovers removes the records of deleted mailboxes, and the content of files that no record
// names. The files go with those that never had a record: in an index from a backup they may be all that is left
// of messages.
func (a *Account) dropLeftovers() error {
	var drops []drop
	err := a.shard.View(func(tx index.Tx) error {
		tx.Range(index.Dropped, appendAccount(nil, a.id), after(appendAccount(nil, a.id)), func(k, _ []byte) bool {
			d := dropOf(a.shard, k)
			d.handle, d.leftovers = a, true
			drops = append(drops, d)
			return true
		})
		return nil
	})
	for _, d := range drops {
		err = errors.Join(err, a.store.upkeep.purge(d))
	}
	return errors.Join(err, a.dropUnnamed())
}

// dropUnnamed removes the content of files that no record names, but for what this run removes itself.
func (a *Account) dropUnnamed() error {
	var files []msgfile.Ref
	err := a.shard.View(func(tx index.Tx) error {
		return eachRef(tx, a.id, func(file uint64, count int64) {
			if count == 0 {
				files = append(files, msgfile.Ref{ID: file})
			}
		})
	})
	if err == nil {
		// When the commits are announced that these counts are of, what views show is held.
		err = a.shard.Settle(context.Background())
	}
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(f msgfile.Ref) bool { return a.files.Busy(f.ID) })
	return inParts(files, maxContents, func(part []msgfile.Ref) error {
		return a.shard.UpdateFreeing(context.Background(), func(tx index.Tx) error { return dropContent(tx, a.id, part) }, nil)
	})
}

// setAside moves files to Leftovers.
func (a *Account) setAside(files []unrecorded) error {
	a.moving.RLock()
	defer a.moving.RUnlock()
	home := a.owner.Load().Dir
	leftovers := filepath.Join(home, leftoversDir)
	if err := os.Mkdir(leftovers, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	to := ""
	for now, err := time.Now().UTC(), fs.ErrExist; errors.Is(err, fs.ErrExist); now = now.Add(time.Second) {
		to = filepath.Join(leftovers, now.Format(leftoversTime))
		if err = os.Mkdir(to, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	a.store.log.Log(context.Background(), logs.LevelMajor, "files without a record were moved",
		slog.Uint64(logs.AttrAccount, a.id), slog.Int("files", len(files)), slog.String("to", to))
	var errs []error
	for _, f := range files {
		path := filepath.Join(home, msgfile.Directory, f.String())
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && info.Size() == 0 { // names.go
			errs = append(errs, os.Remove(path))
			continue
		}
		err := os.Rename(path, filepath.Join(to, strings.ReplaceAll(f.String(), "/", "-")))
		if !errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, durable.SyncDir(to), durable.SyncDir(leftovers), durable.SyncDir(home))...)
}

// unrecorded finds the files that no record names and that nobody is making, holding or removing.
func (a *Account) unrecorded(ctx context.Context) ([]unrecorded, error) {
	files, err := a.listFiles(ctx)
	if err != nil {
		return nil, err
	}
	making := func(f unrecorded) bool { return a.files.Busy(f.ID) }
	files = slices.DeleteFunc(files, making)
	if len(files) == 0 {
		return nil, nil
	}
	named := make(map[msgfile.Ref]struct{})
	err = a.shard.View(func(tx index.Tx) error {
		return eachSummary(tx, a.id, func(_ uint32, _ imap.UID, s *summary) bool {
			named[s.file()] = struct{}{}
			return true
		})
	})
	if err == nil {
		// A record may just have been removed. When that is announced, the file is to be
		// removed, held by a view, or gone.
		err = a.shard.Settle(ctx)
	}
	return slices.DeleteFunc(files, func(f unrecorded) bool {
		_, is := named[f.Ref]
		return is && f.ending == "" || making(f) || !a.exists(f)
	}), err
}

func (a *Account) exists(f unrecorded) bool {
	a.moving.RLock()
	defer a.moving.RUnlock()
	_, err := os.Lstat(a.path(f.Ref) + f.ending)
	return !errors.Is(err, fs.ErrNotExist)
}

// listFiles lists the message directories of the account. A name that no
// message file has is not ours and is left alone.
func (a *Account) listFiles(ctx context.Context) (all []unrecorded, err error) {
	const op = "mailbox.listFiles"
	dirs, err := a.listDirectory(msgfile.Directory)
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	for _, d := range dirs {
		n, err := strconv.ParseUint(d.Name(), 10, 32)
		if err != nil || !d.IsDir() || d.Name() != strconv.FormatUint(n, 10) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, fault.Wrap(op, fault.Canceled, err)
		}
		files, err := a.listDirectory(filepath.Join(msgfile.Directory, d.Name()))
		if err != nil {
			return nil, fault.Wrap(op, fault.Internal, err)
		}
		for _, f := range files {
			name, unfinished := strings.CutSuffix(f.Name(), msgfile.TmpSuffix)
			id, err := strconv.ParseUint(name, 10, 64)
			if err != nil || name != strconv.FormatUint(id, 10) {
				continue
			}
			u := unrecorded{Ref: msgfile.Ref{ID: id, Dir: uint32(n)}}
			if unfinished {
				u.ending = msgfile.TmpSuffix
			}
			all = append(all, u)
		}
	}
	return all, nil
}

// listDirectory lists a directory in the account's own; one that is not there is empty.
func (a *Account) listDirectory(name string) ([]fs.DirEntry, error) {
	a.moving.RLock()
	d, err := os.Open(filepath.Join(a.owner.Load().Dir, name))
	a.moving.RUnlock()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	list, err := d.ReadDir(-1)
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, err
}

// Leftovers is what crashes have left in an account's directory.
type Leftovers struct {
	Files  int
	Bytes  int64
	Oldest time.Time // when the first of them were moved there
}

// Add adds what another account has.
func (l *Leftovers) Add(o Leftovers) {
	if l.Files == 0 || o.Files > 0 && o.Oldest.Before(l.Oldest) {
		l.Oldest = o.Oldest
	}
	l.Files += o.Files
	l.Bytes += o.Bytes
}

// FindLeftovers tells what was moved to the Leftovers of an account's directory before a
// time. What somebody else has put there does not count.
func FindLeftovers(dir string, before time.Time) (all Leftovers, err error) {
	return eachLeftovers(dir, before, func(string) error { return nil })
}

// RemoveLeftovers removes what FindLeftovers finds.
func RemoveLeftovers(dir string, before time.Time) (all Leftovers, err error) {
	all, err = eachLeftovers(dir, before, os.RemoveAll)
	if all.Files == 0 || err != nil {
		return all, err
	}
	leftovers := filepath.Join(dir, leftoversDir)
	if err := os.Remove(leftovers); err == nil {
		return all, nil
	}
	return all, durable.SyncDir(leftovers) // it holds something else
}

// eachLeftovers calls visit for the directories in Leftovers.
func eachLeftovers(dir string, before time.Time, visit func(path string) error) (all Leftovers, err error) {
	list, err := os.ReadDir(filepath.Join(dir, leftoversDir))
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	for _, d := range list {
		at, bad := time.Parse(leftoversTime, d.Name())
		if bad != nil || !d.IsDir() || !at.Before(before) {
			continue
		}
		path := filepath.Join(dir, leftoversDir, d.Name())
		files, err2 := os.ReadDir(path)
		found := Leftovers{Files: len(files), Oldest: at}
		for _, f := range files {
			if info, err := f.Info(); err == nil {
				found.Bytes += info.Size()
			}
		}
		if err2 = errors.Join(err2, visit(path)); err2 == nil {
			all.Add(found)
		}
		err = errors.Join(err, err2)
	}
	return all, err
}
