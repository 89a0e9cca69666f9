package mailbox

import (
	"context"
	"encoding/binary"
	"io"
	"time"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// ItemPut is an item to be stored.
type ItemPut struct {
	Item
	// Body yields the item's message with CRLF line ends.
	Body io.Reader
	// If, if set, is asked in the commit whether the item may take the place of what has its name now, or nil if
	// nothing has. Its error is that of PutItem. It may be asked again.
	If func(present *Item) error
	// Sent are queue IDs of held messages that are sent once the item is stored: the commit makes a record of each, see EachMade and
	// CopyOfItem.
	Sent []uint64
}

// CopyOfItem is the Copy in the records of messages that are sent because an item has changed. Deliveries have other ones.
const CopyOfItem = 0xFFFFFFF0

// recordSent makes the records of messages that are sent with the edit.
func (e *edit) recordSent(ids []uint64) error {
	for _, id := range ids {
		rec := deliveredRecord{sent: []uint64{id}}
		if err := e.tx.Put(index.Delivered, e.key.delivered(id, e.account.id, CopyOfItem), rec.marshal()); err != nil {
			return err
		}
	}
	return nil
}

// PutItem makes an item or replaces the one of that name. When it returns nil, all of it is on the
// disk, and the message of the old one is gone. Errors: NoMailbox; Invalid; OverQuota; NoSpace; Exists when another item
// has the key, see KeyTakenBy; those of If.
func (a *Account) PutItem(ctx context.Context, mailbox string, p ItemPut) (item Item, created bool, err error) {
	if mailbox, err = cleanName(mailbox); err != nil {
		return Item{}, false, noMailbox(err)
	}
	if err := checkItem(&p.Item); err != nil {
		return Item{}, false, err
	}
	f, err := a.receive(mailbox, AppendMessage{Body: p.Body, Flags: []imap.Flag{imap.FlagSeen}})
	if err != nil {
		return Item{}, false, err
	}
	files := []incoming{f}
	committing := false
	defer func() { a.keep(files, err, committing) }()
	limits := a.limits()
	committing = true
	err = a.update(ctx, func(e *edit) error {
		x, l, err := e.items(mailbox)
		if err != nil {
			return err
		}
		old, found, err := l.get(p.Name)
		if err != nil {
			return err
		}
		item, created = p.Item, !found
		if err := l.mayPut(x, &p, old, found); err != nil {
			return err
		}
		s := files[0].summary
		item.Created = e.now
		if found {
			was, _, err := readSummary(e.tx, a.id, x.rec.data, old.UID)
			if err != nil {
				return err
			}
			item.Created, s.original = old.Created, was.original
			if err := l.removeOld(x, &old); err != nil {
				return err
			}
		}
		if err := e.fits(s.size, limits.MaxSize); err != nil {
			return err
		}
		s.saved = e.now.Unix()
		uid, err := x.add(files[0].flags, 0, s, files[0].content)
		if err != nil {
			return err
		}
		e.saveDir()
		if err := e.recordSent(p.Sent); err != nil {
			return err
		}
		return l.put(x, uid, &item)
	})
	if err != nil {
		return Item{}, false, err
	}
	return item, created, nil
}

// items returns the edit of a mailbox and its items.
func (e *edit) items(mailbox string) (*boxEdit, *items, error) {
	id, err := mailboxID(e.tx, e.account.id, mailbox)
	if err != nil {
		return nil, nil, err
	}
	x, err := e.box(id)
	if err != nil {
		return nil, nil, err
	}
	l, err := readItems(e.tx, e.account.id, x.rec.data)
	return x, l, err
}

// mayPut asks whether an item may be stored in place of an old one.
func (l *items) mayPut(x *boxEdit, p *ItemPut, old Item, found bool) error {
	if p.If != nil {
		present := &old
		if !found {
			present = nil
		}
		if err := p.If(present); err != nil {
			return err
		}
	}
	if p.Key == "" {
		return nil
	}
	if other := l.tx.Get(index.Mail, itemNamed(l.account, kindItemKey, l.data, p.Key)); other != nil && string(other) != p.Name {
		return &fault.Error{Op: "mailbox.PutItem", Kind: fault.Exists, Text: "another item has this UID", Err: &keyTaken{string(other)}}
	}
	return nil
}

// removeOld removes an item that another one replaces, and its message.
func (l *items) removeOld(x *boxEdit, old *Item) error {
	if err := l.forget(old); err != nil {
		return err
	}
	if err := l.save(); err != nil {
		return err
	}
	_, err := x.remove([]imap.UID{old.UID}, false, nil)
	return err
}

// put writes the records of an item whose message has been added.
func (l *items) put(x *boxEdit, uid imap.UID, item *Item) error {
	e := x.edit
	item.UID, item.ModSeq, item.Modified = uid, e.change(), e.now.Truncate(time.Second)
	item.Created = item.Created.Truncate(time.Second)
	name := []byte(item.Name)
	var k keyBuffer
	if err := l.tx.Put(index.Mail, itemNamed(l.account, kindItem, l.data, item.Name), item.marshal()); err != nil {
		return err
	}
	if err := l.tx.Put(index.Mail, k.block(l.account, kindItemUID, l.data, uint32(uid)), name); err != nil {
		return err
	}
	if item.Key != "" {
		if err := l.tx.Put(index.Mail, itemNamed(l.account, kindItemKey, l.data, item.Key), name); err != nil {
			return err
		}
	}
	if item.From < item.To {
		if err := l.tx.Put(index.Mail, itemAt(l.account, l.data, item.To, item.From, uid), name); err != nil {
			return err
		}
	}
	if err := l.tx.Put(index.Mail, l.changeKey(item), name); err != nil {
		return err
	}
	l.rec.count++
	l.rec.highest = item.ModSeq
	if l.rec.seen == uid-1 {
		l.rec.seen = uid
	}
	return l.save()
}

func (l *items) changeKey(item *Item) []byte {
	var k keyBuffer
	return binary.BigEndian.AppendUint32(k.itemModSeq(l.account, kindItemChange, l.data, item.ModSeq), uint32(item.UID))
}

// forget removes the records of an item.
func (l *items) forget(item *Item) error {
	var k keyBuffer
	keys := [][]byte{itemNamed(l.account, kindItem, l.data, item.Name), k.block(l.account, kindItemUID, l.data, uint32(item.UID)), l.changeKey(item)}
	if item.Key != "" {
		keys = append(keys, itemNamed(l.account, kindItemKey, l.data, item.Key))
	}
	if item.From < item.To {
		keys = append(keys, itemAt(l.account, l.data, item.To, item.From, item.UID))
	}
	for _, key := range keys {
		if err := l.tx.Delete(index.Mail, key); err != nil {
			return err
		}
	}
	l.rec.count--
	return nil
}

func (l *items) save() error {
	var k keyBuffer
	return l.tx.Put(index.Mail, k.numbered(l.account, kindItems, l.data), l.rec.marshal())
}

// dropItems removes the items of messages that are taken out of the mailbox, and remembers their names.
func (x *boxEdit) dropItems(gone []taken) error {
	l, err := readItems(x.edit.tx, x.edit.account.id, x.rec.data)
	if err != nil || l.rec.count == 0 {
		return err
	}
	some := false
	var k keyBuffer
	for i := range gone {
		name := l.tx.Get(index.Mail, k.block(l.account, kindItemUID, l.data, uint32(gone[i].uid)))
		if name == nil {
			continue
		}
		item, found, err := l.get(string(name))
		if err == nil && !found {
			err = corrupt("index of items by message")
		}
		if err != nil {
			return err
		}
		if err := l.forget(&item); err != nil {
			return err
		}
		some = true
		if err := l.bury(&item, x.edit); err != nil {
			return err
		}
	}
	if !some {
		return nil
	}
	if err := l.forgetTombstones(x.edit.now.Add(-tombstoneAge)); err != nil {
		return err
	}
	return l.save()
}

// bury remembers the name of an item that is no more.
func (l *items) bury(item *Item, e *edit) error {
	var k keyBuffer
	l.rec.highest = e.change()
	key := append(k.itemModSeq(l.account, kindItemGone, l.data, l.rec.highest), item.Name...)
	return l.tx.Put(index.Mail, key, binary.AppendUvarint(nil, uint64(e.now.Unix())))
}

// forgetTombstones removes the names of items that were deleted before a time, some in each commit.
func (l *items) forgetTombstones(before time.Time) error {
	var k keyBuffer
	from := append([]byte(nil), k.numbered(l.account, kindItemGone, l.data)...)
	n := len(from) + 8
	var keys [][]byte
	l.tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
		d := decoder{b: v}
		if d.int64() >= before.Unix() || len(keys) == fewMessages {
			return false
		}
		keys = append(keys, append([]byte(nil), k...))
		l.rec.floor = max(l.rec.floor, itemModSeqOf(k, n))
		return true
	})
	for _, key := range keys {
		if err := l.tx.Delete(index.Mail, key); err != nil {
			return err
		}
	}
	return nil
}

