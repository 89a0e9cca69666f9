package mailbox

import (
	"context"
	"errors"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/accounts/mailbox/msgfile"
	"gatepost/server/fault"
)

// CopyData is the COPYUID of RFC 4315: Source and Dest correspond in order.
type CopyData struct {
	UIDValidity  uint32
	Source, Dest imap.UIDSet
}

// Copy copies messages of the view to a mailbox of the same account, all or
// none; they show up together. A copy keeps flags, keywords, dates and EMAILID. Messages
// that were expunged elsewhere are skipped. Errors: NoMailbox, OverQuota, NoSpace, Busy.
func (m *Mailbox) Copy(ctx context.Context, uids []imap.UID, dest string) (CopyData, error) {
	return m.CopyTo(ctx, uids, m.box.account, dest)
}

// copied is one message on its way.
type copied struct {
	uid      imap.UID // in the source
	flags    Flags
	keywords []string
	from     msgfile.Ref
	summary  summary
	content  []byte
}

// CopyTo is Copy to a mailbox of another account, or of the same.
func (m *Mailbox) CopyTo(ctx context.Context, uids []imap.UID, to *Account, dest string) (CopyData, error) {
	return m.CopyWith(ctx, uids, EveryFlag, to, dest)
}

// CopyWith is CopyTo that leaves out the flags which are not among those given. Up to maxChange
// messages are copied in one commit, more of them as hiddenCopy tells.
func (m *Mailbox) CopyWith(ctx context.Context, uids []imap.UID, flags FlagSet, to *Account, dest string) (CopyData, error) {
	dest, err := cleanName(dest)
	if err != nil {
		return CopyData{}, noMailbox(err)
	}
	if _, _, err := to.find(dest); err != nil {
		return CopyData{}, err
	}
	uids = m.inView(uids)
	if len(uids) <= maxChange {
		var data CopyData
		err := m.copyPart(ctx, uids, flags, to, func(list []copied) (err error) {
			data, err = to.addCopies(ctx, list, dest)
			return err
		})
		return data, err
	}
	// Copies side by side would only overtake each other.
	end, err := enter(ctx, to.copying)
	if err != nil {
		return CopyData{}, err
	}
	defer end()
	for room := 0; room <= maxRoom*len(uids); room = max(4*len(uids), 16*room) {
		data, err := m.copyHidden(ctx, uids, hiddenCopy{flags: flags, to: to, dest: dest, room: room, most: len(uids), size: m.sizeOf(uids)})
		if !errors.Is(err, errOvertaken) {
			return data, err
		}
	}
	return CopyData{}, fault.New("mailbox.Copy", fault.Busy, "")
}

// copyHidden copies messages out of sight and shows them.
func (m *Mailbox) copyHidden(ctx context.Context, uids []imap.UID, h hiddenCopy) (data CopyData, err error) {
	defer func() {
		if err != nil {
			h.giveUp()
			data = CopyData{}
		}
	}()
	for todo := uids; len(todo) > 0; {
		part := todo[:min(len(todo), maxChange)]
		todo = todo[len(part):]
		err := m.copyPart(ctx, part, h.flags, h.to, func(list []copied) error {
			if err := h.add(ctx, list); err != nil {
				return err
			}
			for i := range list {
				data.Source = appendUID(data.Source, list[i].uid)
			}
			return nil
		})
		if err != nil {
			return data, err
		}
	}
	if len(data.Source) == 0 {
		return data, nil
	}
	data.Dest = imap.UIDSet{{Start: h.span.start, Stop: h.next - 1}}
	data.UIDValidity, err = h.show(ctx)
	return data, err
}

// copyPart gathers messages, makes their files, and has add commit them. It does not call
// add if none of them is left.
func (m *Mailbox) copyPart(ctx context.Context, uids []imap.UID, flags FlagSet, to *Account, add func([]copied) error) error {
	end, err := to.turn(ctx, len(uids))
	if err != nil {
		return err
	}
	defer end()
	list, err := m.gather(uids)
	if err != nil || len(list) == 0 {
		return err
	}
	for i := range list {
		if list[i].flags &= flags.Flags; !flags.Keywords {
			list[i].keywords = nil
		}
	}
	if made, err := m.linkCopies(to, list); err != nil {
		for i := range list[:made] {
			to.abandon(list[i].summary.file())
		}
		return err
	}
	err = add(list)
	for i := range list {
		to.keepFile(list[i].summary.file(), err)
	}
	return err
}

