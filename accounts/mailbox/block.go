package mailbox

import (
	"encoding/binary"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox/msgfile"
)

// States and summaries lie in blocks of neighbouring UIDs, each block one value
// that is a sequence of entries in the order of their UIDs. An entry names its
// UID by the low bits. A new message appends to the last block.
//
// A block of states is small, so that a flag change writes little; many of
// them fit in a page, so that reading all flags of a mailbox reads few pages.
const (
	stateBits   = 6
	summaryBits = 4
)

func stateBlock(uid imap.UID) uint32   { return uint32(uid) >> stateBits }
func summaryBlock(uid imap.UID) uint32 { return uint32(uid) >> summaryBits }

// state is what may change in a message.
type state struct {
	flags    Flags
	keywords uint64 // by bit, see kindKeywords
	modSeq   uint64
}

// appendState appends low bits (1 byte), flags (1 byte), ModSeq and keywords (varints).
func appendState(b []byte, uid imap.UID, s state) []byte {
	b = append(b, byte(uid)&(1<<stateBits-1), byte(s.flags))
	b = binary.AppendUvarint(b, s.modSeq)
	return binary.AppendUvarint(b, s.keywords)
}

// nextState reads the first entry of a block's value and returns the rest.
func nextState(b []byte, block uint32) (uid imap.UID, s state, rest []byte, ok bool) {
	if len(b) < 4 || b[0] >= 1<<stateBits {
		return 0, state{}, nil, false
	}
	uid = imap.UID(block<<stateBits | uint32(b[0]))
	s.flags = Flags(b[1])
	b = b[2:]
	modSeq, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, state{}, nil, false
	}
	keywords, k := binary.Uvarint(b[n:])
	if k <= 0 {
		return 0, state{}, nil, false
	}
	s.modSeq, s.keywords = modSeq, keywords
	return uid, s, b[n+k:], true
}

// summary is what never changes in a message of a mailbox.
type summary struct {
	id       uint64 // of the file
	email    uint64 // EMAILID (RFC 8474), equal for copies
	thread   uint64 // THREADID, 0 if there is none
	size     int64  // of prefix and message: RFC822.SIZE
	internal int64  // INTERNALDATE in Unix seconds
	saved    int64  // SAVEDATE in Unix seconds (RFC 8514)
	dir      uint32 // of the file
	offset   uint32 // where the message begins in the file
	prefix   uint32 // bytes put before the message; they lie in index.Content
	original imap.UID
}

func (s *summary) file() msgfile.Ref { return msgfile.Ref{ID: s.id, Dir: s.dir} }

// end returns where the message ends in its file, which is where the file ends.
func (s *summary) end() int64 { return int64(s.offset) + s.size - int64(s.prefix) }

// appendSummary appends low bits (1 byte), the length of the fields (1 byte),
// and the fields as varints. Fields that were added later read as 0.
func appendSummary(b []byte, uid imap.UID, s *summary) []byte {
	b = append(b, byte(uid)&(1<<summaryBits-1), 0)
	start := len(b)
	for _, v := range [...]uint64{s.id, uint64(s.dir), uint64(s.prefix), uint64(s.offset), uint64(s.size)} {
		b = binary.AppendUvarint(b, v)
	}
	b = binary.AppendVarint(b, s.internal)
	b = binary.AppendVarint(b, s.saved-s.internal)
	b = binary.AppendVarint(b, int64(s.email-s.id))
	b = binary.AppendUvarint(b, s.thread)
	b = binary.AppendUvarint(b, uint64(uid-s.original))
	b[start-1] = byte(len(b) - start) // at most 10 varints of 10 bytes
	return b
}

// nextSummary reads the first entry of a block's value and returns the rest.
func nextSummary(b []byte, block uint32) (uid imap.UID, s summary, rest []byte, ok bool) {
	if len(b) < 2 || b[0] >= 1<<summaryBits || int(b[1]) > len(b)-2 {
		return 0, summary{}, nil, false
	}
	uid = imap.UID(block<<summaryBits | uint32(b[0]))
	d := decoder{b: b[2 : 2+int(b[1])]}
	s.id, s.dir = d.uint64(), d.uint32()
	s.prefix, s.offset, s.size = d.uint32(), d.uint32(), d.int64()
	s.internal = d.varint()
	s.saved = s.internal + d.varint()
	s.email = s.id + uint64(d.varint())
	s.thread = d.uint64()
	s.original = uid - imap.UID(d.uint32())
	return uid, s, b[2+int(b[1]):], !d.bad
}

func (d *decoder) varint() int64 {
	if len(d.b) == 0 {
		return 0
	}
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}
