package imap

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
)

// grant gives an account of the fixture administrator's rights.
func (f *fixture) grant(t *testing.T, name string, rights ...string) {
	t.Helper()
	if err := f.acc.SetAccountRights(t.Context(), "", name, rights); err != nil {
		t.Fatal(err)
	}
}

// loggedIn connects a client that is logged in.
func (f *fixture) loggedIn(t *testing.T, login string) *client {
	t.Helper()
	c := f.connect(t)
	c.send("a LOGIN " + login + "\r\n")
	c.until("a OK")
	return c
}

// answers sends a command and returns its untagged responses and the tagged one, without the tag.
func (c *client) answers(command string) (untagged []string, tagged string) {
	c.t.Helper()
	c.send("x " + command + "\r\n")
	for {
		l := c.line()
		if rest, ok := strings.CutPrefix(l, "x "); ok {
			return untagged, rest
		}
		if strings.HasPrefix(l, "+ ") {
			c.t.Fatalf("%s: %s", command, l)
		}
		untagged = append(untagged, strings.TrimPrefix(l, "* "))
	}
}

// To a user without rights, the mailboxes of another account do not exist.
func TestMailboxesOfOthersDoNotExistWithoutRights(t *testing.T) {
	f := start(t)
	f.fill(t, 1, 100)
	c := f.loggedIn(t, "user2 secret2")
	c.wantOK("SELECT INBOX", "APPEND INBOX {4+}\r\nab\r\n")
	for _, command := range []string{
		"SELECT %s", "EXAMINE %s", "STATUS %s (MESSAGES)", "CREATE %s", "DELETE %s", "RENAME %s new", "RENAME Drafts %s",
		"APPEND %s {4+}\r\nab\r\n", "LIST \"\" %s", "SELECT INBOX", "COPY 1 %s", "MOVE 1 %s",
		"REPLACE 1 %s {4+}\r\nab\r\n", "GETQUOTAROOT %s", "GETMETADATA %s /shared/comment", "SETMETADATA %s (/private/comment \"x\")",
		"SETACL %s user2 lr", "DELETEACL %s user2", "GETACL %s", "LISTRIGHTS %s user2", "MYRIGHTS %s", "LIST \"\" %s RETURN (MYRIGHTS)",
	} {
		var answers []string
		for _, name := range []string{"~user1/INBOX", "~user1@company.com/Drafts", "~nobody/INBOX", "~user1@elsewhere.example/INBOX", "~user1", "~"} {
			send := command
			if strings.Contains(command, "%s") {
				send = fmt.Sprintf(command, name)
			}
			untagged, tagged := c.answers(send)
			if strings.Contains(command, "%s") && command[0] != 'L' && !strings.HasPrefix(tagged, "NO [NONEXISTENT]") && !strings.HasPrefix(tagged, "NO [CANNOT]") {
				t.Errorf("%s: %s", send, tagged)
			}
			if command[0] == 'L' && len(untagged) > 0 {
				t.Errorf("%s: %s", send, untagged)
			}
			answers = append(answers, tagged)
		}
		for _, a := range answers {
			if a != answers[0] {
				t.Errorf("%s: %q", command, answers)
				break
			}
		}
	}
	if n := f.messages(t); n != 1 {
		t.Errorf("user1 has %d messages", n)
	}
}

