package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
	"gatepost/accounts/message"
	"gatepost/server/fault"
)

// Delivery is a queued message to be put into a mailbox.
type Delivery struct {
	// QueueID and Copy identify the delivery: one that was made already
	// succeeds again without a second message. Copy tells several deliveries
	// of one queued message to one account apart (the number of the recipient,
	// of a rule's action); 0 if there is only one.
	QueueID uint64
	Copy    uint32
	// File is the absolute path of the queue file; the message is the Size
	// bytes at Offset.
	File         string
	Offset, Size int64
	// Prefix is put before the message for every reader: complete header lines
	// with CRLF, such as Return-Path.
	Prefix []byte
	// Summary is message.Scan's of the message, without the prefix; nil if it
	// is not known: then it is made when somebody asks.
	Summary *message.Summary
	// Mailbox is where it goes; "" or a mailbox that does not exist is INBOX.
	Mailbox string
	Flags   []imap.Flag
	// Header, if not nil, takes the place of the first Replaced bytes of the message: complete header
	// lines, with the empty line if that is replaced. Such a copy has a file of its own.
	Header   []byte
	Replaced int64
	// Together says that the deliveries of this message in one call of Deliver are made all or
	// not at all.
	Together bool
	// Sent are queue IDs that the record names, see Made: of messages that rules send on once
	// the delivery is made.
	Sent []uint64
	// Remember are addresses that are put into datasets of the account with the record.
	Remember []Remembered
	// RecordOnly says that no message is stored: the record alone is made.
	RecordOnly bool
}

// Deliver puts queued messages into mailboxes of the account in one commit,
// by links to the queue files. The result has one error per delivery:
// OverQuota, NotFound (the account), NoSpace and others that are temporary.
//
// The links become durable with Store.SyncLinks. Until then the queue files
// must stay; a delivery that is repeated after a crash finds the record of the
// first, adds no second message, and repairs a link that was lost.
func (a *Account) Deliver(ctx context.Context, ds []Delivery) []error {
	errs := make([]error, len(ds))
	jobs := make([]delivery, 0, len(ds))
	for i := range ds {
		j := delivery{Delivery: &ds[i], err: &errs[i]}
		if errs[i] = a.link(&j); errs[i] == nil {
			jobs = append(jobs, j)
		}
	}
	jobs = a.withoutParts(ds, errs, jobs)
	if len(jobs) == 0 {
		return errs
	}
	limits := a.limits()
	err := a.update(ctx, func(e *edit) error {
		for rest := jobs; len(rest) > 0; {
			n := together(rest)
			if err := e.deliverAll(rest[:n], limits); err != nil {
				return err
			}
			rest = rest[n:]
		}
		e.saveDir()
		return nil
	})
	for i := range jobs {
		if err != nil {
			*jobs[i].err = err
		}
		a.settle(&jobs[i])
	}
	return errs
}

// delivery is a Delivery under way.
type delivery struct {
	*Delivery
	in  incoming
	err *error
	// made says that the file was not there before.
	made bool
	// earlier is the record of the same delivery before, if there is one.
	earlier *deliveredRecord
}

// link makes the message file of a delivery. It is named by the queue ID, which
// comes from the same counter as file numbers, so that a repeated delivery
// after a crash finds the file of the first. A second copy for the same account
// gets a number of its own.
func (a *Account) link(j *delivery) error {
	const op = "mailbox.Deliver"
	if j.RecordOnly {
		return nil
	}
	var err error
	if j.in.flags, j.in.keywords, err = splitFlags(j.Flags); err != nil {
		return err
	}
	if j.Offset < 0 || j.Offset > math.MaxUint32 || j.Size < 0 {
		return fault.Newf(op, fault.Invalid, "a message cannot be the %d bytes at %d of its file", j.Size, j.Offset)
	}
	if j.Header != nil {
		return a.rewrite(j)
	}
	id := j.QueueID
	var ref msgfile.Ref
	taken := j.Copy > 0 || a.files.Busy(id)
	if !taken {
		ref, err = a.newFile(id, j.makeFile)
		taken = errors.Is(err, fs.ErrExist) // by another message
		if err == nil && !j.made {
			if taken, err = a.isForgotten(j); taken || err != nil {
				a.files.End(id)
			}
		}
	}
	if taken {
		id, err = a.store.nextNumber(func(id uint64) (err error) {
			ref, err = a.newFile(id, j.makeFile)
			return err
		})
	}
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	j.in.summary = summary{
		id: id, dir: ref.Dir, email: j.QueueID, offset: uint32(j.Offset), size: int64(len(j.Prefix)) + j.Size,
		prefix: uint32(len(j.Prefix)), internal: time.Now().Unix(),
	}
	j.in.content = marshalContent(j.Prefix, j.Summary)
	a.store.links.touch(messageDir{a, ref.Dir})
	return nil
}

