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
	a.mu.Lock()
	b := a.boxes[id]
	first := b == nil
	if first {
		b = &box{account: a, id: id, ready: make(chan struct{})}
		if a.boxes == nil {
			a.boxes = make(map[uint32]*box)
		}
		a.boxes[id] = b
	}
	b.users++
	a.mu.Unlock()
	if first {
		b.failed = b.load()
		close(b.ready)
	} else {
		a.store.views.remove(b)
		select {
		case <-b.ready:
		case <-ctx.Done():
			a.closeBox(b)
			return nil, fault.Wrap("mailbox.Open", fault.Canceled, ctx.Err())
		}
	}
	if b.failed != nil {
		a.forgetBox(b)
		return nil, b.failed
	}
	return b, nil
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

// evict forgets a box that nobody uses.
func (a *Account) evict(b *box) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.users == 0 && a.boxes[b.id] == b {
		delete(a.boxes, b.id)
	}
}

// forgetBox forgets a box that could not be loaded.
func (a *Account) forgetBox(b *box) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b.users--
	if a.boxes[b.id] == b {
		delete(a.boxes, b.id)
	}
}

// load reads the box from a snapshot. The box is known to the account already,
// so what is announced meanwhile waits in pending; what the snapshot has
// already is told by its ModSeq and left out, whenever it is announced.
func (b *box) load() error {
	err := b.account.shard.View(func(tx index.Tx) error {
		rec, err := readAccount(tx, b.account.id)
		if err != nil {
			return err
		}
		b.since = rec.modSeq
		return b.read(tx)
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loaded = true
	pending := b.pending
	b.pending = nil
	if err != nil {
		return err
	}
	b.gen, b.liveGen, b.live = 1, 1, b.uids
	b.recentFrom = max(b.rec.recentFrom, b.account.recentFrom(b.id))
	for _, x := range pending {
		b.applyLocked(x)
	}
	if b.gone {
		return fault.New("mailbox.Open", fault.NoMailbox, "")
	}
	return nil
}

// read fills the slices.
func (b *box) read(tx index.Tx) (err error) {
	account := b.account.id
	if b.rec, err = readMailbox(tx, account, b.id); err != nil {
		return err
	}
	if b.keywords, err = readKeywords(tx, account, b.rec.data); err != nil {
		return err
	}
	n := b.rec.messages
	b.uids = make([]imap.UID, 0, n)
	b.flags = make([]Flags, 0, n)
	b.modSeqs = make([]uint64, 0, n)
	return b.readStates(tx)
}

func (b *box) readStates(tx index.Tx) (err error) {
	var k keyBuffer
	from := k.numbered(b.account.id, kindState, b.rec.data)
	tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
		block := lastUint32(k)
		for len(v) > 0 {
			uid, st, rest, ok := nextState(v, block)
			if !ok {
				err = corrupt("block of message states")
				return false
			}
			v = rest
			b.append(uid, st)
		}
		return true
	})
	return err
}
