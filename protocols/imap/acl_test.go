package imap

import (
	"strings"
	"testing"

	"gatepost/accounts/access"
	"gatepost/server/dataformat"
)

// Rights are written with the letters of RFC 4314, and tied ones are given together and taken with one of them.
func TestRightsOnTheWire(t *testing.T) {
	for text, want := range map[string]string{
		"lrs": "lrs", "+kc": "+c", "lrc": "lrc", "te": "", "txe": "d", "+t": "+", "-t": "-d", "-kx": "-cd", "d": "d", "lrswipkxtecda": "lrswipcad", "": "", "+": "+", "ll": "l",
		"kctexd": "cd",
	} {
		got, ok := parseRights(text)
		sorted := func(s string) string {
			r, err := access.ParseRights(strings.TrimLeft(s, "+-"))
			if err != nil {
				t.Error(err)
			}
			return s[:len(s)-len(strings.TrimLeft(s, "+-"))] + r.String()
		}
		if !ok || sorted(got) != sorted(want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"lrz", "L", "l r", "n", "l+r", "é"} {
		if _, ok := parseRights(text); ok {
			t.Errorf("%q is taken", text)
		}
	}
	if got := rightsText(access.All); strings.Trim(got, allRights) != "" || len(got) != len(allRights) {
		t.Errorf("all rights are %s", got)
	}
}

// The owner gives rights, another account uses them, and loses them at once.
func TestACLCommands(t *testing.T) {
	f := start(t)
	f.fill(t, 2, 100)
	owner, other := f.loggedIn(t, "user1 secret1"), f.loggedIn(t, "user2 secret2")
	for _, test := range []struct {
		c                         *client
		command, untagged, tagged string
	}{
		{owner, "CREATE team", "", "OK"},
		{owner, "GETACL team", `ACL "team" "user1@company.com" lrswipkctexda`, "OK"},
		{owner, "MYRIGHTS team", `MYRIGHTS "team" lrswipkctexda`, "OK"},
		{other, "MYRIGHTS ~user1/team", "", "NO [NONEXISTENT]"},
		{other, "GETACL ~user1/team", "", "NO [NONEXISTENT]"},
		{other, "SETACL ~user1/team user2 lr", "", "NO [NONEXISTENT]"},
		{owner, "SETACL team user2 lrz", "", "BAD"},
		{owner, "SETACL team user1 lr", "", "NO [CANNOT] The owner has all rights"},
		{owner, "SETACL team USER1@company.com lr", "", "NO [CANNOT] The owner has all rights"},
		{owner, "SETACL team \"a b@c d\" lr", "", "NO [CANNOT]"},
		{owner, "SETACL none user2 lr", "", "NO [NONEXISTENT]"},
		{owner, "SETACL ~/ user2 lr", "", "NO [NONEXISTENT]"},
		{owner, "SETACL team user2 lr", "", "OK"},
		{owner, "SETACL team anyone l", "", "OK"},
		{owner, "SETACL team -user2 w", "", "OK"},
		{owner, "GETACL team", `ACL "team" "user1@company.com" lrswipkctexda "-user2" w "anyone" l "user2" lr`, "OK"},
		{owner, "LISTRIGHTS team user2", `LISTRIGHTS "team" "user2" "" l r s w i p kc texd a`, "OK"},
		{owner, "LISTRIGHTS team user1", `LISTRIGHTS "team" "user1" lrswipkctexda`, "OK"},
		{other, "MYRIGHTS ~user1/team", `MYRIGHTS "~user1/team" lr`, "OK"},
		{other, "GETACL ~user1/team", "", "NO [NOPERM]"},
		{other, "LISTRIGHTS ~user1/team user2", "", "NO [NOPERM]"},
		{other, "DELETEACL ~user1/team user2", "", "NO [NOPERM]"},
		{other, `LIST "" ~user1/* RETURN (MYRIGHTS)`, `LIST (\HasNoChildren) "/" "~user1/team"|MYRIGHTS "~user1/team" lr`, "OK"},
		{other, `LIST "" Drafts RETURN (MYRIGHTS)`, `LIST (\Drafts \HasNoChildren) "/" "Drafts"|MYRIGHTS "Drafts" lrswipkctexda`, "OK"},
		{owner, "SETACL team user2 +itex", "", "OK"},
		{other, "MYRIGHTS ~user1/team", `MYRIGHTS "~user1/team" lritexd`, "OK"},
		{owner, "SETACL team user2 -e", "", "OK"},
		{owner, "SETACL team user2 +ka", "", "OK"},
		{other, "MYRIGHTS ~user1/team", `MYRIGHTS "~user1/team" lrikca`, "OK"},
		{other, "SETACL ~user1/team user3 lr", "", "OK"},
		{other, "CREATE ~user1/team/sub", "", "OK"},
		{owner, "GETACL team/sub", `ACL "team/sub" "user1@company.com" lrswipkctexda "-user2" w "anyone" l "user2" lrikca "user3" lr`, "OK"},
		{owner, "DELETEACL team user2", "", "OK"},
		{owner, "DELETEACL team user2", "", "OK"},
		{other, "MYRIGHTS ~user1/team", `MYRIGHTS "~user1/team" l`, "OK"},
		{other, "SELECT ~user1/team", "", "NO [NOPERM]"},
		{owner, "DELETEACL team anyone", "", "OK"},
		{other, "MYRIGHTS ~user1/team", "", "NO [NONEXISTENT]"},
		{owner, "GETACL", "", "BAD"},
		{owner, "SETACL team user2", "", "BAD"},
	} {
		untagged, tagged := test.c.answers(test.command)
		if got := strings.Join(untagged, "|"); got != test.untagged || !strings.HasPrefix(tagged, test.tagged) {
			t.Errorf("%s:\n %s %s, want\n %s %s", test.command, got, tagged, test.untagged, test.tagged)
		}
	}
}

// An alias opens the mailbox that it stands for, and does not delete or rename it.
func TestMailboxAliasIsNotTheMailbox(t *testing.T) {
	f := start(t)
	f.give(t, "INBOX", "user2", "lrswipcda")
	a, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	owner := f.loggedIn(t, "user1 secret1")
	owner.wantOK("CREATE team/sub", "SETACL team user2 lrswipkxtea", "SETACL team/sub user2 lrswipkxtea")
	user, err := f.acc.Account(t.Context(), "", "user2")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.acc.SetMailboxAliases(t.Context(), "", user.Name, dataformat.Dict{"shared": dataformat.String("~" + a.Name + "/team")}); err != nil {
		t.Fatal(err)
	}
	c := f.loggedIn(t, "user2 secret2")
	for command, want := range map[string]string{
		"STATUS shared/sub (MESSAGES)": "OK", "MYRIGHTS shared/sub": "OK", "DELETE shared/sub": "NO [CANNOT] The name is an alias", "RENAME shared/sub mine": "NO [CANNOT] The name is an alias",
	} {
		if _, tagged := c.answers(command); !strings.HasPrefix(tagged, want) {
			t.Errorf("%s: %s", command, tagged)
		}
	}
	c.wantOK("DELETE ~user1/team/sub")
}

// Mailbox aliases are in lists like mailboxes, as far as they show something now.
func TestMailboxAliasesAreListed(t *testing.T) {
	f := start(t)
	owner := f.loggedIn(t, "user1 secret1")
	owner.wantOK("CREATE team", "CREATE team/sub", "CREATE team/sub/deep", "CREATE team/hidden", "CREATE closed", "CREATE other", "SETACL team user2 lrs", "SETACL team/sub user2 lr", "SETACL team/sub/deep user2 l",
		"SETACL team/hidden user2 w", "SETACL other user2 lr", "APPEND other {4+}\r\nab\r\n")
	user, err := f.acc.Account(t.Context(), "", "user2")
	if err != nil {
		t.Fatal(err)
	}
	aliases := dataformat.Dict{}
	for name, target := range map[string]string{"shared": "~user1/team", "far/away": "~user1@company.com/other", "no": "~user1/closed", "none": "~user1/nothing", "nobody": "~nobody/x"} {
		aliases[name] = dataformat.String(target)
	}
	if err := f.acc.SetMailboxAliases(t.Context(), "", user.Name, aliases); err != nil {
		t.Fatal(err)
	}
	c := f.loggedIn(t, "user2 secret2")
	shown := func(command string) string {
		t.Helper()
		untagged, tagged := c.answers(command)
		if !strings.HasPrefix(tagged, "OK") {
			t.Errorf("%s: %s", command, tagged)
		}
		return strings.Join(untagged, "|")
	}
	for _, c := range []struct{ command, want string }{
		{`LIST "" shared*`, `LIST (\HasChildren) "/" "shared"|LIST (\HasChildren) "/" "shared/sub"|LIST (\HasNoChildren \Noselect) "/" "shared/sub/deep"`},
		{`LIST "" shared/%`, `LIST (\HasChildren) "/" "shared/sub"`},
		{`LIST "" far%`, `LIST (\HasChildren \Noselect) "/" "far"`},
		{`LIST "" far/* RETURN (MYRIGHTS STATUS (MESSAGES))`, `LIST (\HasNoChildren) "/" "far/away"|MYRIGHTS "far/away" lr|STATUS "far/away" (MESSAGES 1)`},
		{`LIST "" n*`, ``},
		{`LIST (SUBSCRIBED) "" shared*`, ``},
		{`LSUB "" shared*`, ``},
		{`SUBSCRIBE shared`, ``},
		{`SUBSCRIBE no`, ``},
		{`LIST (SUBSCRIBED) "" shared*`, `LIST (\HasChildren \Subscribed) "/" "shared"`},
		{`LSUB "" shared*`, `LSUB () "/" "shared"`},
		{`LIST (SUBSCRIBED) "" no`, `LIST (\NonExistent \Subscribed) "/" "no"`},
	} {
		if got := shown(c.command); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.command, got, c.want)
		}
	}
	owner.wantOK("DELETEACL team user2", "DELETEACL team/sub user2", "DELETEACL team/sub/deep user2")
	if got := shown(`LIST "" shared`); got != "" {
		t.Error(got)
	}
}