// An administrator who may use mailboxes names them everywhere where a mailbox is named.
func TestAdministratorsUseMailboxesOfOthers(t *testing.T) {
	f := start(t)
	f.fill(t, 2, 100)
	f.grant(t, "user2", "UserAccounts")
	if err := f.acc.SetAccountAliases(t.Context(), "", "user1", []string{"first"}); err != nil {
		t.Fatal(err)
	}
	c := f.loggedIn(t, "user2 secret2")
	for _, test := range []struct{ command, untagged, tagged string }{
		{"NAMESPACE", `NAMESPACE (("" "/")) (("~" "/")) NIL`, "OK"},
		{"STATUS ~user1/INBOX (MESSAGES)", `STATUS "~user1/INBOX" (MESSAGES 2)`, "OK"},
		{"STATUS ~FIRST@company.com/inbox (MESSAGES)", `STATUS "~FIRST@company.com/inbox" (MESSAGES 2)`, "OK"},
		{"CREATE ~user1/new/deep", "", "OK"},
		{"CREATE ~user1/x (USE (\\Junk))", "", "NO [USEATTR]"},
		{`LIST "" ~user1/new*`, `LIST (\HasChildren \Noselect) "/" "~user1/new"|LIST (\HasNoChildren) "/" "~user1/new/deep"`, "OK"},
		{`LIST ~user1/ %/deep`, `LIST (\HasNoChildren) "/" "~user1/new/deep"`, "OK"},
		{`LIST "" ~user1/Drafts`, `LIST (\HasNoChildren) "/" "~user1/Drafts"`, "OK"},
		{`LIST "" (~user1/INBOX ~first/INBOX INBOX)`, `LIST (\HasNoChildren) "/" "INBOX"|LIST (\HasNoChildren) "/" "~user1/INBOX"|LIST (\HasNoChildren) "/" "~first/INBOX"`, "OK"},
		{`LIST "" ~/Drafts`, `LIST (\Drafts \HasNoChildren) "/" "~/Drafts"`, "OK"},
		{`LIST "" ~*`, "", "OK"},
		{`LIST "" ~user%/*`, "", "OK"},
		{"SUBSCRIBE ~user1/INBOX", "", "OK"},
		{"SUBSCRIBE ~user1/none", "", "OK"},
		{`LIST (SUBSCRIBED) "" ~*`, `LIST (\HasNoChildren \Subscribed) "/" "~user1/INBOX"|LIST (\NonExistent \Subscribed) "/" "~user1/none"`, "OK"},
		{`LIST (SUBSCRIBED) "" ~user1/*`, `LIST (\HasNoChildren \Subscribed) "/" "~user1/INBOX"`, "OK"},
		{`LSUB "" ~user1/INBOX`, `LSUB () "/" "~user1/INBOX"`, "OK"},
		{`LIST "" ~user1/INBOX RETURN (STATUS (MESSAGES))`, `LIST (\HasNoChildren) "/" "~user1/INBOX"|STATUS "~user1/INBOX" (MESSAGES 2)`, "OK"},
		{"APPEND ~user1/new/deep {4+}\r\nab\r\n", "", "OK [APPENDUID "},
		{"APPEND ~user1/none {4+}\r\nab\r\n", "", "NO [TRYCREATE]"},
		{"APPEND ~small/INBOX {2000+}\r\n" + strings.Repeat("x", 2000), "", "NO [OVERQUOTA]"},
		{"RENAME ~user1/new ~user1/other", "", "OK"},
		{"RENAME ~user1/other mine", "", "NO [CANNOT]"},
		{"RENAME Drafts ~user1/Drafts2", "", "NO [CANNOT]"},
		{"STATUS ~user1/other/deep (MESSAGES)", `STATUS "~user1/other/deep" (MESSAGES 1)`, "OK"},
		{"DELETE ~user1/other/deep", "", "OK"},
		{"SELECT ~user1/INBOX", "*", "OK [READ-WRITE]"},
		{"STORE 1 +FLAGS (\\Flagged)", `1 FETCH (FLAGS (\Seen \Flagged \Recent))`, "OK"},
		{"COPY 1 Archive", "", "OK [COPYUID "},
		{"STATUS Archive (MESSAGES)", `STATUS "Archive" (MESSAGES 1)`, "OK"},
		{"COPY 1 ~user1/Archive", "", "OK [COPYUID "},
		{"MOVE 1 Archive", "*", "OK"},
		{"STATUS Archive (MESSAGES)", `STATUS "Archive" (MESSAGES 2)`, "OK"},
		{"STATUS ~user1/INBOX (MESSAGES)", `STATUS "~user1/INBOX" (MESSAGES 1)`, "OK"},
		{"DELETE ~user1/INBOX", "", "NO [CANNOT]"},
		{"SELECT ~user2/Archive", "*", "OK [READ-WRITE]"},
		{"MOVE 1:* ~user1/Archive", "*", "OK"},
		{"STATUS ~user1/Archive (MESSAGES)", `STATUS "~user1/Archive" (MESSAGES 3)`, "OK"},
		{"DELETE Archive", "OK [CLOSED] The selected mailbox was deleted", "OK"},
		{"EXAMINE ~user1/Archive", "*", "OK [READ-ONLY]"},
		{"MOVE 1 INBOX", "", "NO [READ-ONLY]"},
	} {
		untagged, tagged := c.answers(test.command)
		if test.untagged != "*" && strings.Join(untagged, "|") != test.untagged || !strings.HasPrefix(tagged, test.tagged) {
			t.Errorf("%s: %q %s", test.command, untagged, tagged)
		}
	}
	f.wantLog(t, "selected a mailbox of another account", "owner=user1@company.com")
}

