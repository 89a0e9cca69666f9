package fulltext

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomDictionary returns words with the files that have them.
func randomDictionary(r *rand.Rand, files int) map[string][]uint16 {
	words := map[string][]uint16{}
	for range r.IntN(300) {
		word := fmt.Sprintf("%x", r.Uint64N(1<<(4+r.IntN(30))))
		share := 1 + r.IntN(40)
		var list []uint16
		for n := range files {
			if r.IntN(share) == 0 {
				list = append(list, uint16(n))
			}
		}
		if len(list) > 0 {
			words[word] = list
		}
	}
	return words
}

func write(words map[string][]uint16, files int) []byte {
	w := dictionaryWriter{files: files}
	for _, word := range slices.Sorted(maps.Keys(words)) {
		w.add([]byte(word), words[word])
	}
	return w.value()
}

func members(b bitmap) (list []uint16) {
	for n := range len(b) * 64 {
		if b.has(n) {
			list = append(list, uint16(n))
		}
	}
	return list
}

func TestDictionaryTellsWhichFilesHaveAPartOfAWord(t *testing.T) {
	for round := range uint64(60) {
		r := rand.New(rand.NewPCG(round, 1))
		files := 1 + r.IntN(300)
		words := randomDictionary(r, files)
		d, ok := openDictionary(write(words, files), files)
		if !ok {
			t.Fatal("it is damaged")
		}
		for _, piece := range []string{"0", "a", "ff", "1b", "abc", "deadbeefdeadbeef", "f0f"} {
			set, want := newBitmap(files), newBitmap(files)
			for word, list := range words {
				for _, n := range list {
					if strings.Contains(word, piece) {
						want.set(int(n))
					}
				}
			}
			if !d.containing([]byte(piece), set) || !slices.Equal(set, want) {
				t.Fatalf("round %d, %q: %v, want %v", round, piece, members(set), members(want))
			}
			var from, wantFrom []string
			ok := d.from([]byte(piece), func(word []byte, list int) bool {
				from = append(from, string(word))
				set := newBitmap(files)
				if !d.addList(list, 0, set) || !slices.Equal(members(set), words[string(word)]) {
					t.Fatalf("round %d, %q: %v, want %v", round, word, members(set), words[string(word)])
				}
				return true
			})
			for _, word := range slices.Sorted(maps.Keys(words)) {
				if word >= piece {
					wantFrom = append(wantFrom, word)
				}
			}
			if !ok || !slices.Equal(from, wantFrom) {
				t.Fatalf("round %d, from %q: %q, want %q", round, piece, from, wantFrom)
			}
		}
	}
}

// FuzzDictionary: whatever the bytes are, reading them ends without a panic.
func FuzzDictionary(f *testing.F) {
	for round := range uint64(4) {
		files := 1 + int(round)*40
		f.Add(write(randomDictionary(rand.New(rand.NewPCG(round, 2)), files), files), uint16(files), "a")
	}
	f.Fuzz(func(t *testing.T, b []byte, files uint16, piece string) {
		n := int(files)%maxFiles + 1
		d, ok := openDictionary(b, n)
		if !ok || piece == "" || strings.Contains(piece, "\x00") {
			return
		}
		d.containing([]byte(piece), newBitmap(n))
		d.from([]byte(piece), func(_ []byte, list int) bool { return d.each(list, func(int) {}) })
		s := &source{segment: &segment{files: make([]uint32, n), marks: make([]uint32, n), flags: make([]fileFlags, n)}, values: [fieldCount][]byte{b, b}}
		for i := range s.files {
			s.files[i] = uint32(i)
		}
		if _, err := merge(1, []*source{s}, func() error { return nil }); err != nil {
			return
		}
	})
}

// FuzzHead: whatever the bytes are, reading a head ends without a panic, and what can be read is written alike.
func FuzzHead(f *testing.F) {
	s := &segment{base: 77, files: []uint32{0, 5, 300}, marks: []uint32{1, 2, 3}, flags: []fileFlags{0, oddFile, goneFile}, sizes: [fieldCount]uint32{9, 1000}}
	f.Add(s.marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, again segment
		if s.unmarshal(3, b) != nil {
			return
		}
		if err := again.unmarshal(3, s.marshal()); err != nil || !slices.Equal(s.files, again.files) || !slices.Equal(s.flags, again.flags) {
			t.Errorf("%v: %v is %v", err, s, again)
		}
	})
}

func TestMergedSegmentsHaveWhatTheyHadWithoutWhatIsGone(t *testing.T) {
	for round := range uint64(40) {
		r := rand.New(rand.NewPCG(round, 3))
		want := [fieldCount]map[string]map[uint64]bool{{}, {}}
		var from []*source
		base := uint64(1000)
		for range 1 + r.IntN(9) {
			files := 1 + r.IntN(40)
			s := &newSegment{segment: segment{base: base}}
			for i := range files {
				s.files = append(s.files, uint32(2*i)) // so that segments lie between each other's files
				s.marks = append(s.marks, uint32(base)+uint32(i))
				s.flags = append(s.flags, []fileFlags{0, 0, partFile, goneFile}[r.IntN(4)])
			}
			for f := range fieldCount {
				words := randomDictionary(r, files)
				s.setValue(f, write(words, files))
				for word, list := range words {
					for _, n := range list {
						if s.flags[n]&goneFile == 0 {
							if want[f][word] == nil {
								want[f][word] = map[uint64]bool{}
							}
							want[f][word][base+uint64(s.files[n])] = true
						}
					}
				}
			}
			from = append(from, &source{segment: &s.segment, values: s.values})
			base += []uint64{uint64(2 * files), 1}[r.IntN(2)] + uint64(len(from)%2*100)
		}
		// A file may be in two segments only with the same words; here it would not.
		seen := map[uint64]bool{}
		double := false
		for _, s := range from {
			for i, n := range s.files {
				double = double || s.flags[i]&goneFile == 0 && seen[s.base+uint64(n)]
				seen[s.base+uint64(n)] = seen[s.base+uint64(n)] || s.flags[i]&goneFile == 0
			}
		}
		if double {
			continue
		}
		got, err := merge(9, from, func() error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if got == nil {
			if len(want[0])+len(want[1]) > 0 {
				t.Fatalf("round %d: nothing is left", round)
			}
			continue
		}
		for f := range fieldCount {
			d, ok := openDictionary(got.values[f], len(got.files))
			if !ok {
				t.Fatal("it is damaged")
			}
			count := 0
			d.from(nil, func(word []byte, list int) bool {
				count++
				var n int
				d.each(list, func(at int) {
					n++
					if !want[f][string(word)][got.base+uint64(got.files[at])] {
						t.Errorf("round %d: %q is in %d", round, word, got.base+uint64(got.files[at]))
					}
				})
				if n != len(want[f][string(word)]) {
					t.Errorf("round %d: %q is in %d files, want %d", round, word, n, len(want[f][string(word)]))
				}
				return true
			})
			if count != len(want[f]) {
				t.Errorf("round %d: %d words, want %d", round, count, len(want[f]))
			}
		}
	}
}
