package commandline

import (
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		"":                                {},
		"cgpav":                           {"cgpav"},
		"  a   b\tc ":                     {"a", "b", "c"},
		`/usr/bin/perl "/my dir/sign.pl"`: {"/usr/bin/perl", "/my dir/sign.pl"},
		`a "" ''`:                         {"a", "", ""},
		`a\ b "c\"d\\" 'e\f'`:             {"a b", `c"d\`, `e\f`},
		`x"y z"w`:                         {"xy zw"},
		"a; rm -rf / | b > c $(d) `e`":    {"a;", "rm", "-rf", "/", "|", "b", ">", "c", "$(d)", "`e`"},
	} {
		got, err := Split(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", line, got, err, want)
		}
	}
	for _, line := range []string{`"a`, `'`, `a\`, "a\x00b"} {
		if got, err := Split(line); err == nil {
			t.Errorf("%q: %q, want an error", line, got)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(`a "b c" 'd' e\ f`)
	f.Fuzz(func(t *testing.T, line string) {
		words, err := Split(line)
		if err != nil {
			return
		}
		again, err := Split(Join(words))
		if err != nil || !slices.Equal(words, again) {
			t.Errorf("%q: %q, then %q, %v", line, words, again, err)
		}
		if len(strings.Join(words, "")) > len(line) {
			t.Errorf("%q: %q", line, words)
		}
	})
}

func TestParse(t *testing.T) {
	c, err := Parse(` [file][RETPATH] [ RCPT ] [ORCPT] [STDERR]  archive.sh -box "1 2"`)
	if err != nil || !c.File || !c.ReturnPath || !c.Recipients || !c.Originals || !c.Stderr || !slices.Equal(c.Args, []string{"archive.sh", "-box", "1 2"}) {
		t.Errorf("%+v, %v", c, err)
	}
	for _, line := range []string{"", "[FILE]", "[WHAT] x", "[FILE x", `x "y`} {
		if c, err := Parse(line); err == nil {
			t.Errorf("%q: %+v, want an error", line, c)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`[FILE] [RCPT] a "b c"`)
	f.Fuzz(func(t *testing.T, line string) {
		if c, err := Parse(line); err == nil && len(c.Args) == 0 {
			t.Errorf("%q names no program", line)
		}
	})
}
