package password

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"
)

// The passwords that people choose most, and that guessers try first: from published counts, in lower case, without the
// digits and marks that are put behind a word.
//
//go:embed common.txt
var commonText string

var common = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(commonText) {
		set[word] = true
	}
	return set
})

// maxAppended is how many digits and marks behind a common word make it no better.
const maxAppended = 4

// Common reports whether a password is among the commonest ones, in any case and with up to four digits or marks behind it.
func Common(password string) bool {
	p := strings.ToLower(password)
	if common()[p] {
		return true
	}
	word := strings.TrimRightFunc(p, func(r rune) bool { return !unicode.IsLetter(r) })
	return word != "" && len([]rune(p))-len([]rune(word)) <= maxAppended && common()[word]
}

// Resembles reports whether a password is made of a name: it is the name, also reversed or with digits and marks around it,
// or has a name of four or more letters in it with less than six other characters.
func Resembles(password, name string) bool {
	p, n := []rune(strings.ToLower(password)), []rune(strings.ToLower(name))
	if len(n) == 0 {
		return false
	}
	back := make([]rune, len(n))
	for i, r := range n {
		back[len(n)-1-i] = r
	}
	bare := strings.TrimFunc(string(p), func(r rune) bool { return !unicode.IsLetter(r) })
	for _, n := range []string{string(n), string(back)} {
		if string(p) == n || bare == n {
			return true
		}
		if len([]rune(n)) >= 4 && strings.Contains(string(p), n) && len(p)-len([]rune(n)) < 6 {
			return true
		}
	}
	return false
}

// Complexity is what kinds of characters a password has to have.
type Complexity string

// The levels of complexity, the least first.
const (
	AnyComplexity  Complexity = "any"
	LettersDigits  Complexity = "letters and digits"
	MixedDigits    Complexity = "mixed case and digits"
	MixedDigitsEtc Complexity = "mixed case and digits and symbols"
)

// Lacks says what a password lacks for a level, or "". Letters of scripts without cases count as both.
func (c Complexity) Lacks(password string) string {
	var lower, upper, letter, digit, symbol bool
	for _, r := range password {
		switch {
		case unicode.IsLower(r):
			lower, letter = true, true
		case unicode.IsUpper(r), unicode.IsTitle(r):
			upper, letter = true, true
		case unicode.IsLetter(r):
			lower, upper, letter = true, true, true
		case unicode.IsDigit(r):
			digit = true
		default:
			symbol = true
		}
	}
	var lacks []string
	need := func(has bool, what string) {
		if !has {
			lacks = append(lacks, what)
		}
	}
	switch c {
	case LettersDigits:
		need(letter, "a letter")
		need(digit, "a digit")
	case MixedDigits, MixedDigitsEtc:
		need(lower, "a small letter")
		need(upper, "a capital letter")
		need(digit, "a digit")
		if c == MixedDigitsEtc {
			need(symbol, "another character")
		}
	}
	return strings.Join(lacks, ", ")
}
