package smtp

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatepost/router/address"
	"gatepost/server/protection"
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

// Verdict says what the lists make of an address, in the words that the client hears.
func TestVerdictKnowsTheLists(t *testing.T) {
	bubble(t, func(set *Settings) { set.UnknownLimit, set.ErrorsLimit = 0, 0 }, func(t *testing.T, s *site) {
		s.blocking()
		p := s.accounts.Protection()
		s.must(p.SetList(t.Context(), protection.Blacklist, "198.51.100.7"))
		s.must(p.SetList(t.Context(), protection.Denied, "198.51.100.8"))
		s.must(p.BlockFor(netip.MustParseAddr("198.51.100.9"), time.Hour))
		verdict := func(from, to string) string {
			a, err := address.Parse(to)
			s.must(err)
			code, got := s.server.Verdict(t.Context(), netip.MustParseAddr(from), nil, a)
			if !strings.HasPrefix(got, "250") != (code != 250) {
				t.Errorf("code %d of %q", code, got)
			}
			return got
		}
		c := s.connect(25, "198.51.100.7")
		c.say("EHLO x.example", "250-")
		c.say("MAIL FROM:<a@example.net>", "250 ")
		for _, to := range []string{"larry@company.com", "blacklist-admin@company.com", "v@elsewhere.example"} {
			if got, want := verdict("198.51.100.7", to), c.say("RCPT TO:<"+to+">", ""); got != want {
				t.Errorf("%s: %q, and RCPT answers %q", to, got, want)
			}
		}
		if got, want := verdict("198.51.100.9", "larry@company.com"), s.client(25, "198.51.100.9").reply(); got != want {
			t.Errorf("blocked: %q, and the greeting is %q", got, want)
		}
		if got := verdict("198.51.100.8", "larry@company.com"); !strings.Contains(got, "Denied IPs") {
			t.Errorf("denied: %q", got)
		}
		if got := verdict("198.51.100.10", "larry@company.com"); !strings.HasPrefix(got, "250 ") {
			t.Errorf("nobody's: %q", got)
		}
	})
}
