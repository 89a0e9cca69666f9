package fulltext

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gatepost/accounts/message/searchtext"
)

// split returns the words of a text that is written in pieces of some characters.
func split(text []byte, piece int) (words []string) {
	s := splitter{word: func(w []byte) { words = append(words, string(w)) }}
	for len(text) > 0 {
		n := 0
		for range piece {
			_, size := utf8.DecodeRune(text[n:])
			n += size
		}
		s.write(text[:n])
		text = text[n:]
	}
	s.end()
	return words
}

func TestWords(t *testing.T) {
	long := strings.Repeat("0123456789", 15)
	for text, want := range map[string][]string{
		"":                            nil,
		" -- ":                        nil,
		"hello, wörld":                {"hello", "wörld"},
		"foo@example.com":             {"foo", "example", "com"},
		"e\u0301te\u0301 привет2":     {"e\u0301te\u0301", "привет2"},
		"漢":                           {"漢"},
		"漢字 かな":                       {"漢字", "かな"},
		"abc漢字文def":                   {"abc", "漢字", "字文", "def"},
		"サーバー":                        {"サー", "ーバ", "バー"},
		"a\xffb \ufffd":               {"a", "b"},
		"한국어 텍스트":                     {"한국어", "텍스트"},
		long[:64]:                     {long[:64]},
		long[:65]:                     {long[:64], long[32:65]},
		long[:96] + " " + long[:97]:   {long[:64], long[32:96], long[:64], long[32:96], long[64:97]},
		strings.Repeat("й", 33):       {strings.Repeat("й", 32), strings.Repeat("й", 17)},
		"x" + strings.Repeat("й", 33): {"x" + strings.Repeat("й", 31), strings.Repeat("й", 18)},
	} {
		for _, piece := range []int{1, 2, 1000} {
			if got := split([]byte(text), piece); !slices.Equal(got, want) {
				t.Errorf("%q in pieces of %d: %q, want %q", text, piece, got, want)
			}
		}
	}
}

func TestPieces(t *testing.T) {
	for text, want := range map[string]struct {
		pieces string
		exact  bool
	}{
		"":                        {"", false},
		"...":                     {"", false},
		"word":                    {"word", true},
		"word ":                   {"word", false},
		"ord, nex":                {"ord|nex", false},
		"漢":                       {"漢", true},
		"漢字":                      {"漢字", true},
		"漢字文":                     {"漢字|字文", false},
		"a漢":                      {"a|漢", false},
		strings.Repeat("a", 32):   {strings.Repeat("a", 32), true},
		strings.Repeat("a", 33):   {strings.Repeat("a", 32) + "|a", false},
		strings.Repeat("ab ", 20): {strings.Repeat("ab|", 15) + "ab", false},
	} {
		list, exact := pieces([]byte(text))
		if got := string(bytes.Join(list, []byte("|"))); got != want.pieces || exact != want.exact {
			t.Errorf("%q: %q %v, want %q %v", text, got, exact, want.pieces, want.exact)
		}
	}
}

// FuzzWords: every part of a text has all of its pieces in words of the text, words are parts of the text and have bounds, and how the text
// is written in pieces changes nothing.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"hello wörld", "漢字かな交じり文 abc", strings.Repeat("абв", 70), "a\xff\xfe\u0301é \x00", "กขค ကခဂ", "x\u2028y"} {
		f.Add([]byte(s), uint16(1), uint16(9), uint8(3))
	}
	f.Fuzz(func(t *testing.T, raw []byte, from, size uint16, piece uint8) {
		text := searchtext.Fold(nil, raw)
		words := split(text, int(piece)+1)
		if other := split(text, 1<<20); !slices.Equal(words, other) {
			t.Fatalf("%q: %q in pieces, %q as a whole", text, words, other)
		}
		for _, w := range words {
			if w == "" || len(w) > maxWord || !bytes.Contains(text, []byte(w)) {
				t.Fatalf("%q: the word %q", text, w)
			}
		}
		if len(text) == 0 {
			return
		}
		start := int(from) % len(text)
		needle := text[start:min(start+int(size), len(text))]
		if !utf8.Valid(needle) { // the server has only such
			return
		}
		list, exact := pieces(needle)
		if len(list) > maxPieces || exact && len(list) != 1 {
			t.Fatalf("%q: %d pieces", needle, len(list))
		}
		for _, p := range list {
			if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, string(p)) }) {
				t.Fatalf("%q is in %q, and no word of %q has %q", needle, text, words, p)
			}
		}
		if exact && !bytes.Equal(list[0], needle) {
			t.Fatalf("%q is not what the words are looked through for: %q", needle, list)
		}
	})
}

// TestOddCharacters: the list is whole.
func TestOddCharacters(t *testing.T) {
	for r := rune(utf8.RuneSelf); r <= unicode.MaxRune; r++ {
		if folded := searchtext.Fold(nil, []byte(string(r))); (len(folded) == 1) != hasOdd([]byte(string(r))) {
			t.Errorf("%U folds to %q", r, folded)
		}
	}
}
