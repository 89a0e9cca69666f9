package pop3

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"gatepost/protocols/transcript"
)

func TestSessionEndsWithThePassword(t *testing.T) {
	f := newFixture(t, options{})
	c := f.login()
	c.ask("DELE 1", "+OK")
	must(t, f.accounts.SetPassword(t.Context(), "company.com", "user1", "other", false))
	c.want("-ERR [AUTH] the password has been changed")
	f.stop()
	if box := f.open(); box.Len() != 3 {
		t.Errorf("%d messages are left of 3", box.Len())
	} else {
		box.Close()
	}
}

// TestCommandsBehindTheEndAreNotCarriedOut: a QUIT that had been sent would remove messages.
func TestCommandsBehindTheEndAreNotCarriedOut(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t, options{listener: startTLS})
		f.put("INBOX", "Subject: large\r\n\r\n"+strings.Repeat("many lines\r\n", 10000))
		c := f.login()
		c.ask("DELE 1", "+OK")
		c.send("RETR 4\r\nQUIT")
		c.want("+OK")
		must(t, f.accounts.SetPassword(t.Context(), "company.com", "user1", "other", false))
		synctest.Wait()
		c.lines()
		c.want("-ERR [AUTH] the password has been changed")
		if rest, err := io.ReadAll(c); len(rest)+len(c.buf) > 0 || err != nil {
			t.Errorf("%q%q, %v behind the end", c.buf, rest, err)
		}
		f.stop()
		box := f.open()
		defer box.Close()
		if box.Len() != 4 {
			t.Errorf("%d messages are left of 4", box.Len())
		}
	})
}
