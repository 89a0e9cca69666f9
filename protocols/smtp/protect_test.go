package smtp

import (
	"strings"
	"testing"
	"time"

	"gatepost/server/protection"
	"gatepost/server/resolver/resolvertest"
	"gatepost/server/settings"
)

// blocking turns the temporary blacklist on.
func (s *site) blocking() {
	set := *s.protect.Get()
	set.DenyAccessFor = settings.Period(15 * time.Minute)
	s.protect.Set(&set)
}

// What only attackers do puts their address on the temporary blacklist, from session to session.
func TestOffendersAreBlockedForAWhile(t *testing.T) {
	unknown := func(c *client) { c.say("RCPT TO:<nobody-here@company.com>", "550 ") }
	for name, test := range map[string]struct {
		times int
		do    func(c *client)
		cause protection.Cause
	}{
		"dictionary": {10, unknown, protection.UnknownRecipients},
		"relaying":   {5, func(c *client) { c.say("RCPT TO:<v@elsewhere.example>", "550 ") }, protection.RefusedRelaying},
		"errors":     {10, func(c *client) { c.say("WHAT", "500 ") }, protection.ProtocolErrors},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, s *site) {
				s.blocking()
				for i := range test.times { // each in a session of its own
					c := s.connect(25, "198.51.100.7")
					c.say("EHLO mx.example.net", "250-")
					c.say("MAIL FROM:<a@example.net>", "250 ")
					test.do(c)
					if i == test.times-1 {
						c.expect("421 4.7.0 company.com " + string(test.cause))
						c.closed()
					} else {
						c.say("QUIT", "221 ")
					}
				}
				c := s.client(25, "198.51.100.7")
				c.expect("421 4.7.1 company.com [198.51.100.7] is blocked for a while: " + string(test.cause))
				c.closed()
				// Others, and the port of our users, are not concerned.
				s.connect(25, "198.51.100.8").say("QUIT", "221 ")
				s.connect(587, "198.51.100.7").say("QUIT", "221 ")
				time.Sleep(16 * time.Minute)
				s.connect(25, "198.51.100.7").say("QUIT", "221 ")
			})
		})
	}
}

func TestTrustedClientsAreNeverBlocked(t *testing.T) {
	bubble(t, func(set *Settings) { set.UnknownLimit, set.ErrorsLimit = 0, 0 }, func(t *testing.T, s *site) {
		s.blocking()
		s.must(s.accounts.Protection().SetList(t.Context(), protection.WhiteHoles, "198.51.100.0/24"))
		for _, from := range []string{"198.51.100.7", "127.0.0.1"} {
			c := s.connect(25, from)
			c.say("EHLO mx.example.net", "250-")
			c.say("MAIL FROM:<a@example.net>", "250 ")
			for range 30 {
				c.say("RCPT TO:<nobody-here@company.com>", "550 ")
				c.say("WHAT", "500 ")
			}
			c.say("RCPT TO:<larry@company.com>", "250 ")
			s.connect(25, from).say("QUIT", "221 ")
		}
	})
}

// The Blacklist refuses mail, and not who logs in; the Router may let an address in.
func TestBlacklistedClientsReachTheContactOnly(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.must(s.accounts.Protection().SetList(t.Context(), protection.Blacklist, "198.51.100.0/24\n10.66.0.0/16"))
		for _, from := range []string{"198.51.100.7", "10.66.0.1"} { // the second one is a Client IP
			c := s.connect(25, from)
			c.say("EHLO mx.example.net", "250-")
			c.say("MAIL FROM:<a@example.net>", "250 ")
			got := c.say("RCPT TO:<larry@company.com>", "591 5.7.1 larry@company.com your address ["+from+"] is on the blacklist of this server")
			if !strings.HasSuffix(got, "; write to blacklist-admin@company.com") {
				t.Errorf("no contact: %s", got)
			}
			c.say("RCPT TO:<v@elsewhere.example>", "591 ")
			c.say("RCPT TO:<blacklist-admin@company.com>", "250 ")
			c.say("DATA", "354 ")
			c.say("Subject: let me in\r\n\r\nplease\r\n.", "250 ")
			if got := s.received(); len(got) == 0 || got[len(got)-1].env.Recipients[0].Address.String() != "blacklist-admin%company.com@blacklisted" {
				t.Errorf("%v", got)
			}
		}
		c := s.connect(465, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		c.say("MAIL FROM:<larry@company.com>", "250 ")
		c.say("RCPT TO:<moe@company.com>", "250 ")
		set := *s.settings.Get()
		set.StandardCodes = true
		s.settings.Set(&set)
		c = s.connect(25, "198.51.100.7")
		c.say("EHLO mx.example.net", "250-")
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say("RCPT TO:<larry@company.com>", "550 5.7.1 ")
	})
}

