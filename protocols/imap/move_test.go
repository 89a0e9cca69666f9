package imap

import (
	"fmt"
	"strings"
	"testing"

	imap "github.com/emersion/go-imap/v2"

	"gatepost/accounts/mailbox"
)

// TestAMoveThatEndsHalfwaySaysWhatItMoved: the destination goes away while thousands of messages
// are moved to it, a part at a time.
func TestAMoveThatEndsHalfwaySaysWhatItMoved(t *testing.T) {
	f := start(t)
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	mail := acc.Mail()
	if _, err := mail.Append(t.Context(), "INBOX", mailbox.AppendMessage{Body: strings.NewReader("Subject: x\r\n\r\n")}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 1<<15; n *= 2 {
		m, err := mail.Open(t.Context(), "INBOX", true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Copy(t.Context(), m.UIDs(), "INBOX"); err != nil {
			t.Fatal(err)
		}
		m.Close()
	}
	from, err := mail.Open(t.Context(), "INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	c := f.connect(t)
	c.send("a LOGIN user1 secret1\r\nb SELECT INBOX\r\n")
	c.until("b OK")
	dest, err := mail.Open(t.Context(), "Archive", true)
	if err != nil {
		t.Fatal(err)
	}
	defer dest.Close()
	c.send("c MOVE 1:* Archive\r\n")
	<-dest.Changed() // the first part is there
	if err := mail.RenameMailbox(t.Context(), "Archive", "Gone"); err != nil {
		t.Fatal(err)
	}
	dest.Sync(true)
	moved := imap.UIDSetNum(from.UIDs()[:dest.Len()]...)
	want := fmt.Sprintf("* OK [COPYUID %d %s 1:%d] Moved", dest.Info().UIDValidity, moved.String(), dest.Len())
	if l := c.line(); l != want || dest.Len() == 0 {
		t.Errorf("%s, want %s", l, want)
	}
	for range dest.Len() {
		if l := c.line(); l != "* 1 EXPUNGE" {
			t.Fatal(l)
		}
	}
	if l := c.until("c "); l != "c NO [TRYCREATE] No such mailbox" {
		t.Error(l)
	}
}