// wantLog looks for a record with two texts.
func (f *fixture) wantLog(t *testing.T, message, text string) {
	t.Helper()
	for l := range strings.Lines(f.log.String()) {
		if strings.Contains(l, message) && strings.Contains(l, text) {
			return
		}
	}
	t.Errorf("%q with %s is not in the log", message, text)
}

// Under IMAP4rev2 SELECT names the mailbox, as the user does.
func TestSelectedMailboxOfAnotherIsNamedUnderRev2(t *testing.T) {
	f := start(t)
	f.grant(t, "user2", "UserAccounts")
	c := f.loggedIn(t, "user2 secret2")
	c.wantOK("ENABLE IMAP4rev2")
	untagged, tagged := c.answers("SELECT ~user1/Archive.mbox")
	if want := `LIST (\HasNoChildren) "/" "~user1/Archive" ("OLDNAME" ("~user1/Archive.mbox"))`; len(untagged) == 0 || untagged[len(untagged)-1] != want || !strings.HasPrefix(tagged, "OK") {
		t.Errorf("%q %s", untagged, tagged)
	}
	if untagged, tagged := c.answers("CREATE ~user1/made.mdir"); len(untagged) != 1 ||
		untagged[0] != `LIST (\HasNoChildren) "/" "~user1/made" ("OLDNAME" ("~user1/made.mdir"))` {
		t.Errorf("%q %s", untagged, tagged)
	}
}

// Rights that are taken away, and an owner that is deleted, end a session that has the mailbox selected.
func TestWithdrawnRightsEndTheSession(t *testing.T) {
	f := start(t)
	f.grant(t, "user2", "UserAccounts")
	c := f.loggedIn(t, "user2 secret2")
	c.wantOK("SELECT ~user1/INBOX", "NOOP")
	f.grant(t, "user2")
	c.send("b NOOP\r\n")
	if l := c.line(); l != "* BYE Your rights to the selected mailbox have changed" {
		t.Error(l)
	}
	f.grant(t, "user2", "UserAccounts")
	c = f.loggedIn(t, "user2 secret2")
	c.wantOK("SELECT ~user1/INBOX")
	if err := f.acc.DeleteAccount(t.Context(), "", "user1"); err != nil {
		t.Fatal(err)
	}
	c.send("b NOOP\r\n")
	if l := c.until("* BYE"); l != "* BYE The selected mailbox has been deleted" {
		t.Error(l)
	}
}

// give changes the ACL of a mailbox of user1.
func (f *fixture) give(t *testing.T, box, identifier, rights string) {
	t.Helper()
	a, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	err = a.Mail().ChangeACL(t.Context(), box, func(acl mailbox.ACL) (mailbox.ACL, error) { return access.Change(acl, identifier, rights) })
	if err != nil {
		t.Fatal(err)
	}
}

// Rights by an ACL are those of each command; a session whose rights to the mailbox are taken away ends, in IDLE too.
func TestMailboxesAreSharedByAnACL(t *testing.T) {
	f := start(t)
	f.fill(t, 1, 100)
	c := f.loggedIn(t, "user2 secret2")
	want := func(command, untagged, tagged string) {
		t.Helper()
		got, end := c.answers(command)
		if !strings.HasPrefix(end, tagged) || untagged != "-" && strings.Join(got, "|") != untagged {
			t.Errorf("%s: %q, %s", command, got, end)
		}
	}
	f.give(t, "INBOX", "anyone@", "l")
	want(`LIST "" ~user1/*`, `LIST (\HasNoChildren \Noselect) "/" "~user1/INBOX"`, "OK")
	want("SELECT ~user1/INBOX", "", "NO [NOPERM]")
	f.give(t, "INBOX", "user2", "lr")
	want("SELECT ~user1/INBOX", "-", "OK [READ-ONLY]")
	want("FETCH 1 BODY[]", "-", "OK")
	want("STORE 1 +FLAGS (\\Seen)", "", "NO")
	want("APPEND ~user1/INBOX {4+}\r\nab\r\n", "", "NO [NOPERM]")
	want("CREATE ~user1/INBOX/sub", "", "NO [NOPERM]")
	f.give(t, "INBOX", "+user2", "ic")
	want("APPEND ~user1/INBOX {4+}\r\nab\r\n", "-", "OK")
	want("CREATE ~user1/INBOX/sub", "", "OK")
	want("DELETE ~user1/INBOX/sub", "", "NO [NOPERM]")
	want("SELECT ~user1/INBOX", "-", "OK [READ-WRITE]")
	c.send("z IDLE\r\n")
	c.until("+ idling")
	f.give(t, "INBOX", "-user2", "r")
	c.until("* BYE")
	c = f.loggedIn(t, "user2 secret2")
	want("SELECT ~user1/INBOX", "", "NO [NOPERM]")
}

