package mailbox

import (
	"encoding/binary"
)

// The kinds of records in index.Mail, in the order of their keys:
//
//	account(8) kind(1) …
//
// All numbers in keys are big-endian. "data" is the number under which the
// messages of a mailbox lie; it differs from the mailbox's own number so that
// INBOX can be renamed without touching a message.
const (
	kindAccount      = 0x00 // → accountRecord
	kindMailbox      = 0x01 // mailbox(4) → mailboxRecord
	kindName         = 0x02 // name → nameRecord
	kindSubscription = 0x03 // name → nothing
	kindKeywords     = 0x04 // data(4) → keyword names by their bit
	kindACL          = 0x05 // → the account's own ACL
	kindDataset      = 0x07 // name 0 → number of entries; name 0 address → time it was added, data
	kindState        = 0x10 // data(4) block(4) → states of the UIDs of the block
	kindSummary      = 0x20 // data(4) block(4) → summaries of the UIDs of the block
	kindHistory      = 0x30 // data(4) ModSeq(8) → ranges of UIDs expunged by it
	kindItems        = 0x40 // data(4) → itemsRecord
	kindItem         = 0x41 // data(4) name → Item
	kindItemUID      = 0x42 // data(4) UID(4) → name
	kindItemKey      = 0x43 // data(4) key of the item → name
	kindItemTime     = 0x44 // data(4) to(8) from(8) UID(4) → name
	kindItemChange   = 0x45 // data(4) ModSeq(8) UID(4) → name
	kindItemGone     = 0x46 // data(4) ModSeq(8) name → time of the deletion
	kindProperty     = 0x47 // data(4) user(8) name → value
	kindRefs         = 0x50 // block(8) → reference counts of files, see refs.go
)

// itemKinds are those of records of items.
var itemKinds = [...]byte{kindItems, kindItem, kindItemUID, kindItemKey, kindItemTime, kindItemChange, kindItemGone, kindProperty}

// keyBuffer holds the longest key but those with names.
type keyBuffer [32]byte

func appendAccount(dst []byte, account uint64) []byte {
	return binary.BigEndian.AppendUint64(dst, account)
}

// key makes the key of a record that is named by its kind alone.
func (k *keyBuffer) key(account uint64, kind byte) []byte {
	return append(appendAccount(k[:0], account), kind)
}

// numbered makes the key of a record that is named by one number.
func (k *keyBuffer) numbered(account uint64, kind byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(k.key(account, kind), n)
}

// block makes the key of a block of states or summaries.
func (k *keyBuffer) block(account uint64, kind byte, data, block uint32) []byte {
	return binary.BigEndian.AppendUint32(k.numbered(account, kind, data), block)
}

// history makes the key of the expunges of one change.
func (k *keyBuffer) history(account uint64, data uint32, modSeq uint64) []byte {
	return binary.BigEndian.AppendUint64(k.numbered(account, kindHistory, data), modSeq)
}

// refs makes the key of a block of reference counts.
func (k *keyBuffer) refs(account, block uint64) []byte {
	return binary.BigEndian.AppendUint64(k.key(account, kindRefs), block)
}

// content makes a key in index.Content, of what is kept of the message in a file.
func (k *keyBuffer) content(account, file uint64) []byte {
	return binary.BigEndian.AppendUint64(appendAccount(k[:0], account), file)
}

// delivered makes a key in index.Delivered. The queue ID comes first: new
// records are appended, and all of one queue file are together.
func (k *keyBuffer) delivered(queueID, account uint64, copy uint32) []byte {
	b := binary.BigEndian.AppendUint64(k[:0], queueID)
	return binary.BigEndian.AppendUint32(appendAccount(b, account), copy)
}

// dropped makes a key in index.Dropped.
func (k *keyBuffer) dropped(account uint64, data uint32) []byte {
	return binary.BigEndian.AppendUint32(appendAccount(k[:0], account), data)
}

// named makes the key of a record that is named by a text.
func named(account uint64, kind byte, name string) []byte {
	return append(append(appendAccount(make([]byte, 0, 9+len(name)), account), kind), name...)
}

// after returns the first key behind all keys that begin with prefix, or nil
// if there is none.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// lastUint32 and lastUint64 return the number at the end of a key.
func lastUint32(key []byte) uint32 { return binary.BigEndian.Uint32(key[len(key)-4:]) }
func lastUint64(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }
