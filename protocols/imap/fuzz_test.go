package imap

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// sent returns the plain lines that a transcript sends: seeds for fuzzing.
func sent(t testing.TB, path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, l := range strings.Split(string(text), "\n") {
		if cmd, ok := strings.CutPrefix(l, "C: "); ok {
			b.WriteString(cmd + "\r\n")
		}
	}
	return b.String()
}

// FuzzSession sends any bytes to a session that is logged in and has selected a mailbox
// with messages. It must not panic or hang, and must leave a sound store. What a session
// covers varies a little from run to run, so fuzz with -fuzzminimizetime 1x.
func FuzzSession(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range paths {
		f.Add(sent(f, p))
	}
	f.Add("a UID FETCH $ (BODY[1.2.MIME]<1.5> BINARY.SIZE[1])\r\nb SEARCH RETURN (SAVE) OR NOT (TEXT a) 1:*\r\n")
	f.Add("a SEARCH OR SUBJECT x HEADER X-Any \"\" TEXT body BODY y KEYWORD k UID $ $\r\nb FETCH 1 (BINARY.SIZE[1] BINARY[1]<2.3> BINARY[])\r\n")
	f.Add("a APPEND INBOX {5}\r\n")
	f.Add("a IDLE\r\ndone\r\nb LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% *) RETURN (STATUS (SIZE))\r\n")
	x := newFixture(f)
	const before = "a LOGIN user1 secret1\r\nb SELECT INBOX\r\nc APPEND INBOX {31+}\r\nSubject: x\r\nFrom: a@b\r\n\r\nbody\r\n\r\n"
	x.listen(f, 1)
	f.Fuzz(func(t *testing.T, in string) {
		c, err := x.dial()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := io.Copy(io.Discard, c); err != nil && os.IsTimeout(err) {
				t.Errorf("hangs after %q", in)
			}
		})
		// The session may end in the middle; then the rest cannot be sent.
		_, _ = io.WriteString(c, before+in)
		if h, ok := c.(interface{ CloseWrite() error }); ok {
			_ = h.CloseWrite()
		}
		wg.Wait()
		c.Close()
		if n := x.srv.count.Crashed(); n > 0 {
			t.Fatalf("crashed: %s", x.log.String())
		}
		x.clean(t)
	})
}

// clean removes what a run has left behind, so that the mailboxes do not grow.
func (f *fixture) clean(t testing.TB) {
	ctx := context.Background()
	acc, err := f.acc.Account(ctx, "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	infos, err := acc.Mail().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(infos) - 1; i >= 0; i-- {
		switch n := infos[i].Name; n {
		case "INBOX", "Archive", "Trash":
		default:
			// A directory with mailboxes in it stays until they are gone.
			_ = acc.Mail().DeleteMailbox(ctx, n)
		}
	}
	f.log.Reset()
}
