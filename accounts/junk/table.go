package junk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// Kind is what somebody says a message is.
type Kind uint8

// The kinds.
const (
	Unknown Kind = iota
	Junk
	Ham
)

// The file of a table has three parts, with numbers in little-endian order:
//
//	header    mark, number of buckets for words and for messages, messages learned as junk and as ham, and how many of
//	          them each account has contributed, by a hash of its name (in the table of a domain)
//	words     buckets of 64 bytes: 6 entries of 10 bytes (4 of the token's hash, then junk, ham and day of the last change with 2
//	          bytes each), checksum
//	messages  buckets of 64 bytes: 7 entries of 8 bytes (7 of the message's hash, its kind), the youngest first; checksum; 4 free
//
// A bucket is written by one call, and one whose checksum is wrong counts as empty: a crash costs some words what was learned of them. When a
// bucket is full, the word goes that was seen in the fewest messages, of these the one that has not been seen for longest.
const (
	tableMark  = "gatepost junk 1\n"
	headerSize = 4096
	bucketSize = 64
	shareAt    = 64
	shares     = (headerSize - shareAt) / 4

	wordsPerBucket = 6
	wordSize       = 10
	kindsPerBucket = 7
)

// The sizes of tables, in buckets; powers of two.
type tableSize struct{ words, messages uint32 }

var (
	accountTable = tableSize{16 << 10, 4 << 10}   // 98,000 words, 28,000 messages; 1.3 MB
	domainTable  = tableSize{128 << 10, 64 << 10} // 786,000 words, 458,000 messages; 12 MB
)

// counts are how many messages were learned.
type counts struct{ junk, ham uint64 }

// of is the count of a kind.
func (c *counts) of(k Kind) *uint64 {
	switch k {
	case Junk:
		return &c.junk
	case Ham:
		return &c.ham
	}
	return nil
}

// table is an open table. Only one goroutine at a time writes to the tables of a server; others may read meanwhile.
type table struct {
	f    *os.File
	size tableSize
	counts
	header [headerSize]byte
}

var errDamaged = errors.New("the file is no table of this program")

