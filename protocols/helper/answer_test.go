package helper

import (
	"reflect"
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	for answer, want := range map[string]Verdict{
		"OK":                                    {},
		"OK ":                                   {},
		`ADDHEADER "X-Virus-Scanned: by cgpav"`: {Fields: []string{"X-Virus-Scanned: by cgpav"}},
		`ADDHEADER "A: 1\eB: 2\n" OK`:           {Fields: []string{"A: 1", "B: 2"}},
		`ADDHEADER "X-Junk-Score: 12.3 [XXX]\nX-Junk-Tests: A,B"`:                     {Fields: []string{"X-Junk-Score: 12.3 [XXX]", "X-Junk-Tests: A,B"}},
		`ADDHEADER "X-Spam-Status: Yes,\n hits=7.0\n\tand more\r\n\n\nX-Flag: Yes\n"`: {Fields: []string{"X-Spam-Status: Yes,", " hits=7.0", "\tand more", "X-Flag: Yes"}},
		`ADDHEADER " no start\nnot a field\nA: 1"  DISCARD`:                           {Action: Discard, Fields: []string{"A: 1"}},
		`ADDHEADER "A: \'q\' \"r\" \\ \252" MIRRORTO "a@b.test" ADDROUTE c@d.test OK`: {Fields: []string{"A: 'q' \"r\" \\ \xfc"}, Mirror: []string{"a@b.test"}, Route: []string{"c@d.test"}},
		"DISCARD":     {Action: Discard},
		"ERROR":       {Action: Refuse, Text: "the message is refused by a content filter"},
		"ERROR a  b ": {Action: Refuse, Text: "a  b"},
		`ERROR  "\nWARNING! Your message\nhas a virus\n\n"`: {Action: Refuse, Text: "WARNING! Your message\nhas a virus"},
		`ERROR "open end`:            {Action: Refuse, Text: `"open end`},
		`ERROR "a" and b`:            {Action: Refuse, Text: `"a" and b`},
		`REJECTED "No connection"`:   {Action: Later, Text: "No connection"},
		"FAILURE":                    {Action: Failed},
		`FAILURE "cannot open file"`: {Action: Failed, Text: "cannot open file"},
		"":                           {Action: Failed},
		"FILE Queue/1.msg":           {Action: Failed, Text: "the answer is not known: FILE Queue/1.msg"},
		"ok":                         {Action: Failed, Text: "the answer is not known: ok"},
		`ADDHEADER "A: 1`:            {Action: Failed, Text: `the answer cannot be read: ADDHEADER "A: 1`},
		`ADDHEADER "A: 1" what`:      {Action: Failed, Text: `the answer is not known: ADDHEADER "A: 1" what`},
	} {
		if got := parseVerdict(answer); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", answer, got, want)
		}
	}
}

func TestParseLine(t *testing.T) {
	for line, want := range map[string]struct {
		kind lineKind
		seq  uint64
		text string
	}{
		"* scanning 1":            {lineInfo, 0, "scanning 1"},
		"*":                       {lineInfo, 0, ""},
		"12 OK":                   {lineAnswer, 12, "OK"},
		"12":                      {lineAnswer, 12, ""},
		"3 ERROR  \"a\"":          {lineAnswer, 3, "ERROR  \"a\""},
		"Unknown command":         {lineOther, 0, "Unknown command"},
		"-1 OK":                   {lineOther, 0, "-1 OK"},
		"99999999999999999999 OK": {lineOther, 0, "99999999999999999999 OK"},
		"":                        {lineOther, 0, ""},
	} {
		if kind, seq, text := parseLine(line); kind != want.kind || seq != want.seq || text != want.text {
			t.Errorf("%q: %v %d %q", line, kind, seq, text)
		}
	}
}

// Passwords go over as scripts read them: plain, or quoted without blanks.
func TestQuote(t *testing.T) {
	for s, want := range map[string]string{
		"Pa$$w0rd101": "Pa$$w0rd101", "": `""`, `a b"c`: `"a\032b\"c"`, `a\b`: `"a\\b"`, "ж": `"\208\182"`, "\n": `"\010"`, "'": "'",
	} {
		if got := quote(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

func FuzzVerdict(f *testing.F) {
	f.Add(`ADDHEADER "A: 1\eB: 2\n" MIRRORTO "x@y" OK`)
	f.Add(`ERROR  "\nWARNING!\n"`)
	f.Fuzz(func(t *testing.T, line string) {
		parseLine(line)
		v := parseVerdict(line)
		for _, l := range v.Fields {
			if strings.ContainsAny(l, "\r\n\x00") || strings.TrimSpace(l) == "" {
				t.Errorf("%q gives the header line %q", line, l)
			}
		}
		if len(v.Fields) > 0 && !isField(v.Fields[0]) {
			t.Errorf("%q begins with %q", line, v.Fields[0])
		}
	})
}

func FuzzQuote(f *testing.F) {
	f.Add(`a b"c\`)
	f.Fuzz(func(t *testing.T, s string) {
		q := quote(s)
		if strings.ContainsAny(q, " \t\r\n") {
			t.Errorf("%q: %q", s, q)
		}
		if q == s {
			return
		}
		if back, rest, ok := quoted(q); !ok || rest != "" || back != s {
			t.Errorf("%q: %q, back %q", s, q, back)
		}
	})
}
