package mailbox

import (
	"context"
	"io"
	"sync"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
	"gatepost/accounts/message"
	"gatepost/server/fault"
)

// A Reader reads messages of a view for an answer about many of them. Where they follow
// each other it reads ahead in the index, so that one look there answers for a
// run of messages, and it keeps the directory of the last file open. It belongs to the
// session's goroutine and is closed before its view.
type Reader struct {
	m       *Mailbox
	content Content

	// The records of index.Content that were read last, all of one data. They lie in
	// buf, each up to its end.
	data    uint32
	records [maxAhead]struct {
		uid imap.UID
		end int
	}
	read, at int    // how many there are, and the one that was asked for last
	used     int    // how many were asked for
	ahead    int    // how many to read next
	buf      []byte // lies in lent as long as that has room
	lent     *[readAhead]byte

	dir   uint32
	files msgfile.File // the directory
}

// The bounds of what a Reader reads ahead. The first record of a run is read in any case.
const (
	readAhead = 32 << 10
	maxAhead  = 64
)

var aheadBuffers = sync.Pool{New: func() any { return new([readAhead]byte) }}

// Reader returns a Reader of the view's messages, which the caller closes.
func (m *Mailbox) Reader() *Reader { return &Reader{m: m, at: -1, files: msgfile.Closed} }

// Close frees what the Reader holds, and ends the validity of what it has returned.
func (r *Reader) Close() {
	if r.lent != nil {
		aheadBuffers.Put(r.lent)
		r.lent, r.buf = nil, nil
	}
	r.closeDir()
}

func (r *Reader) closeDir() {
	if r.files != msgfile.Closed {
		// It was only read.
		_ = r.files.Close()
	}
}

// Content is what is kept of a message beside its file. The spans of the
// summary count from the message's first byte: in Body they are len(Prefix)
// further on.
type Content struct {
	Prefix []byte
	message.Head
	reader  *Reader
	s       summary
	stored  []byte // marshalled, or nil
	summary *message.Summary
}

// Content returns what is kept of a message of the view; where nothing is kept, it reads the
// header in the file. It is valid until the Reader is
// asked for another message.
func (r *Reader) Content(ctx context.Context, uid imap.UID) (*Content, error) {
	s, prefix, stored, err := r.find(ctx, uid, true)
	if err != nil {
		return nil, err
	}
	c := &r.content
	*c = Content{Prefix: prefix, reader: r, s: s, stored: stored}
	if len(stored) > 0 {
		if c.Head, err = message.UnmarshalHead(stored); err == nil {
			return c, nil
		}
		c.stored = nil // a damaged summary is as good as none
	}
	if c.Head, err = r.scanHead(ctx, s); err != nil {
		return nil, err
	}
	return c, nil
}

// Summary returns all that is known of the message; from its file, if that is not kept.
func (c *Content) Summary(ctx context.Context) (*message.Summary, error) {
	if c.summary != nil {
		return c.summary, nil
	}
	var err error
	if len(c.stored) > 0 {
		if c.summary, err = message.Unmarshal(c.stored); err == nil {
			return c.summary, nil
		}
		c.summary = nil // a damaged summary is as good as none
	}
	c.summary, err = c.reader.scan(ctx, c.s)
	return c.summary, err
}

// scan makes a summary from the file.
func (r *Reader) scan(ctx context.Context, s summary) (sum *message.Summary, err error) {
	err = r.readMessage(ctx, s, func(text io.Reader) (err error) {
		sum, err = message.Scan(text, message.Options{})
		return err
	})
	return sum, err
}

// scanHead makes the head of a summary from the file, of which it reads the header.
func (r *Reader) scanHead(ctx context.Context, s summary) (h message.Head, err error) {
	err = r.readMessage(ctx, s, func(text io.Reader) (err error) {
		h, err = message.ScanHead(text, s.size-int64(s.prefix), message.Options{})
		return err
	})
	return h, err
}