// DeleteItem removes an item and its message. check, if set, is asked in the commit; its error is that of DeleteItem. Errors:
// NoMailbox, NoMessage.
func (a *Account) DeleteItem(ctx context.Context, mailbox, name string, check func(present Item) error) error {
	return a.DeleteItemSending(ctx, mailbox, name, nil, check)
}

// DeleteItemSending is DeleteItem with queue IDs of held messages that are sent once the item is gone, see ItemPut.Sent.
func (a *Account) DeleteItemSending(ctx context.Context, mailbox, name string, sent []uint64, check func(present Item) error) error {
	mailbox, err := cleanName(mailbox)
	if err != nil {
		return noMailbox(err)
	}
	return a.updateFreeing(ctx, func(e *edit) error {
		x, l, err := e.items(mailbox)
		if err != nil {
			return err
		}
		item, found, err := l.get(name)
		if err == nil && !found {
			err = noItem()
		}
		if err == nil && check != nil {
			err = check(item)
		}
		if err == nil {
			err = e.recordSent(sent)
		}
		if err != nil {
			return err
		}
		_, err = x.remove([]imap.UID{item.UID}, false, nil)
		return err
	})
}

// NameItems makes items of messages that are in the mailbox already, and notes that all others up to a UID are none. An item has the
// UID of its message; one whose message is gone, or whose name or key is taken, is left out.
func (a *Account) NameItems(ctx context.Context, mailbox string, list []Item, upTo imap.UID) error {
	mailbox, err := cleanName(mailbox)
	if err != nil {
		return noMailbox(err)
	}
	for i := range list {
		if err := checkItem(&list[i]); err != nil {
			return err
		}
	}
	return a.update(ctx, func(e *edit) error {
		x, l, err := e.items(mailbox)
		if err != nil {
			return err
		}
		for _, item := range list {
			s, there, err := readSummary(e.tx, a.id, x.rec.data, item.UID)
			if err != nil {
				return err
			}
			_, taken, err := l.get(item.Name)
			if err != nil {
				return err
			}
			if !there || taken || l.isItem(item.UID) || l.mayPut(x, &ItemPut{Item: item}, Item{}, false) != nil {
				continue
			}
			item.Created = time.Unix(s.internal, 0)
			if err := l.put(x, item.UID, &item); err != nil {
				return err
			}
		}
		l.rec.seen = max(l.rec.seen, min(upTo, x.rec.next-1))
		e.change()
		return l.save()
	})
}

