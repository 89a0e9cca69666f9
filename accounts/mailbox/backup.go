package mailbox

import (
	"context"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// KeepFiles keeps message files that no record names any more from being removed until release is called: the files of a snapshot
// can be linked meanwhile.
func (s *Store) KeepFiles() (release func()) {
	s.upkeep.unlinking.Lock()
	return s.upkeep.unlinking.Unlock
}

// Snapshot takes a snapshot of the index, see index.Snapshot.
func (s *Store) Snapshot(ctx context.Context) (*index.Snapshot, error) { return s.index.Snapshot(ctx) }

// What a store that was restored from a backup skips: more than the lost one can have given away since the backup. So nothing that clients
// know of the lost one means something else in this one.
const (
	lostUIDs     = 1 << 20
	lostChanges  = 1 << 30
	lostNumbers  = 1 << 16 // of mailboxes
	renewedAtOne = 50_000  // bytes of states in one commit
)

// Renew makes the account's mailboxes, which were restored from a backup, good for clients that have seen them after it: UIDs and numbers that were
// given away since are not given again, and every message counts as changed, so that clients learn of flags that are as they were. Views must not be
// open.
func (a *Account) Renew(ctx context.Context) error {
	err := a.update(ctx, func(e *edit) error {
		e.rec.modSeq += lostChanges
		e.rec.lastID += lostNumbers
		e.dirty = true
		return nil
	})
	if err != nil {
		return err
	}
	list, err := a.List(ctx)
	if err != nil {
		return err
	}
	for _, i := range list {
		if i.ID == 0 {
			continue
		}
		if err := a.renewBox(ctx, i.ID); err != nil {
			return err
		}
	}
	return nil
}

// renewBox renews one mailbox, its states some at a time.
func (a *Account) renewBox(ctx context.Context, id uint32) error {
	from, more := uint32(0), true
	for first := true; more; first = false {
		var next uint32
		err := a.update(ctx, func(e *edit) error {
			x, err := e.box(id)
			if err == nil && first {
				err = x.skip()
			}
			if err == nil {
				next, more, err = x.touchStates(from)
			}
			return err
		})
		if err != nil {
			return err
		}
		from = next
	}
	return nil
}

// skip goes beyond the numbers that a lost store may have given away.
func (x *boxEdit) skip() error {
	if x.rec.next > 1<<32-1-2*lostUIDs {
		x.rec.validity = x.edit.newValidity() // clients begin anew
	} else {
		x.rec.next += lostUIDs
	}
	x.rec.floor = x.changed()
	x.rec.recentFrom = max(x.rec.recentFrom, x.rec.next)
	l, err := readItems(x.edit.tx, x.edit.account.id, x.rec.data)
	if err != nil || l.rec.highest == 0 && l.rec.seen == 0 {
		return err
	}
	l.rec.highest, l.rec.floor = x.changed(), x.changed() // what clients know of items before is not enough
	var k keyBuffer
	return x.edit.tx.Put(index.Mail, k.numbered(x.edit.account.id, kindItems, x.rec.data), l.rec.marshal())
}

// touchStates gives the messages of some blocks from one on the edit's ModSeq, and returns the block to go on with.
func (x *boxEdit) touchStates(from uint32) (next uint32, more bool, err error) {
	modSeq := x.changed()
	var k keyBuffer
	prefix := append([]byte(nil), k.numbered(x.edit.account.id, kindState, x.rec.data)...)
	first := append([]byte(nil), k.block(x.edit.account.id, kindState, x.rec.data, from)...)
	type block struct{ key, value []byte }
	var blocks []block
	size := 0
	x.edit.tx.Range(index.Mail, first, after(prefix), func(key, v []byte) bool {
		n := lastUint32(key)
		if size > renewedAtOne {
			next, more = n, true
			return false
		}
		value := make([]byte, 0, len(v)+64)
		for rest := v; len(rest) > 0; {
			var uid imap.UID
			var st state
			var ok bool
			if uid, st, rest, ok = nextState(rest, n); !ok {
				err = corrupt("block of message states")
				return false
			}
			st.modSeq = modSeq
			value = appendState(value, uid, st)
		}
		size += len(v)
		blocks = append(blocks, block{append([]byte(nil), key...), value})
		return true
	})
	if err != nil {
		return 0, false, err
	}
	for _, b := range blocks {
		if err := x.edit.tx.Put(index.Mail, b.key, b.value); err != nil {
			return 0, false, err
		}
	}
	return next, more, nil
}

// RenewAll renews all accounts, see Renew. One that cannot be renewed is passed to failed, and the others go on.
func (s *Store) RenewAll(ctx context.Context, failed func(Owner, error)) error {
	return s.o.Owners(ctx, func(o Owner) error {
		if o.Damaged != nil || o.ID == 0 {
			return nil // which Check tells
		}
		err := s.Account(o).Renew(ctx)
		if fault.Is(err, fault.NotFound) {
			return nil // it has nothing yet
		}
		if err != nil && ctx.Err() == nil {
			failed(o, err)
			return nil
		}
		return err
	})
}
