package msgfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A File is open for reading, without what an os.File adds for files that can keep
// one waiting: that takes as long as opening and reading a message does.
type File struct {
	fd int
}

// Closed is a File that is not open.
var Closed = File{-1}

// Open opens a message file that has to have a length. A shorter or longer one is not what
// was stored: what is found in it may be of another message.
func Open(path string, length int64) (File, error) {
	return openLength(unix.AT_FDCWD, path, length)
}

// OpenDirectory opens a directory of message files.
func OpenDirectory(path string) (File, error) { return openAt(unix.AT_FDCWD, path) }

// Open opens a message file of a directory as the function Open does, which is quicker than
// by its path.
func (f *File) Open(id uint64, length int64) (File, error) {
	return openLength(f.fd, strconv.FormatUint(id, 10), length)
}

func openLength(dir int, name string, length int64) (File, error) {
	f, err := openAt(dir, name)
	if err != nil {
		return Closed, err
	}
	if err := f.check(length); err != nil {
		return Closed, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *File) check(length int64) error {
	var st unix.Stat_t
	for {
		err := unix.Fstat(f.fd, &st)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return os.NewSyscallError("fstat", err)
		case st.Mode&unix.S_IFMT != unix.S_IFREG:
			return errors.New("it is not a regular file")
		case st.Size != length:
			return fmt.Errorf("it has %d bytes and should have %d", st.Size, length)
		}
		return nil
	}
}

func openAt(dir int, name string) (File, error) {
	for {
		// Without O_NONBLOCK, opening something that is not a file may wait for ever.
		fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		switch err {
		case nil:
			return File{fd}, nil
		case unix.EINTR:
			continue
		}
		return Closed, os.NewSyscallError("open", err)
	}
}

// ReadAt reads as an os.File does.
func (f *File) ReadAt(p []byte, off int64) (n int, err error) {
	if f.fd < 0 {
		return 0, os.ErrClosed
	}
	for n < len(p) {
		m, err := unix.Pread(f.fd, p[n:], off+int64(n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return n, os.NewSyscallError("pread", err)
		case m == 0:
			return n, io.EOF
		default:
			n += m
		}
	}
	return n, nil
}

func (f *File) Close() error {
	if f.fd < 0 {
		return os.ErrClosed
	}
	fd := f.fd
	f.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}
