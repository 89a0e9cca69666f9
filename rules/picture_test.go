package rules

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPictures(t *testing.T) {
	for _, test := range []struct {
		picture, value string
		want           bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "", false}, {"*", "", true}, {"*", "anything", true}, {"**", "", true},
		{"joe@corp.com", "joe@corp.com", true}, {"joe@corp.com", "Joe@CORP.com", true}, {"joe", "joe@corp.com", false},
		{"*@corp.com", "joe@corp.com", true}, {"*@corp.com", "@corp.com", true}, {"*@corp.com", "joe@corp.com.evil", false},
		{"joe*", "joe@corp.com", true}, {"joe*", "mjoe", false},
		{"*[group1]*", "Re: [group1] x", true}, {"*[group1]*", "group1", false},
		{"X-Junk-Score*XXXXXXXXXX*", "X-Junk-Score: 92 [XXXXXXXXXX]", true},
		{"X-Junk-Score*XXXXXXXXXX*", "X-Junk-Score: 92 [XXXXXXXXX]", false},
		{"a*a", "a", false}, {"a*a", "aa", true}, {"ab*ba", "aba", false}, {"ab*ba", "abba", true},
		{"*ab*ab*", "abxab", true}, {"*ab*ab*", "ab", false}, {"a*b*c", "a-b-b-c", true}, {"a*b*c", "acb", false},
		{"*aab*", "aaab", true}, {"*abcabd*", "abcabcabd", true}, {"a*ab*b", "aabb", true}, {"a*ab*b", "aab", false},
		{"?", "a", false}, {"a.c", "abc", false}, {`\*`, `\`, true}, // no other wildcards, no escapes
		{"*ПРИВЕТ*", "Re: привет!", true}, {"ΣΊΣΥΦΟΣ", "σίσυφος", true}, {"*ё", "ёлкЁ", true},
		{"*\xff*", "a\xffb", true}, {"*\xff*", "a\xfeb", false}, {"*\xff*", "a\ufffdb", false},
	} {
		p := newPicture(test.picture)
		if got := p.match(newText(test.value)); got != test.want {
			t.Errorf("%q fits %q: %v", test.value, test.picture, got)
		}
	}
}

// TestPicturesTakeLinearTime has pictures and values that take a matcher that goes back in the
// value hours.
func TestPicturesTakeLinearTime(t *testing.T) {
	value := newText(strings.Repeat("a", 4<<20))
	for _, picture := range []string{
		"*" + strings.Repeat("a", 50000) + "b*",
		strings.Repeat("a*", 50000) + "b",
		"*" + strings.Repeat("a*ab*", 10000),
	} {
		p := newPicture(picture)
		if p.match(value) {
			t.Errorf("%.20s matches", picture)
		}
	}
}

// FuzzPicture compares pictures with regular expressions.
func FuzzPicture(f *testing.F) {
	f.Add("*a*ab*b", "aabbab")
	f.Add("X-Junk-Score*XX*", "X-Junk-Score: 9 [XXX]")
	f.Add("*ab*ba*", "abba")
	f.Add("ё*Ё", "ЁЁ")
	f.Fuzz(func(t *testing.T, picture, value string) {
		p := newPicture(picture)
		got := p.match(newText(value))
		// Where letters have other pairs for a regular expression than for us, there is nothing to
		// compare.
		if !utf8.ValidString(picture) || !utf8.ValidString(value) || !isASCII(picture+value) {
			return
		}
		parts := strings.Split(picture, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		want := regexp.MustCompile(`(?is)\A` + strings.Join(parts, ".*") + `\z`).MatchString(value)
		if got != want {
			t.Errorf("%q fits %q: %v", value, picture, got)
		}
	})
}
