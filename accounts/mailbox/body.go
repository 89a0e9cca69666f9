package mailbox

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"

	imap "github.com/emersion/go-imap/v2"
	"golang.org/x/sys/unix"

	"gatepost/server/fault"
)

// Body reads a message: the prefix, then the message, as one. It belongs to one
// goroutine.
type Body interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// OpenBody opens a message of the view. It can be read after the message is
// expunged and after the view is closed, until Close.
func (m *Mailbox) OpenBody(uid imap.UID) (Body, error) {
	r := m.Reader() // reads one record, which goes with the body
	s, prefix, _, err := r.find(context.Background(), uid, false)
	if err != nil {
		return nil, err
	}
	a := m.box.account
	a.place.RLock()
	f, err := openFile(a.path(s.file()))
	a.place.RUnlock()
	if err != nil {
		return nil, err
	}
	return newBody(f, prefix, s), nil
}

// Open opens a message of the view. It can be read after the message is expunged,
// until Close or until the Reader is asked for another message.
func (r *Reader) Open(ctx context.Context, uid imap.UID) (Body, error) {
	s, prefix, _, err := r.find(ctx, uid, false)
	if err != nil {
		return nil, err
	}
	f, err := r.open(s.file())
	if err != nil {
		return nil, err
	}
	return newBody(f, prefix, s), nil
}

// open opens a message file by its directory, which is quicker than by its path.
func (r *Reader) open(ref fileRef) (file, error) {
	if r.files == closed || r.dir != ref.dir {
		r.closeDir()
		a := r.m.box.account
		a.place.RLock()
		d, err := openFile(a.dirPath(ref.dir))
		a.place.RUnlock()
		if err != nil {
			return closed, err
		}
		r.files, r.dir = d, ref.dir
	}
	f, err := openAt(r.files.fd, strconv.FormatUint(ref.id, 10))
	if err != nil {
		return closed, openError(r.m.box.account.path(ref), err)
	}
	return f, nil
}

// A file is open for reading, without what an os.File adds for files that can keep
// one waiting: that takes as long as opening and reading a message does.
type file struct {
	fd int
}

// closed is a file that is not open.
var closed = file{-1}

func openFile(path string) (file, error) {
	f, err := openAt(unix.AT_FDCWD, path)
	if err != nil {
		return closed, openError(path, err)
	}
	return f, nil
}

func openAt(dir int, name string) (file, error) {
	for {
		fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		switch err {
		case nil:
			return file{fd}, nil
		case unix.EINTR:
			continue
		}
		return closed, err
	}
}

func openError(path string, err error) error {
	kind := fault.Internal
	if errors.Is(err, fs.ErrNotExist) {
		kind = fault.NoMessage
	}
	return fault.Wrap("mailbox.OpenBody", kind, &fs.PathError{Op: "open", Path: path, Err: err})
}

// ReadAt reads as an os.File does.
func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
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

func (f *file) Close() error {
	if f.fd < 0 {
		return os.ErrClosed
	}
	fd := f.fd
	f.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}

type body struct {
	prefix []byte
	file   file
	offset int64 // of the message in the file
	size   int64 // of both
}

func newBody(f file, prefix []byte, s summary) *body {
	return &body{prefix: prefix, file: f, offset: int64(s.offset), size: s.size}
}

func (b *body) Size() int64  { return b.size }
func (b *body) Close() error { return b.file.Close() }

func (b *body) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fault.New("mailbox.ReadAt", fault.Invalid, "")
	}
	if off < int64(len(b.prefix)) {
		n = copy(p, b.prefix[off:])
		off += int64(n)
	}
	rest := p[n:]
	if left := b.size - off; int64(len(rest)) > left {
		rest, err = rest[:max(left, 0)], io.EOF
	}
	if len(rest) == 0 {
		return n, err
	}
	got, readErr := b.file.ReadAt(rest, b.offset+off-int64(len(b.prefix)))
	n += got
	if got == len(rest) {
		return n, err
	}
	if readErr == io.EOF { // the file is shorter than its record says
		readErr = fault.Wrap("mailbox.ReadAt", fault.Corrupt, io.ErrUnexpectedEOF)
	}
	return n, readErr
}
