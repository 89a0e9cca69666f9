package mailbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"gatepost/server/durable"
	"gatepost/server/fault"
)

// messagesDir is the directory with the message files of an account, and
// filesPerDir how many files go to one directory in it.
//
// Directories are numbered and filled one after the other. So the files of most
// accounts share one directory, and one sync makes all links of a delivery or
// copy durable; a hash of the file's number would spread a few messages over
// as many directories. A message's summary says which directory it is.
const (
	messagesDir = "Messages"
	filesPerDir = 4096
)

// fileRef names a message file of an account.
type fileRef struct {
	id  uint64 // from the server-wide counter
	dir uint32
}

// String returns the path of the file below the directory of messages.
func (f fileRef) String() string {
	return filepath.Join(strconv.FormatUint(uint64(f.dir), 10), strconv.FormatUint(f.id, 10))
}

// path returns where a message file is now. a.place is held.
func (a *Account) path(f fileRef) string {
	return filepath.Join(a.owner.Load().Dir, messagesDir, f.String())
}

func (a *Account) dirPath(dir uint32) string {
	return filepath.Join(a.owner.Load().Dir, messagesDir, strconv.FormatUint(uint64(dir), 10))
}

// fileUse is what is going on with a message file beside the index. Files of
// messages that are simply there have none.
type fileUse struct {
	making   bool // its record is not committed yet
	holds    int  // views that show it although its message is gone
	unwanted bool // no record names it: it goes with the last hold
	removing bool // upkeep is about to unlink it
}

// files are the uses of an account's message files. The lock is the last one
// in the order: nothing is locked and no disk is waited for under it.
type files struct {
	mu   sync.Mutex
	uses map[uint64]*fileUse
}

func (f *files) use(id uint64) *fileUse {
	u := f.uses[id]
	if u == nil {
		if f.uses == nil {
			f.uses = make(map[uint64]*fileUse)
		}
		u = &fileUse{}
		f.uses[id] = u
	}
	return u
}

func (f *files) tidy(id uint64, u *fileUse) {
	if *u == (fileUse{}) {
		delete(f.uses, id)
	}
}

// begin marks a file that is about to be made. It fails if a file of that
// number is on its way out.
func (f *files) begin(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.uses[id] != nil {
		return false
	}
	f.use(id).making = true
	return true
}

// end says that the record of a file is committed, or that the file is gone.
func (f *files) end(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u := f.uses[id]; u != nil {
		u.making = false
		f.tidy(id, u)
	}
}

// hold keeps a file for a view.
func (f *files) hold(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.use(id).holds++
}

// release undoes hold and reports whether the file has to be unlinked now.
func (f *files) release(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.use(id)
	u.holds--
	return f.settle(id, u)
}

// unwant says that no record names the file any more, and reports whether it
// has to be unlinked now.
func (f *files) unwant(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.use(id)
	u.unwanted = true
	return f.settle(id, u)
}

func (f *files) settle(id uint64, u *fileUse) bool {
	if u.holds == 0 && u.unwanted && !u.removing {
		u.removing = true
		return true
	}
	f.tidy(id, u)
	return false
}

// unlinked says that upkeep has removed the file.
func (f *files) unlinked(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.uses, id)
}

// busy reports whether something is going on with the file.
func (f *files) busy(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.uses[id] != nil
}

// newFile makes a message file by way of make, which is called again when the
// directory turned out to be missing. The file is marked by files.begin, which
// the caller has to end; after an error nothing is marked. No file is made before those
// without records are out of the way.
func (a *Account) newFile(id uint64, make func(path string) error) (ref fileRef, err error) {
	a.moveLeftoversOnce()
	a.place.RLock()
	defer a.place.RUnlock()
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

// newFileHere is newFile where a.place is held, and moveLeftoversOnce was called.
func (a *Account) newFileHere(id uint64, make func(path string) error) (ref fileRef, err error) {
	const op = "mailbox.add"
	if !a.files.begin(id) {
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
		a.files.end(id)
	}
	return ref, fault.Wrap(op, fault.Internal, err)
}

// nextFile chooses the directory for a new file. When it returns, the
// directory is there and durable, whoever made it.
func (a *Account) nextFile(id uint64) (fileRef, error) {
	a.mu.Lock()
	ready := a.dirReady && a.dirFiles < filesPerDir
	if ready {
		a.dirFiles++
	}
	ref := fileRef{id, a.dir}
	a.mu.Unlock()
	if ready {
		return ref, nil
	}
	return a.nextDir(id)
}

// nextDir is nextFile where the directory has to be looked up or made.
func (a *Account) nextDir(id uint64) (fileRef, error) {
	a.making.Lock()
	defer a.making.Unlock()
	a.mu.Lock()
	dir, count, ready := a.dir, a.dirFiles, a.dirReady
	a.mu.Unlock()
	if !ready {
		rec, err := a.record()
		if err != nil {
			return fileRef{}, err
		}
		dir, count = rec.dir, rec.dirFiles
	}
	if count >= filesPerDir {
		dir, count, ready = dir+1, 0, false
	}
	if !ready {
		if err := makeMessageDir(a.owner.Load().Dir, dir); err != nil {
			return fileRef{}, fault.Wrap("mailbox.add", fault.Internal, err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !ready {
		a.dir, a.dirFiles, a.dirReady = dir, count, true
	}
	a.dirFiles++
	return fileRef{id, a.dir}, nil
}

// makeMessageDir makes a directory for messages, if it is not there, and makes
// its name durable. The account's own directory has to exist.
func makeMessageDir(account string, dir uint32) error {
	messages := filepath.Join(account, messagesDir)
	for _, d := range []string{messages, filepath.Join(messages, strconv.FormatUint(uint64(dir), 10))} {
		if err := os.Mkdir(d, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return errors.Join(durable.SyncDir(messages), durable.SyncDir(account))
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
