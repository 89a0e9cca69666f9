package fulltext

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sort"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// field is one of the texts of a message that have their words apart.
type field uint8

const (
	headerField field = iota // the header of the message
	bodyField                // what BODY searches
	fieldCount
)

// fileFlags say what is special about a message file.
type fileFlags uint8

const (
	// oddFile has a character that is ASCII when it is folded, see oddCharacters.
	oddFile fileFlags = 1 << iota
	// partFile is one of which the index does not have every word: it is always read.
	partFile
	// goneFile was removed since it was indexed.
	goneFile
)

// segment is the message files that were indexed together, or merged since. It never changes, but for files that go.
type segment struct {
	number uint64 // of the store; never used again
	base   uint64 // number of the first file
	files  []uint32
	marks  []uint32
	flags  []fileFlags
	sizes  [fieldCount]uint32 // of the values with the words
	sums   [fieldCount]uint32 // their checksums
}

const segmentVersion = 1

func (s *segment) size() (n int) {
	for _, size := range s.sizes {
		n += int(size)
	}
	return n
}

// left is how many of the files are not gone.
func (s *segment) left() (n int) {
	for _, f := range s.flags {
		if f&goneFile == 0 {
			n++
		}
	}
	return n
}

// find returns where a file is in the segment.
func (s *segment) find(file uint64) (at int, ok bool) {
	if file < s.base || file-s.base > 1<<32-1 {
		return 0, false
	}
	return slices.BinarySearch(s.files, uint32(file-s.base))
}

// has reports whether what is at a place is the file with a mark, and is not gone.
func (s *segment) has(at int, mark uint32) bool {
	return s.marks[at] == mark && s.flags[at]&goneFile == 0
}

// marshal makes the head of a segment: version, then base, number of files, size and checksum of each field, and for each file the distance from
// the one before, its mark and its flags.
func (s *segment) marshal() []byte {
	b := append(make([]byte, 0, 32+8*len(s.files)), segmentVersion)
	b = binary.AppendUvarint(b, s.base)
	b = binary.AppendUvarint(b, uint64(len(s.files)))
	for f := range fieldCount {
		b = binary.AppendUvarint(b, uint64(s.sizes[f]))
		b = binary.LittleEndian.AppendUint32(b, s.sums[f])
	}
	last := uint32(0)
	for i, n := range s.files {
		b = binary.AppendUvarint(b, uint64(n-last))
		b = binary.LittleEndian.AppendUint32(b, s.marks[i])
		b = append(b, byte(s.flags[i]))
		last = n
	}
	return b
}

func (s *segment) unmarshal(number uint64, b []byte) error {
	*s = segment{number: number}
	bad := len(b) == 0 || b[0] != segmentVersion
	take := func() uint64 {
		v, n := binary.Uvarint(b)
		if bad = bad || n <= 0; bad {
			return 0
		}
		b = b[n:]
		return v
	}
	take32 := func() uint32 {
		if bad = bad || len(b) < 4; bad {
			return 0
		}
		v := binary.LittleEndian.Uint32(b)
		b = b[4:]
		return v
	}
	if !bad {
		b = b[1:]
	}
	s.base = take()
	n := take()
	for f := range fieldCount {
		s.sizes[f], s.sums[f] = uint32(take()), take32()
	}
	if bad = bad || n > maxFiles || n > uint64(len(b)); bad {
		return damaged("head of a segment")
	}
	s.files, s.marks, s.flags = make([]uint32, n), make([]uint32, n), make([]fileFlags, n)
	last := uint64(0)
	for i := range s.files {
		gap := take()
		last += gap
		s.files[i], s.marks[i] = uint32(last), take32()
		if bad = bad || len(b) == 0 || i > 0 && gap == 0 || last > 1<<32-1; bad {
			return damaged("head of a segment")
		}
		s.flags[i], b = fileFlags(b[0]), b[1:]
	}
	if len(b) > 0 {
		return damaged("head of a segment")
	}
	return nil
}

func damaged(what string) error {
	return fault.Newf("fulltext.read", fault.Corrupt, "damaged %s in the search index", what)
}

// newSegment is a segment under way.
type newSegment struct {
	segment
	values [fieldCount][]byte
}

func (s *newSegment) setValue(f field, value []byte) {
	s.values[f] = value
	s.sizes[f], s.sums[f] = uint32(len(value)), crc32.Checksum(value, castagnoli)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Heads are in index.Mail, values in index.Content.

func headKey(account, number uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 17), account), number)
}

func valueKey(account, number uint64, f field) []byte {
	return append(headKey(account, number), byte(f))
}

func put(tx index.Tx, account uint64, s *newSegment) error {
	if err := tx.Put(index.Mail, headKey(account, s.number), s.marshal()); err != nil {
		return err
	}
	for f, value := range s.values {
		if len(value) > 0 {
			if err := tx.Put(index.Content, valueKey(account, s.number, field(f)), value); err != nil {
				return err
			}
		}
	}
	return nil
}

func remove(tx index.Tx, account, number uint64) error {
	if err := tx.Delete(index.Mail, headKey(account, number)); err != nil {
		return err
	}
	for f := range fieldCount {
		if err := tx.Delete(index.Content, valueKey(account, number, f)); err != nil {
			return err
		}
	}
	return nil
}

// segments reads the heads of an account's segments, in the order of their first files.
func segments(tx index.Tx, account uint64) (list []*segment, err error) {
	from := binary.BigEndian.AppendUint64(nil, account)
	to := binary.BigEndian.AppendUint64(nil, account+1)
	tx.Range(index.Mail, from, to, func(k, v []byte) bool {
		if len(k) != 16 {
			err = damaged("key")
			return false
		}
		s := new(segment)
		if err = s.unmarshal(binary.BigEndian.Uint64(k[8:]), v); err != nil {
			return false
		}
		list = append(list, s)
		return true
	})
	sort.SliceStable(list, func(i, j int) bool { return list[i].base < list[j].base })
	return list, err
}
