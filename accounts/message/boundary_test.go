package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Lines that begin like a delimiter are looked for among the boundaries of all open
// multiparts; a message of such lines must not cost more for being nested.
func TestDepthDoesNotMultiplyTheCostOfDelimiters(t *testing.T) {
	deep := func(depth int, lines string) []byte {
		var b strings.Builder
		for i := range depth {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%02d\r\n\r\n--%02d\r\n", i, i)
		}
		return []byte(b.String() + "\r\n" + lines)
	}
	fastest := func(m []byte) time.Duration {
		best := time.Hour
		for range 3 {
			start := time.Now()
			scan(t, m)
			best = min(best, time.Since(start))
		}
		return best
	}
	lines := strings.Repeat("--xx\n", 1<<18)
	flat, nested := fastest(deep(1, lines)), fastest(deep(99, lines))
	if nested > 5*flat {
		t.Errorf("%v below 99 multiparts, %v below one", nested, flat)
	}
}

func TestDelimiterEndsTheInnermostThatFits(t *testing.T) {
	outer := "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
	for name, c := range map[string]struct{ message, want string }{
		"the same twice": {outer + outer + "\r\n1\r\n--a--\r\n--a\r\n\r\n2\r\n--a--\r\n--a\r\n\r\n3",
			"multipart(multipart(1)2)"},
		"one looks like the end of the other": {outer + "Content-Type: multipart/mixed; boundary=\"a--\"\r\n\r\n--a--\r\n\r\n1\r\n--a--\r\n\r\n2\r\n--a----\r\n--a\r\n\r\n3\r\n--a--\r\n",
			"multipart(multipart(12)3)"},
		"the inner one has no end": {outer + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n1\r\n--a\r\n\r\n2\r\n--b\r\n3\r\n--a--\r\n",
			"multipart(multipart(1)2\r\n--b\r\n3)"},
	} {
		b := []byte(c.message)
		if got := outline(b, scan(t, b).Root); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// outline shows the multiparts and texts of a message.
func outline(b []byte, p *Part) string {
	if len(p.Children) == 0 {
		return string(bytes.TrimSpace(b[p.Body.Start:p.Body.End]))
	}
	var out strings.Builder
	for _, c := range p.Children {
		out.WriteString(outline(b, c))
	}
	return "multipart(" + out.String() + ")"
}

// RFC 2231 sections 3 and 4: such a message is one of parts to its sender.
func TestBoundaryInPiecesOrWithACharset(t *testing.T) {
	for _, param := range []string{`boundary*0="ab"; boundary*1="cd"`, `boundary*1=cd; boundary*0*=us-ascii'en'a%62`, `boundary*=us-ascii''abcd`, `boundary=abcd; boundary*=''other`} {
		b := []byte("Content-Type: multipart/mixed; " + param + "\r\n\r\n--abcd\r\n\r\nhi\r\n--abcd\r\nContent-Disposition: attachment\r\n\r\nfile\r\n--abcd--\r\n")
		s := scan(t, b)
		if got := outline(b, s.Root); got != "multipart(hifile)" || !s.HasMedia {
			t.Errorf("%s: %q, media %v", param, got, s.HasMedia)
		}
	}
}

func TestCharsetWithACharset(t *testing.T) {
	s := scan(t, []byte("Content-Type: text/plain; charset*=us-ascii''koi8-r\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xf0\xd2\xc9\xd7\xc5\xd4\r\n"))
	if s.Preview != "Привет" {
		t.Errorf("preview %q", s.Preview)
	}
}
