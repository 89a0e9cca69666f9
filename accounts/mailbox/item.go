package mailbox

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// Item is an item of a calendar, a task list or an address book: a message of a mailbox that also has a
// name, by which DAV clients know it. The message is what is kept, and what IMAP shows; it is replaced as a
// whole, and then has another UID.
type Item struct {
	// Name is unique in the mailbox: the last segment of the item's URL.
	Name string
	// Key is unique in the mailbox too: the UID of what the item describes, as iCalendar and vCard have it. An item
	// without one has "".
	Key string
	// From and To are the Unix seconds between which the item lies, without To itself; To is MaxTime for what goes on for ever.
	// An item with From >= To lies at no time.
	From, To int64
	// ETag names this state of the item.
	ETag string
	// Size is that of the item's text in bytes.
	Size int64
	// Summary is what the caller wants to know of the item without opening the message.
	Summary []byte

	// What follows is set by the store. UID is that of the message, ModSeq the item's last change. Flags of
	// the message do not count as a change.
	UID               imap.UID
	ModSeq            uint64
	Created, Modified time.Time
}

// MaxTime is the end of items that go on for ever.
const MaxTime = math.MaxInt64

// The limits of an item's texts, in bytes.
const (
	maxItemName    = 255
	maxItemKey     = 1024
	maxItemETag    = 100
	maxItemSummary = 32 << 10
)

// tombstoneAge is how long the name of a deleted item is remembered at least.
const tombstoneAge = 90 * 24 * time.Hour

// keyTaken is in the chain of the error when another item has the key.
type keyTaken struct{ name string }

func (e *keyTaken) Error() string { return "the item " + e.name + " has this UID" }

// KeyTakenBy returns the name of the item because of which a change of another one failed with Exists, or "".
func KeyTakenBy(err error) string {
	var taken *keyTaken
	if errors.As(err, &taken) {
		return taken.name
	}
	return ""
}

// checkItem validates what a caller says of an item.
func checkItem(i *Item) error {
	const op = "mailbox.item"
	switch {
	case i.Name == "" || i.Name == "." || i.Name == "..":
		return fault.New(op, fault.Invalid, "this cannot be the name of an item")
	case len(i.Name) > maxItemName:
		return fault.Newf(op, fault.Invalid, "the name of an item has at most %d bytes", maxItemName)
	case !utf8.ValidString(i.Name) || strings.ContainsFunc(i.Name, unprintable) || strings.Contains(i.Name, "/"):
		return fault.New(op, fault.Invalid, "the name of an item is UTF-8 without slashes and control characters")
	case len(i.Key) > maxItemKey:
		return fault.Newf(op, fault.Invalid, "the UID of an item has at most %d bytes", maxItemKey)
	case len(i.ETag) > maxItemETag, len(i.Summary) > maxItemSummary:
		return fault.New(op, fault.Invalid, "what is to be kept of the item is too large")
	}
	return nil
}

// items reads the items of one mailbox.
type items struct {
	tx      index.Tx
	account uint64
	data    uint32
	rec     itemsRecord
}

// viewItems calls fn with the items of a mailbox in one snapshot. Errors: NoMailbox.
func (a *Account) viewItems(name string, fn func(box mailboxRecord, l *items) error) error {
	name, err := cleanName(name)
	if err != nil {
		return noMailbox(err)
	}
	return a.shard.View(func(tx index.Tx) error {
		id, err := mailboxID(tx, a.id, name)
		if err != nil {
			return err
		}
		box, err := readMailbox(tx, a.id, id)
		if err != nil {
			return err
		}
		l, err := readItems(tx, a.id, box.data)
		if err != nil {
			return err
		}
		return fn(box, l)
	})
}

