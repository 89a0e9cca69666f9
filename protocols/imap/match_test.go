package imap

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// fitsSlowly is match as one would explain it.
func fitsSlowly(pattern, name string) bool {
	re := regexp.QuoteMeta(pattern)
	re = strings.ReplaceAll(re, `\*`, `.*`)
	re = strings.ReplaceAll(re, `%`, `[^/]*`)
	return regexp.MustCompile(`(?s)^` + re + `$`).MatchString(name)
}

func TestPatternsOfList(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"inbox", "INBOX", true}, {"iNb%", "INBOX", true}, {"inbox/x", "INBOX/x", true}, {"INBOX/X", "INBOX/x", false},
		{"inboxes", "INBOXES", false}, {"a", "A", false}, {"%", "a/b", false}, {"*", "a/b", true}, {"%/%", "a/b", true},
		{"", "", true}, {"*%*", "x", true}, {"a*%b", "a/c/b", true}, {"%b", "a/b", false},
	} {
		if got := new(matcher).match(test.pattern, test.name); got != test.want {
			t.Errorf("%q %q: %v", test.pattern, test.name, got)
		}
	}
	var words []string
	grow := func(alphabet string, longest int) []string {
		words = []string{""}
		for from := 0; longest > 0; longest-- {
			end := len(words)
			for _, w := range words[from:end] {
				for _, c := range alphabet {
					words = append(words, w+string(c))
				}
			}
			from = end
		}
		return words
	}
	patterns, names := grow("a/*%", 5), grow("ab/", 5)
	for _, p := range patterns {
		re := regexp.QuoteMeta(p)
		re = strings.ReplaceAll(strings.ReplaceAll(re, `\*`, `.*`), `%`, `[^/]*`)
		want := regexp.MustCompile(`^` + re + `$`)
		for _, n := range names {
			if got := new(matcher).match(p, n); got != want.MatchString(n) {
				t.Fatalf("%q %q: %v", p, n, got)
			}
		}
	}
}

func TestPatternsCannotTakeLong(t *testing.T) {
	name := strings.Repeat("a", 1000)
	began := time.Now()
	var m matcher
	for range 10_000 {
		m.match(strings.Repeat("*a%", 300)+"b", name)
	}
	if !m.spent() {
		t.Errorf("%d steps were not too many", m.steps)
	}
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("took %v", d)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a*%/b", "aa/b/b")
	f.Add("%/%x%", "INBOX/yx")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 50 || strings.HasPrefix(name, "INBOX") {
			return
		}
		for _, c := range pattern + name {
			if c >= 0x80 {
				return // the expression works with letters, match with bytes
			}
		}
		if got, want := new(matcher).match(pattern, name), fitsSlowly(pattern, name); got != want {
			t.Errorf("%q %q: %v", pattern, name, got)
		}
	})
}