// addCopies adds copies to a mailbox in one commit.
func (a *Account) addCopies(ctx context.Context, list []copied, dest string) (data CopyData, err error) {
	limits := a.limits()
	err = a.update(ctx, func(e *edit) error {
		id, err := mailboxID(e.tx, a.id, dest)
		if err != nil {
			return err
		}
		x, err := e.box(id)
		if err != nil {
			return err
		}
		data = CopyData{UIDValidity: x.rec.validity}
		var size int64
		for i := range list {
			size += list[i].summary.size
		}
		if err := e.fits(size, limits.MaxSize); err != nil {
			return err
		}
		for i := range list {
			if err := data.addCopy(x, &list[i]); err != nil {
				return err
			}
		}
		e.saveDir()
		return nil
	})
	if err != nil {
		return CopyData{}, err
	}
	return data, nil
}

// addCopy adds a copy to its mailbox.
func (d *CopyData) addCopy(x *boxEdit, c *copied) error {
	// A copy does not fail because the other mailbox's keywords are used up.
	bits, _, err := x.keywordBits(c.keywords, true)
	if err != nil {
		return err
	}
	c.summary.saved = x.edit.now.Unix()
	uid, err := x.add(c.flags, bits, c.summary, c.content)
	if err != nil {
		return err
	}
	d.Source = appendUID(d.Source, c.uid)
	d.Dest = appendUID(d.Dest, uid)
	return nil
}

// appendUID adds a UID above all before.
func appendUID(s imap.UIDSet, uid imap.UID) imap.UIDSet { return appendRange(s, uid) }

// gather collects what the copies of messages need, at most maxChange of them.
func (m *Mailbox) gather(uids []imap.UID) ([]copied, error) {
	b := m.box
	list := make([]copied, 0, len(uids))
	err := b.account.shard.View(func(tx index.Tx) error {
		rec, err := readMailbox(tx, b.account.id, b.id)
		if err != nil {
			return err
		}
		var k keyBuffer
		for _, uid := range uids {
			s, found, err := readSummary(tx, b.account.id, rec.data, uid)
			if err != nil {
				return err
			}
			st, keywords, ok := m.liveState(uid)
			if !found || !ok {
				continue
			}
			c := copied{uid: uid, flags: st.flags, keywords: keywords, from: s.file(), summary: s}
			content := tx.Get(index.Content, k.content(b.account.id, rec.data, uid))
			if int(s.prefix) > len(content) {
				return corrupt("content record")
			}
			c.content = append(c.content, content...)
			list = append(list, c)
		}
		return nil
	})
	return list, err
}

// sizeOf returns the size of messages together, without those that are gone.
func (m *Mailbox) sizeOf(uids []imap.UID) (size int64) {
	b := m.box
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, uid := range uids {
		if i, ok := b.find(uid); ok && b.heldByUID[uid] == nil {
			size += b.summaries[i].size
		}
	}
	return size
}

// liveState returns the state of a message that is not gone, and its keywords.
func (m *Mailbox) liveState(uid imap.UID) (st state, keywords []string, ok bool) {
	b := m.box
	b.mu.RLock()
	defer b.mu.RUnlock()
	i, ok := b.find(uid)
	if !ok {
		return state{}, nil, false
	}
	st = state{flags: b.flags[i], keywords: b.keywordsAt(i)}
	for i, n := range b.keywords {
		if st.keywords&(1<<i) != 0 {
			keywords = append(keywords, n)
		}
	}
	return st, keywords, true
}

// checkSource refuses to copy a message whose file is damaged. a.moving is held.
func (a *Account) checkSource(c *copied) error {
	path := a.path(c.from)
	f, err := msgfile.Open(path, c.summary.end())
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fault.Wrap("mailbox.Copy", fault.Internal, damagedAt(path, err))
	}
	return nil
}

// linkCopies makes the files of copies and their names durable. It returns how many it has begun.
func (m *Mailbox) linkCopies(to *Account, list []copied) (made int, err error) {
	const op = "mailbox.Copy"
	from := m.box.account
	dirs := make(map[messageDir]struct{})
	to.moveLeftoversOnce()
	for i := range list {
		c := &list[i]
		var ref msgfile.Ref
		id, err := to.store.nextNumber(func(id uint64) (err error) {
			leave := stay(from, to)
			defer leave()
			if err = from.checkSource(c); err == nil {
				ref, err = to.newFileHere(id, func(path string) error { return msgfile.LinkOrCopy(from.path(c.from), path) })
			}
			return err
		})
		if err != nil {
			return i, err
		}
		c.summary.id, c.summary.dir, c.summary.original = id, ref.Dir, 0
		dirs[messageDir{to, ref.Dir}] = struct{}{}
	}
	for d := range dirs {
		if err := d.sync(); err != nil {
			return len(list), fault.Wrap(op, fault.Internal, err)
		}
	}
	return len(list), nil
}
