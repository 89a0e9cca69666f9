package mailbox

import (
	"encoding/binary"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/server/fault"
)

// Records are sequences of unsigned varints and counted texts. A field that
// was added later stands at the end and reads as 0 in older records; so a
// record can grow without a new version of the store.

// accountRecord is what an account counts.
type accountRecord struct {
	modSeq       uint64 // of the last change
	bytes        int64  // sum of all sizes
	messages     int64
	mailboxes    uint32 // names, of containers and directories
	lastID       uint32 // the highest mailbox or data number ever given
	lastValidity uint32 // the highest UIDVALIDITY ever given
	dir          uint32 // the directory that new files go to, and how many went
	dirFiles     uint32
	crashes      uint64 // the count of crashes after which its files were compared with its records
}

func (r *accountRecord) marshal() []byte {
	b := make([]byte, 0, 40)
	for _, v := range [...]uint64{r.modSeq, uint64(r.bytes), uint64(r.messages), uint64(r.mailboxes),
		uint64(r.lastID), uint64(r.lastValidity), uint64(r.dir), uint64(r.dirFiles), r.crashes} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func (r *accountRecord) unmarshal(b []byte) error {
	d := decoder{b: b}
	*r = accountRecord{
		modSeq: d.uint64(), bytes: d.int64(), messages: d.int64(), mailboxes: d.uint32(),
		lastID: d.uint32(), lastValidity: d.uint32(), dir: d.uint32(), dirFiles: d.uint32(), crashes: d.uint64(),
	}
	return d.err("account record")
}

// mailboxRecord is what a mailbox counts.
type mailboxRecord struct {
	data        uint32 // where its messages lie
	validity    uint32 // UIDVALIDITY
	next        imap.UID
	messages    uint32
	unseen      uint32
	deleted     uint32
	size        int64
	deletedSize int64
	highest     uint64   // HIGHESTMODSEQ: of its last change or expunge
	recentFrom  imap.UID // messages from here on are \Recent for the next session
	// floor is the ModSeq from which on history knows all expunges, ranges how
	// many ranges it holds.
	floor  uint64
	ranges uint32
}

// count adds (or with n = -1 subtracts) a message.
func (r *mailboxRecord) count(flags Flags, size int64, n int) {
	r.messages += uint32(n)
	r.size += int64(n) * size
	r.countFlags(flags, size, n)
}

func (r *mailboxRecord) countFlags(flags Flags, size int64, n int) {
	if flags&Seen == 0 {
		r.unseen += uint32(n)
	}
	if flags&Deleted != 0 {
		r.deleted += uint32(n)
		r.deletedSize += int64(n) * size
	}
}

func (r *mailboxRecord) marshal() []byte {
	b := make([]byte, 0, 48)
	for _, v := range [...]uint64{uint64(r.data), uint64(r.validity), uint64(r.next), uint64(r.messages),
		uint64(r.unseen), uint64(r.deleted), uint64(r.size), uint64(r.deletedSize), r.highest,
		uint64(r.recentFrom), r.floor, uint64(r.ranges)} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func (r *mailboxRecord) unmarshal(b []byte) error {
	d := decoder{b: b}
	*r = mailboxRecord{
		data: d.uint32(), validity: d.uint32(), next: imap.UID(d.uint32()), messages: d.uint32(),
		unseen: d.uint32(), deleted: d.uint32(), size: d.int64(), deletedSize: d.int64(), highest: d.uint64(),
		recentFrom: imap.UID(d.uint32()), floor: d.uint64(), ranges: d.uint32(),
	}
	return d.err("mailbox record")
}

// nameRecord is what a name stands for.
type nameRecord struct {
	mailbox uint32 // 0: no container
	folder  bool   // a directory
	class   string
	acl     string // an ACL, as it is stored
}

func (r *nameRecord) marshal() []byte {
	var folder uint64
	if r.folder {
		folder = 1
	}
	b := binary.AppendUvarint(nil, uint64(r.mailbox))
	b = binary.AppendUvarint(b, folder)
	if b = appendText(b, r.class); r.acl != "" {
		b = appendText(b, r.acl)
	}
	return b
}

func (r *nameRecord) unmarshal(b []byte) error {
	d := decoder{b: b}
	*r = nameRecord{mailbox: d.uint32(), folder: d.uint64() != 0, class: d.text(), acl: d.text()}
	return d.err("mailbox name")
}

// deliveredRecord tells where a queued message went.
type deliveredRecord struct {
	file    uint64 // 0 if no message was stored
	mailbox uint32
	uid     imap.UID
	sent    []uint64 // see Delivery.Sent
}

func (r *deliveredRecord) marshal() []byte {
	b := binary.AppendUvarint(make([]byte, 0, 16), r.file)
	b = binary.AppendUvarint(b, uint64(r.mailbox))
	b = binary.AppendUvarint(b, uint64(r.uid))
	for _, id := range r.sent {
		b = binary.AppendUvarint(b, id)
	}
	return b
}

func (r *deliveredRecord) unmarshal(b []byte) error {
	d := decoder{b: b}
	*r = deliveredRecord{file: d.uint64(), mailbox: d.uint32(), uid: imap.UID(d.uint32())}
	for len(d.b) > 0 {
		r.sent = append(r.sent, d.uint64())
	}
	return d.err("delivery record")
}

func marshalKeywords(names []string) []byte {
	var b []byte
	for _, n := range names {
		b = appendText(b, n)
	}
	return b
}

func unmarshalKeywords(b []byte) ([]string, error) {
	d := decoder{b: b}
	var names []string
	for len(d.b) > 0 && !d.bad {
		names = append(names, d.text())
	}
	if len(names) > maxKeywords {
		d.bad = true
	}
	return names, d.err("keyword list")
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decoder reads a record. What is missing at the end reads as zero; bad is set
// by anything that marshal cannot have written.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uint64() uint64 {
	if len(d.b) == 0 {
		return 0
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint32() uint32 {
	v := d.uint64()
	d.bad = d.bad || v > 1<<32-1
	return uint32(v)
}

func (d *decoder) int64() int64 {
	v := d.uint64()
	d.bad = d.bad || v > 1<<63-1
	return int64(v)
}

func (d *decoder) text() string {
	n := d.uint64()
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) err(what string) error {
	if d.bad {
		return corrupt(what)
	}
	return nil
}

// corrupt is the error of a record that does not read back.
func corrupt(what string) error {
	return fault.Newf("mailbox.read", fault.Corrupt, "damaged %s in the index", what)
}
