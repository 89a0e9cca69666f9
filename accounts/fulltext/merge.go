package fulltext

import (
	"bytes"
	"cmp"
	"hash/crc32"
	"math/bits"
	"slices"

	"gatepost/accounts/index"
	"gatepost/server/fault"
)

// Segments of about one size are merged when they are many, so that an account of n messages has few of them for every power of mergeFrom
// below n, and each word is written as often. What is gone is left out.
const (
	// mergeFrom is how many segments of one size are merged.
	mergeFrom = 8
	// maxMerged is how large a segment gets by being merged, in bytes.
	maxMerged = 16 << 20
	// A segment is also written anew when one of so many files is gone.
	goneShare = 8
)

// tier is the size of a segment: files of the same tier are merged.
func (s *segment) tier() int { return (bits.Len(uint(len(s.files))) + 2) / 3 }

// toMerge chooses segments to be merged, or returns none. They are neighbours as far as can be.
func toMerge(list []*segment) (chosen []*segment) {
	for _, s := range list {
		if gone := len(s.files) - s.left(); gone > 0 && gone*goneShare >= len(s.files) {
			return []*segment{s}
		}
	}
	for tier := range 1 + (bits.Len(maxFiles)+2)/3 {
		var same []*segment
		for _, s := range list {
			if s.tier() == tier && s.size() < maxMerged/2 && len(s.files) <= maxFiles/2 {
				same = append(same, s)
			}
		}
		if len(same) < mergeFrom {
			continue
		}
		files, size := 0, 0
		for _, s := range same {
			fits := len(chosen) == 0 || s.base >= chosen[0].base && s.base-chosen[0].base <= 1<<31
			if files+len(s.files) > maxFiles || size+s.size() > maxMerged || !fits {
				break
			}
			files, size, chosen = files+len(s.files), size+s.size(), append(chosen, s)
		}
		if len(chosen) > 1 {
			return chosen
		}
		chosen = nil
	}
	return nil
}

// source is a segment that is being merged.
type source struct {
	*segment
	values [fieldCount][]byte
	place  []int32 // of each file in the new segment, or -1
}

// readSources copies segments out of the index. NotFound: one of them is gone.
func readSources(tx index.Tx, account uint64, list []*segment) ([]*source, error) {
	var all []*source
	for _, s := range list {
		src := &source{segment: s}
		for f := range fieldCount {
			if s.sizes[f] == 0 {
				continue
			}
			v := tx.Get(index.Content, valueKey(account, s.number, f))
			if uint32(len(v)) != s.sizes[f] {
				return nil, damaged("segment")
			}
			src.values[f] = bytes.Clone(v)
			if crc32.Checksum(src.values[f], castagnoli) != s.sums[f] {
				return nil, damaged("segment")
			}
		}
		all = append(all, src)
	}
	return all, nil
}

// merge makes one segment of several, without what is gone. It is nil if nothing is left. rest is called now and then.
func merge(number uint64, from []*source, rest func() error) (*newSegment, error) {
	type file struct {
		id    uint64
		from  *source
		at    int
		flags fileFlags
	}
	var files []file
	for _, s := range from {
		s.place = make([]int32, len(s.files))
		for i, n := range s.files {
			if s.place[i] = -1; s.flags[i]&goneFile == 0 {
				files = append(files, file{s.base + uint64(n), s, i, s.flags[i]})
			}
		}
	}
	if len(files) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(files, func(a, b file) int { return cmp.Compare(a.id, b.id) })
	s := &newSegment{segment: segment{number: number, base: files[0].id}}
	for i, f := range files {
		if i > 0 && f.id == files[i-1].id { // it was indexed twice
			continue
		}
		if f.id-s.base > 1<<32-1 || len(s.files) == maxFiles {
			return nil, fault.New("fulltext.merge", fault.Internal, "the segments do not fit into one")
		}
		f.from.place[f.at] = int32(len(s.files))
		s.files, s.marks, s.flags = append(s.files, uint32(f.id-s.base)), append(s.marks, f.from.marks[f.at]), append(s.flags, f.flags)
	}
	for f := range fieldCount {
		value, err := mergeWords(f, from, len(s.files), rest)
		if err != nil {
			return nil, err
		}
		s.setValue(f, value)
	}
	return s, nil
}

// mergeWords merges the dictionaries of a field.
func mergeWords(f field, from []*source, files int, rest func() error) ([]byte, error) {
	w := dictionaryWriter{files: files}
	readers := make([]*wordReader, 0, len(from))
	for _, s := range from {
		d, ok := openDictionary(s.values[f], len(s.files))
		if !ok {
			return nil, damaged("segment")
		}
		r := &wordReader{d: d, place: s.place}
		if r.next(); r.bad {
			return nil, damaged("segment")
		}
		if !r.done {
			readers = append(readers, r)
		}
	}
	words := 0
	var list []uint16
	for len(readers) > 0 {
		least := readers[0].word
		for _, r := range readers[1:] {
			if bytes.Compare(r.word, least) < 0 {
				least = r.word
			}
		}
		list = list[:0]
		kept := readers[:0]
		for _, r := range readers {
			if bytes.Equal(r.word, least) {
				list = r.appendTo(list)
				r.next()
			}
			if r.bad {
				return nil, damaged("segment")
			}
			if !r.done {
				kept = append(kept, r)
			}
		}
		readers = kept
		if len(list) > 0 {
			slices.Sort(list)
			w.add(least, list)
		}
		if words++; words%2000 == 0 {
			if err := rest(); err != nil {
				return nil, err
			}
		}
	}
	return w.value(), nil
}

// wordReader reads the words of a dictionary one after the other.
type wordReader struct {
	d     dictionary
	place []int32
	n     int
	at    int
	list  int
	word  []byte
	this  int // where the list of the word is
	done  bool
	bad   bool
}

func (r *wordReader) next() {
	if r.n == r.d.n {
		r.done = true
		return
	}
	if r.n == 0 {
		r.at = 1
	}
	if r.at >= len(r.d.words) {
		r.bad = true
		return
	}
	r.word = r.d.wordAt(r.at)
	r.at += len(r.word) + 1
	r.n++
	r.this = r.list
	end, ok := r.d.endOfList(r.list)
	r.list, r.bad = end, !ok
}

// appendTo appends the files of the word, by their places in the new segment.
func (r *wordReader) appendTo(list []uint16) []uint16 {
	ok := r.d.each(r.this, func(n int) {
		if r.place[n] >= 0 {
			list = append(list, uint16(r.place[n]))
		}
	})
	r.bad = r.bad || !ok
	return list
}