// RenameItem gives an item another name in its mailbox; its text and its key stay. What has the name goes; created says that nothing had.
// check is asked in the commit whether the item may be named so where present is now, nil for nothing. Errors: NoMailbox,
// NoMessage, Invalid, those of check.
func (a *Account) RenameItem(ctx context.Context, mailbox, from, to string, check func(item Item, present *Item) error) (created bool, err error) {
	if mailbox, err = cleanName(mailbox); err != nil {
		return false, noMailbox(err)
	}
	if err := checkItem(&Item{Name: to}); err != nil {
		return false, err
	}
	err = a.update(ctx, func(e *edit) error {
		x, l, err := e.items(mailbox)
		if err != nil {
			return err
		}
		item, found, err := l.get(from)
		if err == nil && !found {
			err = noItem()
		}
		if err != nil {
			return err
		}
		other, taken, err := l.get(to)
		if err != nil {
			return err
		}
		present := &other
		if !taken {
			present = nil
		}
		created = !taken
		if err := check(item, present); err != nil || from == to {
			return err
		}
		if taken {
			if _, err := x.remove([]imap.UID{other.UID}, false, nil); err != nil {
				return err
			}
			if l, err = readItems(e.tx, a.id, x.rec.data); err != nil {
				return err
			}
		}
		if err := l.forget(&item); err != nil {
			return err
		}
		if err := l.bury(&item, e); err != nil {
			return err
		}
		item.Name = to
		return l.put(x, item.UID, &item)
	})
	return created, err
}