func readItems(tx index.Tx, account uint64, data uint32) (*items, error) {
	l := &items{tx: tx, account: account, data: data}
	var k keyBuffer
	if v := tx.Get(index.Mail, k.numbered(account, kindItems, data)); v != nil {
		if err := l.rec.unmarshal(v); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// get returns the item of a name.
func (l *items) get(name string) (item Item, found bool, err error) {
	v := l.tx.Get(index.Mail, itemNamed(l.account, kindItem, l.data, name))
	if v == nil {
		return Item{}, false, nil
	}
	item, err = unmarshalItem(name, v)
	return item, err == nil, err
}

func noItem() error { return fault.New("mailbox.item", fault.NoMessage, "") }

// Item returns an item by its name. Errors: NoMailbox, NoMessage.
func (a *Account) Item(ctx context.Context, mailbox, name string) (item Item, err error) {
	err = a.viewItems(mailbox, func(_ mailboxRecord, l *items) (err error) {
		var found bool
		if item, found, err = l.get(name); err == nil && !found {
			err = noItem()
		}
		return err
	})
	return item, err
}

// ItemByKey returns an item by its key. Errors: NoMailbox, NoMessage.
func (a *Account) ItemByKey(ctx context.Context, mailbox, key string) (item Item, err error) {
	err = a.viewItems(mailbox, func(_ mailboxRecord, l *items) (err error) {
		name := l.tx.Get(index.Mail, itemNamed(l.account, kindItemKey, l.data, key))
		if name == nil {
			return noItem()
		}
		var found bool
		if item, found, err = l.get(string(name)); err == nil && !found {
			err = corrupt("index of items by UID")
		}
		return err
	})
	return item, err
}

// OpenItem returns an item and its message, which the caller closes. Errors: NoMailbox, NoMessage.
func (a *Account) OpenItem(ctx context.Context, mailbox, name string) (item Item, b Body, err error) {
	for try := 0; ; try++ {
		var s summary
		var prefix []byte
		err = a.viewItems(mailbox, func(_ mailboxRecord, l *items) (err error) {
			var found bool
			if item, found, err = l.get(name); err != nil || !found {
				if err == nil {
					err = noItem()
				}
				return err
			}
			s, prefix, err = l.message(item.UID)
			return err
		})
		if err != nil {
			return Item{}, nil, err
		}
		f, err := a.openMessage(&s)
		switch {
		case err == nil:
			return item, a.newBody(f, prefix, s), nil
		case try > 2:
			return Item{}, nil, a.damaged(s.file(), err)
		}
		// The item may have been replaced since: after all commits so far we look again.
		if err := a.shard.Settle(ctx); err != nil {
			return Item{}, nil, err
		}
	}
}

// message returns what is needed to open the message of an item.
func (l *items) message(uid imap.UID) (s summary, prefix []byte, err error) {
	s, found, err := readSummary(l.tx, l.account, l.data, uid)
	if err == nil && !found {
		err = corrupt("pair of item and message")
	}
	if err != nil || s.prefix == 0 {
		return s, nil, err
	}
	var k keyBuffer
	content := l.tx.Get(index.Content, k.content(l.account, s.id))
	if int(s.prefix) > len(content) {
		return s, nil, corrupt("content record")
	}
	return s, append([]byte(nil), content[:s.prefix]...), nil
}

// Items visits the items of a mailbox in the order of their names until visit returns false. The snapshot
// is held meanwhile: visit must not wait. Errors: NoMailbox.
func (a *Account) Items(ctx context.Context, mailbox string, visit func(Item) bool) error {
	return a.viewItems(mailbox, func(_ mailboxRecord, l *items) (err error) {
		from := itemNamed(l.account, kindItem, l.data, "")
		l.tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
			var item Item
			if item, err = unmarshalItem(string(k[len(from):]), v); err != nil {
				return false
			}
			return visit(item)
		})
		return err
	})
}

// ItemsBetween is Items for those that lie, in part at least, between two Unix times, the later one not
// included, in no order.
func (a *Account) ItemsBetween(ctx context.Context, mailbox string, start, end int64, visit func(Item) bool) error {
	return a.viewItems(mailbox, func(_ mailboxRecord, l *items) error {
		var names []string
		from := itemAt(l.account, l.data, start, math.MinInt64, 0)
		if start < MaxTime {
			from = itemAt(l.account, l.data, start+1, math.MinInt64, 0)
		}
		var k keyBuffer
		l.tx.Range(index.Mail, from, after(k.numbered(l.account, kindItemTime, l.data)), func(k, v []byte) bool {
			if itemFrom(k) < end {
				names = append(names, string(v))
			}
			return true
		})
		for _, name := range names {
			item, found, err := l.get(name)
			if err == nil && !found {
				err = corrupt("index of items by time")
			}
			if err != nil {
				return err
			}
			if !visit(item) {
				break
			}
		}
		return nil
	})
}

// ItemsState is the state of a mailbox's items as a whole.
type ItemsState struct {
	// Validity is the mailbox's UIDVALIDITY: with another one, nothing that was known is true.
	Validity uint32
	// ModSeq is the last change of an item.
	ModSeq uint64
	Count  int
}

// ItemsState returns the state of a mailbox's items. Errors: NoMailbox.
func (a *Account) ItemsState(ctx context.Context, mailbox string) (state ItemsState, err error) {
	err = a.viewItems(mailbox, func(box mailboxRecord, l *items) error {
		state = l.state(box)
		return nil
	})
	return state, err
}

func (l *items) state(box mailboxRecord) ItemsState {
	return ItemsState{Validity: box.validity, ModSeq: l.rec.highest, Count: int(l.rec.count)}
}

// ItemChanges are the changes of a mailbox's items since a ModSeq.
type ItemChanges struct {
	// ItemsState is that up to which the changes are told.
	ItemsState
	// Changed are new or have changed, in the order of their changes; Removed are names of items that are no more.
	Changed []Item
	Removed []string
	// More says that there are later changes.
	More bool
}

