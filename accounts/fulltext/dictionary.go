package fulltext

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sort"
)

// The words of one field of a segment are one value:
//
//	number of words (4), length of the words (4), length of the lists (4)
//	for each 16th word: where it is (4), where its list is (4)
//	the words, sorted by bytes, with a NUL before the first and behind each
//	for each word, the list of the messages that have it:
//	    its length times two, and 1 if it is a bitmap (varint)
//	    a bitmap, or the differences of the rising numbers (varints)
//
// Numbers are little-endian. The words stand side by side, so that a part of a word is found by looking through memory.
const (
	dictionaryHead = 12
	blockWords     = 16
	blockEntry     = 8
)

// maxFiles is how many message files a segment has at most.
const maxFiles = 16384

// bitmap is a set of the messages of a segment.
type bitmap []uint64

func newBitmap(files int) bitmap { return make(bitmap, (files+63)/64) }
func (b bitmap) has(n int) bool  { return b[n/64]>>(n%64)&1 != 0 }
func (b bitmap) set(n int)       { b[n/64] |= 1 << (n % 64) }

func (b bitmap) and(other bitmap) {
	for i := range b {
		b[i] &= other[i]
	}
}

func (b bitmap) or(other bitmap) {
	for i := range b {
		b[i] |= other[i]
	}
}

func (b bitmap) empty() bool {
	for _, w := range b {
		if w != 0 {
			return false
		}
	}
	return true
}

// dictionary reads what dictionaryWriter has written. Nothing of what it reads is trusted.
type dictionary struct {
	files int
	n     int
	table []byte
	words []byte
	lists []byte
}

// openDictionary returns the dictionary of a value; ok is false if it is damaged. An empty value has no words.
func openDictionary(b []byte, files int) (d dictionary, ok bool) {
	d.files = files
	if len(b) == 0 {
		return d, true
	}
	if len(b) < dictionaryHead {
		return d, false
	}
	n, words, lists := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:])), uint64(binary.LittleEndian.Uint32(b[8:]))
	table := (n + blockWords - 1) / blockWords * blockEntry
	if dictionaryHead+table+words+lists != uint64(len(b)) || n > 0 && words < 2 {
		return d, false
	}
	d.n = int(n)
	d.table = b[dictionaryHead : dictionaryHead+table]
	d.words = b[dictionaryHead+table : dictionaryHead+table+words]
	d.lists = b[dictionaryHead+table+words:]
	return d, true
}

func (d *dictionary) blocks() int { return len(d.table) / blockEntry }

// block returns where the first word of a block is, and its list.
func (d *dictionary) block(i int) (word, list int, ok bool) {
	e := d.table[i*blockEntry:]
	word, list = int(binary.LittleEndian.Uint32(e)), int(binary.LittleEndian.Uint32(e[4:]))
	return word, list, word > 0 && word < len(d.words) && list <= len(d.lists)
}

// containing adds to a set the messages with a word that contains a piece. ok is false if the dictionary is damaged.
func (d *dictionary) containing(piece []byte, set bitmap) (ok bool) {
	block, at := 0, 0
	for {
		i := bytes.Index(d.words[at:], piece)
		if i < 0 {
			return true
		}
		at += i
		for block+1 < d.blocks() {
			if next, _, ok := d.block(block + 1); !ok {
				return false
			} else if next > at {
				break
			}
			block++
		}
		if block >= d.blocks() {
			return false
		}
		word, list, ok := d.block(block)
		if !ok || word > at {
			return false
		}
		before := bytes.Count(d.words[word:at], []byte{0})
		if before >= blockWords || !d.addList(list, before, set) {
			return false
		}
		end := bytes.IndexByte(d.words[at:], 0)
		if end < 0 {
			return false
		}
		at += end
	}
}

// addList adds a list to a set: the one that comes after so many others, from one on.
func (d *dictionary) addList(list, skip int, set bitmap) (ok bool) {
	for ; skip > 0; skip-- {
		if list, ok = d.endOfList(list); !ok {
			return false
		}
	}
	return d.each(list, set.set)
}

