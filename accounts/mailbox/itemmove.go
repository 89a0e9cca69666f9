package mailbox

import (
	"context"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

// ItemMove is an item to be moved to another mailbox of its account.
type ItemMove struct {
	Mailbox, Name string // where it is
	ToMailbox, To string // where it shall be; not the same mailbox
	// Check is asked in the commit whether the item may be moved to where present is now, nil for nothing. Its
	// error is that of MoveItem. It may be asked again.
	Check func(item Item, present *Item) error
}

// MoveItem moves an item with its message, in one commit: after a crash it is in one of the mailboxes. What has its new name goes; created says
// that nothing had. Errors: NoMailbox; NoMessage; Invalid (the name); Exists when another item there has the key, see
// KeyTakenBy; those of Check.
func (a *Account) MoveItem(ctx context.Context, m ItemMove) (created bool, err error) {
	from, err := cleanName(m.Mailbox)
	if err != nil {
		return false, noMailbox(err)
	}
	to, err := cleanName(m.ToMailbox)
	if err != nil {
		return false, noMailbox(err)
	}
	if err := checkItem(&Item{Name: m.To}); err != nil {
		return false, err
	}
	err = a.update(ctx, func(e *edit) error {
		x, source, err := e.items(from)
		if err != nil {
			return err
		}
		y, dest, err := e.items(to)
		if err != nil {
			return err
		}
		if x == y {
			return fault.New("mailbox.MoveItem", fault.Invalid, "the item is in this mailbox")
		}
		item, found, err := source.get(m.Name)
		if err == nil && !found {
			err = noItem()
		}
		if err != nil {
			return err
		}
		old, taken, err := dest.get(m.To)
		if err != nil {
			return err
		}
		created = !taken
		moved := item
		moved.Name = m.To
		put := ItemPut{Item: moved, If: func(present *Item) error { return m.Check(item, present) }}
		if err := dest.mayPut(y, &put, old, taken); err != nil {
			return err
		}
		if taken {
			if err := dest.removeOld(y, &old); err != nil {
				return err
			}
		}
		list, err := x.remove([]imap.UID{item.UID}, true, nil)
		if err != nil {
			return err
		}
		if len(list) != 1 {
			return corrupt("message of an item")
		}
		var data CopyData
		if err := data.add(x, y, list, EveryFlag); err != nil {
			return err
		}
		return dest.put(y, y.rec.next-1, &moved)
	})
	return created, err
}
