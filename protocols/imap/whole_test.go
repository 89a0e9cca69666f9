package imap

import (
	"fmt"
	"strings"
	"testing"
)

// ENVELOPE and BODYSTRUCTURE hold what the message holds: no limit of RFC 9051 section 7.5.2 lets a
// server leave out addresses, text or parts.
func TestEnvelopeAndStructureAreWhole(t *testing.T) {
	var to []string
	for i := range 1500 {
		to = append(to, fmt.Sprintf("u%d@x.example", i))
	}
	f := start(t)
	f.put(t, "From: a@b.example\r\nTo: "+strings.Join(to, ",\r\n ")+"\r\nSubject: "+strings.Repeat("s", 20_000)+"\r\n\r\nx\r\n",
		"Content-Type: multipart/digest; boundary=b\r\n\r\n"+strings.Repeat("--b\r\nContent-Type: text/plain\r\n\r\nx\r\n", 1500)+"--b--\r\n",
		"Content-Type: text/plain"+strings.Repeat(";\r\n a=b", 1500)+"\r\nContent-Language: "+strings.Repeat("de, ", 1500)+"en\r\n\r\nx\r\n")
	c := f.selected(t)
	for _, test := range []struct {
		command, count string
		want           int
	}{
		{"FETCH 1 ENVELOPE", `"x.example"`, 1500}, {"FETCH 1 ENVELOPE", "s", 20_000}, {"FETCH 2 BODYSTRUCTURE", `"text" "plain"`, 1500},
		{"FETCH 3 BODYSTRUCTURE", `"a" "b"`, 1500}, {"FETCH 3 BODYSTRUCTURE", `"de"`, 1500},
	} {
		c.send("c " + test.command + "\r\n")
		var got strings.Builder
		for l := c.line(); !strings.HasPrefix(l, "c "); l = c.line() {
			got.WriteString(l)
		}
		if n := strings.Count(got.String(), test.count); n != test.want {
			t.Errorf("%s: %d times %s, want %d", test.command, n, test.count, test.want)
		}
	}
}
