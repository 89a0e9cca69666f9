package smtp

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"gatepost/server/protection"
	"gatepost/server/resolver/resolvertest"
	"gatepost/server/settings"
)

// protecting changes the settings of the protection.
func (s *site) protecting(change func(set *protection.Settings)) {
	set := *s.protect.Get()
	change(&set)
	s.must(set.Validate())
	s.protect.Set(&set)
}

func rateOf(n int, p time.Duration) settings.Rate {
	return settings.Rate{Count: n, Period: settings.Period(p)}
}

// Strangers who connect or send too fast are asked to come again; others, and trusted clients, are not concerned.
func TestStrangersComeAtARate(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.protecting(func(set *protection.Settings) {
			set.Connections, set.Messages = rateOf(3, time.Minute), rateOf(2, 10*time.Minute)
		})
		for _, from := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::3"} { // one network of 64 bits
			s.connect(25, from).say("QUIT", "221 ")
		}
		c := s.client(25, "2001:db8::4")
		c.expect("421 4.7.0 company.com [IPv6:2001:db8::4] connects too often, try again later")
		c.closed()
		s.connect(25, "2001:db8:0:1::1").say("QUIT", "221 ")
		s.connect(587, "2001:db8::5").say("QUIT", "221 ")
		time.Sleep(time.Minute)
		c = s.connect(25, "2001:db8::4")
		c.say("EHLO mx.example.net", "250-")
		for range 2 {
			if got := c.mail("<a@example.net>", "Subject: x\r\n\r\nx", "<larry@company.com>"); !strings.HasPrefix(got, "250 ") {
				t.Fatal(got)
			}
		}
		c.say("MAIL FROM:<a@example.net>", "451 4.7.1 a@example.net too many messages from your address")
		c.say("RCPT TO:<larry@company.com>", "503 ")
		time.Sleep(10 * time.Minute)
		c = s.connect(25, "2001:db8::4")
		c.say("EHLO mx.example.net", "250-")
		c.say("MAIL FROM:<a@example.net>", "250 ")

		s.must(s.accounts.Protection().SetList(t.Context(), protection.WhiteHoles, "198.51.100.9"))
		for _, from := range []string{"127.0.0.1", "198.51.100.9"} {
			for range 5 {
				c := s.connect(25, from)
				c.say("EHLO mx.example.net", "250-")
				if got := c.mail("<a@example.net>", "Subject: x\r\n\r\nx", "<larry@company.com>"); !strings.HasPrefix(got, "250 ") {
					t.Fatal(got)
				}
				c.say("QUIT", "221 ")
			}
		}
	})
}

// A Client IP of a domain speaks for that domain, and is a stranger to others.
func TestClientIPsOfADomain(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.must(s.accounts.DomainSettings("branch.example").Update(t.Context(), dict("ClientIPs", `"198.51.100.0/24\e!198.51.100.66"`)))
		s.must(s.accounts.DomainSettings("branch.example").Update(t.Context(), dict("ForceSMTPAUTH", "non-clients")))
		c := s.connect(25, "198.51.100.7")
		c.say("EHLO printer.branch.example", "250-")
		c.say("MAIL FROM:<shemp@branch.example>", "250 ")
		c.say("RCPT TO:<v@elsewhere.example>", "250 v@elsewhere.example accepting mail from a client address")
		c.say("DATA", "354 ")
		c.say("Subject: x\r\n\r\nx\r\n.", "250 ")
		if got := s.received(); len(got) != 1 || !got[0].env.Source.Trusted {
			t.Errorf("%+v", got)
		}
		c.say("MAIL FROM:<larry@company.com>", "250 ") // a domain whose client it is not
		c.say("RCPT TO:<v@elsewhere.example>", "550 5.7.1 v@elsewhere.example we do not relay")
		c.say("RSET", "250 ")
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say("RCPT TO:<v@elsewhere.example>", "550 5.7.1 ")
		for _, from := range []string{"198.51.100.66", "192.0.2.1"} {
			c := s.connect(25, from)
			c.say("EHLO mx.example.net", "250-")
			c.say("MAIL FROM:<shemp@branch.example>", "530 5.7.0 ")
		}
		s.must(s.accounts.Protection().SetList(t.Context(), protection.Blacklist, "198.51.100.7"))
		c = s.connect(25, "198.51.100.7")
		c.say("EHLO mx.example.net", "250-")
		c.say("MAIL FROM:<shemp@branch.example>", "530 5.7.0 ")
	})
}

// mailServer answers a question of Reverse Connect: with the reply to RCPT, which a table has by the recipient, or to an
// earlier command.
type mailServer struct {
	replies map[string]string
	asked   []string
}

