package mailbox

import (
	"encoding/binary"
	"time"

	imap "github.com/emersion/go-imap/v2"
)

// itemsRecord is what a mailbox counts of its items.
type itemsRecord struct {
	count   uint32
	highest uint64 // ModSeq of the last change of an item
	floor   uint64 // ModSeq from which on all deletions are known
	// seen is the UID up to which all messages are items, or were looked at and can be none.
	seen imap.UID
}

func (r *itemsRecord) marshal() []byte {
	b := binary.AppendUvarint(make([]byte, 0, 16), uint64(r.count))
	b = binary.AppendUvarint(b, r.highest)
	b = binary.AppendUvarint(b, r.floor)
	return binary.AppendUvarint(b, uint64(r.seen))
}

func (r *itemsRecord) unmarshal(b []byte) error {
	d := decoder{b: b}
	*r = itemsRecord{count: d.uint32(), highest: d.uint64(), floor: d.uint64(), seen: imap.UID(d.uint32())}
	return d.err("record of a mailbox's items")
}

// marshal makes the value of an item under its name.
func (i *Item) marshal() []byte {
	b := make([]byte, 0, 64+len(i.Key)+len(i.ETag)+len(i.Summary))
	b = binary.AppendUvarint(b, uint64(i.UID))
	b = binary.AppendUvarint(b, i.ModSeq)
	b = binary.AppendUvarint(b, uint64(i.Created.Unix()))
	b = binary.AppendUvarint(b, uint64(i.Modified.Unix()))
	b = binary.AppendVarint(b, i.From)
	b = binary.AppendVarint(b, i.To)
	b = binary.AppendUvarint(b, uint64(i.Size))
	b = appendText(b, i.Key)
	b = appendText(b, i.ETag)
	return appendText(b, string(i.Summary))
}

func unmarshalItem(name string, b []byte) (Item, error) {
	d := decoder{b: b}
	i := Item{Name: name, UID: imap.UID(d.uint32()), ModSeq: d.uint64(),
		Created: time.Unix(d.int64(), 0), Modified: time.Unix(d.int64(), 0), From: d.varint(), To: d.varint(), Size: d.int64(),
		Key: d.text(), ETag: d.text(), Summary: []byte(d.text())}
	return i, d.err("item")
}

// itemNamed makes the key of a record of an item that is named by a text.
func itemNamed(account uint64, kind byte, data uint32, name string) []byte {
	var k keyBuffer
	b := k.numbered(account, kind, data)
	return append(append(make([]byte, 0, len(b)+len(name)), b...), name...)
}

// itemModSeq makes the beginning of a key that is named by a ModSeq.
func (k *keyBuffer) itemModSeq(account uint64, kind byte, data uint32, modSeq uint64) []byte {
	return binary.BigEndian.AppendUint64(k.numbered(account, kind, data), modSeq)
}

// itemModSeqOf returns the ModSeq that ends before byte n of a key.
func itemModSeqOf(key []byte, n int) uint64 { return binary.BigEndian.Uint64(key[n-8 : n]) }

// itemAt makes the key of an item in the index by time. Signed times rise as unsigned ones with
// the sign turned round.
func itemAt(account uint64, data uint32, to, from int64, uid imap.UID) []byte {
	var k keyBuffer
	b := append(make([]byte, 0, 40), k.numbered(account, kindItemTime, data)...)
	b = binary.BigEndian.AppendUint64(b, uint64(to)^1<<63)
	b = binary.BigEndian.AppendUint64(b, uint64(from)^1<<63)
	return binary.BigEndian.AppendUint32(b, uint32(uid))
}

// itemFrom returns when the item of a key in the index by time begins.
func itemFrom(key []byte) int64 {
	return int64(binary.BigEndian.Uint64(key[len(key)-12:]) ^ 1<<63)
}
