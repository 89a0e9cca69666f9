package pickup

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseHeader(t *testing.T) {
	for _, c := range []struct {
		text, header, rest string
		complete           bool
	}{
		{"A: b\n\nbody", "A: b|", "body", true},
		{"A: b\r\n c\r\n\r\nbody", "A: b| c|", "body", true},
		{"just text\nA: b\n\n", "", "just text\nA: b\n\n", true},
		{"A: b\nno field\n", "A: b|", "no field\n", true},
		{"\nbody", "", "body", true},
		{"A: b", "A: b|", "", false},
		{"A: b\n", "A: b|", "", false},
		{"", "", "", false},
		{" folded\nA: b\n\n", "", " folded\nA: b\n\n", true},
	} {
		h, rest, complete := ParseHeader([]byte(c.text))
		if text := string(h.AppendText(nil, "|")); text != c.header || string(rest) != c.rest || complete != c.complete {
			t.Errorf("%q: %q, %q, %v", c.text, text, rest, complete)
		}
	}
}

func TestQualify(t *testing.T) {
	for text, want := range map[string]string{
		"From: root (Cron Daemon)":       "From: Cron Daemon <root@here.org>",
		"To: root":                       "To: root@here.org",
		"To: Bob <bob>, a@b.c":           "To: Bob <bob@here.org>,| a@b.c",
		"Cc: \"Doe, J\" <j>, all: x, y;": "Cc: \"Doe, J\" <j@here.org>,| all: x@here.org,| y@here.org;",
		"To: =?utf-8?q?B=C3=B6b?= <bob>": "To: =?utf-8?q?B=C3=B6b?= <bob@here.org>",
		"To: undisclosed-recipients:;":   "To: undisclosed-recipients:;",
		"Subject: root":                  "Subject: root",
		"From: a@b.c (as it is)":         "From: a@b.c (as it is)",
	} {
		h, _, _ := ParseHeader([]byte(text + "\n\n"))
		h.qualify("here.org")
		if got := strings.TrimSuffix(string(h.AppendText(nil, "|")), "|"); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestAddressesOfArguments(t *testing.T) {
	for text, want := range map[string]string{
		"bob":                       "bob",
		"a@b.c,d@e.f":               "a@b.c d@e.f",
		"Bob <b@c.d>, b@c.d":        "b@c.d",
		"\"archive.sh -b 12\"@pipe": "\"archive.sh -b 12\"@pipe",
		"a%b.c@d.e":                 "a%b.c@d.e",
		"<a@b.c>":                   "a@b.c",
		"two words":                 "error",
		"a\tb@c.d":                  "error",
		"x\r\nBcc: y@z.w":           "error",
		"grüße@beispiel.example":    "grüße@beispiel.example",
	} {
		list, err := Addresses(text)
		var got []string
		for _, a := range list {
			got = append(got, a.String())
		}
		if err != nil {
			got = []string{"error"}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestLineEnds(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb":       "a\r\nb\r\n",
		"a\r\nb\r\n": "a\r\nb\r\n",
		"a\rb\r":     "a\r\nb\r\n",
		"a\r\r\nb\n": "a\r\n\r\nb\r\n",
		"":           "",
		"\n\n":       "\r\n\r\n",
	} {
		for size := 1; size <= 3; size++ {
			var out bytes.Buffer
			w := &lineEnds{w: &out}
			for rest := []byte(text); len(rest) > 0; {
				n := min(size, len(rest))
				if _, err := w.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := w.close(); err != nil || out.String() != want {
				t.Errorf("%q by %d: %q, %v", text, size, out.String(), err)
			}
		}
	}
}

// Whatever a program writes, the header that goes on has CRLF alone as line end, and nothing in it begins the body.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("From: root (Cron Daemon)\nTo: root\nBcc: x\n y@z\n\nbody"))
	f.Add([]byte("To: all: a, b;, \"q\\\"\" <c@d>\r\nSubject: x\r\n\r\n"))
	f.Add([]byte("From x\nA: b\r\r\n c\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, _, _ := ParseHeader(text)
		fields := len(h.fields)
		_, _ = h.recipients()
		_, _, _ = h.returnPath()
		h.qualify("here.org")
		again, rest, complete := ParseHeader(append(h.AppendText(nil, "\n"), '\n'))
		if len(again.fields) != fields || len(rest) > 0 || !complete {
			t.Errorf("%q: %d fields became %d, rest %q", text, fields, len(again.fields), rest)
		}
	})
}
