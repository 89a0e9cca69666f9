package mailbox

import (
	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/index"
)

// checkItems compares the items of a mailbox with its messages and their indexes with them.
func (c *checker) checkItems(rec *mailboxRecord, states []uidState) {
	l, err := readItems(c.tx, c.account.id, rec.data)
	if err != nil {
		c.found(0, "%v", err)
		return
	}
	messages := make(map[imap.UID]bool, len(states))
	for i := range states {
		messages[states[i].uid] = true
	}
	want := make(map[string]string) // keys in the indexes, and the name that they lead to
	count := uint32(0)
	from := itemNamed(l.account, kindItem, l.data, "")
	c.tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
		name := string(k[len(from):])
		item, err := unmarshalItem(name, v)
		if err != nil {
			c.found(0, "item %q: %v", name, err)
			return true
		}
		count++
		if !messages[item.UID] {
			c.found(item.UID, "the message of the item %q is missing", name)
		}
		if item.ModSeq == 0 || item.ModSeq > l.rec.highest {
			c.found(item.UID, "the ModSeq %d of the item %q is above that of the last change, %d", item.ModSeq, name, l.rec.highest)
		}
		var b keyBuffer
		want[string(b.block(l.account, kindItemUID, l.data, uint32(item.UID)))] = name
		want[string(l.changeKey(&item))] = name
		if item.Key != "" {
			want[string(itemNamed(l.account, kindItemKey, l.data, item.Key))] = name
		}
		if item.From < item.To {
			want[string(itemAt(l.account, l.data, item.To, item.From, item.UID))] = name
		}
		return true
	})
	if count != l.rec.count {
		c.found(0, "it counts %d items and has %d", l.rec.count, count)
	}
	if account, err := readAccount(c.tx, c.account.id); err == nil && l.rec.highest > account.modSeq {
		c.found(0, "the last change of an item, %d, is from the future", l.rec.highest)
	}
	for _, kind := range []byte{kindItemUID, kindItemKey, kindItemTime, kindItemChange} {
		from := itemNamed(l.account, kind, l.data, "")
		c.tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
			if name, known := want[string(k)]; !known || name != string(v) {
				c.found(0, "an index of kind %d leads to the item %q, which does not fit it", kind, v)
			}
			delete(want, string(k))
			return true
		})
	}
	from = itemNamed(l.account, kindItemGone, l.data, "")
	c.tx.Range(index.Mail, from, after(from), func(k, v []byte) bool {
		d := decoder{b: v}
		if n := len(from) + 8; len(k) <= n {
			c.found(0, "the record of a deleted item has no name")
		} else if since := itemModSeqOf(k, n); d.int64() == 0 || d.bad || since > l.rec.highest {
			c.found(0, "the record of the deleted item %q, with the ModSeq %d, is damaged or above the last change, %d", k[n:], since, l.rec.highest)
		}
		return true
	})
	for _, name := range want {
		c.found(0, "the item %q is missing in an index", name)
	}
}
