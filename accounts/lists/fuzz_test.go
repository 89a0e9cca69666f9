package lists

import (
	"strings"
	"testing"

	"gatepost/accounts/subscribers"
	"gatepost/router/address"
)

// Whatever a report says, failures ends, and names addresses that are fit for a log and a header.
func FuzzFailures(f *testing.F) {
	for _, seed := range []string{
		"Reporting-MTA: dns; a.test\r\n\r\nFinal-Recipient: rfc822; bob@a.test\r\nAction: failed\r\nStatus: 5.1.1\r\n",
		"Original-Recipient: rfc822;a+2Bb@a.test\r\nAction: FAILED\r\nStatus: 5.1.1 (no)\r\n\r\n", "Action: failed\nFinal-Recipient: utf-8; \\x{e4}@a.test\n\n",
		"Action: delayed\r\n\r\nAction\r\n:\r\n", strings.Repeat("x", 9000) + ": y\r\n", "Final-Recipient: rfc822; <a@b\r\nAction: failed\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := failures(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range list {
			if strings.ContainsAny(one.address, "\r\n\x00") || !strings.Contains(one.address, "@") {
				t.Errorf("%q is named", one.address)
			}
		}
	})
}

// What a subject asks for has a token without line ends, and a known command.
func FuzzSubjectCommand(f *testing.F) {
	for _, seed := range []string{"help", "confirm ABC", "Re: confirm ABC", "confirm reject-abc", "subscribe", "a b c", "\r\n", "digest"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		for _, word := range []string{"request", "confirm"} {
			a := serviceCommand(word, "", subject)
			if strings.ContainsAny(a.token, "\r\n ") || a.cmd > cmdHelp {
				t.Errorf("%q: %+v", subject, a)
			}
		}
	})
}

// A name and an address are split without anything added to them, and oneLine leaves no line ends.
func FuzzSplitName(f *testing.F) {
	for _, seed := range []string{"a@b", "A. Name <a@b>", `"A" <a@b>`, "<>", "<", ">", `"`, `""`, "a\r\nb <c>", "\xff <\xfe>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, addr := subscribers.SplitName(text)
		if !strings.Contains(text, name) || !strings.Contains(text, addr) {
			t.Errorf("%q gives %q and %q", text, name, addr)
		}
		if got := oneLine(name); strings.ContainsAny(got, "\r\n") || len(got) > 500 {
			t.Errorf("%q", got)
		}
		if a, err := address.Parse(addr); err == nil && strings.ContainsAny(a.String(), "\r\n") {
			t.Errorf("%q is an address", a)
		}
	})
}
