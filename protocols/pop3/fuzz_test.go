package pop3

import (
	"bytes"
	"io"
	"os"
	"testing"

	"golang.org/x/tools/txtar"
)

// FuzzSession sends anything, and expects a session that ends, neither crashed nor with a
// message lost unless QUIT was said.
func FuzzSession(f *testing.F) {
	for _, path := range globs(f, "testdata/*/*.txtar") {
		text, err := os.ReadFile(path)
		must(f, err)
		var said []byte
		for line := range bytes.Lines(txtar.Parse(text).Comment) {
			if rest, ok := bytes.CutPrefix(line, []byte("C: ")); ok {
				said = append(said, rest...)
			}
		}
		f.Add(said)
	}
	f.Add([]byte("USER user1\nPASS secret 1\nDELE 1\nRETR 2\nTOP 3 99999999999\nAUTH\nAUTH PLAIN =\n"))
	fix := newFixture(f, options{listener: startTLS})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := fix.pipes.Dial(loopback)
		must(t, err)
		read := make(chan []byte)
		go func() {
			all, _ := io.ReadAll(c) // ends with the session
			read <- all
		}()
		if _, err := c.Write(b); err == nil {
			c.Write([]byte("\r\n*\r\nQUIT\r\n"))
		}
		c.Close()
		for line := range bytes.Lines(<-read) {
			if len(line) > 512 {
				t.Errorf("answer of %d bytes", len(line))
			}
		}
		if n := fix.server.count.Crashed(); n > 0 {
			t.Fatalf("crashed: %s", fix.log)
		}
	})
}
