package queue

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"gatepost/queue/envelope"
	"gatepost/queue/internal/disk"
	"gatepost/router/address"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// Submission is a message that is being received. It belongs to one goroutine.
type Submission struct {
	q      *Queue
	id     envelope.QueueID
	head   *head
	file   disk.File
	w      *bufio.Writer
	size   int64
	scan   headerScanner
	err    error // the first failure; nothing is written after it
	whole  bool  // no Write comes any more
	closed bool  // committed or aborted
	own    bool  // the queue's own: nobody waits for what rules say
	alone  bool  // see Unattended
}

var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 32<<10) }}

// Begin opens the file of a new message and writes its envelope. The caller
// passes the message to Write and ends with Commit or Abort. The envelope
// belongs to the queue from now on. Errors: fault.Busy when the queue is at
// its limit, fault.NoSpace, fault.Invalid, fault.Unavailable.
func (q *Queue) Begin(ctx context.Context, env *envelope.Envelope) (*Submission, error) {
	if limit := q.settings().QueueLimit; limit >= 0 && q.Len()+int(q.receiving.Load()) >= limit {
		return nil, fault.New("queue.Begin", fault.Busy, "the queue is full, try again later")
	}
	return q.begin(ctx, env, false)
}

// begin is Begin without the limit, for the queue's own reports. What is held is written by this server: it does
// not wait for a client, so that the routes which are found at the beginning still hold at its end.
func (q *Queue) begin(ctx context.Context, env *envelope.Envelope, held bool) (*Submission, error) {
	const op = "queue.Begin"
	if len(env.Recipients) == 0 {
		return nil, fault.New(op, fault.Invalid, "no recipients")
	}
	if env.Submitted.IsZero() {
		env.Submitted = time.Now()
	}
	env.Submitted = env.Submitted.UTC().Truncate(time.Second)
	env, all, routes, err := q.expand(ctx, env)
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	id, err := q.o.Counter.NextID()
	if err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	s := &Submission{q: q, id: id}
	s.scan.echo = q.logQueueTag.Enabled(context.Background(), logs.LevelLowLevel)
	text, layout, err := envelope.AppendHead(make([]byte, 0, 256+96*len(env.Recipients)), env)
	if err != nil {
		return nil, err
	}
	s.head = &head{env: env, layout: layout}
	if held {
		s.head.routes, s.head.known = routes, routes != nil
	}
	if s.file, err = q.disk.Create(fileName(s.id, extTmp)); err != nil {
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	q.receiving.Add(1)
	s.w = writers.Get().(*bufio.Writer)
	s.w.Reset(s.file)
	fields := traceOfAll(all)
	s.scan.all, s.size = all, int64(len(fields))
	if s.scan.keep = q.toBeJudged(env); s.scan.keep {
		s.scan.header = append(make([]byte, 0, 2<<10), fields...)
	}
	if _, err := s.w.Write(append(text, fields...)); err != nil {
		s.Abort()
		return nil, fault.Wrap(op, fault.Internal, err)
	}
	return s, nil
}

// traceOfAll returns the trace fields of a message to all accounts. A forwarder
// among them may lead it back here from another server: then the field tells
// (RFC 9228), see judge.
func traceOfAll(queues []string) (fields []byte) {
	for _, name := range queues {
		fields = append(append(append(fields, "Delivered-To: "...), name...), "\r\n"...)
	}
	return fields
}

// ID is the number of the message, for its Received field.
func (s *Submission) ID() envelope.QueueID { return s.id }

// Envelope is that of the message, with the addressees of all@domain. It is not to be changed.
func (s *Submission) Envelope() *envelope.Envelope { return s.head.env }

// Size is the number of message bytes written so far.
func (s *Submission) Size() int64 { return s.size }

// MessageID is the value of the Message-ID field, once the header has passed; empty
// if there is none. It is text of whoever wrote the message.
func (s *Submission) MessageID() string { return s.scan.messageID }

// Write takes bytes of the message, with CRLF line ends. After a failure it
// returns the same one again, so that a caller may read its input to the end
// before it answers.
func (s *Submission) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.closed || s.whole {
		return 0, fault.New("queue.Write", fault.Unavailable, "")
	}
	n, err := s.w.Write(p)
	s.size += int64(n)
	if err != nil {
		s.err = fault.Wrap("queue.Write", fault.Internal, err)
		return n, s.err
	}
	if !s.scan.done {
		s.scan.scan(p)
	}
	return n, nil
}