// openTable opens a table for reading. Errors: fs.ErrNotExist when nothing was learned yet, errDamaged.
func openTable(path string) (*table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t := &table{f: f}
	if err := t.load(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return t, nil
}

// openToLearn opens a table for changes, and makes it if there is none. A damaged one is set aside.
func openToLearn(path string, size tableSize) (t *table, aside string, err error) {
	t = &table{}
	if t.f, err = os.OpenFile(path, os.O_RDWR, 0); err == nil {
		if err = t.load(); err == nil {
			return t, "", nil
		}
		err = errors.Join(err, t.f.Close())
		if !errors.Is(err, errDamaged) {
			return nil, "", err
		}
		aside = path + ".damaged"
		if err := os.Rename(path, aside); err != nil {
			return nil, "", err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	if t.f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, aside, err
	}
	t.size, t.counts, t.header = size, counts{}, [headerSize]byte{}
	copy(t.header[:], tableMark)
	binary.LittleEndian.PutUint32(t.header[16:], size.words)
	binary.LittleEndian.PutUint32(t.header[20:], size.messages)
	if err := errors.Join(t.f.Truncate(t.end()), t.save()); err != nil {
		return nil, aside, errors.Join(err, t.f.Close(), os.Remove(path))
	}
	return t, aside, nil
}

func (t *table) load() error {
	if _, err := io.ReadFull(io.NewSectionReader(t.f, 0, headerSize), t.header[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errDamaged
		}
		return err
	}
	t.size.words, t.size.messages = binary.LittleEndian.Uint32(t.header[16:]), binary.LittleEndian.Uint32(t.header[20:])
	power := func(n uint32) bool { return n > 0 && n <= 1<<24 && n&(n-1) == 0 }
	if string(t.header[:len(tableMark)]) != tableMark || !power(t.size.words) || !power(t.size.messages) {
		return errDamaged
	}
	t.junk, t.ham = binary.LittleEndian.Uint64(t.header[24:]), binary.LittleEndian.Uint64(t.header[32:])
	return nil
}

func (t *table) save() error {
	binary.LittleEndian.PutUint64(t.header[24:], t.junk)
	binary.LittleEndian.PutUint64(t.header[32:], t.ham)
	_, err := t.f.WriteAt(t.header[:], 0)
	return err
}

func (t *table) end() int64 {
	return headerSize + (int64(t.size.words)+int64(t.size.messages))*bucketSize
}

// close makes durable what was written, if anything was.
func (t *table) close(written bool) (err error) {
	if written {
		err = t.f.Sync()
	}
	return errors.Join(err, t.f.Close())
}

// bucket is a bucket of either part.
type bucket [bucketSize]byte

const checksumAt = bucketSize - 4

func (t *table) read(at int64, b *bucket) error {
	n, err := t.f.ReadAt(b[:], at)
	if n < bucketSize && err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if n < bucketSize || crc32.ChecksumIEEE(b[:checksumAt]) != binary.LittleEndian.Uint32(b[checksumAt:]) {
		*b = bucket{}
	}
	return nil
}

func (t *table) write(at int64, b *bucket) error {
	binary.LittleEndian.PutUint32(b[checksumAt:], crc32.ChecksumIEEE(b[:checksumAt]))
	_, err := t.f.WriteAt(b[:], at)
	return err
}

func (t *table) wordAt(h uint64) int64 {
	return headerSize + int64(uint32(h)&(t.size.words-1))*bucketSize
}

func (t *table) messageAt(h uint64) int64 {
	return headerSize + (int64(t.size.words)+int64(uint32(h)&(t.size.messages-1)))*bucketSize
}

// tag is what of a hash stands in an entry: other bits than those that choose the bucket. 0 is an empty entry.
func tag(h uint64) uint32 { return max(uint32(h>>32), 1) }

// entry is one of a bucket of words.
type entry struct {
	tag            uint32
	junk, ham, day uint16
}

func (b *bucket) word(i int) entry {
	e := b[i*wordSize:]
	return entry{binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint16(e[4:]), binary.LittleEndian.Uint16(e[6:]), binary.LittleEndian.Uint16(e[8:])}
}

func (b *bucket) setWord(i int, w entry) {
	e := b[i*wordSize:]
	binary.LittleEndian.PutUint32(e, w.tag)
	binary.LittleEndian.PutUint16(e[4:], w.junk)
	binary.LittleEndian.PutUint16(e[6:], w.ham)
	binary.LittleEndian.PutUint16(e[8:], w.day)
}

// lookUp returns how many messages of each kind had a token.
func (t *table) lookUp(h uint64) (c counts, err error) {
	var b bucket
	if err := t.read(t.wordAt(h), &b); err != nil {
		return c, err
	}
	for i := range wordsPerBucket {
		if w := b.word(i); w.tag == tag(h) {
			return counts{uint64(w.junk), uint64(w.ham)}, nil
		}
	}
	return c, nil
}

// count adds a message to what is known of a token, or takes one away.
func (t *table) count(h uint64, kind Kind, by int, day uint16) error {
	at := t.wordAt(h)
	var b bucket
	if err := t.read(at, &b); err != nil {
		return err
	}
	place, rarest := -1, 0
	for i := range wordsPerBucket {
		w, least := b.word(i), b.word(rarest)
		if w.tag == tag(h) {
			place = i
			break
		}
		n, m := int(w.junk)+int(w.ham), int(least.junk)+int(least.ham)
		if n < m || n == m && w.day < least.day {
			rarest = i
		}
	}
	if place < 0 {
		if by < 0 {
			return nil // it was evicted
		}
		place = rarest
		b.setWord(place, entry{tag: tag(h)})
	}
	w := b.word(place)
	of := &w.junk
	if kind == Ham {
		of = &w.ham
	}
	switch {
	case by < 0 && *of > 0:
		*of--
	case by > 0:
		if *of == 1<<16-1 {
			w.junk, w.ham = w.junk/2, w.ham/2
		}
		*of++
	}
	if w.day = day; w.junk == 0 && w.ham == 0 {
		w = entry{}
	}
	b.setWord(place, w)
	return t.write(at, &b)
}

// said returns what was said of a message last.
func (t *table) said(message uint64) (Kind, error) {
	var b bucket
	if err := t.read(t.messageAt(message), &b); err != nil {
		return Unknown, err
	}
	for i := range kindsPerBucket {
		if v := binary.LittleEndian.Uint64(b[i*8:]); v>>8 == message>>8 {
			return Kind(v & 3), nil
		}
	}
	return Unknown, nil
}

// say keeps what is said of a message. The message of which something was said longest ago goes.
func (t *table) say(message uint64, kind Kind) error {
	at := t.messageAt(message)
	var b bucket
	if err := t.read(at, &b); err != nil {
		return err
	}
	list := make([]uint64, 0, kindsPerBucket+1)
	list = append(list, message&^0xff|uint64(kind))
	for i := range kindsPerBucket {
		if v := binary.LittleEndian.Uint64(b[i*8:]); v != 0 && v>>8 != message>>8 {
			list = append(list, v)
		}
	}
	b = bucket{}
	for i, v := range list[:min(len(list), kindsPerBucket)] {
		binary.LittleEndian.PutUint64(b[i*8:], v)
	}
	return t.write(at, &b)
}

// share says how many messages an account has contributed to the table of a domain.
func (t *table) share(account uint64) uint32 {
	return binary.LittleEndian.Uint32(t.header[shareAt+4*(account%shares):])
}

func (t *table) setShare(account uint64, n uint32) {
	binary.LittleEndian.PutUint32(t.header[shareAt+4*(account%shares):], n)
}

// minShare is what an account may always contribute to a domain; above it is at most a quarter.
const minShare = 25

// learn takes what is said of a message. In the table of a domain, account is the one who says so, else 0. learned says that the
// table has changed: nothing is learned twice.
func (t *table) learn(tok *tokens, kind Kind, account uint64, day uint16) (learned bool, err error) {
	message := tok.fingerprint()
	was, err := t.said(message)
	if err != nil || was == kind {
		return false, err
	}
	if account != 0 { // who says something else of a message takes as much influence as who says something first
		n := t.share(account)
		if n >= minShare && uint64(n) >= (t.junk+t.ham)/4 {
			return false, nil
		}
		t.setShare(account, n+1)
	}
	for _, h := range tok.list {
		if was != Unknown {
			if err := t.count(h, was, -1, day); err != nil {
				return false, err
			}
		}
		if err := t.count(h, kind, 1, day); err != nil {
			return false, err
		}
	}
	if of := t.of(was); of != nil && *of > 0 {
		*of--
	}
	*t.of(kind)++
	if err := errors.Join(t.say(message, kind), t.save()); err != nil {
		return false, fmt.Errorf("what was learned of a message is not kept: %w", err)
	}
	return true, nil
}
