package msgfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// TmpSuffix is on names of files that are being copied.
const TmpSuffix = ".tmp"

// LinkOrCopy makes a link to a file, or a copy where that cannot be.
func LinkOrCopy(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EMLINK) {
		err = copyFile(from, to)
	}
	return err
}

// SameMessage reports whether a message file was made from a queue file: it is
// a link to it, or as long where it had to be copied.
func SameMessage(queueFile, path string) bool {
	q, err := os.Stat(queueFile)
	if err != nil {
		return false
	}
	f, err := os.Stat(path)
	if err != nil {
		return false
	}
	return os.SameFile(q, f) || q.Size() == f.Size() && !sameDevice(q, f)
}

func sameDevice(a, b fs.FileInfo) bool {
	x, ok := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	return ok && ok2 && x.Dev == y.Dev
}

// copyFile copies a file that cannot be linked. The copy gets its name when it
// is whole and on the disk: a file that is there is never a part of one.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	tmp := to + TmpSuffix
	out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return os.Rename(tmp, to)
}