// ItemChanges returns what has changed after a ModSeq, or all items after 0. With a limit above 0 it tells
// so many changes at most. Errors: NoMailbox; Invalid when validity or since are not those of
// an earlier state, or when deletions of that time are forgotten; TooMany when the
// first commit alone changed more items than the limit.
func (a *Account) ItemChanges(ctx context.Context, mailbox string, validity uint32, since uint64, limit int) (c ItemChanges, err error) {
	const op = "mailbox.ItemChanges"
	err = a.viewItems(mailbox, func(box mailboxRecord, l *items) error {
		c = ItemChanges{ItemsState: l.state(box)}
		switch {
		case since > 0 && validity != box.validity, since > l.rec.highest, since > 0 && since < l.rec.floor:
			return fault.New(op, fault.Invalid, "the state of the items is not one that is known")
		}
		list := l.changesSince(kindItemChange, since, limit)
		if since > 0 {
			list = append(list, l.changesSince(kindItemGone, since, limit)...)
		}
		cut, ok := cutChanges(list, limit)
		if !ok {
			return fault.New(op, fault.TooMany, "one change concerns more items than are wanted")
		}
		seen := make(map[string]bool)
		for _, ch := range list {
			if ch.modSeq > cut {
				c.More = true
				continue
			}
			if ch.gone {
				if _, found, err := l.get(ch.name); err != nil || found || seen[ch.name] {
					if err != nil {
						return err
					}
					continue // it came again
				}
				seen[ch.name] = true
				c.Removed = append(c.Removed, ch.name)
				continue
			}
			item, found, err := l.get(ch.name)
			if err == nil && !found {
				err = corrupt("index of items by change")
			}
			if err != nil {
				return err
			}
			c.Changed = append(c.Changed, item)
		}
		if c.More {
			c.ModSeq = cut
		}
		return nil
	})
	if err != nil {
		return ItemChanges{}, err
	}
	return c, nil
}

// itemChange is one entry of the indexes by ModSeq.
type itemChange struct {
	modSeq uint64
	name   string
	gone   bool
}

// changesSince reads an index by ModSeq; with a limit so many entries and the first behind them.
func (l *items) changesSince(kind byte, since uint64, limit int) (list []itemChange) {
	var first, end keyBuffer
	if since == math.MaxUint64 {
		return nil
	}
	from := first.itemModSeq(l.account, kind, l.data, since+1)
	n := len(from)
	l.tx.Range(index.Mail, from, after(end.numbered(l.account, kind, l.data)), func(k, v []byte) bool {
		ch := itemChange{modSeq: itemModSeqOf(k, n), gone: kind == kindItemGone}
		if ch.gone {
			ch.name = string(k[n:])
		} else {
			ch.name = string(v)
		}
		list = append(list, ch)
		return limit <= 0 || len(list) <= limit
	})
	return list
}

// cutChanges returns the ModSeq up to which the changes are within a limit.
func cutChanges(list []itemChange, limit int) (modSeq uint64, ok bool) {
	if limit <= 0 || len(list) <= limit {
		return math.MaxUint64, true
	}
	all := make([]uint64, 0, len(list))
	for _, ch := range list {
		all = append(all, ch.modSeq)
	}
	slices.Sort(all)
	if cut := all[limit] - 1; cut >= all[0] {
		return cut, true
	}
	return 0, false
}

// Unnamed returns the messages of a mailbox that are no items and were not looked at yet, at most max of them, and the UID up
// to which these are all. They came by other ways than PutItem. Errors: NoMailbox.
func (a *Account) Unnamed(ctx context.Context, mailbox string, max int) (uids []imap.UID, upTo imap.UID, err error) {
	err = a.viewItems(mailbox, func(box mailboxRecord, l *items) (err error) {
		upTo = box.next - 1
		if l.rec.seen >= upTo {
			return nil
		}
		var from, to keyBuffer
		first := l.rec.seen + 1
		l.tx.Range(index.Mail, from.block(l.account, kindState, l.data, stateBlock(first)), after(to.numbered(l.account, kindState, l.data)), func(k, v []byte) bool {
			for len(v) > 0 {
				uid, _, rest, ok := nextState(v, lastUint32(k))
				if !ok {
					err = corrupt("block of message states")
					return false
				}
				v = rest
				if uid < first || uid > upTo || l.isItem(uid) {
					continue
				}
				if len(uids) == max {
					upTo = uid - 1
					return false
				}
				uids = append(uids, uid)
			}
			return true
		})
		return err
	})
	return uids, upTo, err
}

// isItem reports whether a message is an item.
func (l *items) isItem(uid imap.UID) bool {
	var k keyBuffer
	return l.tx.Get(index.Mail, k.block(l.account, kindItemUID, l.data, uint32(uid))) != nil
}

// OpenMessage opens a message of a mailbox without a view, for the caller to close. Errors: NoMailbox, NoMessage.
func (a *Account) OpenMessage(ctx context.Context, mailbox string, uid imap.UID) (Body, error) {
	var s summary
	var prefix []byte
	err := a.viewItems(mailbox, func(_ mailboxRecord, l *items) (err error) {
		if _, found, err := readSummary(l.tx, l.account, l.data, uid); err != nil || !found {
			if err == nil {
				err = noItem()
			}
			return err
		}
		s, prefix, err = l.message(uid)
		return err
	})
	if err != nil {
		return nil, err
	}
	f, err := a.openMessage(&s)
	if err != nil {
		return nil, a.damaged(s.file(), err)
	}
	return a.newBody(f, prefix, s), nil
}
