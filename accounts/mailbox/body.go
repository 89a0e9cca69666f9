package mailbox

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/message"
	"gatepost/server/fault"
)

// Content is what is kept of a message beside its file. The spans of the
// summary count from the message's first byte: in Body they are len(Prefix)
// further on.
type Content struct {
	Prefix  []byte
	Summary *message.Summary
}

// Content returns the summary of a message of the view.
func (m *Mailbox) Content(ctx context.Context, uid imap.UID) (*Content, error) {
	s, prefix, stored, err := m.content(ctx, uid)
	if err != nil {
		return nil, err
	}
	c := &Content{Prefix: prefix}
	if len(stored) > 0 {
		if c.Summary, err = message.Unmarshal(stored); err == nil {
			return c, nil
		}
		// A damaged summary is as good as none.
	}
	c.Summary, err = m.scan(ctx, s)
	return c, err
}

// content returns the summary record of a message and copies of what the
// index keeps in Content: the prefix and the marshalled summary, which may be
// missing.
func (m *Mailbox) content(ctx context.Context, uid imap.UID) (s summary, prefix, stored []byte, err error) {
	if _, ok := m.Seq(uid); !ok {
		return s, nil, nil, fault.New("mailbox.Content", fault.NoMessage, "")
	}
	b := m.box
	b.mu.RLock()
	at, found := b.find(uid)
	if !found {
		b.mu.RUnlock()
		return s, nil, nil, fault.New("mailbox.Content", fault.NoMessage, "")
	}
	s = b.summaries[at]
	data, kept, gone := b.where(uid)
	b.mu.RUnlock()
	if gone && (kept != nil || s.prefix == 0) {
		return s, kept, nil, nil
	}
	err = b.account.shard.View(func(tx index.Tx) error {
		var k keyBuffer
		v := tx.Get(index.Content, k.content(b.account.id, data, uid))
		if int(s.prefix) > len(v) {
			return nil // gone meanwhile
		}
		v = append([]byte(nil), v...)
		prefix, stored = v[:s.prefix:s.prefix], v[s.prefix:]
		return nil
	})
	if err == nil && int(s.prefix) != len(prefix) {
		return m.contentAgain(ctx, uid, s)
	}
	return s, prefix, stored, err
}

// contentAgain answers for a message that was expunged between the look at the
// view and the look at the index: once the writer has announced that commit,
// the view has the prefix, or will never have it.
func (m *Mailbox) contentAgain(ctx context.Context, uid imap.UID, s summary) (summary, []byte, []byte, error) {
	b := m.box
	if err := b.account.shard.Update(ctx, func(index.Tx) error { return nil }, nil); err != nil {
		return s, nil, nil, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if _, kept, gone := b.where(uid); gone && len(kept) == int(s.prefix) {
		return s, kept, nil, nil
	}
	return s, nil, nil, fault.New("mailbox.Content", fault.NoMessage, "")
}

// where says under which data the content of a message lies, or lay before it
// went; then kept is its prefix, if that was saved. b.mu is held.
func (b *box) where(uid imap.UID) (data uint32, kept []byte, gone bool) {
	if h := b.heldByUID[uid]; h != nil {
		return h.data, h.prefix, true
	}
	return b.rec.data, nil, false
}

// scan makes a summary from the file.
func (m *Mailbox) scan(ctx context.Context, s summary) (*message.Summary, error) {
	f, err := m.openFile(s)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := io.NewSectionReader(f, int64(s.offset), s.size-int64(s.prefix))
	sum, err := message.Scan(&canceler{ctx, r}, message.Options{})
	return sum, fault.Wrap("mailbox.Content", fault.Internal, err)
}

// canceler ends a read when the context does.
type canceler struct {
	ctx context.Context
	r   io.Reader
}

func (c *canceler) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// Body reads a message: the prefix, then the message, as one.
type Body interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// OpenBody opens a message of the view. It can be read after the message is
// expunged and after the view is closed, until Close.
func (m *Mailbox) OpenBody(uid imap.UID) (Body, error) {
	s, prefix, _, err := m.content(context.Background(), uid)
	if err != nil {
		return nil, err
	}
	f, err := m.openFile(s)
	if err != nil {
		return nil, err
	}
	return &body{prefix: prefix, file: f, offset: int64(s.offset), size: s.size}, nil
}

func (m *Mailbox) openFile(s summary) (*os.File, error) {
	f, err := os.Open(m.box.account.path(s.file()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Wrap("mailbox.OpenBody", fault.NoMessage, err)
	}
	return f, fault.Wrap("mailbox.OpenBody", fault.Internal, err)
}

type body struct {
	prefix []byte
	file   *os.File
	offset int64 // of the message in the file
	size   int64 // of both
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
