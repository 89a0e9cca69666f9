package fulltext

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kljensen/snowball/english"
	"github.com/kljensen/snowball/russian"

	"gatepost/accounts/message/searchtext"
)

// How well a word is like one that is looked for (RFC 6203): it is the same, it has the same stem, or it begins with it.
const (
	sameWord  = 100
	sameStem  = 80
	beginning = 60
)

// likeStart is how many characters a word and one that is like it have to have in common at their beginning, if they are not the same.
const likeStart = 3

// Likeness is what a fuzzy search looks for: words, in any order. A text is like it if it has a word like each of them. English and Russian words
// are alike if they have the same stem.
type Likeness struct {
	words []likeWord
}

type likeWord struct {
	text  []byte
	start []byte // what a word that is like it begins with
	stem  string // "" if there is none
}

// NewLikeness returns what a text, which is folded, asks for, or nil if it has no words. Of many words the first ones count.
func NewLikeness(folded []byte) *Likeness {
	l := &Likeness{}
	s := splitter{word: func(w []byte) {
		if len(l.words) < maxPieces {
			l.words = append(l.words, newLikeWord(bytes.Clone(w)))
		}
	}}
	s.write(folded)
	s.end()
	if len(l.words) == 0 {
		return nil
	}
	return l
}

func newLikeWord(text []byte) likeWord {
	w := likeWord{text: text, start: text, stem: stemOf(text)}
	at := 0
	for range likeStart {
		if at == len(text) {
			return w
		}
		_, n := utf8.DecodeRune(text[at:])
		at += n
	}
	w.start = text[:at]
	return w
}

// like says how well a word is like this one, 0 if it is not. The word has to begin with start.
func (w *likeWord) like(word []byte) uint8 {
	switch {
	case bytes.Equal(word, w.text):
		return sameWord
	case utf8.RuneCount(w.start) < likeStart:
		return 0
	case w.stem != "" && w.stem == stemOf(word):
		return sameStem
	case bytes.HasPrefix(word, w.text):
		return beginning
	}
	return 0
}

// stemOf returns the stem of an English or Russian word, or "".
func stemOf(word []byte) string {
	latin, cyrillic := false, false
	for _, r := range string(word) {
		switch {
		case r >= 'a' && r <= 'z':
			latin = true
		case unicode.Is(unicode.Cyrillic, r):
			cyrillic = true
		default:
			return ""
		}
	}
	switch {
	case latin && !cyrillic:
		return english.Stem(string(word), true)
	case cyrillic && !latin:
		return russian.Stem(strings.ReplaceAll(string(word), "ё", "е"), true)
	}
	return ""
}

// Matcher tells how well a text is like what is looked for. The text is folded, and may be written in pieces of whole characters.
type Matcher struct {
	likeness *Likeness
	best     []uint8
	splitter splitter
}

// Matcher returns a Matcher.
func (l *Likeness) Matcher() *Matcher {
	m := &Matcher{likeness: l, best: make([]uint8, len(l.words))}
	m.splitter.word = func(word []byte) {
		for i := range l.words {
			if w := &l.words[i]; m.best[i] < sameWord && bytes.HasPrefix(word, w.start) {
				m.best[i] = max(m.best[i], w.like(word))
			}
		}
	}
	return m
}

// Write reads a piece of a text.
func (m *Matcher) Write(folded []byte) { m.splitter.write(folded) }

// WriteText reads a piece of a text that is not folded.
func (m *Matcher) WriteText(text []byte) { m.Write(searchtext.Fold(nil, text)) }

// End ends a text: what follows is another one.
func (m *Matcher) End() { m.splitter.end() }

// Reset begins anew.
func (m *Matcher) Reset() { clear(m.best) }

// Score is how well the texts are like what is looked for, from 1 to 100; 0 if they are not.
func (m *Matcher) Score() int { return score(m.best) }

func score(best []uint8) int {
	sum := 0
	for _, n := range best {
		if n == 0 {
			return 0
		}
		sum += int(n)
	}
	return sum / len(best)
}

// likeText is a fuzzy text of a query.
type likeText struct {
	likeness *Likeness
	scope    Scope
	within   bool
}

// Like adds a fuzzy text, as Text does. With within, a message that is like it has to be read to know its score.
func (q *Query) Like(l *Likeness, scope Scope, within bool) int {
	if q == nil || len(q.likes) == maxTexts {
		return -1
	}
	q.likes = append(q.likes, likeText{l, scope, within})
	return len(q.likes) - 1
}

// LookLike says whether the message in a file is like a fuzzy text, and how well.
func (q *Query) LookLike(file uint64, mark uint32, text int) (score int, a Answer) {
	if q == nil || text < 0 || q.err != nil {
		return 0, Unknown
	}
	s, at := q.find(file, mark)
	if s == nil || s.flags[at]&partFile != 0 {
		q.unknown = q.unknown || s == nil
		return 0, q.tell(Unknown)
	}
	if len(s.likes) <= text {
		s.likes = append(s.likes, make([][]uint8, text+1-len(s.likes))...)
	}
	if s.likes[text] == nil {
		s.likes[text] = q.lookUpLike(s, &q.likes[text])
	}
	scores := s.likes[text]
	switch {
	case len(scores) == 0:
		return 0, q.tell(Unknown)
	case scores[at] == 0:
		return 0, q.tell(No)
	case q.likes[text].within:
		return 0, q.tell(Unknown)
	}
	return int(scores[at]), q.tell(Yes)
}

// lookUpLike returns the scores of the messages of a segment; none if they are not known.
func (q *Query) lookUpLike(s *queried, t *likeText) (scores []uint8) {
	scores = []uint8{}
	words := t.likeness.words
	best := make([]uint8, len(s.files)*len(words)) // by message and word
	for f := range fieldCount {
		if t.scope&(InHeader<<f) == 0 || s.sizes[f] == 0 {
			continue
		}
		err := q.dictionary(s, f, len(words), func(d *dictionary) (ok bool) {
			ok = true
			for i := 0; i < len(words) && ok; i++ {
				w := &words[i]
				fine := d.from(w.start, func(word []byte, list int) bool {
					if !bytes.HasPrefix(word, w.start) {
						return false
					}
					if n := w.like(word); n > 0 {
						ok = d.each(list, func(at int) { best[at*len(words)+i] = max(best[at*len(words)+i], n) })
					}
					return ok
				})
				ok = ok && fine
			}
			return ok
		})
		if err != nil {
			return scores
		}
	}
	for at := range s.files {
		scores = append(scores, uint8(score(best[at*len(words):(at+1)*len(words)])))
	}
	return scores
}
