package mailbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
)

// Finding is one thing that Check found wrong.
type Finding struct {
	// Account is the account's number, Dir its directory or "" when it has none,
	// Mailbox the mailbox name or "". All are empty for what concerns the whole store.
	Account uint64
	Dir     string
	Mailbox string
	// UID is the message, or 0.
	UID imap.UID
	// Text says what is wrong in one line.
	Text string
	// Note says that nothing is wrong with the index: there is something that the
	// administrator may want to know.
	Note bool
}

func (f Finding) String() string {
	s := fmt.Sprintf("account %d", f.Account)
	switch {
	case f.Dir != "":
		s = f.Dir
	case f.Account == 0: // it is about the whole store
		return f.Text
	}
	if f.Note {
		s = "note: " + s
	}
	if f.Mailbox != "" {
		s += fmt.Sprintf(" mailbox %q", f.Mailbox)
	}
	if f.UID != 0 {
		s += fmt.Sprintf(" message %d", f.UID)
	}
	return s + ": " + f.Text
}

// Check compares the index with itself and with the message files and reports
// what does not fit. It changes nothing. Files that a crash has left and that
// are to be moved when the account is used are no finding. It works beside a
// running server: each account is looked at in one snapshot, and what concerns
// files is looked at again before it is reported.
func (s *Store) Check(ctx context.Context, report func(Finding)) error {
	if s.o.ReadOnly {
		for _, sh := range s.index.Shards() {
			if err := sh.Verify(func(err error) { report(Finding{Text: fault.Explain(err)}) }); err != nil {
				return fault.Wrap("mailbox.Check", fault.Internal, err)
			}
		}
	}
	indexed, err := s.indexedAccounts(ctx, report)
	if err != nil {
		return err
	}
	lost := false // an account whose number is not known may own what is in the index
	visit := func(o Owner) error {
		delete(indexed, o.ID)
		switch {
		case o.Passing:
			return nil
		case o.Damaged != nil:
			lost = lost || o.ID == 0
			report(Finding{Account: o.ID, Dir: o.Dir, Text: "cannot be read, and was not checked: " + fault.Explain(o.Damaged)})
			return nil
		case o.Lost != "":
			report(Finding{Account: o.ID, Dir: o.Dir, Text: o.Lost})
		}
		// The directory may have moved since it was looked at.
		return s.account(o, false).check(ctx, func(f Finding) { f.Dir = o.Dir; report(f) })
	}
	if s.o.Owners == nil {
		var errs []error
		for _, a := range s.held() {
			errs = append(errs, a.check(ctx, report))
		}
		return errors.Join(errs...)
	}
	if err := s.o.Owners(ctx, visit); err != nil || lost {
		return err
	}
	return s.reportOwnerless(ctx, indexed, report)
}

// indexedAccounts returns the numbers of all accounts in the index, as far as it can be read.
func (s *Store) indexedAccounts(ctx context.Context, report func(Finding)) (map[uint64]bool, error) {
	all := make(map[uint64]bool)
	for _, sh := range s.index.Shards() {
		next, more := uint64(0), true
		for more { // a new snapshot per account, none is held for long
			more = false
			err := sh.View(func(tx index.Tx) error {
				tx.Range(index.Mail, appendAccount(nil, next), nil, func(k, _ []byte) bool {
					id := binary.BigEndian.Uint64(k)
					all[id], next, more = true, id+1, id+1 != 0
					return false
				})
				return ctx.Err()
			})
			if fault.Is(err, fault.Corrupt) {
				if !s.o.ReadOnly {
					report(Finding{Text: fault.Explain(err)})
				}
				break
			}
			if err != nil {
				return nil, fault.Wrap("mailbox.Check", fault.Internal, err)
			}
		}
	}
	return all, nil
}

// reportOwnerless reports accounts in the index that the directory does not
// know, unless they have come or gone meanwhile.
func (s *Store) reportOwnerless(ctx context.Context, left map[uint64]bool, report func(Finding)) error {
	if len(left) == 0 {
		return nil
	}
	if err := s.o.Owners(ctx, func(o Owner) error { delete(left, o.ID); return nil }); err != nil {
		return err
	}
	for id := range left {
		err := s.index.Shard(id).View(func(tx index.Tx) error {
			if _, err := readAccount(tx, id); err == nil {
				report(Finding{Account: id, Text: "there are mailboxes of an account that does not exist"})
			}
			return nil
		})
		if err != nil && !fault.Is(err, fault.Corrupt) {
			return err
		}
	}
	return nil
}