// Message returns the message for somebody who looks at it before Commit. Nothing is written after
// it; it can be read until Commit, Abort or Prepend.
func (s *Submission) Message() (*io.SectionReader, error) {
	const op = "queue.Message"
	switch {
	case s.err != nil:
		return nil, s.err
	case s.closed:
		return nil, fault.New(op, fault.Unavailable, "")
	}
	s.whole = true
	if err := s.w.Flush(); err != nil {
		s.err = fault.Wrap(op, fault.Internal, err)
		return nil, s.err
	}
	return io.NewSectionReader(s.file, s.head.layout.Message, s.size), nil
}

// moved is how much of a message Prepend moves at a time.
const moved = 256 << 10

// Prepend puts header fields before the message, as complete lines with CRLF. Nothing is written
// after it.
func (s *Submission) Prepend(fields []byte) error {
	const op = "queue.Prepend"
	if _, err := s.Message(); err != nil || len(fields) == 0 {
		return err
	}
	if !areFields(fields) {
		return fault.Wrap(op, fault.Internal, errors.New("lines that are no header fields"))
	}
	return s.replace(op, 0, fields)
}

// ReplaceHeader puts other header fields, as complete lines with CRLF, into the place of the first bytes of the
// message, which are its header up to the empty line. Nothing is written after it.
func (s *Submission) ReplaceHeader(size int64, fields []byte) error {
	const op = "queue.ReplaceHeader"
	if _, err := s.Message(); err != nil {
		return err
	}
	if size < 0 || size > s.size || !areFields(fields) {
		return fault.Wrap(op, fault.Internal, errors.New("no header of the message, or lines that are no header fields"))
	}
	return s.replace(op, size, fields)
}

// replace puts text into the place of the first bytes of the message.
func (s *Submission) replace(op string, size int64, text []byte) error {
	start := s.head.layout.Message
	end, by := start+s.size, int64(len(text))-size
	err := s.move(start+size, end, by)
	if err == nil {
		_, err = s.file.WriteAt(text, start)
	}
	if err == nil && by < 0 {
		err = s.file.Truncate(end + by)
	}
	if err != nil {
		s.err = fault.Wrap(op, fault.Internal, err)
		return s.err
	}
	s.size += by
	if kept := s.scan.header; kept != nil && int64(len(kept)) >= size {
		s.scan.header = append(text[:len(text):len(text)], kept[size:]...)
	} else {
		s.scan.header = nil
	}
	return nil
}

// move moves a part of the file, up by so many bytes or down.
func (s *Submission) move(from, to, by int64) error {
	if by == 0 {
		return nil
	}
	buf := make([]byte, min(moved, to-from))
	for from < to {
		n := min(int64(len(buf)), to-from)
		at := from
		if by > 0 { // the end first
			at = to - n
		}
		_, err := s.file.ReadAt(buf[:n], at)
		if err == nil {
			_, err = s.file.WriteAt(buf[:n], at+by)
		}
		if err != nil {
			return err
		}
		if by > 0 {
			to = at
		} else {
			from += n
		}
	}
	return nil
}

// Unattended says that nobody waits for an answer about recipients: those that lead nowhere are
// reported to the return-path, also if there are no others.
func (s *Submission) Unattended() { s.alone = true }

// Overwrite puts text into the place of as many bytes of the message, from an offset on. Nothing is
// written after it.
func (s *Submission) Overwrite(at int64, text []byte) error {
	const op = "queue.Overwrite"
	if _, err := s.Message(); err != nil {
		return err
	}
	if at < 0 || at+int64(len(text)) > s.size {
		return fault.Wrap(op, fault.Internal, errors.New("outside of the message"))
	}
	s.scan.header = nil // rules read it from the file
	return s.patch(op, s.head.layout.Message+at, text)
}

