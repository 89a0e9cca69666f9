package smtp

import (
	"net/netip"
	"strings"
	"testing"

	"gatepost/router/address"
)

// TestVerdictIsTheReplyToRCPT compares Verdict with what sessions answer.
func TestVerdictIsTheReplyToRCPT(t *testing.T) {
	bubble(t, func(s *Settings) { s.RelayToBackedUp = true }, func(t *testing.T, s *site) {
		for _, from := range []string{"198.51.100.7", "10.0.0.1"} {
			c := s.connect(25, from)
			c.say("EHLO x.example", "250-")
			c.say("MAIL FROM:<a@example.net>", "250 ")
			for _, to := range []string{"larry@company.com", "nobody@company.com", "v@elsewhere.example", "away@company.com", "all@company.com",
				"v@backed.example", "v%company.com@elsewhere.example", "client.com%wakeup@company.com", "partner-v@company.com", "v@unknown.example"} {
				c.send("RCPT TO:<" + to + ">\r\n")
				want := strings.TrimRight(c.reply(), "\r\n")
				a, err := address.Parse(to)
				if err != nil {
					t.Fatal(err)
				}
				code, got := s.server.Verdict(t.Context(), netip.MustParseAddr(from), nil, a)
				if got != want || !strings.HasPrefix(got, "250 ") != (code != 250) {
					t.Errorf("%s to %s: %d, %q, and RCPT answers %q", to, from, code, got, want)
				}
			}
			c.conn.Close()
		}
		to := address.Address{Local: "v", Domain: "elsewhere.example"}
		for name, want := range map[string]int{"larry": 250, "curly": 550} { // curly has no Relay
			user, err := s.accounts.Account(t.Context(), "company.com", name)
			s.must(err)
			if code, text := s.server.Verdict(t.Context(), netip.Addr{}, user, to); code != want {
				t.Errorf("%s: %d, %s", name, code, text)
			}
		}
	})
}
