package smtp

import (
	"strings"
	"testing"

	"gatepost/server/settings"
)

// TestOpenRelayMatrix tries the ways to write an address elsewhere so that it
// looks like one of ours. A stranger gets none of them through; the queue is
// never asked.
func TestOpenRelayMatrix(t *testing.T) {
	forms := []string{
		"<v@elsewhere.example>", "v@elsewhere.example", "<v@elsewhere.example.>", "<V@ELSEWHERE.EXAMPLE>",
		"<v%elsewhere.example@company.com>", "<v%elsewhere.example@[192.0.2.25]>", "<v%elsewhere.example>",
		"<v%elsewhere.example@localhost>", "<v%elsewhere.example%company.com@company.com>",
		"<@company.com:v@elsewhere.example>", "<@company.com,@elsewhere.example:v@elsewhere.example>",
		`<"v@elsewhere.example">`, `<"v@elsewhere.example"@company.com>`, `<"v%elsewhere.example"@company.com>`,
		"<v@elsewhere.example@company.com>", "<elsewhere.example!v>", "<elsewhere.example!v@company.com>",
		"<company.com!elsewhere.example!v>", "<company.com!v@elsewhere.example>",
		"<v@[198.51.100.99]>", "<v@198.51.100.99>", "<v@[IPv6:2001:db8::1]>", "<v@[IPv6:::ffff:198.51.100.99]>",
		"<v@elsewhere.example._via>", "<v%company.com@elsewhere.example._via>", "<v@company.com@elsewhere.example._via>",
		"<larry+v@elsewhere.example>", "<box#v@elsewhere.example>", "<larry@company.com@elsewhere.example>",
		"<partner-v%elsewhere.example@company.com>", `<"partner-v@elsewhere.example"@company.com>`, "<partner-elsewhere.example!v@company.com>",
		"<cat@pipe>", `<"|cat"@pipe>`, "<cat%pipe@company.com>",
		"<away%elsewhere.example@company.com>",
	}
	bubble(t, func(s *Settings) { s.ErrorsLimit, s.RelayingLimit, s.UnknownLimit = 0, 0, 0 }, func(t *testing.T, s *site) {
		for _, from := range []string{"198.51.100.7", "::ffff:198.51.100.7", "2001:db8::7"} {
			for _, sender := range []string{"<a@example.net>", "<>", "<larry@company.com>"} {
				c := s.connect(25, from)
				c.say("EHLO mx.example.net", "250-")
				c.say("MAIL FROM:"+sender, "250 ")
				for _, to := range forms {
					c.send("RCPT TO:" + to + "\r\n")
					if got := c.reply(); got[0] != '5' {
						t.Errorf("from %s with %s: RCPT TO:%s: %s", from, sender, to, got)
					}
				}
				c.say("DATA", "554 5.5.1 no valid recipients")
				c.conn.Close()
			}
		}
		if got := s.received(); len(got) > 0 {
			t.Errorf("accepted: %v", got)
		}
	})
}

// TestClientIPsMayRelay: the same for those who may, however their address is written.
func TestClientIPsMayRelay(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		for from, want := range map[string]string{
			"127.0.0.1": "250 ", "::ffff:127.0.0.1": "250 ", "::1": "250 ", "10.255.0.1": "250 ", "::ffff:10.0.0.1": "250 ",
			"11.0.0.1": "550 5.7.1 ", "::2": "550 5.7.1 ", "::ffff:11.0.0.1": "550 5.7.1 ",
		} {
			c := s.connect(25, from)
			c.say("EHLO x.example", "250-")
			c.say("MAIL FROM:<a@example.net>", "250 ")
			got := c.say("RCPT TO:<v@elsewhere.example>", want)
			if want == "250 " && !strings.HasSuffix(got, textClient) {
				t.Error(got)
			}
			c.conn.Close()
		}
	})
}

// TestLoginAloneDoesNotRelay: the account needs Relay among its access modes.
func TestLoginAloneDoesNotRelay(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		for name, want := range map[string]string{"larry": "250 v@elsewhere.example " + textUser, "curly": "550 5.7.1 v@elsewhere.example we do not relay"} {
			c := s.connect(465, "198.51.100.7")
			c.say("EHLO laptop.home", "250-")
			c.say("AUTH PLAIN "+plain(name, "secret"), "235 ")
			c.say("MAIL FROM:<"+name+"@company.com>", "250 ")
			c.say("RCPT TO:<v@elsewhere.example>", want)
			c.say("RCPT TO:<moe@company.com>", "250 ")
			c.say("QUIT", "221 ")
		}
	})
}

// TestBackupMailServer: strangers may send to domains whose backup this server is, if that is wanted.
func TestBackupMailServer(t *testing.T) {
	for _, wanted := range []settings.Flag{true, false} {
		bubble(t, func(s *Settings) { s.RelayToBackedUp, s.RelayingLimit, s.ErrorsLimit = wanted, 0, 0 }, func(t *testing.T, s *site) {
			answers := map[string]string{
				"<v@backed.example>":             "250 v@backed.example " + textBackup,
				"<v%backed.example@company.com>": "250 ",
				"<v@backed.example._via>":        "550 5.7.1 ",
				"<v@elsewhere.example>":          "550 5.7.1 ",
				"<v@unknown.example>":            "451 ",
				"<x@[198.51.100.99]>":            "550 5.7.1 ",
			}
			c := s.connect(25, "198.51.100.7")
			c.say("EHLO x.example", "250-")
			c.say("MAIL FROM:<a@example.net>", "250 ")
			for to, want := range answers {
				if !wanted {
					want = "550 5.7.1 "
				}
				c.say("RCPT TO:"+to, want)
			}
			c.conn.Close()
		})
	}
}