// readMessage passes the message to read, without its prefix.
func (r *Reader) readMessage(ctx context.Context, s summary, read func(io.Reader) error) error {
	f, err := r.open(&s)
	if err != nil {
		return err
	}
	s.size -= int64(s.prefix)
	text := r.m.box.account.newBody(f, nil, s)
	defer text.Close()
	section := io.NewSectionReader(text, 0, text.Size())
	return fault.Wrap("mailbox.Content", fault.Internal, read(&canceler{ctx, section}))
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

// find returns the summary record of a message and what the index keeps in
// Content: the prefix and the marshalled summary, which may be missing. Unless
// all of it is wanted, only the prefix counts.
func (r *Reader) find(ctx context.Context, uid imap.UID, all bool) (s summary, prefix, stored []byte, err error) {
	if _, ok := r.m.Seq(uid); !ok {
		return s, nil, nil, fault.New("mailbox.Content", fault.NoMessage, "")
	}
	b := r.m.box
	b.mu.RLock()
	at, found := b.find(uid)
	if !found {
		b.mu.RUnlock()
		return s, nil, nil, fault.New("mailbox.Content", fault.NoMessage, "")
	}
	s = b.summaries[at]
	data, kept, gone := b.where(uid)
	b.mu.RUnlock()
	if gone && (kept != nil || s.prefix == 0) || !all && s.prefix == 0 {
		return s, kept, nil, nil
	}
	v, err := r.record(data, uid)
	if err != nil {
		return s, nil, nil, err
	}
	if int(s.prefix) > len(v) { // gone meanwhile
		return r.findAgain(ctx, uid, s)
	}
	return s, v[:s.prefix:s.prefix], v[s.prefix:], nil
}

// findAgain answers for a message that was expunged between the look at the
// view and the look at the index: once the writer has announced that commit,
// the view has the prefix, or will never have it.
func (r *Reader) findAgain(ctx context.Context, uid imap.UID, s summary) (summary, []byte, []byte, error) {
	b := r.m.box
	if err := b.account.shard.Settle(ctx); err != nil {
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

// record returns the record of a message in index.Content, or nil if there is none.
func (r *Reader) record(data uint32, uid imap.UID) ([]byte, error) {
	if v, ok := r.recordRead(data, uid); ok {
		return v, nil
	}
	if err := r.readRecords(data, uid); err != nil {
		return nil, err
	}
	v, _ := r.recordRead(data, uid)
	return v, nil
}

// recordRead is record for what was read already. Contents never change, and a UID
// never gets another.
func (r *Reader) recordRead(data uint32, uid imap.UID) ([]byte, bool) {
	if data != r.data {
		return nil, false
	}
	at := max(r.at, 0)
	for at < r.read && r.records[at].uid < uid {
		at++
	}
	if at == r.read || r.records[at].uid != uid {
		return nil, false
	}
	if at != r.at {
		r.at = at
		r.used++
	}
	start := 0
	if at > 0 {
		start = r.records[at-1].end
	}
	return r.buf[start:r.records[at].end], true
}

// readRecords reads the record of a message and some that follow: twice as many
// as the last time if half of those were asked for, else none.
func (r *Reader) readRecords(data uint32, uid imap.UID) error {
	if 2*r.used < r.read {
		r.ahead = 0
	}
	r.ahead = min(max(2*r.ahead, 1), maxAhead)
	if r.ahead > 1 && r.lent == nil {
		r.lent = aheadBuffers.Get().(*[readAhead]byte)
		r.buf = r.lent[:]
	}
	r.buf = r.buf[:0]
	r.data, r.read, r.at, r.used = data, 0, -1, 0
	a := r.m.box.account
	var first, last keyBuffer
	from := first.content(a.id, data, uid)
	to := append(last.content(a.id, data, r.m.last()), 0) // the key behind
	return a.shard.View(func(tx index.Tx) error {
		tx.Range(index.Content, from, to, func(key, v []byte) bool {
			if r.read > 0 && len(r.buf)+len(v) > readAhead {
				return false
			}
			r.buf = append(r.buf, v...)
			r.records[r.read].uid, r.records[r.read].end = imap.UID(lastUint32(key)), len(r.buf)
			r.read++
			return r.read < r.ahead
		})
		return nil
	})
}
