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

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// A stray is a message file that no record names. Files come before their
// records and go after them, so a crash leaves some; those are leftovers and
// have numbers of the run that crashed, or the sign of a delivery that was under
// way (earlier.go), or the note of a removal (removed.go). Any other one is a
// fault, and is left to the administrator: an index that was restored does not
// name younger mail.

// leftoversDir is where leftovers of an account go that the index may be too
// old to name.
const leftoversDir = "Leftovers"

// stray is a name in a message directory.
type stray struct {
	fileRef
	// ending is "" for a message file, tmpSuffix for a copy that was never finished, and
	// underWaySuffix for the sign of a delivery.
	ending string
	// proven says that it is a leftover: there is such a sign, or its record was removed.
	proven bool
}

// sweep removes the leftovers of an account, if a crash came since that was done.
func (u *upkeep) sweep(a *Account) error {
	a.looking.Lock()
	defer a.looking.Unlock()
	swept, due, err := a.sweptOf()
	if fault.Is(err, fault.NotFound) || err == nil && !due {
		return nil
	}
	if err != nil {
		return err
	}
	strays, err := a.strays(context.Background())
	dirs := make(map[messageDir]struct{})
	aside := false
	for _, f := range strays {
		dirs[messageDir{a, f.dir}] = struct{}{}
		crash, left := a.crashOf(f.id, swept)
		switch {
		case f.ending == underWaySuffix || !left && !f.proven:
		case f.id > crash.reach && f.ending == "" && !f.proven:
			err = errors.Join(err, u.setAside(a, f.fileRef))
			aside = true
		default:
			err = errors.Join(err, u.removeLeftover(a, f))
		}
	}
	for _, f := range strays { // what they are about has gone before
		if f.ending == underWaySuffix && err == nil {
			err = u.removeLeftover(a, f)
		}
	}
	a.letGo(strays)
	// Nobody looks for what comes back after the account counts as swept.
	err = errors.Join(err, a.syncRemovals(dirs, aside))
	if err = errors.Join(err, u.forgetGone(a)); err != nil {
		return err // and tried again in the next run
	}
	return a.update(context.Background(), func(e *edit) error {
		e.rec.swept, e.dirty = u.store.firstID, true
		return nil
	})
}

// waitForLook returns when nobody looks for leftovers any more who did so before.
func (a *Account) waitForLook() {
	a.looking.Lock()
	defer a.looking.Unlock()
}

