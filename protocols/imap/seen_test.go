package imap

import (
	"strings"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox"
	"gatepost/protocols/transcript"
	"gatepost/server/settings"
)

// TestFlagsThatOthersSetDuringAFetchAreTold: that FETCH itself sets \Seen on the message must not
// hide them.
func TestFlagsThatOthersSetDuringAFetchAreTold(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.pipes(t, settings.TLSStart)
		acc, err := f.acc.Account(t.Context(), "", "user1")
		if err != nil {
			t.Fatal(err)
		}
		body := strings.NewReader(strings.Repeat("text\r\n", 1<<18))
		if _, err := acc.Mail().Append(t.Context(), "INBOX", mailbox.AppendMessage{Body: body}); err != nil {
			t.Fatal(err)
		}
		other, err := acc.Mail().Open(t.Context(), "INBOX", false)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		c := f.far(t)
		f.logIn(c)
		c.send("b SELECT INBOX\r\n")
		c.until("b OK")
		c.send("c FETCH 1 BODY[]\r\n")
		c.until("* 1 FETCH") // the rest waits for the client
		if _, err := other.SetFlags(t.Context(), []imap.UID{1}, mailbox.Add, []imap.Flag{imap.FlagFlagged, "$late"}, mailbox.NoCondition); err != nil {
			t.Fatal(err)
		}
		c.until("* FLAGS")
		if l := c.until("* 1 FETCH"); l != `* 1 FETCH (FLAGS (\Flagged \Seen $late))` && l != `* 1 FETCH (FLAGS (\Seen \Flagged $late))` {
			t.Error(l)
		}
		c.until("c OK")
	})
}