// endOfList returns where a list ends, which is where the next one begins.
func (d *dictionary) endOfList(list int) (end int, ok bool) {
	head, n := binary.Uvarint(d.lists[list:])
	if n <= 0 || head>>1 > uint64(len(d.lists)-list-n) {
		return 0, false
	}
	return list + n + int(head>>1), true
}

// each visits the messages of a list. ok is false if it is damaged.
func (d *dictionary) each(list int, visit func(n int)) (ok bool) {
	end, ok := d.endOfList(list)
	if !ok {
		return false
	}
	head, n := binary.Uvarint(d.lists[list:])
	b := d.lists[list+n : end]
	if head&1 != 0 {
		if len(b) != (d.files+7)/8 {
			return false
		}
		for i, c := range b {
			for ; c != 0; c &= c - 1 {
				if n := i*8 + bits.TrailingZeros8(c); n < d.files {
					visit(n)
				}
			}
		}
		return true
	}
	for at := -1; len(b) > 0; {
		gap, n := binary.Uvarint(b)
		if n <= 0 || gap >= uint64(d.files) {
			return false
		}
		b = b[n:]
		if at += int(gap) + 1; at >= d.files {
			return false
		}
		visit(at)
	}
	return true
}

// from visits the words from one on, in order, until visit returns false. list is what addTo takes.
func (d *dictionary) from(first []byte, visit func(word []byte, list int) bool) (ok bool) {
	ok = true
	block := sort.Search(d.blocks(), func(i int) bool {
		word, _, fine := d.block(i)
		ok = ok && fine
		return fine && bytes.Compare(d.wordAt(word), first) > 0
	}) - 1
	if !ok || d.n == 0 {
		return ok
	}
	at, list, ok := d.block(max(block, 0))
	if !ok {
		return false
	}
	for at < len(d.words) {
		word := d.wordAt(at)
		if bytes.Compare(word, first) >= 0 && !visit(word, list) {
			return true
		}
		if list, ok = d.endOfList(list); !ok {
			return false
		}
		at += len(word) + 1
	}
	return true
}

// wordAt returns the word that begins at a place.
func (d *dictionary) wordAt(at int) []byte {
	if end := bytes.IndexByte(d.words[at:], 0); end >= 0 {
		return d.words[at : at+end]
	}
	return d.words[at:]
}

// dictionaryWriter makes the value of a dictionary. Words are added in order.
type dictionaryWriter struct {
	files  int
	n      int
	table  []byte
	words  []byte
	lists  []byte
	packed []byte
}

// size is how long the value is.
func (w *dictionaryWriter) size() int {
	return dictionaryHead + len(w.table) + len(w.words) + len(w.lists)
}

func (w *dictionaryWriter) add(word []byte, files []uint16) {
	if w.n == 0 {
		w.words = append(w.words, 0)
	}
	if w.n%blockWords == 0 {
		w.table = binary.LittleEndian.AppendUint32(w.table, uint32(len(w.words)))
		w.table = binary.LittleEndian.AppendUint32(w.table, uint32(len(w.lists)))
	}
	w.n++
	w.words = append(append(w.words, word...), 0)
	size := (w.files + 7) / 8
	w.packed = w.packed[:0]
	last := -1
	for _, n := range files {
		if w.packed = binary.AppendUvarint(w.packed, uint64(int(n)-last-1)); len(w.packed) >= size {
			break
		}
		last = int(n)
	}
	if len(w.packed) < size {
		w.lists = append(binary.AppendUvarint(w.lists, uint64(len(w.packed))<<1), w.packed...)
		return
	}
	w.lists = binary.AppendUvarint(w.lists, uint64(size)<<1|1)
	at := len(w.lists)
	w.lists = append(w.lists, make([]byte, size)...)
	for _, n := range files {
		w.lists[at+int(n)/8] |= 1 << (n % 8)
	}
}

func (w *dictionaryWriter) value() []byte {
	if w.n == 0 {
		return nil
	}
	b := make([]byte, 0, w.size())
	for _, n := range [...]int{w.n, len(w.words), len(w.lists)} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return append(append(append(b, w.table...), w.words...), w.lists...)
}