func (u *upkeep) removeLeftover(a *Account, f stray) error {
	u.log.Log(context.Background(), logs.LevelMajor, "removed a file that a crash has left",
		slog.Uint64(logs.AttrAccount, a.id), slog.String("file", a.show(f)))
	if err := a.remove(f.fileRef, f.ending); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// setAside moves a leftover out of the way that is younger than all that the
// index knew of after the crash. Most probably the crash came between the file
// and its record, but the index may as well be an older one. Nothing was promised about it if the
// index is the one of the run that crashed; if not, it is mail.
func (u *upkeep) setAside(a *Account, f fileRef) error {
	a.place.RLock()
	defer a.place.RUnlock()
	path, dir := a.path(f), filepath.Join(a.owner.Load().Dir, leftoversDir)
	u.log.Log(context.Background(), logs.LevelMajor, "set aside a file that has no record",
		slog.Uint64(logs.AttrAccount, a.id), slog.String("file", path), slog.String("to", dir))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Rename(path, filepath.Join(dir, filepath.Base(path)))
}

// show returns where a stray is at the moment, for people.
func (a *Account) show(f stray) string {
	a.place.RLock()
	defer a.place.RUnlock()
	return a.path(f.fileRef) + f.ending
}

// letGo ends the care for strays. A sign may be that of a file which is named, and
// was expunged meanwhile.
func (a *Account) letGo(strays []stray) {
	done := make(map[uint64]bool)
	for _, f := range strays {
		if !done[f.id] && a.files.giveBack(f.id) {
			a.store.upkeep.unlink(a, f.fileRef)
		}
		done[f.id] = true
	}
}

// strays finds the files that no record names. They are marked as being
// removed, so that nobody starts to use them, until the caller is done with them
// and calls letGo.
func (a *Account) strays(ctx context.Context) ([]stray, error) {
	all, err := a.listFiles(ctx) // before the look at the index, which then names more, not less
	if err != nil || len(all) == 0 {
		return nil, err
	}
	named, err := a.namedFiles(ctx)
	if err != nil {
		return nil, err
	}
	taken := make(map[uint64]fileRef)
	suspects := all[:0]
	for _, f := range all {
		if _, is := named[f.fileRef]; is && f.ending == "" {
			continue
		}
		// One number can have two names: a link that was made again elsewhere.
		if _, mine := taken[f.id]; mine || a.files.take(f.id) {
			taken[f.id] = f.fileRef
			suspects = append(suspects, f)
		}
	}
	if len(suspects) == 0 {
		return nil, nil
	}
	// A file may have got its record since, or have lost it in a commit that was
	// not announced yet. After all commits so far, what the index does not name
	// and nobody has touched is a stray, unless it has been unlinked already.
	named, err = a.namedFiles(ctx)
	removed, err2 := a.removedFiles()
	err = errors.Join(err, err2)
	var found []stray
	if err == nil {
		for _, f := range suspects {
			if _, is := named[f.fileRef]; is && f.ending == "" || !a.files.untouched(f.id) {
				continue
			}
			there, err2 := a.exists(f.fileRef, f.ending)
			if err = errors.Join(err, err2); there {
				f.proven = f.proven || removed[f.fileRef]
				found = append(found, f)
			}
		}
	}
	for _, f := range found {
		delete(taken, f.id)
	}
	for id, ref := range taken {
		if a.files.giveBack(id) {
			a.store.upkeep.unlink(a, ref)
		}
	}
	return found, err
}

// namedFiles returns the files that records name, after all commits so far:
// it is read in the shard's writer's order.
func (a *Account) namedFiles(ctx context.Context) (map[fileRef]struct{}, error) {
	named := make(map[fileRef]struct{})
	visit := func(_ uint32, _ imap.UID, s *summary) bool {
		named[s.file()] = struct{}{}
		return true
	}
	if err := a.shard.Settle(ctx); err != nil {
		return nil, err
	}
	err := a.shard.View(func(tx index.Tx) error { return eachSummary(tx, a.id, visit) })
	return named, err
}

// listFiles lists the message directories of the account. A name that no
// message file has is not ours and is left alone.
func (a *Account) listFiles(ctx context.Context) (all []stray, err error) {
	const op = "mailbox.Check"
	dirs, err := a.listDirectory(messagesDir)
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	signs := make(map[fileRef]struct{})
	for _, d := range dirs {
		n, err := strconv.ParseUint(d.Name(), 10, 32)
		if err != nil || !d.IsDir() || d.Name() != strconv.FormatUint(n, 10) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, fault.Wrap(op, fault.Canceled, err)
		}
		files, err := a.listDirectory(filepath.Join(messagesDir, d.Name()))
		if err != nil {
			return nil, fault.Wrap(op, fault.Internal, err)
		}
		for _, f := range files {
			name, ending := f.Name(), ""
			for _, e := range []string{tmpSuffix, underWaySuffix} {
				if base, is := strings.CutSuffix(name, e); is {
					name, ending = base, e
					break
				}
			}
			id, err := strconv.ParseUint(name, 10, 64)
			if err != nil || name != strconv.FormatUint(id, 10) {
				continue
			}
			ref := fileRef{id, uint32(n)}
			all = append(all, stray{fileRef: ref, ending: ending})
			if ending == underWaySuffix {
				signs[ref] = struct{}{}
			}
		}
	}
	for i := range all {
		_, all[i].proven = signs[all[i].fileRef]
	}
	return all, nil
}

// listDirectory lists a directory in the account's own; one that is not there is empty.
func (a *Account) listDirectory(name string) ([]fs.DirEntry, error) {
	a.place.RLock()
	d, err := os.Open(filepath.Join(a.owner.Load().Dir, name))
	a.place.RUnlock()
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