// What the DNS says of a stranger: its address, the name in HELO, and the domain of the return-path.
func TestStrangersAreLookedUp(t *testing.T) {
	zone := resolvertest.New(t, `
mx.example.net. A 198.51.100.7
example.net. MX 10 mx.example.net.
7.100.51.198.bl.test. A 127.0.0.2
8.100.51.198.grey.test. A 127.0.0.3
null.example. MX 0 .
`)
	zone.Fail("broken.example")
	bubble(t, func(set *Settings) {
		set.VerifyHELO, set.LookUpReturnPath, set.ErrorsLimit = "non-clients", "non-clients", 0
	}, func(t *testing.T, s *site) {
		s.accounts.Protection().UseResolver(zone.Resolver())
		set := *s.protect.Get()
		set.DNSLists = protection.DNSLists{{Zone: "bl.test", Action: "reject", Timeout: settings.Period(5 * time.Second)}, {Zone: "grey.test", Action: "mark", Timeout: settings.Period(5 * time.Second)}}
		s.protect.Set(&set)
		c := s.connect(25, "198.51.100.7")
		c.say("EHLO mx.example.net", "250-")
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say("RCPT TO:<larry@company.com>", "591 5.7.1 larry@company.com your address [198.51.100.7] is on bl.test")

		c = s.connect(25, "198.51.100.8")
		for helo, want := range map[string]string{
			"mx.example.net": "250 ", "[198.51.100.8]": "250 ", "broken.example": "250 ", // it cannot be looked up now
			"": "550 5.7.1 ", "localhost": "550 5.7.1 ", "missing.example": "550 5.7.1 ", "[198.51.100.7]": "550 5.7.1 ", "198.51.100.8": "550 5.7.1 ",
			"company.com": "550 5.7.1 ", "[x]": "550 5.7.1 ",
		} {
			c.say("EHLO "+helo, "250-") // may go on to log in
			c.say("MAIL FROM:<>", want)
		}
		c.say("EHLO mx.example.net", "250-")
		for from, want := range map[string]string{
			"<a@missing.example>": "550 5.1.8 ", "<a@null.example>": "550 5.1.8 ", "<a@broken.example>": "451 ", "<a@mx.example.net>": "250 ",
		} {
			c.say("MAIL FROM:"+from, want)
			c.say("RSET", "250 ")
		}
		c.mail("<a@example.net>", "Subject: x\r\n\r\nx", "<larry@company.com>")
		if got := s.received(); len(got) != 1 || !strings.Contains(got[0].text, "\nX-Blacklisted: grey.test (127.0.0.3)\n") {
			t.Errorf("%v", got)
		}
		// Trusted clients are not looked at, nor is the port of our users.
		for _, where := range []struct {
			port int
			from string
		}{{25, "127.0.0.1"}, {465, "198.51.100.7"}} {
			c := s.connect(where.port, where.from)
			c.say("EHLO laptop", "250-")
			if where.port == 465 {
				c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
			}
			c.say("MAIL FROM:<larry@company.com>", "250 ")
			c.say("RCPT TO:<moe@company.com>", "250 ")
		}
		s.must(s.accounts.Protection().SetList(t.Context(), protection.WhiteHoles, "198.51.100.7"))
		c = s.connect(25, "198.51.100.7")
		c.say("EHLO missing.example", "250-")
		c.say("MAIL FROM:<a@missing.example>", "250 ")
		c.say("RCPT TO:<larry@company.com>", "250 ")
	})
}