// MarkJunk sends the message into the Junk mailboxes of its recipients. Nothing is written after it.
func (s *Submission) MarkJunk() error {
	const op = "queue.MarkJunk"
	if _, err := s.Message(); err != nil {
		return err
	}
	s.head.env.Junk = true
	return s.patch(op, s.head.layout.JunkAt(), []byte("J"))
}

// ReplaceBody puts other text, with CRLF line ends, into the place of the message from an offset on. Nothing is
// written after it.
func (s *Submission) ReplaceBody(at int64, text []byte) error {
	const op = "queue.ReplaceBody"
	if _, err := s.Message(); err != nil {
		return err
	}
	if at < 0 || at > s.size {
		return fault.Wrap(op, fault.Internal, errors.New("outside of the message"))
	}
	start := s.head.layout.Message + at
	if err := s.patch(op, start, text); err != nil {
		return err
	}
	if err := s.file.Truncate(start + int64(len(text))); err != nil {
		s.err = fault.Wrap(op, fault.Internal, err)
		return s.err
	}
	s.size = at + int64(len(text))
	return nil
}

// Edit puts Text into the place of Remove bytes of a message, from At on.
type Edit struct {
	At, Remove int64
	Text       []byte
}

// Edit makes edits, which are in the order of their places and do not overlap: text with CRLF line ends. Nothing is written after it.
func (s *Submission) Edit(edits []Edit) error {
	const op = "queue.Edit"
	if _, err := s.Message(); err != nil {
		return err
	}
	end := s.size
	for _, e := range slices.Backward(edits) {
		if e.At < 0 || e.Remove < 0 || e.At+e.Remove > end {
			return fault.Wrap(op, fault.Internal, errors.New("outside of the message, or in another order"))
		}
		end = e.At
	}
	s.scan.header = nil // rules read it from the file
	for _, e := range slices.Backward(edits) {
		at, stop, by := s.head.layout.Message+e.At, s.head.layout.Message+s.size, int64(len(e.Text))-e.Remove
		err := s.move(at+e.Remove, stop, by)
		if err == nil {
			_, err = s.file.WriteAt(e.Text, at)
		}
		if err == nil && by < 0 {
			err = s.file.Truncate(stop + by)
		}
		if err != nil {
			s.err = fault.Wrap(op, fault.Internal, err)
			return s.err
		}
		s.size += by
	}
	return nil
}

// Readdress gives the message another return-path, if it is not nil, and other recipients: those that are added
// come behind the others, unless they are there already. It reports false, and changes nothing, when no recipient would
// be left. Nothing is written after it. Errors: fault.Invalid.
func (s *Submission) Readdress(returnPath *address.Address, add []envelope.Recipient, remove []address.Address) (left bool, err error) {
	const op = "queue.Readdress"
	if _, err := s.Message(); err != nil {
		return false, err
	}
	env := *s.head.env
	if returnPath != nil {
		env.ReturnPath = *returnPath
		env.SMTPUTF8 = env.SMTPUTF8 || returnPath.NeedsUTF8()
	}
	env.Recipients = slices.DeleteFunc(slices.Clone(env.Recipients), func(r envelope.Recipient) bool { return slices.Contains(remove, r.Address) })
	for _, r := range add {
		if !slices.ContainsFunc(env.Recipients, func(has envelope.Recipient) bool { return has.Address == r.Address }) {
			env.Recipients = append(env.Recipients, r)
			env.SMTPUTF8 = env.SMTPUTF8 || r.Address.NeedsUTF8()
		}
	}
	if len(env.Recipients) == 0 {
		return false, nil
	}
	text, layout, err := envelope.AppendHead(nil, &env)
	if err != nil {
		return false, err
	}
	start := s.head.layout.Message
	end, by := start+s.size, layout.Message-start
	err = s.move(start, end, by)
	if err == nil {
		_, err = s.file.WriteAt(text, 0)
	}
	if err == nil && by < 0 {
		err = s.file.Truncate(end + by)
	}
	if err != nil {
		s.err = fault.Wrap(op, fault.Internal, err)
		return false, s.err
	}
	s.head = &head{env: &env, layout: layout}
	return true, nil
}

// patch writes into the file. It is synced at Commit.
func (s *Submission) patch(op string, at int64, text []byte) error {
	if _, err := s.file.WriteAt(text, at); err != nil {
		s.err = fault.Wrap(op, fault.Internal, err)
		return s.err
	}
	return nil
}

