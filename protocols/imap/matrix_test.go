package imap

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// matrixCommands are the commands that name a mailbox of another account, or use one that is selected. The last of several commands, which are
// separated by |, is the one that counts; those before it need to be let in only where that one can be.
var matrixCommands = []string{
	`LIST "" ~user1/box`, `LIST "" ~user1/box RETURN (MYRIGHTS STATUS (MESSAGES))`, `SUBSCRIBE ~user1/box`,
	`SELECT ~user1/box`, `EXAMINE ~user1/box`, `STATUS ~user1/box (MESSAGES)`,
	"APPEND ~user1/box {4+}\r\nab\r\n", `CREATE ~user1/box/sub`, `DELETE ~user1/box`, `RENAME ~user1/box ~user1/box2`,
	`MYRIGHTS ~user1/box`, `GETACL ~user1/box`, `SETACL ~user1/box user3 l`, `DELETEACL ~user1/box user3`, `LISTRIGHTS ~user1/box user3`,
	`GETMETADATA ~user1/box /shared/comment`, `SETMETADATA ~user1/box (/shared/comment "x")`, `SETMETADATA ~user1/box (/private/comment "x")`,
	`GETQUOTAROOT ~user1/box`, `SELECT INBOX|COPY 1 ~user1/box`, `SELECT INBOX|MOVE 1 ~user1/box`, "SELECT INBOX|REPLACE 1 ~user1/box {4+}\r\nab\r\n",
	`SELECT ~user1/box|FETCH 1 BODY.PEEK[]`, `SELECT ~user1/box|FETCH 1 BODY[]`, `SELECT ~user1/box|SEARCH ALL`, `SELECT ~user1/box|SORT (DATE) UTF-8 ALL`,
	`SELECT ~user1/box|THREAD REFERENCES UTF-8 ALL`, `ESEARCH IN (mailboxes ~user1/box) ALL`, `SELECT ~user1/box|SEARCH RETURN (UPDATE) ALL`, `SELECT ~user1/box|STORE 1 +FLAGS (\Seen)`, `SELECT ~user1/box|STORE 1 +FLAGS (\Flagged)`,
	`SELECT ~user1/box|STORE 1 +FLAGS (\Deleted)`, `SELECT ~user1/box|EXPUNGE`, `SELECT ~user1/box|COPY 1 INBOX`, `SELECT ~user1/box|MOVE 1 INBOX`,
	"SELECT ~user1/box|REPLACE 1 INBOX {4+}\r\nab\r\n", `NOTIFY SET (mailboxes ~user1/box (MessageNew MessageExpunge))`,
}

// matrixRights are the rights that are tried: each alone, with those that clients need to see anything, and all.
var matrixRights = []string{"", "l", "r", "s", "w", "i", "p", "c", "d", "a", "lr", "lrs", "lrw", "lri", "lrd", "lrc", "lrcd", "lra", "lrswipcda"}

// Every command is tried with every right to the mailbox of another account. What is let in is in testdata/access.golden: a look at
// its difference says what a change means.
func TestAccessMatrix(t *testing.T) {
	var out strings.Builder
	fmt.Fprintf(&out, "# Made by go test ./protocols/imap -run AccessMatrix -update: the answer to a command about a mailbox of another account, by the rights to it.\n")
	for _, commands := range matrixCommands {
		name := strings.ReplaceAll(commands, "\r\n", "")
		fmt.Fprintf(&out, "%s\n", name)
		answers := map[string][]string{}
		var order []string
		f := start(t)
		owner, other := f.loggedIn(t, "user1 secret1"), f.loggedIn(t, "user2 secret2")
		for _, rights := range matrixRights {
			f.fresh(owner, other)
			f.give(t, "box", "user2", rights)
			answer := f.matrixAnswer(t, strings.Split(commands, "|"))
			if answers[answer] == nil {
				order = append(order, answer)
			}
			if rights == "" {
				rights = "none"
			}
			answers[answer] = append(answers[answer], rights)
		}
		for _, answer := range order {
			fmt.Fprintf(&out, "  %-22s %s\n", answer, strings.Join(answers[answer], " "))
		}
	}
	path := "testdata/access.golden"
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != out.String() {
		t.Errorf("%s differs (%v) from\n%s", path, err, out.String())
	}
}

// matrixAnswer is what comes of a command: OK, OK and what was shown or not, or NO with its code.
func (f *fixture) matrixAnswer(t *testing.T, commands []string) string {
	t.Helper()
	c := f.loggedIn(t, "user2 secret2")
	defer c.send("z LOGOUT\r\n")
	for _, command := range commands[:len(commands)-1] {
		if _, tagged := c.answers(command); !strings.HasPrefix(tagged, "OK") {
			return "not selected"
		}
	}
	untagged, tagged := c.answers(commands[len(commands)-1])
	answer, _, _ := strings.Cut(tagged, " ")
	if code, _, ok := strings.Cut(tagged, "]"); ok {
		word, _, _ := strings.Cut(strings.TrimPrefix(code, answer+" ["), " ")
		if answer += " [" + word + "]"; word == "COPYUID" || word == "APPENDUID" {
			answer = "OK"
		}
	}
	for _, line := range untagged {
		switch {
		case strings.HasPrefix(line, "LIST "):
			answer += " listed"
			if strings.Contains(line, "Noselect") {
				answer += " closed"
			}
		case strings.HasPrefix(line, "ESEARCH "):
			answer += " searched"
		case strings.HasPrefix(line, "MYRIGHTS "), strings.HasPrefix(line, "STATUS "), strings.HasPrefix(line, "FETCH "):
			word, _, _ := strings.Cut(line, " ")
			answer += " " + word
		case strings.Contains(line, "FETCH (FLAGS"):
			answer += " changed"
		}
	}
	return answer
}

// fresh gives user1 a mailbox with a message in it, and user2 a message in INBOX.
func (f *fixture) fresh(owner, other *client) {
	for _, name := range []string{"box/sub", "box", "box2"} {
		owner.ask("DELETE " + name) // it may not be there
	}
	owner.wantOK("CREATE box", "APPEND box (\\Deleted) {12+}\r\nSubject: x\r\n\r\n")
	other.wantOK("APPEND INBOX {12+}\r\nSubject: y\r\n\r\n")
}
