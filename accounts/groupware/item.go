package groupware

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"time"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// Put is an item to be stored.
type Put struct {
	Name string
	Text []byte
	// If, if set, is asked in the commit whether the item may take the place of what has its name, nil for nothing; its error
	// is that of Put.
	If func(present *mailbox.Item) error
	// Components are the types of components that the collection takes, for a calendar; all if empty.
	Components []string
	// Sent are queue IDs of held messages that are sent once the item is stored, see mailbox.ItemPut.
	Sent []uint64
}

// Put stores an item. The text of what it returns reads back byte for byte. Errors: a *Violation, NoMailbox,
// Denied, OverQuota, NoSpace, Invalid (the name), those of If.
func (c *Collection) Put(ctx context.Context, p Put) (item mailbox.Item, created bool, err error) {
	o, err := parse(c.Kind, p.Text)
	if err != nil {
		return item, false, err
	}
	if len(p.Components) > 0 && o.component != "" && !contains(p.Components, o.component) {
		return item, false, violates(ComponentType, fault.Newf("groupware.Put", fault.Invalid, "%s is not stored in this collection", o.component))
	}
	if err := c.look(ctx); err != nil {
		return item, false, err
	}
	item = mailbox.Item{Name: p.Name, Key: o.uid, From: o.from, To: o.to, ETag: etag(p.Text), Size: int64(len(p.Text)), Summary: o.summary}
	with, err := c.now(ctx)
	if err != nil {
		return item, false, err
	}
	may := func(present *mailbox.Item) error {
		if err := with.mayPut(present != nil); err != nil {
			return err
		}
		if p.If != nil {
			return p.If(present)
		}
		return nil
	}
	mail := c.Owner.Mail()
	present, err := mail.Item(ctx, c.Name, p.Name)
	switch {
	case err == nil:
		if err := may(&present); err != nil || present.ETag == item.ETag && len(p.Sent) == 0 {
			return present, false, err
		}
	case fault.Is(err, fault.NoMessage):
		if err := may(nil); err != nil {
			return item, false, err
		}
	default:
		return item, false, err
	}
	item, created, err = mail.PutItem(ctx, c.Name, mailbox.ItemPut{Item: item, If: may, Sent: p.Sent, Body: bytes.NewReader(wrap(o, c.user.Address(), time.Now()))})
	if taken := mailbox.KeyTakenBy(err); taken != "" {
		err = &Violation{Rule: UniqueUID, Other: taken, Err: err}
	}
	return item, created, err
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}

// mayPut returns an error unless the user may make or replace an item.
func (c *Collection) mayPut(replace bool) error {
	if !replace {
		return c.require(access.Insert)
	}
	if c.MayChange() || c.Rights.Has(access.Insert|access.Write) {
		return nil
	}
	return c.require(access.Insert | access.Delete)
}

// DeleteItem removes an item. check, if set, is asked in the commit. Errors: NoMessage, NoMailbox, Denied, those of check.
func (c *Collection) DeleteItem(ctx context.Context, name string, check func(mailbox.Item) error) error {
	return c.DeleteSending(ctx, name, nil, check)
}

// DeleteSending is DeleteItem with queue IDs of held messages that are sent once the item is gone, see mailbox.ItemPut.
func (c *Collection) DeleteSending(ctx context.Context, name string, sent []uint64, check func(mailbox.Item) error) error {
	if err := c.requireNow(ctx, access.Delete); err != nil {
		return err
	}
	return c.Owner.Mail().DeleteItemSending(ctx, c.Name, name, sent, check)
}

// Item returns what is known of an item. Errors: NoMessage, NoMailbox, Denied.
func (c *Collection) Item(ctx context.Context, name string) (mailbox.Item, error) {
	if err := c.open(ctx); err != nil {
		return mailbox.Item{}, err
	}
	return c.Owner.Mail().Item(ctx, c.Name, name)
}

// ByUID returns what is known of the item with a UID. Errors: NoMessage, NoMailbox, Denied.
func (c *Collection) ByUID(ctx context.Context, uid string) (mailbox.Item, error) {
	if err := c.open(ctx); err != nil {
		return mailbox.Item{}, err
	}
	return c.Owner.Mail().ItemByKey(ctx, c.Name, uid)
}

