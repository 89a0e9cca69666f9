package mailbox

import (
	"context"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// openBox returns the box of a mailbox, loaded, and counts the caller as a
// user until closeBox.
func (a *Account) openBox(ctx context.Context, id uint32) (*box, error) {
	b, first := a.enterBox(id)
	if first {
		b.load(nil, nil)
	}
	return b, b.wait(ctx)
}

// enterBox counts the caller as a user of a box, which the first one has to load.
func (a *Account) enterBox(id uint32) (b *box, first bool) {
	a.mu.Lock()
	if b = a.boxes[id]; b == nil {
		first = true
		b = &box{account: a, id: id, ready: make(chan struct{})}
		if a.boxes == nil {
			a.boxes = make(map[uint32]*box)
		}
		a.boxes[id] = b
	}
	b.users++
	a.mu.Unlock()
	if !first {
		a.store.views.remove(b)
	}
	return b, first
}

// wait waits until the box is loaded. If it fails, it does what closeBox does.
func (b *box) wait(ctx context.Context) (err error) {
	select {
	case <-b.ready:
		err = b.failed
	case <-ctx.Done():
		err = fault.Wrap("mailbox.Open", fault.Canceled, ctx.Err())
	}
	if err != nil {
		b.account.closeBox(b)
	}
	return err
}

// closeBox undoes openBox. The box stays for a while, in case that it is
// opened again.
func (a *Account) closeBox(b *box) {
	a.mu.Lock()
	b.users--
	idle := b.users == 0 && a.boxes[b.id] == b
	a.mu.Unlock()
	if idle {
		for _, old := range a.store.views.add(b) {
			old.account.evict(old)
		}
	}
}

// evict forgets a box that nobody uses, or that could not be loaded.
func (a *Account) evict(b *box) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if (b.users == 0 || b.failed != nil) && a.boxes[b.id] == b {
		delete(a.boxes, b.id)
	}
}

// load reads the box from a snapshot. The box is known to the account already,
// so what is announced meanwhile waits in pending; what the snapshot has
// already is told by its ModSeq and left out, whenever it is announced. A view that was given
// shows what the snapshot has; known, if given, is called when all but the messages is read.
func (b *box) load(m *Mailbox, known func(tx index.Tx) error) {
	defer close(b.ready)
	b.failed = b.account.shard.View(func(tx index.Tx) error {
		rec, err := readAccount(tx, b.account.id)
		if err != nil {
			return err
		}
		b.since = rec.modSeq
		if err := b.read(tx); err != nil {
			return err
		}
		if known != nil {
			if err := known(tx); err != nil {
				return err
			}
		}
		return b.readStates(tx)
	})
	b.mu.Lock()
	b.loaded = true
	pending := b.pending
	b.pending = nil
	if b.failed != nil {
		b.mu.Unlock()
		b.account.evict(b)
		return
	}
	b.gen, b.liveGen, b.live = 1, 1, b.uids
	b.recentFrom = max(b.rec.recentFrom, b.account.recentFrom(b.id))
	var save imap.UID
	if m != nil {
		save = m.join()
	}
	for _, x := range pending {
		b.applyLocked(x)
	}
	b.mu.Unlock()
	if save != 0 {
		b.account.setRecentFrom(b.id, save)
	}
}

// read reads all but the messages.
func (b *box) read(tx index.Tx) (err error) {
	if b.rec, err = readMailbox(tx, b.account.id, b.id); err != nil {
		return err
	}
	b.keywords, err = readKeywords(tx, b.account.id, b.rec.data)
	return err
}

// readStates fills the slices.
func (b *box) readStates(tx index.Tx) error {
	n := b.rec.messages
	b.uids = make([]imap.UID, 0, n)
	b.flags = make([]Flags, 0, n)
	b.modSeqs = make([]uint64, 0, n)
	return eachState(tx, b.account.id, b.rec.data, 0, func(uid imap.UID, st state) bool {
		b.append(uid, st)
		return true
	})
}

// eachState visits the states of a mailbox's messages from a UID on, until visit returns false.
func eachState(tx index.Tx, account uint64, data uint32, uid imap.UID, visit func(imap.UID, state) bool) (err error) {
	var first, end keyBuffer
	tx.Range(index.Mail, first.block(account, kindState, data, stateBlock(uid)), after(end.numbered(account, kindState, data)),
		func(k, v []byte) bool {
			block := lastUint32(k)
			for len(v) > 0 {
				u, st, rest, ok := nextState(v, block)
				if !ok {
					err = corrupt("block of message states")
					return false
				}
				if v = rest; u >= uid && !visit(u, st) {
					return false
				}
			}
			return true
		})
	return err
}
