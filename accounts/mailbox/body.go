package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	f, err := m.box.account.openMessage(&s)
	if err != nil {
		return nil, m.cannotRead(&s, err)
	}
	return m.box.account.newBody(f, prefix, s), nil
}

// Open opens a message of the view. It can be read after the message is expunged,
// until Close or until the Reader is asked for another message.
func (r *Reader) Open(ctx context.Context, uid imap.UID) (Body, error) {
	s, prefix, _, err := r.find(ctx, uid, false)
	if err != nil {
		return nil, err
	}
	f, err := r.open(&s)
	if err != nil {
		return nil, err
	}
	return r.m.box.account.newBody(f, prefix, s), nil
}

// open opens a message file by its directory, which is quicker than by its path.
func (r *Reader) open(s *summary) (f file, err error) {
	if r.files == closed || r.dir != s.dir {
		r.closeDir()
		a := r.m.box.account
		a.place.RLock()
		r.files, err = openAt(unix.AT_FDCWD, a.dirPath(s.dir))
		a.place.RUnlock()
		r.dir = s.dir
	}
	if err == nil {
		f, err = openLength(r.files.fd, strconv.FormatUint(s.id, 10), s.end())
	}
	if err != nil {
		return closed, r.m.cannotRead(s, err)
	}
	return f, nil
}

// cannotRead is the error for a message of the view whose file cannot be read: it is
// damaged, unless the whole mailbox is gone.
func (m *Mailbox) cannotRead(s *summary, err error) error {
	b := m.box
	b.mu.RLock()
	gone := b.gone
	b.mu.RUnlock()
	if gone {
		return fault.Wrap("mailbox.Open", fault.NoMessage, err)
	}
	return b.account.damaged(s.file(), err)
}

// damaged is the error for a message file that cannot be read. Its kind is Corrupt unless
// the system says that the process lacks something, such as descriptors.
func (a *Account) damaged(f fileRef, err error) error {
	a.place.RLock()
	defer a.place.RUnlock()
	return damagedAt(a.path(f), err)
}

func damagedAt(path string, err error) error {
	if fault.KindOf(err) != fault.Internal {
		return fault.Wrap("mailbox.Open", fault.Internal, fmt.Errorf("message file %s: %w", path, err))
	}
	return &fault.Error{Op: "mailbox.Open", Kind: fault.Corrupt, Text: "the file of a message is damaged or missing",
		Err: fmt.Errorf("message file %s: %w", path, err)}
}

// A file is open for reading, without what an os.File adds for files that can keep
// one waiting: that takes as long as opening and reading a message does.
type file struct {
	fd int
}

// closed is a file that is not open.
var closed = file{-1}

// openMessage opens the file of a message, which has to end where the message does.
func (a *Account) openMessage(s *summary) (file, error) {
	a.place.RLock()
	defer a.place.RUnlock()
	return openLength(unix.AT_FDCWD, a.path(s.file()), s.end())
}

// openLength opens a file that has to have a length. A shorter or longer one is not what
// was stored: what is found in it may be of another message.
func openLength(dir int, name string, length int64) (file, error) {
	f, err := openAt(dir, name)
	if err != nil {
		return closed, err
	}
	if err := f.check(length); err != nil {
		return closed, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *file) check(length int64) error {
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

func openAt(dir int, name string) (file, error) {
	for {
		// Without O_NONBLOCK, opening something that is not a file may wait for ever.
		fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		switch err {
		case nil:
			return file{fd}, nil
		case unix.EINTR:
			continue
		}
		return closed, os.NewSyscallError("open", err)
	}
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
	account *Account
	ref     fileRef
	prefix  []byte
	file    file
	offset  int64 // of the message in the file
	size    int64 // of both
}

func (a *Account) newBody(f file, prefix []byte, s summary) *body {
	return &body{account: a, ref: s.file(), prefix: prefix, file: f, offset: int64(s.offset), size: s.size}
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
	if readErr == io.EOF { // it was cut short since it was opened
		readErr = io.ErrUnexpectedEOF
	}
	return n, b.account.damaged(b.ref, readErr)
}
