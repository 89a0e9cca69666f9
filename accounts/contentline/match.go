package contentline

import (
	"fmt"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Collation says which texts count as equal (RFC 4790).
type Collation uint8

// The collations that CalDAV and CardDAV have to know, by their registered names.
const (
	ASCIICasemap   Collation = iota // i;ascii-casemap: case of A to Z does not count
	Octet                           // i;octet: byte by byte
	UnicodeCasemap                  // i;unicode-casemap (RFC 5051): case and composition of any letter do not count
)

// ParseCollation returns the collation of a registered name. "" and "default" are the default of CalDAV,
// i;ascii-casemap; CardDAV's default is i;unicode-casemap, and its caller says so.
func ParseCollation(name string) (Collation, error) {
	switch name {
	case "", "default", "i;ascii-casemap":
		return ASCIICasemap, nil
	case "i;octet":
		return Octet, nil
	case "i;unicode-casemap":
		return UnicodeCasemap, nil
	}
	return 0, fmt.Errorf("the collation %q is not supported", name)
}

// Mode is how a text has to be found.
type Mode uint8

// The match types of RFC 6352 section 10.5.4; CalDAV knows Contains alone.
const (
	Contains Mode = iota
	Equals
	StartsWith
	EndsWith
)

// ParseMode returns the mode of a match-type attribute. "" is contains.
func ParseMode(name string) (Mode, error) {
	switch name {
	case "", "contains":
		return Contains, nil
	case "equals":
		return Equals, nil
	case "starts-with":
		return StartsWith, nil
	case "ends-with":
		return EndsWith, nil
	}
	return 0, fmt.Errorf("the match type %q is not known", name)
}

// TextMatch is the text-match of a filter. Negate is left to the caller, because what it negates differs: with
// several values of a property, none of them may match.
type TextMatch struct {
	Value     string
	Collation Collation
	Mode      Mode
	Negate    bool
}

// Found reports whether a text has the value, without regard to Negate.
func (m *TextMatch) Found(text string) bool {
	want := m.Value
	switch m.Collation {
	case ASCIICasemap:
		want, text = lower(want), lower(text)
	case UnicodeCasemap:
		want, text = fold(want), fold(text)
	}
	switch m.Mode {
	case Equals:
		return text == want
	case StartsWith:
		return strings.HasPrefix(text, want)
	case EndsWith:
		return strings.HasSuffix(text, want)
	}
	return strings.Contains(text, want)
}

// lower maps A to Z only.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if c := b[i]; 'A' <= c && c <= 'Z' {
					b[i] = c + 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return norm.NFKD.String(cases.Fold().String(norm.NFKD.String(s)))
		}
	}
	return lower(s)
}