func (m *mailServer) dial(_ context.Context, _, address string) (net.Conn, error) {
	m.asked = append(m.asked, address)
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		in := bufio.NewReader(theirs)
		fmt.Fprintf(theirs, "220-mx\r\n220 mx\r\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			line = strings.TrimRight(line, "\r\n")
			reply := m.replies[line]
			if reply == "" {
				reply = "250 2.0.0 ok"
			}
			if fmt.Fprintf(theirs, "%s\r\n", reply); line == "QUIT" {
				return
			}
		}
	}()
	return ours, nil
}

func TestReverseConnect(t *testing.T) {
	zone := resolvertest.New(t, `
example.net. MX 10 mx.example.net.
mx.example.net. A 203.0.113.1
inside.example. MX 10 mx.inside.example.
mx.inside.example. A 10.0.0.5
`)
	bubble(t, func(set *Settings) { set.ReverseConnect, set.ErrorsLimit = "non-clients", 0 }, func(t *testing.T, s *site) {
		m := &mailServer{replies: map[string]string{
			"RCPT TO:<nobody@example.net>": "550 5.1.1 no such user",
			"RCPT TO:<policy@example.net>": "550 5.7.1 you are on a list",
			"RCPT TO:<later@example.net>":  "450 4.7.1 come again",
		}}
		s.accounts.Protection().UseResolver(zone.Resolver())
		s.accounts.Protection().UseDialer(m.dial)
		c := s.connect(25, "198.51.100.7")
		c.say("EHLO mx.example.net", "250-")
		for _, step := range []struct {
			from, reply string
			asked       int // connections so far
		}{
			{"a@example.net", "250 ", 1}, {"a@example.net", "250 ", 1},
			{"nobody@example.net", "550 5.1.8 nobody@example.net return-path refused: its mail server does not know the address", 2},
			{"nobody@example.net", "550 ", 2},
			{"policy@example.net", "250 ", 3}, // it speaks of us, not of the address
			{"later@example.net", "250 ", 4},
			{"a@inside.example", "250 ", 4}, // no host of a private network is connected to
			{"", "250 ", 4}, {"larry@company.com", "250 ", 4},
		} {
			c.say("MAIL FROM:<"+step.from+">", step.reply)
			c.say("RSET", "250 ")
			if len(m.asked) != step.asked {
				t.Errorf("%s: asked %v", step.from, m.asked)
			}
		}
		if m.asked[0] != "203.0.113.1:25" {
			t.Error(m.asked)
		}
		time.Sleep(time.Minute)
		for i := range 40 { // forged return-paths do not flood the domain's server
			c = s.connect(25, "198.51.100.8")
			c.say("EHLO mx.example.net", "250-")
			c.say(fmt.Sprintf("MAIL FROM:<forged%d@example.net>", i), "250 ")
			c.say("QUIT", "221 ")
			if n := len(m.asked) - 4; n > 20*(1+i/12+1) {
				t.Fatalf("%d questions", n)
			}
		}
		// Trusted clients are not asked about.
		before := len(m.asked)
		c = s.connect(25, "127.0.0.1")
		c.say("EHLO mx.example.net", "250-")
		c.say("MAIL FROM:<nobody@example.net>", "250 ")
		if len(m.asked) != before {
			t.Error("a Client IP was asked about")
		}
	})
}

// banning sets patterns.
func (s *site) banning(header, body protection.Patterns) {
	s.accounts.Protection().UseBanned(settings.NewLive(&protection.BannedSettings{Header: header, Body: body}))
}

