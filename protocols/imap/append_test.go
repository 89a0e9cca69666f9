package imap

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"gatepost/protocols/transcript"
	"gatepost/server/settings"
)

// TestAFullAccountTakesNoBytes: a message that does not fit is not written down first.
func TestAFullAccountTakesNoBytes(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.pipes(t, settings.TLSStart)
		acc, err := f.acc.Account(t.Context(), "", "small")
		if err != nil {
			t.Fatal(err)
		}
		c := f.far(t)
		c.line()
		c.startTLS()
		c.send("a LOGIN small secret\r\n")
		c.until("a OK")
		for _, want := range []struct{ size, files int }{{100_000, 0}, {1000, 1}} {
			c.send(fmt.Sprintf("b APPEND INBOX {%d+}\r\nhalf", want.size))
			synctest.Wait() // it waits for the other half
			files, err := filepath.Glob(filepath.Join(acc.Dir(), "Messages", "*", "*"))
			if err != nil || len(files) != want.files {
				t.Errorf("%d bytes: files %v, %v", want.size, files, err)
			}
			c.send(strings.Repeat("x", want.size-4) + "\r\n")
			c.until("b ")
		}
	})
}