// isForgotten reports whether a delivery whose file is there has no record: then the file is another
// message's, of the same delivery before it was forgotten.
func (a *Account) isForgotten(j *delivery) (forgotten bool, err error) {
	err = a.shard.View(func(tx index.Tx) error {
		var k keyBuffer
		forgotten = tx.Get(index.Delivered, k.delivered(j.QueueID, a.id, j.Copy)) == nil
		return nil
	})
	return forgotten, err
}

// rewrite makes the file of a delivery with another header. It is durable when rewrite returns, under its
// own number: a delivery that is repeated finds its record and needs nothing of the file.
func (a *Account) rewrite(j *delivery) error {
	const op = "mailbox.Deliver"
	if j.Replaced < 0 || j.Replaced > j.Size {
		return fault.Newf(op, fault.Invalid, "a header cannot be the first %d bytes of %d", j.Replaced, j.Size)
	}
	from, err := os.Open(j.File)
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	defer from.Close()
	rest := io.NewSectionReader(from, j.Offset+j.Replaced, j.Size-j.Replaced)
	in, err := a.writeFile(io.MultiReader(bytes.NewReader(j.Header), rest))
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	in.flags, in.keywords = j.in.flags, j.in.keywords
	in.content = append(j.Prefix[:len(j.Prefix):len(j.Prefix)], in.content...)
	in.summary.size += int64(len(j.Prefix))
	in.summary.prefix, in.summary.email, in.summary.internal = uint32(len(j.Prefix)), j.QueueID, time.Now().Unix()
	j.in, j.made = in, true
	return nil
}

// together returns how many of the jobs, from the first on, are made all or not at all.
func together(jobs []delivery) int {
	n := 1
	for jobs[0].Together && n < len(jobs) && jobs[n].Together && jobs[n].QueueID == jobs[0].QueueID {
		n++
	}
	return n
}

// withoutParts takes the deliveries out that cannot be made because another one of their
// message failed before the commit.
func (a *Account) withoutParts(ds []Delivery, errs []error, jobs []delivery) []delivery {
	failed := map[uint64]error{}
	for i := range ds {
		if ds[i].Together && errs[i] != nil {
			failed[ds[i].QueueID] = errs[i]
		}
	}
	if len(failed) == 0 {
		return jobs
	}
	kept := jobs[:0]
	for i := range jobs {
		j := &jobs[i]
		if err := failed[j.QueueID]; err != nil && j.Together {
			*j.err = err
			a.settle(j)
			continue
		}
		kept = append(kept, *j)
	}
	return kept
}

// deliverAll adds messages that are made all or not at all.
func (e *edit) deliverAll(jobs []delivery, limits Limits) error {
	if len(jobs) > 1 {
		var size int64
		for i := range jobs {
			*jobs[i].err, jobs[i].earlier = nil, nil
			if e.tx.Get(index.Delivered, e.key.delivered(jobs[i].QueueID, e.account.id, jobs[i].Copy)) == nil {
				size += jobs[i].in.summary.size
			}
		}
		if err := e.fits(size, limits.suspend()); err != nil {
			for i := range jobs {
				*jobs[i].err = err
			}
			return nil
		}
	}
	for i := range jobs {
		if err := e.deliver(&jobs[i], limits); err != nil {
			return err
		}
	}
	return nil
}

