package disk

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// newFile is a file that is being written. It works on the bare descriptor: a
// message costs five system calls on it and no more.
type newFile struct {
	d    *directory
	fd   int
	name string // what it is called now
	kept bool   // published
}

// Create makes a new file.
func (d *directory) Create(name string) (File, error) {
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Open(d.file(name), unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: d.file(name), Err: err}
	}
	return &newFile{d: d, fd: fd, name: name}, nil
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

func (f *newFile) ReadAt(p []byte, at int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := ignoringEINTR(func() (int, error) { return unix.Pread(f.fd, p[done:], at+int64(done)) })
		if err != nil {
			return done, f.failed("read", err)
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n
	}
	return done, nil
}

func (f *newFile) WriteAt(p []byte, at int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := ignoringEINTR(func() (int, error) { return unix.Pwrite(f.fd, p[done:], at+int64(done)) })
		if err != nil {
			return done, f.failed("write", err)
		}
		done += n
	}
	return done, nil
}

func (f *newFile) Truncate(size int64) error {
	if _, err := ignoringEINTR(func() (int, error) { return 0, unix.Ftruncate(f.fd, size) }); err != nil {
		return f.failed("truncate", err)
	}
	return nil
}

func (f *newFile) Sync() error {
	_, err := ignoringEINTR(func() (int, error) { return 0, unix.Fdatasync(f.fd) })
	return f.failed("sync", err)
}

func (f *newFile) Publish(name string) error {
	if f.name != name {
		if err := f.d.Rename(f.name, name); err != nil {
			return err
		}
	}
	f.name, f.kept = name, true
	return nil
}

func (f *newFile) Close() error {
	// Linux closes the descriptor even when close fails.
	err := f.failed("close", unix.Close(f.fd))
	if !f.kept {
		err = errors.Join(err, f.d.Remove(f.name))
	}
	return err
}

// Abandon closes a file and leaves it as it is, as a crash does. It is for tests.
func Abandon(f File) error {
	nf, ok := f.(*newFile)
	if !ok {
		return f.Close()
	}
	nf.kept = true
	return nf.Close()
}

func (f *newFile) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: f.d.file(f.name), Err: err}
}

func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
