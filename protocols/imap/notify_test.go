package imap

import (
	"fmt"
	"strings"
	"testing"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
)

// share gives a user rights to a mailbox of user1.
func (f *fixture) share(t *testing.T, name, user, rights string) {
	t.Helper()
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	err = acc.Mail().ChangeACL(t.Context(), name, func(acl mailbox.ACL) (mailbox.ACL, error) { return access.Change(acl, user, rights) })
	if err != nil {
		t.Fatal(err)
	}
}

// What others do in a mailbox of another account is told as long as the user has the rights, and not longer.
func TestNotifyKeepsToRights(t *testing.T) {
	f := start(t)
	owner := f.loggedIn(t, "user1 secret1")
	owner.wantOK("CREATE Box", "CREATE Secret")
	f.share(t, "Box", "user2", "lr")
	c := f.loggedIn(t, "user2 secret2")
	c.wantOK("NOTIFY SET STATUS (subtree ~user1 (MessageNew MessageExpunge MailboxName))", "NOOP")
	appendTo := func(name string) { owner.wantOK("APPEND " + name + " {4+}\r\nab\r\n") }
	want := func(want string) {
		t.Helper()
		if l := c.line(); !strings.HasPrefix(l, want) {
			t.Errorf("got %q, want %q", l, want)
		}
	}
	appendTo("Secret")
	appendTo("Box")
	want(`* STATUS "~user1/Box" (MESSAGES 1 `)
	f.share(t, "Secret", "user2", "l")
	want(`* LIST (\HasNoChildren \NoAccess) "/" "~user1/Secret"`)
	f.share(t, "Secret", "user2", "lr")
	want(`* LIST (\HasNoChildren) "/" "~user1/Secret"`)
	f.share(t, "Box", "user2", "")
	want(`* LIST (\NonExistent) "/" "~user1/Box"`)
	appendTo("Box")
	appendTo("Secret")
	want(`* STATUS "~user1/Secret" (MESSAGES 2 `)

	// The selected mailbox is left at once.
	c.wantOK("NOTIFY SET (selected (MessageNew MessageExpunge)) (mailboxes ~user1/Secret (MailboxName))", "SELECT ~user1/Secret")
	f.share(t, "Secret", "user2", "")
	if l := c.until("* BYE"); !strings.Contains(l, "rights") {
		t.Error(l)
	}
	c.closed()
}

// With UIDONLY and QRESYNC what is pushed has UIDs, and VANISHED takes the place of EXPUNGE.
func TestNotifyWithoutSequenceNumbers(t *testing.T) {
	f := start(t)
	f.fill(t, 2, 100)
	c, other := f.loggedIn(t, "user1 secret1"), f.loggedIn(t, "user1 secret1")
	c.wantOK("ENABLE QRESYNC UIDONLY", "SELECT INBOX", "NOTIFY SET (selected (MessageNew (RFC822.SIZE) MessageExpunge FlagChange))")
	other.wantOK("SELECT INBOX", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE", "APPEND INBOX {4+}\r\nab\r\n")
	for _, want := range []string{"* VANISHED 1", "* 3 UIDFETCH (RFC822.SIZE 4)"} {
		c.until(want)
	}
}

// A client that asks for too much is told so, and of nothing else then.
func TestNotifyIsBounded(t *testing.T) {
	f := start(t)
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	c := f.loggedIn(t, "user1 secret1")
	values := map[string]*string{}
	value := "x"
	for i := range 200 {
		values[fmt.Sprint("/private/", i)] = &value
	}
	for i := range maxNotifiedEntries/len(values) + 1 {
		name := fmt.Sprint("box", i)
		if _, err := acc.Mail().CreateMailbox(t.Context(), name, mailbox.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if i == 5 {
			c.wantOK("NOTIFY SET (personal (MailboxMetadataChange))")
		}
		if err := acc.Mail().SetProperties(t.Context(), name, acc.ID, values); err != nil {
			t.Fatal(err)
		}
	}
	c.until("* OK [NOTIFICATIONOVERFLOW]")
	if _, tagged := c.answers("NOTIFY SET (personal (MailboxMetadataChange))"); !strings.HasPrefix(tagged, "NO [NOTIFICATIONOVERFLOW]") {
		t.Error(tagged)
	}
	c.wantOK("NOTIFY NONE", "UNAUTHENTICATE", "LOGIN user1 secret1", "NOOP")
}
