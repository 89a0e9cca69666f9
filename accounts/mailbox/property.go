package mailbox

import (
	"context"
	"encoding/binary"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// A property is a text that a client keeps with a mailbox, such as the colour of a calendar. Each account that uses the
// mailbox has properties of its own. The account has properties too, which lie with no mailbox.

// The limits of one account's properties of one mailbox.
const (
	maxProperties   = 200
	maxPropertyName = 500
	maxProperty     = 64 << 10
)

func userProperties(account uint64, data uint32, user uint64) []byte {
	return binary.BigEndian.AppendUint64(itemNamed(account, kindProperty, data, ""), user)
}

// accountData is the number under which the account's own properties lie: that of no mailbox.
const accountData = 0

// Properties returns the properties that an account has for a mailbox or, without a name, for this account. Errors: NoMailbox.
func (a *Account) Properties(ctx context.Context, mailbox string, user uint64) (map[string]string, error) {
	all := make(map[string]string)
	read := func(tx index.Tx, data uint32) error {
		from := userProperties(a.id, data, user)
		tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
			all[string(k[len(from):])] = string(v)
			return true
		})
		return nil
	}
	var err error
	if mailbox == "" {
		err = a.shard.View(func(tx index.Tx) error { return read(tx, accountData) })
	} else {
		err = a.viewItems(mailbox, func(_ mailboxRecord, l *items) error { return read(l.tx, l.data) })
	}
	return all, err
}

// SetProperties sets and, with a nil value, removes properties of a mailbox for an account, all or none; without a name, of this
// account. It is a change of the mailbox, which gets a ModSeq. Errors: NoMailbox, TooLarge, TooMany.
func (a *Account) SetProperties(ctx context.Context, mailbox string, user uint64, change map[string]*string) error {
	const op = "mailbox.SetProperties"
	if mailbox != "" {
		var err error
		if mailbox, err = cleanName(mailbox); err != nil {
			return noMailbox(err)
		}
	}
	for name, v := range change {
		if name == "" || len(name) > maxPropertyName || v != nil && len(*v) > maxProperty {
			return fault.New(op, fault.TooLarge, "the property is too large")
		}
	}
	return a.update(ctx, func(e *edit) error {
		changed, data := e.change, uint32(accountData)
		if mailbox != "" {
			x, l, err := e.items(mailbox)
			if err != nil {
				return err
			}
			changed, data = x.changed, l.data
		}
		from := userProperties(e.account.id, data, user)
		for name, v := range change {
			key := append(from[:len(from):len(from)], name...)
			old := e.tx.Get(index.Mail, key)
			if (v == nil) == (old == nil) && (v == nil || *v == string(old)) {
				continue
			}
			changed()
			var err error
			if v == nil {
				err = e.tx.Delete(index.Mail, key)
			} else {
				err = e.tx.Put(index.Mail, key, []byte(*v))
			}
			if err != nil {
				return err
			}
		}
		count := 0
		e.tx.Range(index.Mail, from, after(from), func(_, _ []byte) bool { count++; return true })
		if count > maxProperties {
			return fault.New(op, fault.TooMany, "the mailbox has too many properties")
		}
		return nil
	})
}
