package imap

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/message"
	"gatepost/accounts/message/searchtext"
)

func TestFoldingOfASCII(t *testing.T) {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	for shift := range 9 {
		in := append(bytes.Repeat([]byte{'Z'}, shift), all...)
		want := bytes.Map(func(r rune) rune { return r }, nil)
		for _, c := range in {
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			want = append(want, c)
		}
		if foldASCII(in); !bytes.Equal(in, want) {
			t.Errorf("shift %d: %q", shift, in)
		}
	}
}

func TestFolding(t *testing.T) {
	for _, pair := range [][2]string{
		{"GRÜẞE", "grüße"}, {"ΣΊΣΥΦΟΣ", "σίσυφος"}, {"Straße", "STRAßE"}, {"Kelvin\u212a", "kelvink"}, {"ПРИВЕТ", "привет"},
	} {
		if a, b := searchtext.Fold(nil, []byte(pair[0])), searchtext.Fold(nil, []byte(pair[1])); !bytes.Equal(a, b) {
			t.Errorf("%q and %q", a, b)
		}
	}
}

// TestHeadersAreFoldedAlike: the short way of plain texts leads where the long one does.
func TestHeadersAreFoldedAlike(t *testing.T) {
	for _, text := range []string{
		"", " ", "Plain TEXT", "  with\r\n\tfolds \r\n", "NUL\x00 and\vothers\x7f", "=\r?q?no word", "=?utf-8?q?W=C3=B6rt?= x",
		"grün", "gr\xfcn", "\rlone\nends", "=?", "?=",
	} {
		want := searchtext.Fold(nil, []byte(message.DecodeHeader([]byte(text))))
		if got := bytes.Trim(searchtext.FoldHeader(nil, []byte(text)), " "); !bytes.Equal(got, want) {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// TestTextsAreFoundAcrossWindows puts a text at the borders of what is searched at a time.
func TestTextsAreFoundAcrossWindows(t *testing.T) {
	for _, text := range []string{"needle", "näädel", strings.Repeat("long", 9000)} {
		x := &candidate{searching: searching{searchProgram: lookFor(text)}, timeslice: endless, found: make([]bool, 1)}
		for _, at := range []int{0, 1, windowSize - 7, windowSize - 3, windowSize - 1, windowSize, 2*windowSize - 5, 100_000} {
			hay := strings.Repeat("e", at) + text + "eee"
			for _, r := range []io.Reader{strings.NewReader(hay), iotest.HalfReader(strings.NewReader(hay)), iotest.DataErrReader(strings.NewReader(hay))} {
				x.found[0] = false
				if x.scanText(r); !x.found[0] || x.err != nil {
					t.Errorf("%.9q at %d is not found (%v)", text, at, x.err)
				}
			}
			if !x.ascii {
				continue
			}
			x.found[0] = false
			if x.scanASCII(io.NewSectionReader(strings.NewReader(hay), 0, int64(len(hay)))); !x.found[0] || x.err != nil {
				t.Errorf("%.9q at %d is not found as ASCII (%v)", text, at, x.err)
			}
		}
		x.found[0] = false
		x.scanText(strings.NewReader(strings.Repeat(text[:len(text)-1]+"-", 30)))
		x.scanASCII(io.NewSectionReader(strings.NewReader(strings.Repeat(text[:len(text)-1]+"-", 30)), 0, 1<<30))
		if x.found[0] {
			t.Errorf("%.9q is found where it is not", text)
		}
		if x.window != nil {
			windows.Put(x.window)
		}
	}
}

// lookFor returns a program that looks for texts in bodies.
func lookFor(texts ...string) *searchProgram {
	g := &searchProgram{ascii: true}
	for _, text := range texts {
		g.add(newText([]byte(text), "", inBody))
	}
	return g
}

// TestSearchHasBounds sends programs that are too much: that is no mistake of the client, so it is
// NO [LIMIT] (RFC 9051 section 7.1). What clients send for a long thread is answered.
func TestSearchHasBounds(t *testing.T) {
	f := start(t)
	f.fill(t, 1, 100)
	c := f.connect(t)
	c.send("a LOGIN user1 secret1\r\nb SELECT INBOX\r\n")
	c.until("b OK")
	for _, program := range []string{
		strings.Repeat("OR SEEN ", 5000) + "SEEN", strings.Repeat("OR ", 5000) + strings.Repeat("SEEN ", 5000) + "SEEN",
		strings.Repeat("NOT ", 10000) + "SEEN", strings.Repeat("SEEN ", 6000) + "SEEN", strings.Repeat("(", 20000),
		"BODY {300000+}\r\n" + strings.Repeat("x", 300_000),
	} {
		c.send("c SEARCH " + program + "\r\n")
		if l := c.until("c "); !strings.HasPrefix(l, "c NO [LIMIT] ") {
			t.Errorf("%.20q: %s", program, l)
		}
	}
	for _, program := range []string{
		strings.Repeat("OR UNSEEN ", 2400) + "SEEN", strings.Repeat("OR ", 2400) + strings.Repeat("UNSEEN ", 2400) + "SEEN",
		strings.Repeat("OR BODY x ", 2000) + "SEEN", strings.Repeat("OR HEADER Message-ID <x@y.example> ", 1500) + "SEEN",
		strings.Repeat("OR (UNSEEN) (", 300) + "SEEN" + strings.Repeat(")", 300), strings.Repeat("NOT ", 900) + "SEEN",
		strings.Repeat("OR BODY x OR HEADER X-A x FROM x ", 500) + "SEEN",
	} {
		c.send("d SEARCH " + program + "\r\n")
		if l := c.until("d "); l != "d OK SEARCH completed" {
			t.Errorf("%.20q: %s", program, l)
		}
	}
	c.send("e SEARCH BODY " + strings.Repeat("aaaaaaaaab", 6000) + "\r\n")
	if l := c.until("e "); l != "e OK SEARCH completed" {
		t.Error(l)
	}
}

// A message whose text cannot be read fits no search, and hides no other.
func TestUnreadableMessageFitsNoSearch(t *testing.T) {
	f := start(t)
	f.fill(t, 2, 100)
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(acc.Dir(), "Messages", "*", "*"))
	if err != nil || len(files) < 2 { // and names that wait for a message
		t.Fatal(files, err)
	}
	if err := os.Rename(files[0], files[0]+".away"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Rename(files[0]+".away", files[0]) })
	c := f.connect(t)
	c.send("a LOGIN user1 secret1\r\nb SELECT INBOX\r\n")
	c.until("b OK")
	c.send("c SEARCH NOT BODY nowhere\r\n")
	if l := c.until("* SEARCH"); len(strings.Fields(l)) != 3 {
		t.Error(l)
	}
	if l := c.until("c "); l != "c OK SEARCH completed" {
		t.Error(l)
	}
}

// FuzzSearchText searches any bytes as the body of any message.
func FuzzSearchText(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-16\r\n\r\nx\r\n--b--\r\n"), "x")
	f.Add([]byte("Subject: =?utf-8?b?4oKs?=\r\nContent-Transfer-Encoding: base64\r\n\r\n4oKs"), "€")
	f.Add([]byte("Subject : =?iso-8859-1?q?gr=FC?=\r\n =?utf-8?b?w58=?= =?x?y?\r\nno field\r\nX\x00-\t: a\r\n\tb\x7f\r\n\r\n"), "subject : grüß")
	x := newFixture(f)
	acc, err := x.acc.Account(context.Background(), "", "user1")
	if err != nil {
		f.Fatal(err)
	}
	n := 0
	f.Fuzz(func(t *testing.T, msg []byte, text string) {
		if len(msg) == 0 || len(text) > 1000 {
			return
		}
		n++
		box := fmt.Sprintf("box%d", n)
		if _, err := acc.Mail().CreateMailbox(t.Context(), box, mailbox.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := acc.Mail().Append(t.Context(), box, mailbox.AppendMessage{Body: bytes.NewReader(msg)}); err != nil {
			t.Fatal(err)
		}
		v := openView(t, x.srv, acc, box)
		defer acc.Mail().DeleteMailbox(t.Context(), box)
		defer v.mailbox.Close()
		folded := searchtext.Fold(nil, []byte(text))
		g := &searchProgram{ascii: true}
		g.root = searchKey{op: opText, number: g.add(newText([]byte(text), "", inBody|inHeader))}
		found := map[bool]bool{}
		for _, ascii := range []bool{false, isASCII(folded)} {
			g.ascii = ascii
			seqs, err := searching{view: v, searchProgram: g}.findMessages()
			if err != nil {
				t.Fatal(err)
			}
			found[ascii] = len(seqs) == 1
		}
		if isASCII(folded) && found[true] && !found[false] {
			t.Errorf("%q is found as ASCII only in %q", text, msg)
		}
	})
}
