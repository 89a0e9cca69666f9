package smtp

import (
	"strings"
	"testing"

	"gatepost/router/address"
)

// A client of another protocol, which a web page can make of a browser, is at its end with its first word: nothing behind it is read as a command.
func TestClientsOfOtherProtocolsEndAtOnce(t *testing.T) {
	for _, first := range []string{"GET / HTTP/1.1", "POST /x HTTP/1.1", "CONNECT company.com:25 HTTP/1.1", "PUT / HTTP/1.1", "head / HTTP/1.0",
		"DELETE / HTTP/1.1", "OPTIONS * HTTP/1.1", "PATCH / HTTP/1.1", "TRACE / HTTP/1.1", "PRI * HTTP/2.0", "Host: company.com", "User-Agent: x"} {
		bubble(t, nil, func(t *testing.T, s *site) {
			c := s.connect(25, "198.51.100.7")
			c.send(first + "\r\nEHLO mx.example.net\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<larry@company.com>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n")
			c.expect("554 5.5.1 this is a mail server")
			c.closed()
			if got := s.received(); len(got) > 0 {
				t.Errorf("%s: %v", first, got)
			}
		})
	}
}

// No address or parameter carries a line, a NUL or another recipient into the queue file, a reply or a field of the header.
func TestAddressesCarryNoLines(t *testing.T) {
	bubble(t, func(set *Settings) { set.ErrorsLimit = 0 }, func(t *testing.T, s *site) {
		const evil = "v@elsewhere.example"
		for _, line := range []string{
			"MAIL FROM:<a\nRCPT TO:<" + evil + ">@example.net>", "MAIL FROM:<a\rb@example.net>", "MAIL FROM:<a\x00@example.net>",
			"MAIL FROM:<\"a\nb\"@example.net>", "MAIL FROM:<\"a\\\nb\"@example.net>", "MAIL FROM:<a@example.net\x0b>", "MAIL FROM:<a@exam\tple.net>",
			"MAIL FROM:<\"a\x01b\"@example.net>", "MAIL FROM:<a@example.net> ENVID=a+0D+0Ab", "MAIL FROM:<a@example.net> ENVID=a+00b",
			"MAIL FROM:<a@example.net> AUTH=<x\x00>", "MAIL FROM:<a@example.net>\x00 SIZE=1",
			"MAIL FROM:<\xc3@example.net> SMTPUTF8", "MAIL FROM:<a@\xff\xfe.net> SMTPUTF8", // UTF-8 that is cut off
			"MAIL FROM:<" + strings.Repeat("a", 300) + "@" + strings.Repeat("b", 300) + ".net>", "MAIL FROM:<a@" + strings.Repeat("b.", 300) + "net>",
			"MAIL FROM:<a@..>", "MAIL FROM:<@>", "MAIL FROM:<a@>",
		} {
			c := s.connect(25, "127.0.0.1")
			c.say("EHLO mx.example.net", "250-")
			c.send(line + "\r\n")
			if got := c.reply(); got[0] != '5' || strings.ContainsAny(got, "\x00\r") {
				t.Errorf("%q: %q", line, got)
			}
			c.say("NOOP", "250 NOOP")
			c.say("QUIT", "221 ")
		}
		c := s.connect(25, "127.0.0.1")
		c.say("EHLO mx.example.net", "250-")
		c.say("MAIL FROM:<a@example.net>", "250 ")
		for _, line := range []string{
			"RCPT TO:<larry\n@company.com>", "RCPT TO:<larry\x00@company.com>", "RCPT TO:<\"larry\r\"@company.com>", "RCPT TO:<larry@company.com\n>",
			`RCPT TO:<""@company.com>`, `RCPT TO:<"">`, "RCPT TO:<@company.com>", "RCPT TO:<\"\\\"@company.com>", `RCPT TO:<"larry@company.com>`,
			"RCPT TO:<larry@company.com> ORCPT=rfc822;a+0D+0ART", "RCPT TO:<larry@company.com> NOTIFY=NEVER\nX",
			"RCPT TO:<" + strings.Repeat("é", 40) + "\xc3@company.com>", "RCPT TO:<" + strings.Repeat("x", 500) + "@company.com>",
			"RCPT TO:<larry@company.com>, <" + evil + ">", "RCPT TO:<larry@company.com> <" + evil + ">",
		} {
			c.send(line + "\r\n")
			if got := c.reply(); got[0] != '5' || strings.ContainsAny(got, "\x00\r") {
				t.Errorf("%q: %q", line, got)
			}
		}
		// Characters of a shell are a name like others.
		const shell = "`$(id);|&<>'*"
		c.say(`RCPT TO:<"`+shell+`"@elsewhere.example>`, "250 ")
		c.say("DATA", "354 ")
		c.say("Subject: x\r\n\r\nx\r\n.", "250 ")
		got := s.received()
		if len(got) != 1 || len(got[0].env.Recipients) != 1 || got[0].env.Recipients[0].Address != (address.Address{Local: shell, Domain: "elsewhere.example"}) {
			t.Fatalf("%+v", got)
		}
		if strings.Contains(got[0].head, evil) {
			t.Error(got[0].head)
		}
	})
}

// A chunk that is refused, or sent at a wrong time, is still taken as it is: its octets are never commands.
func TestChunksAreNeverCommands(t *testing.T) {
	const evil = "MAIL FROM:<evil@example.net>\r\nRCPT TO:<larry@company.com>\r\n"
	bubble(t, func(set *Settings) { set.MaxMessageSize, set.ErrorsLimit = 100, 0 }, func(t *testing.T, s *site) {
		c := s.connect(25, "127.0.0.1")
		c.say("EHLO mx.example.net", "250-")
		c.bdat(evil, true, "503 5.5.1 send MAIL first")
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.bdat(evil, true, "554 5.5.1 no valid recipients")
		c.say("RCPT TO:<larry@company.com>", "250 ")
		c.bdat(evil, false, "250 ")
		c.bdat(evil, false, "552 5.3.4 ") // the limit holds for all chunks together
		c.bdat("", true, "503 5.5.1 ")
		c.say("DATA", "503 ")
		c.say("RCPT TO:<larry@company.com>", "503 5.5.1 send MAIL first")
		for _, size := range []string{"-1", "99999999999999999999", "1x", "", "1 LAST x", "0x10"} {
			c := s.connect(25, "127.0.0.1")
			c.say("EHLO mx.example.net", "250-")
			c.send("BDAT " + size + "\r\n" + evil)
			c.expect("501 5.5.4 ")
			c.closed()
		}
		if got := s.received(); len(got) > 0 {
			t.Errorf("%v", got)
		}
	})
}
