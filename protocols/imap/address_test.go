package imap

import (
	"fmt"
	"strings"
	"testing"

	"gatepost/accounts/mailbox"
)

// put stores messages in user1's INBOX.
func (f *fixture) put(t *testing.T, texts ...string) {
	t.Helper()
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if _, err := acc.Mail().Append(t.Context(), "INBOX", mailbox.AppendMessage{Body: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
	}
}

// untagged sends a command and returns its untagged response, without the asterisk.
func (c *client) untagged(command string) string {
	c.t.Helper()
	c.send("x " + command + "\r\n")
	l := c.line()
	if rest, ok := strings.CutPrefix(l, "* "); ok {
		if end := c.line(); !strings.HasPrefix(end, "x OK") {
			c.t.Errorf("%s: %s", command, end)
		}
		return rest
	}
	return l
}

// selected connects a client that has user1's INBOX selected.
func (f *fixture) selected(t *testing.T) *client {
	t.Helper()
	c := f.connect(t)
	c.send("a LOGIN user1 secret1\r\nb SELECT INBOX\r\n")
	c.until("b OK")
	return c
}

// FROM and its like look at the addresses of the envelope (RFC 9051 section 6.4.4): how an address is
// written in the header does not hide it, and what is not in the envelope is not found.
func TestSearchLooksAtTheAddressesOfTheEnvelope(t *testing.T) {
	forms := []string{
		"user-from@domain.org", "<user-from (comment)@ (comment) domain.org>", `"user-from"@domain.org`, "Joe <user-from\r\n @domain.org>",
		"user-from @ domain . org", "=?utf-8?q?J=C3=B6e?= <user-from@domain.org>", "Joe <@relay.example:user-from@domain.org>",
		"Group: other@domain.org, Joe <USER-FROM@domain.org>;", "user-from@domain.org (Joe)", "other@x.example, user-from@domain.org",
		"Joe (open <user-from@domain.org>",
	}
	f := start(t)
	var texts []string
	for _, field := range []string{"From", "To", "Cc", "Bcc"} {
		for _, form := range forms {
			texts = append(texts, field+": "+form+"\r\nSubject: user-from@domain.org\r\n\r\nb\r\n")
		}
	}
	f.put(t, texts...)
	c := f.selected(t)
	for i, field := range []string{"FROM", "TO", "CC", "BCC"} {
		var want []string
		for n := range forms {
			want = append(want, fmt.Sprint(i*len(forms)+n+1))
		}
		if got := c.untagged("SEARCH " + field + ` "user-from@domain.ORG"`); got != "SEARCH "+strings.Join(want, " ") {
			t.Errorf("%s: %s", field, got)
		}
		for text, n := range map[string]int{"(comment)": 0, "comment)@": 0, "j\u00f6e <user-from@domain.org>": 1, "J\u00d6E": 1, "=?utf-8": 0, "@relay.example:user": 1,
			"group: <other@domain.org>, joe <user-from@domain.org>;": 1, "<user-from@domain.org>": len(forms) - 1, "Joe": 5} {
			if got := len(strings.Fields(c.untagged(fmt.Sprintf("SEARCH %s {%d+}\r\n%s", field, len(text), text)))) - 1; got != n {
				t.Errorf("%s %q: %d messages, want %d", field, text, got, n)
			}
		}
	}
	// HEADER looks at the text of the field.
	if got := c.untagged(`SEARCH HEADER From "(comment)"`); got != "SEARCH 2" {
		t.Error(got)
	}
	// Of From the envelope has the first field, and an empty field has no addresses.
	f.put(t, "From: a@b\r\nFrom: second@b\r\nTo: a@b\r\nTo: second@b\r\n\r\n", "From: \r\nTo:,\r\n\r\n")
	c.send("n NOOP\r\n")
	c.until("n OK")
	for _, test := range [][2]string{{"FROM second@b", "SEARCH"}, {"TO second@b", "SEARCH 45"}, {`45:46 FROM ""`, "SEARCH 45"}, {`45:46 TO ""`, "SEARCH 45"}} {
		if got := c.untagged("SEARCH " + test[0]); got != test[1] {
			t.Errorf("%s: %s", test[0], got)
		}
	}
}

// A blank in a header may be a TAB, and the text that is looked for may have it (RFC 9051 section 6.4.4); in a
// body each blank is itself.
func TestSearchFindsTabs(t *testing.T) {
	f := start(t)
	f.put(t, "Subject: multi\tspace  x 6\r\nX-T: a\tb\r\n c\r\nX-F: a\r\n\tb\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+
		"--b\r\nX-Inner:\tin\tner\r\n\r\nbody\ttab\r\n--b--\r\n")
	c := f.selected(t)
	for _, test := range []struct {
		key, text string
		found     bool
	}{
		{"SUBJECT", "multi\tspace", true}, {"SUBJECT", "multi space", true}, {"HEADER Subject", "MULTI\tSPACE", true}, {"TEXT", "multi\tspace", true},
		{"HEADER X-T", "a\tb", true}, {"HEADER X-T", "a\tb\tc", true}, {"HEADER X-T", "b\r\n\tc", true}, {"HEADER X-F", "a\tb", true}, {"TEXT", "x-f: a b", true},
		{"BODY", "body\ttab", true}, {"BODY", "body tab", false}, {"TEXT", "body\ttab", true}, {"BODY", "in\tner", true}, {"BODY", "in ner", true},
		{"SUBJECT", "multispace", false}, {"SUBJECT", "multi\t\tspace", false},
	} {
		got := c.untagged(fmt.Sprintf("SEARCH %s {%d+}\r\n%s", test.key, len(test.text), test.text))
		if (got == "SEARCH 1") != test.found {
			t.Errorf("%s %q: %s", test.key, test.text, got)
		}
	}
}