// Each flag is changed by its right, whatever command changes it (RFC 4314 sections 4 and 5.2).
func TestFlagsOfSharedMailboxes(t *testing.T) {
	f := start(t)
	f.fill(t, 2, 100)
	owner := f.loggedIn(t, "user1 secret1")
	owner.wantOK("SELECT INBOX")
	c := f.loggedIn(t, "user2 secret2")
	const every = `\Answered \Deleted \Draft \Flagged \Seen`
	for _, test := range []struct{ rights, permanent, access, added, replaced, fetched, expunged, copied string }{
		{"lr", "", "READ-ONLY", "NO", "NO", "", "NO", ""},
		{"lri", "", "READ-WRITE", "NO", "NO", "", "NO", ""},
		{"lris", `\Seen`, "READ-WRITE", `\Seen`, `\Deleted \Flagged`, `\Seen`, "NO", `\Seen`},
		{"lriw", `\Answered \Draft \Flagged \*`, "READ-WRITE", `\Flagged`, `\Answered \Deleted \Seen`, "", "NO", `\Flagged kw`},
		{"lrid", `\Deleted`, "READ-WRITE", `\Deleted`, `\Flagged \Seen`, "", "OK", `\Deleted`},
		{"lriswd", every + ` \*`, "READ-WRITE", `\Deleted \Flagged \Seen`, `\Answered`, `\Seen`, "OK", `\Deleted \Flagged \Seen kw`},
	} {
		flags := func(seq string) string {
			t.Helper()
			got, _ := owner.answers("FETCH " + seq + " FLAGS")
			for _, l := range got {
				if _, list, ok := strings.Cut(l, "FETCH (FLAGS ("); ok && strings.HasPrefix(l, seq+" ") {
					words := strings.Fields(strings.NewReplacer(")", "", `\Recent`, "").Replace(list))
					slices.Sort(words)
					return strings.Join(words, " ")
				}
			}
			return "?"
		}
		f.give(t, "INBOX", "user2", test.rights)
		got, end := c.answers("SELECT ~user1/INBOX")
		if !strings.HasPrefix(end, "OK ["+test.access) {
			t.Errorf("%s: SELECT: %s", test.rights, end)
		}
		for _, l := range got {
			list, is := strings.CutPrefix(l, "OK [PERMANENTFLAGS (")
			list, _, _ = strings.Cut(list, ")")
			words := slices.DeleteFunc(strings.Fields(list), func(w string) bool { return w == "kw" })
			slices.Sort(words)
			if want := strings.Fields(test.permanent); is && !slices.Equal(slices.Sorted(slices.Values(want)), words) {
				t.Errorf("%s: %s", test.rights, l)
			}
		}
		stored := func(command, want string) {
			t.Helper()
			_, end := c.answers(command)
			switch now := flags("1"); {
			case (want == "NO") != strings.HasPrefix(end, "NO"):
				t.Errorf("%s: %s: %s", test.rights, command, end)
			case want != "NO" && now != want:
				t.Errorf("%s: %s: flags %q, want %q", test.rights, command, now, want)
			}
		}
		owner.wantOK("STORE 1 FLAGS ()")
		stored(`STORE 1 +FLAGS (\Seen \Flagged \Deleted)`, test.added)
		owner.wantOK(`STORE 1 FLAGS (\Seen \Flagged \Deleted)`)
		stored(`STORE 1 FLAGS (\Answered)`, test.replaced)
		owner.wantOK("STORE 1 FLAGS ()")
		c.answers("FETCH 1 BODY[]")
		if now := flags("1"); now != test.fetched {
			t.Errorf("%s: after FETCH %q", test.rights, now)
		}
		if _, end := c.answers("UID EXPUNGE 9999"); !strings.HasPrefix(end, test.expunged) {
			t.Errorf("%s: EXPUNGE: %s", test.rights, end)
		}
		if _, end := c.answers("MOVE 1 ~user1/INBOX"); test.expunged == "NO" && !strings.HasPrefix(end, "NO") {
			t.Errorf("%s: MOVE: %s", test.rights, end)
		}
		c.wantOK("SELECT INBOX")
		if !strings.Contains(test.rights, "i") {
			continue
		}
		for _, command := range []string{"APPEND ~user1/INBOX (\\Seen \\Flagged \\Deleted kw) {4+}\r\nab\r\n", "COPY 1 ~user1/INBOX", "MOVE 1 ~user1/INBOX"} {
			c.wantOK("APPEND INBOX (\\Seen \\Flagged \\Deleted kw) {4+}\r\nab\r\n", command)
			last, _ := owner.answers("NOOP")
			seq := ""
			for _, l := range last {
				if n, ok := strings.CutSuffix(l, " EXISTS"); ok {
					seq = n
				}
			}
			if now := flags(seq); now != test.copied {
				t.Errorf("%s: %s: flags %q, want %q", test.rights, command, now, test.copied)
			}
			c.wantOK("STORE 1:* +FLAGS (\\Deleted)", "EXPUNGE")
		}
	}
}