// check looks at one account: at its records together in one snapshot, at the
// messages of each mailbox in another, so that none is held for long, and then
// at the files. What of it cannot be read is a finding.
func (a *Account) check(ctx context.Context, report func(Finding)) error {
	err := a.checkAll(ctx, report)
	if fault.Is(err, fault.Corrupt) {
		report(Finding{Account: a.id, Text: fault.Explain(err)})
		return nil
	}
	return err
}

func (a *Account) checkAll(ctx context.Context, report func(Finding)) error {
	c := &checker{account: a, report: report}
	err := a.shard.View(func(tx index.Tx) error {
		if _, err := readAccount(tx, a.id); fault.Is(err, fault.NotFound) {
			c.found(0, "the account has no mailboxes")
			return nil
		}
		c.tx = tx
		c.checkRecords()
		return nil
	})
	if err != nil {
		return err
	}
	for id, name := range c.boxes {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("mailbox.Check", fault.Canceled, err)
		}
		err := a.shard.View(func(tx index.Tx) error {
			c.tx, c.name = tx, name
			c.checkMailbox(id)
			return nil
		})
		if fault.Is(err, fault.Corrupt) {
			c.found(0, "%s", fault.Explain(err))
			continue
		}
		if err != nil {
			return err
		}
	}
	for i := range c.files {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("mailbox.Check", fault.Canceled, err)
		}
		if err := a.checkFile(ctx, &c.files[i], report); err != nil {
			return err
		}
	}
	return a.checkLeftovers(ctx, report)
}

// checkedFile is a message file that has to be there.
type checkedFile struct {
	mailbox string
	data    uint32
	uid     imap.UID
	summary summary
}

// checkFile looks whether the file is there and as long as it should be.
func (a *Account) checkFile(ctx context.Context, f *checkedFile, report func(Finding)) error {
	text, missing := a.lookAt(f)
	if text == "" {
		return nil
	}
	// The message may have been expunged or the account moved since the
	// snapshot; after all commits so far only what is wrong still looks wrong.
	if err := a.shard.Settle(ctx); err != nil {
		return err
	}
	wrong := false
	err := a.shard.View(func(tx index.Tx) error {
		s, found, err := readSummary(tx, a.id, f.data, f.uid)
		if err != nil || !found || s.file() != f.summary.file() {
			return err
		}
		var k keyBuffer
		queued := false // by the queue ID, which is no copy's file number
		from := append([]byte(nil), k.delivered(s.email, a.id, 0)...)
		tx.Range(index.Delivered, from, after(from[:16]), func(_, v []byte) bool {
			var rec deliveredRecord
			queued = rec.unmarshal(v) == nil && rec.file == s.id
			return !queued
		})
		// A queue file that is still there is delivered again, which makes the
		// link again.
		wrong = !queued || !missing
		return nil
	})
	if err == nil && wrong {
		if text, _ = a.lookAt(f); text != "" {
			report(Finding{Account: a.id, Mailbox: f.mailbox, UID: f.uid, Text: text})
		}
	}
	return err
}

// lookAt says what is wrong with a message file, if anything.
func (a *Account) lookAt(f *checkedFile) (text string, missing bool) {
	file, err := a.openMessage(&f.summary)
	if err == nil {
		err = file.Close()
	}
	name := filepath.Join(msgfile.Directory, f.summary.file().String())
	switch {
	case err == nil:
		return "", false
	case errors.Is(err, fs.ErrNotExist):
		return "the message file is missing: " + name, true
	}
	return "the message file is damaged: " + name + ": " + err.Error(), false
}

// checkLeftovers reports files without a record, unless they are to be moved when the account is used, and
// notes those that were moved.
func (a *Account) checkLeftovers(ctx context.Context, report func(Finding)) error {
	a.moving.RLock()
	moved, err := FindLeftovers(a.owner.Load().Dir, time.Now())
	a.moving.RUnlock()
	if err != nil {
		return fault.Wrap("mailbox.Check", fault.Internal, err)
	}
	if moved.Files > 0 {
		report(Finding{Account: a.id, Note: true, Text: fmt.Sprintf("%d files without a record (%d bytes, the oldest of %s) are in its directory %s",
			moved.Files, moved.Bytes, moved.Oldest.Format(time.DateOnly), leftoversDir)})
	}
	due, err := a.hasLeftovers()
	if err != nil || due {
		if fault.Is(err, fault.NotFound) {
			err = nil
		}
		return err
	}
	files, err := a.unrecorded(ctx)
	for _, f := range files {
		report(Finding{Account: a.id, Text: "no message has the file " + filepath.Join(msgfile.Directory, f.String())})
	}
	return err
}
