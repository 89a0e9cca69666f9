package mailbox

import (
	"context"
	"encoding/binary"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// A property is a text that a client keeps with a mailbox, such as the colour of a calendar. Each account that uses the
// mailbox has properties of its own.

// The limits of one account's properties of one mailbox.
const (
	maxProperties   = 200
	maxPropertyName = 500
	maxProperty     = 64 << 10
)

func userProperties(account uint64, data uint32, user uint64) []byte {
	return binary.BigEndian.AppendUint64(itemNamed(account, kindProperty, data, ""), user)
}

// Properties returns the properties that an account has for a mailbox. Errors: NoMailbox.
func (a *Account) Properties(ctx context.Context, mailbox string, user uint64) (map[string]string, error) {
	all := make(map[string]string)
	err := a.viewItems(mailbox, func(_ mailboxRecord, l *items) error {
		from := userProperties(l.account, l.data, user)
		l.tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
			all[string(k[len(from):])] = string(v)
			return true
		})
		return nil
	})
	return all, err
}

// SetProperties sets and, with a nil value, removes properties of a mailbox for an account, all or none. Errors: NoMailbox,
// TooLarge, TooMany.
func (a *Account) SetProperties(ctx context.Context, mailbox string, user uint64, change map[string]*string) error {
	const op = "mailbox.SetProperties"
	mailbox, err := cleanName(mailbox)
	if err != nil {
		return noMailbox(err)
	}
	for name, v := range change {
		if name == "" || len(name) > maxPropertyName || v != nil && len(*v) > maxProperty {
			return fault.New(op, fault.TooLarge, "the property is too large")
		}
	}
	return a.update(ctx, func(e *edit) error {
		_, l, err := e.items(mailbox)
		if err != nil {
			return err
		}
		from := userProperties(l.account, l.data, user)
		for name, v := range change {
			key := append(from[:len(from):len(from)], name...)
			if v == nil {
				err = l.tx.Delete(index.Mail, key)
			} else {
				err = l.tx.Put(index.Mail, key, []byte(*v))
			}
			if err != nil {
				return err
			}
		}
		count := 0
		l.tx.Range(index.Mail, from, after(from), func(_, _ []byte) bool { count++; return true })
		if count > maxProperties {
			return fault.New(op, fault.TooMany, "the mailbox has too many properties")
		}
		return nil
	})
}
