package mailbox

import (
	"context"
	"time"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// edit is the work of one Update on one account: it holds the records that the
// work has read, writes them back at its end, and collects what has changed
// for the open views.
//
// An edit takes one number of the account's change sequence, whatever it
// changes; all that it changes has that ModSeq.
type edit struct {
	account *Account
	tx      index.Tx
	key     keyBuffer
	rec     accountRecord
	held    int64 // bytes in the account before
	dirty   bool
	changed uint64 // the edit's ModSeq, 0 until it is taken
	now     time.Time
	boxes   []*boxEdit
	removed bool   // the account is: nothing is to be written
	highest uint64 // number of a file that was added
	stored  []StoredFile
}

// update runs fn in the account's shard, commits, and announces what has
// changed. fn may run several times (see index.Shard.Update).
func (a *Account) update(ctx context.Context, fn func(e *edit) error) error {
	return a.submit(ctx, a.shard.Update, fn)
}

// updateFreeing is update for what removes messages: it may use the last space on the disk.
func (a *Account) updateFreeing(ctx context.Context, fn func(e *edit) error) error {
	return a.submit(ctx, a.shard.UpdateFreeing, fn)
}

type updater func(ctx context.Context, fn func(index.Tx) error, committed func()) error

func (a *Account) submit(ctx context.Context, update updater, fn func(e *edit) error) error {
	var e *edit
	return update(ctx, func(tx index.Tx) error {
		e = &edit{account: a, tx: tx, now: time.Now()}
		v := tx.Get(index.Mail, e.key.key(a.id, kindAccount))
		if v == nil {
			return fault.New("mailbox.update", fault.NotFound, "")
		}
		if err := e.rec.unmarshal(v); err != nil {
			return err
		}
		e.held = e.rec.bytes
		if err := fn(e); err != nil {
			return err
		}
		return e.flush()
	}, func() {
		if e.dirty || len(e.boxes) > 0 {
			a.announce(e)
		}
	})
}

// change returns the edit's ModSeq and takes it if it has none yet.
func (e *edit) change() uint64 {
	if e.changed == 0 {
		e.rec.modSeq++
		e.changed = e.rec.modSeq
		e.dirty = true
	}
	return e.changed
}

// before reports whether a snapshot with the account's ModSeq has the edit. One
// that took no ModSeq (a new keyword) may have come before or after; it is made
// again then, and the last of them is the state of the snapshot or younger.
func (e *edit) before(modSeq uint64) bool {
	return e.rec.modSeq < modSeq || e.rec.modSeq == modSeq && e.changed != 0
}

// newID gives a number for a mailbox or its data.
func (e *edit) newID() uint32 {
	e.rec.lastID++
	e.dirty = true
	return e.rec.lastID
}

// newValidity gives a UIDVALIDITY that the account has never used: the time,
// so that a restored account does not repeat one, but always above the last.
func (e *edit) newValidity() uint32 {
	e.rec.lastValidity = max(e.rec.lastValidity+1, uint32(e.now.Unix()))
	e.dirty = true
	return e.rec.lastValidity
}

// name returns what a name stands for.
func (e *edit) name(name string) (nameRecord, bool, error) {
	return readName(e.tx, e.account.id, name)
}

func readName(tx index.Tx, account uint64, name string) (rec nameRecord, found bool, err error) {
	v := tx.Get(index.Mail, named(account, kindName, name))
	if v == nil {
		return nameRecord{}, false, nil
	}
	err = rec.unmarshal(v)
	return rec, err == nil, err
}

// lookUp is readName for a name that a client gives. One with the suffix of a storage
// format, which CREATE has dropped, also stands for the mailbox without it, unless something
// else has this name. It returns the name that was found.
func lookUp(tx index.Tx, account uint64, name string) (found string, rec nameRecord, there bool, err error) {
	if rec, there, err = readName(tx, account, name); there || err != nil {
		return name, rec, there, err
	}
	bare := withoutFormat(name)
	if bare == name || bare == inbox { // which nobody creates
		return name, rec, false, nil
	}
	other, there, err := readName(tx, account, bare)
	if !there || other.mailbox == 0 {
		return name, rec, false, err
	}
	return bare, other, true, nil
}

// mailboxID returns the number of the mailbox of that name, or NoMailbox. INBOX
// is not looked up: every account has it.
func mailboxID(tx index.Tx, account uint64, name string) (uint32, error) {
	if name == inbox {
		return inboxID, nil
	}
	_, rec, there, err := lookUp(tx, account, name)
	if bare := withoutFormat(name); err == nil && there && rec.mailbox == 0 && bare != name && bare != inbox {
		return mailboxID(tx, account, bare) // the whole name is a directory's
	}
	if err == nil && rec.mailbox == 0 {
		err = fault.New("mailbox.find", fault.NoMailbox, "")
	}
	return rec.mailbox, err
}

// putName writes what a name stands for; a name that stands for nothing goes.
func (e *edit) putName(name string, rec nameRecord) error {
	e.dirty = true
	key := named(e.account.id, kindName, name)
	there := e.tx.Get(index.Mail, key) != nil
	if rec.mailbox == 0 && !rec.folder {
		if there {
			e.rec.mailboxes--
		}
		return e.tx.Delete(index.Mail, key)
	}
	if !there {
		e.rec.mailboxes++
	}
	return e.tx.Put(index.Mail, key, rec.marshal())
}

// box returns the edit of a mailbox, or NoMailbox.
func (e *edit) box(id uint32) (*boxEdit, error) {
	for _, x := range e.boxes {
		if x.id == id {
			return x, nil
		}
	}
	rec, err := readMailbox(e.tx, e.account.id, id)
	if err != nil {
		return nil, err
	}
	// The views know better who has got \Recent; the number is saved whenever
	// the record is written anyway.
	rec.recentFrom = max(rec.recentFrom, e.account.recentFrom(id))
	x := &boxEdit{edit: e, id: id, rec: rec}
	e.boxes = append(e.boxes, x)
	return x, nil
}

func readMailbox(tx index.Tx, account uint64, id uint32) (rec mailboxRecord, err error) {
	var k keyBuffer
	v := tx.Get(index.Mail, k.numbered(account, kindMailbox, id))
	if v == nil {
		return rec, fault.New("mailbox.find", fault.NoMailbox, "")
	}
	return rec, rec.unmarshal(v)
}

// newBox makes a mailbox with fresh UIDs over the data given.
func (e *edit) newBox(data uint32) *boxEdit {
	x := &boxEdit{edit: e, id: e.newID(), created: true}
	if data == 0 {
		data = e.newID()
	}
	x.rec = mailboxRecord{data: data, validity: e.newValidity(), next: 1, recentFrom: 1, highest: e.change()}
	x.dirty = true
	e.boxes = append(e.boxes, x)
	return x
}

// fits checks that a message of this size may be added to the account.
func (e *edit) fits(size, limit int64) error { return e.rec.fits(size, limit) }

func (r *accountRecord) fits(size, limit int64) error {
	if limit >= 0 && size > limit-r.bytes {
		return fault.New("mailbox.add", fault.OverQuota, "")
	}
	return nil
}

// flush writes what the edit has changed.
func (e *edit) flush() error {
	if e.removed {
		return nil
	}
	for _, x := range e.boxes {
		if err := x.flush(); err != nil {
			return err
		}
	}
	if err := noteHighest(e.tx, e.highest); err != nil {
		return err
	}
	if !e.dirty {
		return nil
	}
	return e.tx.Put(index.Mail, e.key.key(e.account.id, kindAccount), e.rec.marshal())
}

// drop takes a mailbox out of the account; upkeep removes its messages later.
func (e *edit) drop(x *boxEdit) error {
	x.deleted = true
	e.dirty = true
	e.rec.messages -= int64(x.rec.messages)
	e.rec.bytes -= x.rec.size
	e.change()
	if err := e.tx.Delete(index.Mail, e.key.numbered(e.account.id, kindMailbox, x.id)); err != nil {
		return err
	}
	return e.tx.Put(index.Dropped, e.key.dropped(e.account.id, x.rec.data), []byte{})
}
