package mailbox

import (
	"errors"
	"io/fs"
	"os"

	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
)

// path returns where a message file is now. a.moving is held.
func (a *Account) path(f msgfile.Ref) string {
	return f.Path(a.owner.Load().Dir)
}

func (a *Account) dirPath(dir uint32) string {
	return msgfile.DirectoryPath(a.owner.Load().Dir, dir)
}

// newFile makes a message file by way of make, which is called again when the
// directory turned out to be missing. The file is marked by files.begin, which
// the caller has to end; after an error nothing is marked. No file is made before those
// without records are out of the way.
func (a *Account) newFile(id uint64, make func(path string) error) (ref msgfile.Ref, err error) {
	a.moveLeftoversOnce()
	a.moving.RLock()
	defer a.moving.RUnlock()
	return a.newFileHere(id, make)
}

// nextNumber calls newFile with numbers until one is that of no file: a counter that is older
// than the files gives numbers that are taken.
func (s *Store) nextNumber(newFile func(id uint64) error) (id uint64, err error) {
	for {
		if id, err = s.o.NextID(); err != nil {
			return id, fault.Wrap("mailbox.add", fault.Internal, err)
		}
		if err = newFile(id); !errors.Is(err, fs.ErrExist) {
			return id, err
		}
	}
}

// newFileHere is newFile where a.moving is held, and moveLeftoversOnce was called.
func (a *Account) newFileHere(id uint64, make func(path string) error) (ref msgfile.Ref, err error) {
	const op = "mailbox.add"
	if !a.files.Begin(id) {
		return ref, fault.Newf(op, fault.Internal, "number %d was given out twice", id)
	}
	for try := range 2 {
		if ref, err = a.nextFile(id); err != nil {
			break
		}
		if err = make(a.path(ref)); !errors.Is(err, fs.ErrNotExist) || try > 0 {
			break
		}
		// The account is gone, or its directory lost what it had.
		a.mu.Lock()
		a.dirReady = false
		a.mu.Unlock()
	}
	if err != nil {
		a.files.End(id)
	}
	return ref, fault.Wrap(op, fault.Internal, err)
}

// nextFile chooses the directory for a new file. When it returns, the
// directory is there and durable, whoever made it.
func (a *Account) nextFile(id uint64) (msgfile.Ref, error) {
	a.mu.Lock()
	ready := a.dirReady && a.dirFiles < msgfile.PerDirectory
	if ready {
		a.dirFiles++
	}
	ref := msgfile.Ref{ID: id, Dir: a.dir}
	a.mu.Unlock()
	if ready {
		return ref, nil
	}
	return a.nextDir(id)
}

// nextDir is nextFile where the directory has to be looked up or made.
func (a *Account) nextDir(id uint64) (msgfile.Ref, error) {
	a.making.Lock()
	defer a.making.Unlock()
	a.mu.Lock()
	dir, count, ready := a.dir, a.dirFiles, a.dirReady
	a.mu.Unlock()
	if !ready {
		rec, err := a.record()
		if err != nil {
			return msgfile.Ref{}, err
		}
		dir, count = rec.dir, rec.dirFiles
	}
	if count >= msgfile.PerDirectory {
		dir, count, ready = dir+1, 0, false
	}
	if !ready {
		if err := msgfile.MakeDirectory(a.owner.Load().Dir, dir); err != nil {
			return msgfile.Ref{}, fault.Wrap("mailbox.add", fault.Internal, err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !ready {
		a.dir, a.dirFiles, a.dirReady = dir, count, true
	}
	a.dirFiles++
	return msgfile.Ref{ID: id, Dir: a.dir}, nil
}

// saveDir keeps the choice of nextFile in the account's record.
func (e *edit) saveDir() {
	a := e.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dirReady {
		e.rec.dir, e.rec.dirFiles = a.dir, a.dirFiles
		e.dirty = true
	}
}

func syncAndClose(d *os.File) error { return errors.Join(d.Sync(), d.Close()) }