func TestBannedLines(t *testing.T) {
	bubble(t, func(set *Settings) { set.ErrorsLimit = 0 }, func(t *testing.T, s *site) {
		s.banning(protection.Patterns{"subject: *CASINO*", "X-Mailer: Bulk 1.0"}, protection.Patterns{"*click here*to win*", "exactly this"})
		c := s.connect(25, "198.51.100.7")
		c.say("EHLO mx.example.net", "250-")
		long := strings.Repeat("x", 100_000)
		for _, test := range []struct {
			text   string
			banned bool
		}{
			{"Subject: hello\r\n\r\ncasino", false},
			{"Subject: the Casino\r\n\r\nx", true},
			{"SUBJECT:the\r\n casino\r\n\r\nx", true}, // folded
			{"Subject: =?utf-8?q?Ca=73ino?=\r\n\r\nx", true},
			{"Subject: =?utf-8?b?Y2FzaW5v?=\r\nTo: x", true}, // no body
			{"X-Mailer: Bulk 1.0\r\n\r\nx", true}, {"X-Mailer: Bulk 1.01\r\n\r\nx", false},
			{"Subject: x\r\n\r\nplease CLICK HERE now to win a prize", true},
			{"Subject: x\r\n\r\nplease click here\r\nnow to win", false},
			{"Subject: x\r\n\r\nExactly this\r\n", true}, {"Subject: x\r\n\r\nnot exactly this", false},
			{"Subject: x\r\n\r\n..\r\nexactly this", true},
			{"Subject: x\r\n\r\nSubject: casino", false},
			{"click here to win", true},                                                                                  // a message without a header
			{"Subject: casino " + long + "\r\n\r\nx", true}, {"Subject: x\r\n\r\nclick here " + long + " to win", false}, // a line is compared up to a length
		} {
			got := c.mail("<a@example.net>", test.text, "<larry@company.com>")
			if want := map[bool]string{true: "579 5.7.1 banned line found in the message", false: "250 "}[test.banned]; !strings.HasPrefix(got, want) {
				t.Errorf("%.60q: %s", test.text, got)
			}
			c.say("EHLO mx.example.net", "250-")
		}
		// A chunk may end anywhere.
		for cut := range len("Subject: casino\r\n\r\nx") {
			text := "Subject: casino\r\n\r\nx"
			c.say("MAIL FROM:<a@example.net>", "250 ")
			c.say("RCPT TO:<larry@company.com>", "250 ")
			c.send(fmt.Sprintf("BDAT %d\r\n%s", cut, text[:cut]))
			first := c.reply()
			c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(text)-cut, text[cut:]))
			if last := c.reply(); !strings.HasPrefix(first, "579 ") && !strings.HasPrefix(last, "579 ") {
				t.Errorf("cut at %d: %s, %s", cut, first, last)
			}
		}
		if got := s.leftovers(); len(got) > 0 {
			t.Errorf("left %v", got)
		}
		// Trusted clients write what they like.
		c = s.connect(25, "127.0.0.1")
		c.say("EHLO mx.example.net", "250-")
		if got := c.mail("<a@example.net>", "Subject: casino\r\n\r\nx", "<larry@company.com>"); !strings.HasPrefix(got, "250 ") {
			t.Error(got)
		}
		set := *s.settings.Get()
		set.StandardCodes = true
		s.settings.Set(&set)
		c = s.connect(25, "198.51.100.7")
		c.say("EHLO mx.example.net", "250-")
		if got := c.mail("<a@example.net>", "Subject: casino\r\n\r\nx", "<larry@company.com>"); !strings.HasPrefix(got, "550 5.7.1 ") {
			t.Error(got)
		}
	})
}

func TestGreylisting(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.protecting(func(set *protection.Settings) { set.Greylisting = true })
		try := func(ip, from, to, want string) {
			t.Helper()
			c := s.connect(25, ip)
			c.say("EHLO mx.example.net", "250-")
			c.say("MAIL FROM:<"+from+">", "250 ")
			c.say("RCPT TO:<"+to+">", want)
			c.say("QUIT", "221 ")
		}
		const put = "451 4.7.1 larry@company.com greylisted: come again in "
		try("198.51.100.7", "a@example.net", "larry@company.com", put+"5m0s")
		try("198.51.100.7", "a@example.net", "nobody-here@company.com", "550 5.1.1 ") // known to be wrong
		time.Sleep(4 * time.Minute)
		try("198.51.100.7", "a@example.net", "larry@company.com", put)
		time.Sleep(time.Minute)
		try("198.51.100.99", "A@Example.net", "larry@company.com", "250 ") // a neighbour tries again
		try("198.51.100.7", "a@example.net", "larry@company.com", "250 ")
		try("198.51.100.7", "b@example.net", "larry@company.com", put) // another return-path
		try("198.51.101.7", "a@example.net", "larry@company.com", put) // another network
		try("127.0.0.1", "c@example.net", "larry@company.com", "250 ")
		s.must(s.accounts.Protection().SetList(t.Context(), protection.WhiteHoles, "192.0.2.0/24"))
		try("192.0.2.1", "c@example.net", "larry@company.com", "250 ")
		c := s.connect(465, "203.0.113.9")
		c.say("EHLO laptop", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		c.say("MAIL FROM:<larry@company.com>", "250 ")
		c.say("RCPT TO:<moe@company.com>", "250 ")
		time.Sleep(49 * time.Hour)
		try("198.51.101.7", "a@example.net", "larry@company.com", put+"5m0s") // too late: the first time again
	})
}

// A pattern has a blank behind the colon, whether the message has one or not.
func TestBannedFieldsWithoutABlank(t *testing.T) {
	bubble(t, func(set *Settings) { set.ErrorsLimit = 0 }, func(t *testing.T, s *site) {
		s.banning(protection.Patterns{"subject: *CASINO*", "X-Mailer: Bulk 1.0"}, nil)
		c := s.connect(25, "198.51.100.7")
		c.say("EHLO mx.example.net", "250-")
		for _, text := range []string{"Subject:Casino\r\n\r\nx", "X-Mailer:Bulk 1.0\r\n\r\nx"} {
			if got := c.mail("<a@example.net>", text, "<larry@company.com>"); !strings.HasPrefix(got, "579 ") {
				t.Errorf("%q: %s", text, got)
			}
		}
	})
}
