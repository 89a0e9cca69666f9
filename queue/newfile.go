package queue

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// newFile is a file that is being written. It works on the bare descriptor: a
// message costs five system calls on it and no more.
type newFile struct {
	d    *directory
	fd   int
	name string // what it is called now, or empty
	kept bool   // published
}

// Create makes a new file.
func (d *directory) Create(temp string) (diskFile, error) {
	if !d.named.Load() {
		fd, err := ignoringEINTR(func() (int, error) {
			return unix.Open(d.path, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		})
		if err == nil {
			return &newFile{d: d, fd: fd}, nil
		}
		if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EINVAL) {
			return nil, &os.PathError{Op: "open", Path: d.path, Err: err}
		}
		d.named.Store(true)
	}
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Open(d.file(temp), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: d.file(temp), Err: err}
	}
	return &newFile{d: d, fd: fd, name: temp}, nil
}

func (f *newFile) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := ignoringEINTR(func() (int, error) { return unix.Write(f.fd, p[done:]) })
		if err != nil {
			return done, f.failed("write", err)
		}
		done += n
	}
	return done, nil
}

func (f *newFile) Sync() error {
	_, err := ignoringEINTR(func() (int, error) { return 0, unix.Fdatasync(f.fd) })
	return f.failed("sync", err)
}

func (f *newFile) Publish(name string) error {
	if f.name != "" {
		if f.name != name {
			if err := f.d.Rename(f.name, name); err != nil {
				return err
			}
		}
		f.name, f.kept = name, true
		return nil
	}
	to := f.d.file(name)
	err := unix.Linkat(f.fd, "", unix.AT_FDCWD, to, unix.AT_EMPTY_PATH)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPERM) {
		// Linux before 6.10 allows that to privileged processes only.
		err = unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(f.fd), unix.AT_FDCWD, to, unix.AT_SYMLINK_FOLLOW)
	}
	if err != nil {
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPERM) {
			f.d.named.Store(true) // no /proc here: the next files have names from the start
		}
		return &os.LinkError{Op: "link", Old: f.d.path, New: to, Err: err}
	}
	f.name, f.kept = name, true
	return nil
}

func (f *newFile) Close() error {
	// Linux closes the descriptor even when close fails.
	err := f.failed("close", unix.Close(f.fd))
	if f.name != "" && !f.kept {
		err = errors.Join(err, f.d.Remove(f.name))
	}
	return err
}

func (f *newFile) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	name := f.name
	if name == "" {
		name = "new file"
	}
	return &os.PathError{Op: op, Path: f.d.file(name), Err: err}
}

func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
