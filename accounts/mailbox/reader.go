package mailbox

import (
	"cmp"
	"context"
	"io"
	"slices"
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

	// The messages that were read last, and where in buf is what index.Content has of them.
	records  []recordRead
	read, at int    // how many there are, and the one that was asked for last
	used     int    // how many were asked for
	ahead    int    // how many to read next
	buf      []byte // lies in lent as long as that has room
	lent     *[readAhead]byte
	pages    index.ReadAhead

	dir   uint32
	files msgfile.File // the directory
}

// recordRead is what a Reader has read of a message.
type recordRead struct {
	uid        imap.UID
	summary    summary
	start, end int // in buf
}

// The bounds of what a Reader reads ahead. The first record of a run is read in any case.
const (
	readAhead = 128 << 10
	maxAhead  = 128
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

// StoredSummary returns the summary if it can be had without the message's file, or nil.
func (c *Content) StoredSummary() *message.Summary {
	if c.summary == nil && len(c.stored) > 0 {
		c.summary, _ = message.Unmarshal(c.stored) // a damaged summary is as good as none
	}
	return c.summary
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
	at, found := r.recordRead(uid)
	if !found {
		if s, err = r.m.summary(ctx, uid); err != nil || !all && s.prefix == 0 {
			return s, nil, nil, err
		}
		if err := r.readRecords(uid, s); err != nil {
			return s, nil, nil, err
		}
		at, _ = r.recordRead(uid)
	}
	s = r.records[at].summary
	v := r.buf[r.records[at].start:r.records[at].end]
	if int(s.prefix) > len(v) {
		return s, nil, nil, r.m.ifGone(corrupt("content record"))
	}
	return s, v[:s.prefix:s.prefix], v[s.prefix:], nil
}

// recordRead says where among the records a message is that was read already.
func (r *Reader) recordRead(uid imap.UID) (at int, found bool) {
	at = max(r.at, 0)
	for at < r.read && r.records[at].uid < uid {
		at++
	}
	if at == r.read || r.records[at].uid != uid {
		return 0, false
	}
	if at != r.at {
		r.at = at
		r.used++
	}
	return at, true
}

// readRecords reads the record of a message and some that follow: twice as many
// as the last time if half of those were asked for, else none.
func (r *Reader) readRecords(uid imap.UID, s summary) error {
	if 2*r.used < r.read {
		r.ahead = 0
	}
	r.ahead = min(max(2*r.ahead, 1), maxAhead)
	if r.ahead > 1 && r.lent == nil {
		r.lent = aheadBuffers.Get().(*[readAhead]byte)
		r.buf = r.lent[:]
	}
	if len(r.records) < r.ahead {
		r.records = make([]recordRead, r.ahead)
	}
	r.buf = r.buf[:0]
	r.read, r.at, r.used = 0, -1, 0
	a := r.m.box.account
	return a.shard.View(func(tx index.Tx) error {
		planned, err := r.plan(tx, uid, s)
		if err != nil {
			return err
		}
		// The index has them in the order of their files.
		var order [maxAhead]int
		for i := range planned {
			order[i] = i
		}
		slices.SortFunc(order[:planned], func(i, j int) int { return cmp.Compare(r.records[i].summary.id, r.records[j].summary.id) })
		for todo := order[:planned]; len(todo) > 0; {
			todo = r.readRun(tx, todo)
		}
		// The first was read, and what has no room for its content is asked for again.
		for r.read = 1; r.read < planned && r.records[r.read].end >= 0; {
			r.read++
		}
		return nil
	})
}

// plan notes which records to read: that of a message and those of the messages behind
// it. It returns how many they are.
func (r *Reader) plan(tx index.Tx, uid imap.UID, s summary) (n int, err error) {
	b := r.m.box
	b.mu.RLock()
	data := b.rec.data
	b.mu.RUnlock()
	blocks := r.m.summaries()
	seq, _ := r.m.Seq(uid)
	for {
		r.records[n].uid, r.records[n].summary = uid, s
		r.records[n].start, r.records[n].end = 0, 0
		if n++; n == r.ahead || seq >= r.m.Len() {
			return n, nil
		}
		seq++
		uid = r.m.UID(seq)
		next, err := blocks.of(uid).read(tx, b.account.id, data, uid)
		if err != nil || next == nil {
			return n, err
		}
		s = *next
	}
}

// maxPassed is up to how many records of other messages are passed over on the way to the next one.
const maxPassed = 4

// readRun reads records, given by their places in r.records and in the order of their files, from one place of the
// index on, and returns those that are left. One that has no room gets a negative end.
func (r *Reader) readRun(tx index.Tx, todo []int) (left []int) {
	a := r.m.box.account
	var first, last keyBuffer
	from := first.content(a.id, r.records[todo[0]].summary.id)
	to := append(last.content(a.id, r.records[todo[len(todo)-1]].summary.id), 0) // the key behind
	passed := 0
	tx.Range(index.Content, from, to, func(key, v []byte) bool {
		file := lastUint64(key)
		for r.records[todo[0]].summary.id < file { // there is no record of it
			todo = todo[1:]
		}
		if r.records[todo[0]].summary.id != file {
			passed++
			return passed <= maxPassed
		}
		passed = 0
		r.pages.Saw(tx, v)
		start := len(r.buf)
		fits := todo[0] == 0 || start+len(v) <= readAhead
		if fits {
			r.buf = append(r.buf, v...)
		}
		for len(todo) > 0 && r.records[todo[0]].summary.id == file { // copies have one file
			rec := &r.records[todo[0]]
			if rec.start, rec.end = start, len(r.buf); !fits {
				rec.end = -1
			}
			todo = todo[1:]
		}
		return len(todo) > 0
	})
	if passed > maxPassed {
		return todo
	}
	return nil
}
