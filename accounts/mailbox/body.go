package mailbox

import (
	"context"
	"fmt"
	"io"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox/msgfile"
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
func (r *Reader) open(s *summary) (f msgfile.File, err error) {
	if r.files == msgfile.Closed || r.dir != s.dir {
		r.closeDir()
		a := r.m.box.account
		a.moving.RLock()
		r.files, err = msgfile.OpenDirectory(a.dirPath(s.dir))
		a.moving.RUnlock()
		r.dir = s.dir
	}
	if err == nil {
		f, err = r.files.Open(s.id, s.end())
	}
	if err != nil {
		return msgfile.Closed, r.m.cannotRead(s, err)
	}
	return f, nil
}

// cannotRead is the error for a message of the view whose file cannot be read: it is
// damaged, unless the whole mailbox is gone.
func (m *Mailbox) cannotRead(s *summary, err error) error {
	return m.ifGone(m.box.account.damaged(s.file(), err))
}

// ifGone returns an error about a message, which is NoMessage if the whole mailbox is gone.
func (m *Mailbox) ifGone(err error) error {
	b := m.box
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.gone {
		return &fault.Error{Op: "mailbox.Open", Kind: fault.NoMessage, Err: err}
	}
	return err
}

// damaged is the error for a message file that cannot be read. Its kind is Corrupt unless
// the system says that the process lacks something, such as descriptors.
func (a *Account) damaged(f msgfile.Ref, err error) error {
	a.moving.RLock()
	defer a.moving.RUnlock()
	return damagedAt(a.path(f), err)
}

func damagedAt(path string, err error) error {
	if fault.KindOf(err) != fault.Internal {
		return fault.Wrap("mailbox.Open", fault.Internal, fmt.Errorf("message file %s: %w", path, err))
	}
	return &fault.Error{Op: "mailbox.Open", Kind: fault.Corrupt, Text: "the file of a message is damaged or missing",
		Err: fmt.Errorf("message file %s: %w", path, err)}
}

// openMessage opens the file of a message, which has to end where the message does.
func (a *Account) openMessage(s *summary) (msgfile.File, error) {
	a.moving.RLock()
	defer a.moving.RUnlock()
	return msgfile.Open(a.path(s.file()), s.end())
}

type body struct {
	account *Account
	ref     msgfile.Ref
	prefix  []byte
	file    msgfile.File
	offset  int64 // of the message in the file
	size    int64 // of both
}

func (a *Account) newBody(f msgfile.File, prefix []byte, s summary) *body {
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