// CLOSE without the right to expunge leaves the messages.
func TestCloseNeedsTheRightToExpunge(t *testing.T) {
	f := start(t)
	f.fill(t, 1, 100)
	owner := f.loggedIn(t, "user1 secret1")
	owner.wantOK("SELECT INBOX", "STORE 1 +FLAGS (\\Deleted)")
	c := f.loggedIn(t, "user2 secret2")
	f.give(t, "INBOX", "user2", "lrsw")
	c.wantOK("SELECT ~user1/INBOX", "CLOSE")
	if n := f.messages(t); n != 1 {
		t.Errorf("%d messages", n)
	}
	f.give(t, "INBOX", "user2", "+d")
	c.wantOK("SELECT ~user1/INBOX", "CLOSE")
	if n := f.messages(t); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// The commands of extensions need the rights of those that they stand for.
func TestExtensionsNeedRights(t *testing.T) {
	f := start(t)
	f.fill(t, 2, 100)
	owner := f.loggedIn(t, "user1 secret1")
	owner.wantOK("SELECT INBOX", "SETMETADATA INBOX (/shared/comment \"ours\" /private/comment \"mine\")")
	f.give(t, "INBOX", "user2", "lr")
	c := f.loggedIn(t, "user2 secret2")
	want := func(command, untagged, tagged string) {
		t.Helper()
		got, end := c.answers(command)
		if !strings.HasPrefix(end, tagged) || untagged != "-" && strings.Join(got, "|") != untagged {
			t.Errorf("%s: %q, %s", command, got, end)
		}
	}
	c.wantOK("SELECT ~user1/INBOX")
	want("SORT (ARRIVAL) UTF-8 ALL", "SORT 1 2", "OK")
	want("UID THREAD REFERENCES UTF-8 1", "THREAD (1)", "OK")
	want("REPLACE 1 INBOX {4+}\r\nab\r\n", "", "NO [READ-ONLY]")
	want("STORE 1 (UNCHANGEDSINCE 9999) +FLAGS (\\Seen)", "-", "NO")
	want("GETMETADATA ~user1/INBOX (/shared/comment /private/comment)", `METADATA "~user1/INBOX" (/private/comment NIL /shared/comment "ours")`, "OK")
	want("SETMETADATA ~user1/INBOX (/private/comment \"x\")", "", "OK")
	want("SETMETADATA ~user1/INBOX (/shared/comment \"x\")", "", "NO [NOPERM]")
	want("GETQUOTAROOT ~user1/INBOX", `QUOTAROOT "~user1/INBOX"`, "OK")
	want("GETQUOTA user1@company.com", "", "NO [NONEXISTENT]")
	want(`APPEND INBOX CATENATE (URL "/~user1%2FINBOX/;UID=1")`, "-", "OK [APPENDUID ")
	want(`APPEND INBOX CATENATE (URL "/~user1/Drafts/;UID=1")`, "-", "NO [BADURL ")
	f.give(t, "INBOX", "user2", "lriswd")
	c.wantOK("SELECT ~user1/INBOX")
	want("REPLACE 1 ~user1/INBOX (\\Seen) {4+}\r\nab\r\n", "-", "OK")
	want("SETMETADATA ~user1/INBOX (/shared/comment \"x\")", "", "OK")
	f.give(t, "INBOX", "user2", "lri")
	c.wantOK("SELECT ~user1/INBOX")
	want("REPLACE 1 ~user1/INBOX {4+}\r\nab\r\n", "-", "NO [NOPERM]")
	if got, _ := owner.answers("GETMETADATA INBOX (/shared/comment /private/comment)"); len(got) == 0 || got[0] != `METADATA "INBOX" (/private/comment "mine" /shared/comment "x")` {
		t.Errorf("%q", got)
	}
}