// deliver adds one message to its mailbox, or says in the job's error why not.
func (e *edit) deliver(j *delivery, limits Limits) error {
	*j.err, j.earlier = nil, nil
	key := e.key.delivered(j.QueueID, e.account.id, j.Copy)
	if v := e.tx.Get(index.Delivered, key); v != nil {
		j.earlier = &deliveredRecord{}
		return j.earlier.unmarshal(v)
	}
	if j.RecordOnly {
		for _, m := range j.Remember {
			if err := e.remember(m); err != nil {
				return err
			}
		}
		rec := deliveredRecord{sent: j.Sent}
		return e.tx.Put(index.Delivered, key, rec.marshal())
	}
	if *j.err = e.fits(j.in.summary.size, limits.suspend()); *j.err != nil {
		return nil
	}
	x, err := e.destination(j.Mailbox)
	if err != nil {
		return err
	}
	// Mail is not refused because the mailbox's keywords are used up.
	bits, _, err := x.keywordBits(j.in.keywords, true)
	if err != nil {
		return err
	}
	j.in.summary.saved = e.now.Unix()
	uid, err := x.add(j.in.flags, bits, j.in.summary, j.in.content)
	if fault.Is(err, fault.TooMany) { // of UIDs: nothing is written yet
		*j.err = err
		return nil
	}
	if err != nil {
		return err
	}
	rec := deliveredRecord{file: j.in.summary.id, mailbox: x.id, uid: uid, sent: j.Sent}
	return e.tx.Put(index.Delivered, e.key.delivered(j.QueueID, e.account.id, j.Copy), rec.marshal())
}

// destination returns the mailbox for a delivery.
func (e *edit) destination(name string) (*boxEdit, error) {
	id := uint32(inboxID)
	if name != "" {
		if clean, err := cleanName(name); err == nil {
			found, err := mailboxID(e.tx, e.account.id, clean)
			if err != nil && !fault.Is(err, fault.NoMailbox) {
				return nil, err
			}
			if err == nil {
				id = found
			}
		}
	}
	return e.box(id)
}

// suspend is the size from which on deliveries are put off.
func (l Limits) suspend() int64 {
	if l.MaxSize < 0 || l.SuspendPercent == 0 {
		return l.MaxSize
	}
	p := int64(l.SuspendPercent)
	return l.MaxSize/100*p + l.MaxSize%100*p/100
}

// discard ends a delivery that was not made. A file that was there before it is that of a message.
func (a *Account) discard(j *delivery) {
	ref := j.in.summary.file()
	if j.made {
		a.abandon(ref)
		return
	}
	a.files.End(ref.ID)
}

// settle ends a delivery's care for its file.
func (a *Account) settle(j *delivery) {
	switch {
	case j.RecordOnly:
	case j.earlier != nil && *j.err == nil:
		*j.err = a.repair(j)
	case *j.err == nil, fault.Is(*j.err, fault.Unavailable):
		a.keepFile(j.in.summary.file(), *j.err)
	default:
		a.discard(j)
	}
}

// repair answers a delivery that was made before. Its link may have been lost
// in the crash after which it is repeated; it may also have been deleted since.
func (a *Account) repair(j *delivery) error {
	made := j.in.summary.file()
	want, found, err := a.findFile(j.earlier)
	if err != nil || !found || want != made {
		a.discard(j) // the link is not needed under this name
		if err != nil || !found {
			return err
		}
		a.moving.RLock()
		err := os.Link(j.File, a.path(want))
		a.moving.RUnlock()
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fault.Wrap("mailbox.Deliver", fault.Internal, fmt.Errorf("repair a lost link: %w", err))
		}
		a.store.links.touch(messageDir{a, want.Dir})
		return nil
	}
	a.keepFile(made, nil)
	return nil
}

// findFile finds the message of an earlier delivery, which may have been moved
// or deleted since, and says where its file is.
func (a *Account) findFile(rec *deliveredRecord) (ref msgfile.Ref, found bool, err error) {
	err = a.shard.View(func(tx index.Tx) error {
		if box, err := readMailbox(tx, a.id, rec.mailbox); err == nil {
			s, ok, err := readSummary(tx, a.id, box.data, rec.uid)
			if err != nil {
				return err
			}
			if ok && s.id == rec.file {
				ref, found = s.file(), true
				return nil
			}
		}
		return eachSummary(tx, a.id, func(_ uint32, _ imap.UID, s *summary) bool {
			if s.id == rec.file {
				ref, found = s.file(), true
			}
			return !found
		})
	})
	return ref, found, err
}

// makeFile links the queue file to path, or copies it where it cannot be linked.
func (j *delivery) makeFile(path string) error {
	err := msgfile.LinkOrCopy(j.File, path)
	if errors.Is(err, fs.ErrExist) && msgfile.SameMessage(j.File, path) {
		return nil // the delivery was made before
	}
	j.made = err == nil
	return err
}
