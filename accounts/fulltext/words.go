package fulltext

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

const (
	// maxWord is how long an indexed word is, in bytes. Of a longer one, pieces of this length are indexed that overlap by half,
	// so that every part of it up to pieceSize is in one of them.
	maxWord   = 64
	pieceSize = maxWord / 2
)

// class says what a character is for the index. It depends on the character alone: what is a word in a text that is looked for is
// one, or a part of one, wherever the text stands.
type class uint8

const (
	separator class = iota
	inWord
	// dense characters are those of scripts without spaces between words. They are indexed in pairs.
	dense
)

var denseScripts = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar}

func classOf(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		return asciiClasses[r]
	case r == utf8.RuneError:
		return separator
	case r < 0x0e00: // the first of the dense scripts
	case r == 0x30fc, unicode.In(r, denseScripts...):
		return dense
	}
	if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r) {
		return inWord
	}
	return separator
}

var asciiClasses = func() (t [utf8.RuneSelf]class) {
	for c := range t {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			t[c] = inWord
		}
	}
	return t
}()

// splitter finds the words in folded texts. Every word is a part of its text.
type splitter struct {
	word func([]byte) // gets each word, which is valid during the call

	run      []byte // of inWord characters
	more     bool   // the beginning of run was a word already
	pair     []byte // a dense character
	followed bool   // it is the second of a pair
}

// write reads a piece of a text, which is whole characters.
func (s *splitter) write(text []byte) {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if asciiClasses[c] == inWord {
				s.append(text[i : i+1])
			} else {
				s.end()
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		switch char := text[i : i+n]; classOf(r) {
		case inWord:
			s.append(char)
		case dense:
			s.appendDense(char)
		default:
			s.end()
		}
		i += n
	}
}

func (s *splitter) append(char []byte) {
	if len(s.pair) > 0 {
		s.endDense()
	}
	if len(s.run)+len(char) > maxWord {
		s.word(s.run)
		s.run, s.more = s.run[:copy(s.run, s.run[len(s.run)-pieceSize:])], true
	}
	s.run = append(s.run, char...)
}

func (s *splitter) appendDense(char []byte) {
	if len(s.run) > 0 {
		s.endRun()
	}
	first := len(s.pair)
	s.pair = append(s.pair, char...)
	if first > 0 {
		s.word(s.pair)
		s.pair, s.followed = append(s.pair[:0], char...), true
	}
}

// end ends the word under way: the text ends, or something else follows.
func (s *splitter) end() {
	if len(s.run) > 0 {
		s.endRun()
	}
	if len(s.pair) > 0 {
		s.endDense()
	}
}

func (s *splitter) endRun() {
	if !s.more || len(s.run) > pieceSize {
		s.word(s.run)
	}
	s.run, s.more = s.run[:0], false
}

func (s *splitter) endDense() {
	if !s.followed {
		s.word(s.pair)
	}
	s.pair, s.followed = s.pair[:0], false
}

// maxPieces is how many pieces of a text are looked up.
const maxPieces = 16

// pieces returns parts of a folded text of which each lies within a word of every text that contains it. If exact is true, it
// is one piece, and a text that has a word with it contains what is looked for. Of a text without words there are no pieces.
func pieces(text []byte) (list [][]byte, exact bool) {
	exact = true
	add := func(p []byte) {
		if len(list) == maxPieces {
			exact = false
			return
		}
		list = append(list, p)
	}
	for len(text) > 0 {
		c, n := runOf(text)
		run := text[:n]
		text = text[n:]
		switch {
		case c == separator:
			exact = false
		case c == dense:
			addPairs(run, add)
		case n <= pieceSize:
			add(run)
		default:
			for ; len(run) > pieceSize; run = run[pieceSize:] {
				add(run[:pieceSize])
			}
			add(run)
		}
	}
	return list, exact && len(list) == 1
}

// runOf returns the class of the first character, and the length of what has the same.
func runOf(text []byte) (c class, n int) {
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		switch next := classOf(r); {
		case n == 0:
			c = next
		case c != next:
			return c, n
		}
		n += size
	}
	return c, n
}

// addPairs adds the pairs of neighbours in a run of dense characters.
func addPairs(run []byte, add func([]byte)) {
	_, first := utf8.DecodeRune(run)
	if first == len(run) {
		add(run)
		return
	}
	for len(run) > first {
		_, second := utf8.DecodeRune(run[first:])
		add(run[:first+second])
		run, first = run[first:], second
	}
}

// samePieces reports whether two forms of a text have the same pieces.
func samePieces(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// oddCharacters are those that folding makes ASCII. SEARCH looks through some texts without converting them, if it looks for ASCII,
// and then takes these for what they are.
var oddCharacters = [...]string{"\u0130", "\u0131", "\u017f", "\u212a"}

// hasOdd reports whether a text, not folded, has one of them.
func hasOdd(text []byte) bool {
	for _, c := range oddCharacters {
		if bytes.Contains(text, []byte(c)) {
			return true
		}
	}
	return false
}