// Abort drops the message. After Commit it does nothing.
func (s *Submission) Abort() {
	if s.closed {
		return
	}
	if err := s.release(); err != nil {
		s.q.logQueue(s.id).Log(context.Background(), logs.LevelFailure, "the file of an aborted submission could not be removed", logs.AttrError, err)
	}
}

// release closes the file and gives the buffer back.
func (s *Submission) release() error {
	s.closed = true
	s.w.Reset(nil)
	writers.Put(s.w)
	s.w = nil
	s.q.receiving.Add(-1)
	return s.file.Close()
}

// Commit makes the message durable and puts it into the logical queues of its
// recipients. After nil the server is responsible for it; after an error the
// message is gone. An error may be a refusal: fault.Loop, fault.NotFound and
// its like when no recipient can be routed, fault.Rejected and fault.Unavailable of rules.
func (s *Submission) Commit(ctx context.Context) error {
	if s.closed {
		return fault.New("queue.Commit", fault.Unavailable, "")
	}
	begun := time.Now()
	p, err := s.judge(ctx)
	if err != nil {
		s.Abort()
		return err
	}
	if err := s.store(extMsg); err != nil {
		return fault.Wrap("queue.Commit", fault.Internal, err)
	}
	s.head.size, s.head.header = s.size, s.scan.whole()
	s.logHeader()
	wait := s.q.settings().EnqueuerWait.Duration() - time.Since(begun)
	if s.own {
		wait = 0
	}
	return s.q.accept(ctx, s.id, s.head, p, wait)
}

// judge decides whether the message is accepted, and where it goes; a nil plan
// means: accepted, and routed later.
func (s *Submission) judge(ctx context.Context) (*plan, error) {
	if s.err != nil {
		return nil, s.err
	}
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap("queue.Commit", fault.Canceled, err)
	}
	set := s.q.settings()
	if s.scan.received > set.HopLimit {
		s.q.logEnqueuer.Log(ctx, logs.LevelProblem, "refused: too many Received fields", slog.Uint64(logs.AttrQueueID, uint64(s.id)))
		return nil, fault.New("queue.Commit", fault.Loop, "too many hops, this message is looping")
	}
	if s.scan.looped {
		return nil, fault.New("queue.Commit", fault.Loop, "mail loop: the message was sent to all accounts before")
	}
	if s.alone {
		return nil, nil
	}
	// RFC 5321 4.5.3.2.6 gives us ten minutes for the answer to the final dot; a
	// client that gives up before it sends the message again.
	if !s.q.enqueuers.enter(ctx, set.processors(), set.EnqueuerWait.Duration()) {
		return nil, nil
	}
	defer s.q.enqueuers.leave()
	p := s.q.plan(ctx, s.head.env, nil)
	if err := p.refusal(); err != nil {
		s.q.logEnqueuer.LogAttrs(ctx, logs.LevelProblem, "refused: "+fault.Text(err),
			slog.Uint64(logs.AttrQueueID, uint64(s.id)), slog.String(logs.AttrRecipient, s.head.env.Recipients[0].Address.String()))
		return nil, err
	}
	return p, nil
}

// store makes the file durable under its final name. After an error nothing is
// left of it.
func (s *Submission) store(ext string) error {
	name := fileName(s.id, ext)
	published := false
	err := s.w.Flush()
	if err == nil && s.scan.tlsOptional {
		s.head.env.TLSOptional = true
		err = s.patch("queue.Commit", s.head.layout.OptionalAt(), []byte("N"))
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err == nil {
		err = s.file.Publish(name)
		published = err == nil
	}
	err = errors.Join(err, s.release())
	if err == nil {
		err = s.q.names.Wait()
	}
	if err != nil && published {
		if gone := s.q.disk.Remove(name); gone != nil {
			s.q.logQueue(s.id).Log(context.Background(), logs.LevelFailure, "the file of a refused message could not be removed", logs.AttrError, gone)
		}
	}
	return err
}

func (s *Submission) logHeader() {
	for _, field := range s.scan.fields {
		s.q.logQueue(s.id).Log(context.Background(), logs.LevelLowLevel, "header: "+field)
	}
}