// NameFor returns a name for a new item of the collection with a UID.
func (c *Collection) NameFor(uid string) string { return c.nameFor(&object{uid: uid}) }

// Text returns an item and its text. Errors: as of Item.
func (c *Collection) Text(ctx context.Context, name string) (mailbox.Item, []byte, error) {
	if err := c.open(ctx); err != nil {
		return mailbox.Item{}, nil, err
	}
	item, body, err := c.Owner.Mail().OpenItem(ctx, c.Name, name)
	if err != nil {
		return item, nil, err
	}
	defer body.Close()
	text, err := textOf(io.NewSectionReader(body, 0, body.Size()))
	return item, text, err
}

// State returns the state of the collection. Errors: NoMailbox, Denied.
func (c *Collection) State(ctx context.Context) (mailbox.ItemsState, error) {
	if err := c.open(ctx); err != nil {
		return mailbox.ItemsState{}, err
	}
	return c.Owner.Mail().ItemsState(ctx, c.Name)
}

// Items returns all items, by name. Errors: NoMailbox, Denied.
func (c *Collection) Items(ctx context.Context) (list []mailbox.Item, err error) {
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	err = c.Owner.Mail().Items(ctx, c.Name, func(i mailbox.Item) bool { list = append(list, i); return true })
	return list, err
}

// Between returns the items that may lie between two Unix times. Errors: NoMailbox, Denied.
func (c *Collection) Between(ctx context.Context, from, to int64) (list []mailbox.Item, err error) {
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	err = c.Owner.Mail().ItemsBetween(ctx, c.Name, from, to, func(i mailbox.Item) bool { list = append(list, i); return true })
	return list, err
}

// Changes returns what has changed after a state, see mailbox.Account.ItemChanges. Errors: those, and Denied.
func (c *Collection) Changes(ctx context.Context, validity uint32, since uint64, limit int) (mailbox.ItemChanges, error) {
	if err := c.open(ctx); err != nil {
		return mailbox.ItemChanges{}, err
	}
	return c.Owner.Mail().ItemChanges(ctx, c.Name, validity, since, limit)
}

// open prepares the reading of items.
func (c *Collection) open(ctx context.Context) error {
	if err := c.require(access.Read); err != nil {
		return err
	}
	return c.look(ctx)
}

// look makes items of messages that have come by other ways.
func (c *Collection) look(ctx context.Context) error {
	const batch = 100
	if c.ready {
		return nil // many goroutines of an import ask
	}
	mail := c.Owner.Mail()
	for {
		uids, upTo, err := mail.Unnamed(ctx, c.Name, batch)
		if err != nil {
			return err
		}
		if len(uids) == 0 {
			break
		}
		var list []mailbox.Item
		for _, uid := range uids {
			body, err := mail.OpenMessage(ctx, c.Name, uid)
			if fault.Is(err, fault.NoMessage) {
				continue
			}
			if err != nil {
				return err
			}
			text, err := textOf(io.NewSectionReader(body, 0, body.Size()))
			if closed := body.Close(); closed != nil {
				return closed
			}
			if err != nil {
				continue // it is a message and no more
			}
			o, err := parse(c.Kind, text)
			if err != nil {
				continue
			}
			list = append(list, mailbox.Item{UID: uid, Name: c.nameFor(o), Key: o.uid, From: o.from, To: o.to,
				ETag: etag(text), Size: int64(len(text)), Summary: o.summary})
		}
		if err := mail.NameItems(ctx, c.Name, list, upTo); err != nil {
			return err
		}
	}
	c.ready = true
	return nil
}

// nameFor returns a name for an item that has none: its UID, if that can be one.
func (c *Collection) nameFor(o *object) string {
	if c.Kind == Inbox {
		return messageName(o.text)
	}
	name := o.uid
	if name == "" || len(name) > 200 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@") != "" || name[0] == '.' {
		sum := sha256.Sum256([]byte(o.uid))
		name = hex.EncodeToString(sum[:16])
	}
	return name + c.suffix()
}

// suffix ends the names that the server gives to items.
func (c *Collection) suffix() string {
	if c.Kind == Contacts {
		return ".vcf"
	}
	return ".ics"
}
