package mailbox

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"sync"
	"time"

	imap "github.com/emersion/go-imap/v2"
	"golang.org/x/sys/unix"

	"gatepost/accounts/mailbox/msgfile"
	"gatepost/accounts/message"
	"gatepost/server/fault"
)

// AppendMessage is a message to be stored.
type AppendMessage struct {
	// Body yields the message with CRLF line ends. It is read to its end; who
	// calls bounds it. An error from it is in the chain of Append's.
	Body io.Reader
	// Flags are system flags and keywords; \Recent is ignored.
	Flags []imap.Flag
	// InternalDate, or nil for now.
	InternalDate *time.Time
}

// Appended tells where a message went (RFC 4315 APPENDUID).
type Appended struct {
	UIDValidity uint32
	UID         imap.UID
}

// Append stores a message. When it returns nil, message and record are on the
// disk. Keywords for which the mailbox has no room are
// left out. Errors: NoMailbox, OverQuota, NoSpace.
func (a *Account) Append(ctx context.Context, name string, m AppendMessage) (Appended, error) {
	done, err := a.AppendAll(ctx, name, func(yield func(AppendMessage) bool) { yield(m) })
	if err != nil {
		return Appended{}, err
	}
	return done[0], nil
}

// AppendAll stores messages, all or none (RFC 3502 MULTIAPPEND). messages
// yields them one after the other; each one's Body is read before the next is
// asked for.
func (a *Account) AppendAll(ctx context.Context, name string, messages iter.Seq[AppendMessage]) (done []Appended, err error) {
	return a.appendAll(ctx, name, messages, func(*edit) error { return nil })
}

// Replace stores a message in a mailbox of the account and expunges one of the view, in one commit (RFC 8508). Errors: those of
// Append, ReadOnly, NoMessage.
func (m *Mailbox) Replace(ctx context.Context, uid imap.UID, name string, by iter.Seq[AppendMessage]) (Appended, error) {
	if m.readOnly {
		return Appended{}, fault.New("mailbox.Replace", fault.ReadOnly, "")
	}
	done, err := m.box.account.appendAll(ctx, name, by, func(e *edit) error {
		x, err := e.box(m.box.id)
		if err != nil {
			return err
		}
		x.origin = m
		gone, err := x.remove([]imap.UID{uid}, false, func(imap.UID, state) bool { return true })
		if err == nil && len(gone) == 0 {
			err = fault.New("mailbox.Replace", fault.NoMessage, "")
		}
		return err
	})
	if err != nil {
		return Appended{}, err
	}
	return done[0], nil
}

// appendAll is AppendAll that calls first before it adds the messages.
func (a *Account) appendAll(ctx context.Context, name string, messages iter.Seq[AppendMessage], first func(*edit) error) (done []Appended, err error) {
	if name, err = cleanName(name); err != nil {
		return nil, noMailbox(err)
	}
	var files []incoming
	committing := false
	defer func() { a.keep(files, err, committing) }()
	for m := range messages {
		var f incoming
		if f, err = a.receive(name, m); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	limits := a.limits()
	committing = true
	err = a.update(ctx, func(e *edit) error {
		id, err := mailboxID(e.tx, a.id, name)
		if err != nil {
			return err
		}
		x, err := e.box(id)
		if err != nil {
			return err
		}
		if err := first(e); err != nil {
			return err
		}
		done = done[:0]
		for i := range files {
			f := &files[i]
			if err := e.fits(f.summary.size, limits.MaxSize); err != nil {
				return err
			}
			// A message is kept where its keywords find no room.
			bits, _, err := x.keywordBits(f.keywords, true)
			if err != nil {
				return err
			}
			f.summary.saved = e.now.Unix()
			uid, err := x.add(f.flags, bits, f.summary, f.content)
			if err != nil {
				return err
			}
			done = append(done, Appended{UIDValidity: x.rec.validity, UID: uid})
		}
		e.saveDir()
		return nil
	})
	return done, err
}

// incoming is a message that has its file and not yet its record.
type incoming struct {
	flags    Flags
	keywords []string
	summary  summary
	content  []byte
}

// keep settles what becomes of new files, by the outcome of their commit if it
// came to that.
func (a *Account) keep(files []incoming, err error, committing bool) {
	for i := range files {
		if f := files[i].summary.file(); committing {
			a.keepFile(f, err)
		} else {
			a.abandon(f)
		}
	}
}

// keepFile ends the making of a file: without an error it has its record now,
// else it goes. When the index has failed, nobody knows whether the record is
// on the disk; the next start looks.
func (a *Account) keepFile(f msgfile.Ref, err error) {
	switch {
	case err == nil:
		a.files.End(f.ID)
	case fault.Is(err, fault.Unavailable):
		a.store.unclean.Store(true)
		a.files.End(f.ID)
	default:
		a.abandon(f)
	}
}

// abandon removes a file that was just made and has no record. Its number is
// still marked, so nobody else has begun to use it.
func (a *Account) abandon(f msgfile.Ref) {
	a.removeFile(f)
	a.files.End(f.ID)
}

var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}

// receive streams a message into its file and syncs that. Nothing names a
// file before its record is committed, so it has its final name at once; see
// leftovers.go for what a crash leaves.
func (a *Account) receive(name string, m AppendMessage) (in incoming, err error) {
	const op = "mailbox.Append"
	if in.flags, in.keywords, err = splitFlags(m.Flags); err != nil {
		return in, err
	}
	if _, _, err := a.find(name); err != nil { // better known before the bytes are written
		return in, err
	}
	file, err := a.writeFile(m.Body)
	if err != nil {
		return in, fault.Wrap(op, fault.Internal, err)
	}
	in.summary, in.content = file.summary, file.content
	if m.InternalDate != nil {
		in.summary.internal = m.InternalDate.Unix()
	}
	return in, nil
}

// writeFile makes the file of a message that is read. File and name are durable when it returns.
func (a *Account) writeFile(body io.Reader) (in incoming, err error) {
	f, ref, err := a.takeFile()
	if err != nil {
		return in, err
	}
	in.summary = summary{id: ref.ID, dir: ref.Dir, email: ref.ID, internal: time.Now().Unix()}
	err = in.fill(f, body)
	if err := errors.Join(err, f.Close()); err != nil {
		a.abandon(ref)
		return in, err
	}
	return in, nil
}

// fill writes the message to its file, looks through it on the way, and syncs
// the file.
func (in *incoming) fill(f *os.File, body io.Reader) error {
	w := writers.Get().(*bufio.Writer)
	w.Reset(f)
	defer func() { w.Reset(nil); writers.Put(w) }()
	counted := &counter{w: w}
	sum, err := message.Scan(io.TeeReader(body, counted), message.Options{})
	if err != nil {
		return err
	}
	// Scan reads to the end; should it ever stop short, the message is still whole.
	if _, err := io.Copy(counted, body); err != nil {
		return err
	}
	in.summary.size = counted.n
	in.content = marshalContent(nil, sum)
	return errors.Join(w.Flush(), syncData(f))
}

// syncData makes the content of a file durable, and its length.
func syncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// marshalContent makes the value kept in index.Content: the prefix and, unless
// it is too large, the summary.
func marshalContent(prefix []byte, sum *message.Summary) []byte {
	if sum == nil {
		return prefix
	}
	b := sum.Marshal()
	if len(b) > message.MaxStored {
		return prefix
	}
	return append(prefix[:len(prefix):len(prefix)], b...)
}
