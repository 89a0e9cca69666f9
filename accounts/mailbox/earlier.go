package mailbox

import (
	"errors"
	"io/fs"
	"os"
)

// The number of a leftover tells which run made it, but not that of a link to the
// queue file of an earlier run's message: it is as old as the message. So a
// delivery of such a message puts a sign beside the link, an empty file, before it
// makes the link, and takes it away when the record is committed or the link is
// gone. A link without a record that has a sign is a leftover. File systems keep
// the order of names in one directory over a crash. Mail of this run, which is
// nearly all, pays nothing.

// underWaySuffix is on the name of the sign.
const underWaySuffix = ".new"

// isEarlier reports whether an earlier run gave a number out.
func (a *Account) isEarlier(id uint64) bool { return id < a.store.firstID }

// putSign says that the delivery to a file is under way. It reports whether the
// sign is new.
func putSign(path string) (made bool, err error) {
	f, err := os.OpenFile(path+underWaySuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil // of a run that was killed
	}
	if err != nil {
		return false, err
	}
	return true, f.Close()
}

// takeSign undoes putSign, when the file has its record or is gone.
func (a *Account) takeSign(f fileRef) {
	if !a.isEarlier(f.id) {
		return
	}
	if err := a.remove(f, underWaySuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.store.upkeep.report("removal of the sign of a delivery", a.id, err)
	}
}

// discard ends a delivery that was not made. A file that was there before it goes
// as well, unless it is that of a message: its queue file may have been put back.
func (a *Account) discard(j *delivery) {
	ref := j.in.summary.file()
	if j.made {
		a.abandon(ref)
		return
	}
	_, named, err := a.findFile(&deliveredRecord{file: ref.id})
	switch {
	case err != nil: // the sign stays for who looks next
		a.files.end(ref.id)
	case named:
		a.keepFile(ref, nil)
	default:
		a.abandon(ref)
	}
}
