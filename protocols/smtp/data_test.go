package smtp

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/settings"
)

func TestSizeLimit(t *testing.T) {
	small := func(s *Settings) { s.MaxMessageSize = 1 << 20 }
	bubble(t, small, func(t *testing.T, s *site) {
		c := s.connect(25, "10.1.2.3")
		c.say("EHLO mx.example.net", "250-")
		text := strings.Repeat(strings.Repeat("x", 1022)+"\r\n", 1024)
		if len(text) != 1<<20 {
			t.Fatal(len(text))
		}
		if got := c.mail("<a@example.net>", strings.TrimSuffix(text, "\r\n"), "<larry@company.com>"); !strings.HasPrefix(got, "250 ") {
			t.Errorf("a message of exactly the limit: %s", got)
		}
		if got := c.mail("<a@example.net>", text, "<larry@company.com>"); got != "552 5.3.4 message is too large" {
			t.Errorf("two octets more: %s", got)
		}
		// Chunks count together.
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say("RCPT TO:<larry@company.com>", "250 ")
		c.bdat(text[2:], false, "250 ")
		c.bdat("Subject: x", false, "552 5.3.4 ")
		c.bdat("abc", true, "503 5.5.1 ")
		c.say("NOOP", "250 ")
		// A client that looks for the answer at the end gets it there (RFC 5321 section 3.8).
		if got := c.mail("<a@example.net>", strings.Repeat(text, 6), "<larry@company.com>"); got != "552 5.3.4 message is too large" {
			t.Errorf("six times the limit: %s", got)
		}
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say("RCPT TO:<larry@company.com>", "250 ")
		c.bdat(strings.Repeat(text, 6), true, "552 5.3.4 ")
		c.bdat(strings.Repeat(text, 6), true, "503 5.5.1 ")
		// The time for that is bounded, however fast it comes.
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say("RCPT TO:<larry@company.com>", "250 ")
		c.say("DATA", "354 ")
		began := time.Now()
		stop := make(chan struct{})
		go func() {
			for {
				if _, err := c.conn.Write([]byte(text)); err != nil {
					close(stop)
					return
				}
				time.Sleep(time.Second)
			}
		}()
		c.expect("552 5.3.4 ")
		c.closed()
		if d := time.Since(began); d > 10*time.Minute+5*time.Second {
			t.Errorf("read for %v", d)
		}
		<-stop
		c = s.connect(25, "10.1.2.3")
		c.say("EHLO mx.example.net", "250-")
		c.say("BDAT 99999999999 LAST", "552 5.3.4 ")
		c.closed()
		if left := s.leftovers(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestBareLineEndsInChunks: wherever chunks are cut, a bare CR or LF is found, and in the
// first chunk that has it.
func TestBareLineEndsInChunks(t *testing.T) {
	bubble(t, func(s *Settings) { s.ErrorsLimit = 0 }, func(t *testing.T, s *site) {
		c := s.connect(25, "198.51.100.7")
		c.say("EHLO mx.example.net", "250-")
		for _, chunks := range [][]string{
			{"a\rb\r\n"}, {"a\nb\r\n"}, {"\n"}, {"\r"}, {"a\r\r\n"}, {"a\n\r\n"}, {"a\r"}, {"a\n"}, {"a\rb"}, {"\r\n.\n\r\n"},
			{"a\r", "b\r\n"}, {"a", "\nb\r\n"}, {"a\r", "\r\n"}, {"a\r\n", "\nb"}, {"a\r\n", "\rb"}, {"a\r", ""}, {"", "\n"}, {"a\r\n", "b\r", "c"},
			{"a\rb", ""}, {"a\nb", ""}, {"a\r\nb\rc", ""},
		} {
			c.say("MAIL FROM:<a@example.net>", "250 ")
			c.say("RCPT TO:<larry@company.com>", "250 ")
			refused := false
			for i, chunk := range chunks {
				last := i == len(chunks)-1
				c.send(fmt.Sprintf("BDAT %d%s\r\n%s", len(chunk), map[bool]string{true: " LAST"}[last], chunk))
				got := c.reply()
				switch known := bare([]byte(strings.TrimSuffix(strings.Join(chunks[:i+1], ""), "\r"))); {
				case refused && strings.HasPrefix(got, "503 5.5.1 "):
				case !refused && (last || known) && strings.HasPrefix(got, "550 5.6.0 bare CR or LF"):
					refused = true
				case !refused && !last && !known && strings.HasPrefix(got, "250 "):
				default:
					t.Errorf("%q, chunk %d: %s", chunks, i, got)
				}
			}
			c.say("RSET", "250 ")
		}
		if got := s.received(); len(got) > 0 {
			t.Errorf("stored: %v", got)
		}
	})
}

// TestChunksAfterAFailedOneAreNoErrors: they were on their way (RFC 3030 section 2).
func TestChunksAfterAFailedOneAreNoErrors(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		c := s.connect(25, "198.51.100.7")
		c.say("EHLO mx.example.net", "250-")
		for _, rcpt := range []string{"<larry@company.com>", "<nosuch@company.com>"} {
			c.say("MAIL FROM:<a@example.net>", "250 ")
			c.say("RCPT TO:"+rcpt, "")
			c.send(strings.Repeat("BDAT 3\r\na\x00b", 30) + "BDAT 0 LAST\r\n")
			for range 31 {
				c.expect("5")
			}
			c.say("RSET", "250 ")
		}
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say("RCPT TO:<larry@company.com>", "250 ")
		c.bdat("x", true, "250 ")
		// Without a message they are errors like others, once.
		for range 30 {
			c.bdat("x", true, "503 5.5.1 ")
		}
		c.say("QUIT", "221 ")
	})
}

// TestEndlessMessageIsNotReadForEver: the octets that are read beyond the limit are bounded, too.
func TestEndlessMessageIsNotReadForEver(t *testing.T) {
	bubble(t, func(s *Settings) { s.MaxMessageSize = 1000 }, func(t *testing.T, s *site) {
		c := s.connect(25, "10.1.2.3")
		c.say("EHLO mx.example.net", "250-")
		c.say(fmt.Sprint("BDAT ", 1001+maxExcess), "552 5.3.4 ")
		c.closed()
		tx := &transaction{body: &body{limit: 1000, size: 1000 + maxExcess}}
		ses := session{cfg: s.settings.Get(), in: &reader{}, tx: tx}
		if ses.endless(tx.body) {
			t.Error("the bound itself is not reached")
		}
		if tx.body.size++; !ses.endless(tx.body) {
			t.Error("one octet more is read on")
		}
	})
}

// TestSizeIsJudgedByTheRecipients: what no recipient can ever get is refused while the client
// is there, not returned to whoever the return-path names.
func TestSizeIsJudgedByTheRecipients(t *testing.T) {
	bubble(t, func(s *Settings) { s.ErrorsLimit = 0 }, func(t *testing.T, s *site) {
		s.must(s.accounts.AccountSettings("company.com", "larry").Update(t.Context(), dict("MaxMessageSize", "2000")))
		s.must(s.accounts.AccountSettings("company.com", "moe").Update(t.Context(), dict("MaxAccountSize", "3000")))
		s.must(s.accounts.Forwarders().Create(t.Context(), "company.com", "desk", "larry@company.com"))
		for _, from := range []string{"198.51.100.7", "127.0.0.1"} {
			c := s.connect(25, from)
			c.say("EHLO mx.example.net", "250-")
			const tooLarge, full = "552 5.2.3 ", "552 5.2.2 "
			// SIZE, at RCPT.
			c.say("MAIL FROM:<a@example.net> SIZE=2000", "250 ")
			c.say("RCPT TO:<larry@company.com>", "250 ")
			c.say("RSET", "250 ")
			c.say("MAIL FROM:<a@example.net> SIZE=2001", "250 ")
			c.say("RCPT TO:<larry@company.com>", tooLarge+"larry@company.com message is too large for the account")
			c.say("RCPT TO:<lawrence@company.com>", tooLarge)
			c.say("RCPT TO:<desk@company.com>", tooLarge)
			c.say("RCPT TO:<moe@company.com>", "250 ")
			c.say("RSET", "250 ")
			c.say("MAIL FROM:<a@example.net> SIZE=3001", "250 ")
			c.say("RCPT TO:<moe@company.com>", full+"moe@company.com account is full (quota exceeded)")
			c.say("RCPT TO:<shemp@branch.example>", "250 ")
			c.say("RSET", "250 ")
			// The message itself, at its end, when all refuse it.
			text := strings.Repeat(strings.Repeat("x", 98)+"\r\n", 40)
			for to, want := range map[string]string{"<larry@company.com>": tooLarge, "<desk@company.com>": tooLarge, "<moe@company.com>": full} {
				if got := c.mail("<a@example.net>", text, to); !strings.HasPrefix(got, want) {
					t.Errorf("%s: %s", to, got)
				}
			}
			if got := c.mail("<a@example.net>", text, "<larry@company.com>", "<moe@company.com>"); !strings.HasPrefix(got, "552 5.2.") {
				t.Error(got)
			}
			c.say("MAIL FROM:<a@example.net>", "250 ")
			c.say("RCPT TO:<larry@company.com>", "250 ")
			c.bdat(text, true, tooLarge)
			if n := len(s.received()); n > 0 {
				t.Fatalf("%d messages are stored", n)
			}
		}
		c := s.connect(25, "127.0.0.1")
		c.say("EHLO mx.example.net", "250-")
		text := strings.Repeat(strings.Repeat("x", 98)+"\r\n", 40)
		for _, other := range []string{"<shemp@branch.example>", "<joe@elsewhere.example>", "<partner-1@company.com>"} {
			if got := c.mail("<a@example.net>", text, "<larry@company.com>", other); !strings.HasPrefix(got, "250 ") {
				t.Errorf("%s: %s", other, got)
			}
		}
		if left := s.leftovers(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestAccountsOwnSizeLimit(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.must(s.accounts.AccountSettings("company.com", "larry").Update(t.Context(), dict("MaxMailOutSize", "1000")))
		c := s.connect(465, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		if got := c.say("EHLO laptop.home", "250-"); !strings.Contains(got, "\n250-SIZE 1000\n") {
			t.Error(got)
		}
		c.say("MAIL FROM:<larry@company.com> SIZE=1001", "552 5.3.4 ")
		if got := c.mail("<larry@company.com>", strings.Repeat("x", 1001), "<moe@company.com>"); !strings.HasPrefix(got, "552 5.3.4") {
			t.Error(got)
		}
	})
}

func TestBareLineEndsRepaired(t *testing.T) {
	repair := func(s *Settings) { s.BareLineEnds = "Repair" }
	bubble(t, repair, func(t *testing.T, s *site) {
		c := s.connect(25, "127.0.0.1")
		c.say("EHLO [127.0.0.1]", "250-")
		if got := c.mail("<a@example.net>", "Subject: x\n\n.\ny\r.\rz", "<larry@company.com>"); !strings.HasPrefix(got, "250 ") {
			t.Fatal(got)
		}
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say("RCPT TO:<larry@company.com>", "250 ")
		c.bdat("a\n\r", false, "250 ")
		c.bdat("\nb\r", true, "250 ")
		m := s.received()
		if got := m[0].text; !strings.HasSuffix(got, "\nSubject: x\n\n.\ny\n.\nz\n") {
			t.Errorf("stored %q", got)
		}
		if got := m[1].text; !strings.HasSuffix(got, "+0000\n\na\n\nb\n") {
			t.Errorf("stored %q", got)
		}
		// Each LF of a text with CR LF has become CR LF.
		c.mail("<a@example.net>", "Subject: x\r\r\nTo: y\r\r\n\r\r\nz\r", "<larry@company.com>")
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say("RCPT TO:<larry@company.com>", "250 ")
		c.bdat("Subject: x\r", false, "250 ")
		c.bdat("\r", false, "250 ")
		c.bdat("\nTo: y\r\r\n\r\r\nz\r\r", true, "250 ")
		for _, m := range s.received()[2:] {
			if !strings.HasSuffix(m.text, "+0000\nSubject: x\nTo: y\n\nz\n") {
				t.Errorf("stored %q", m.text)
			}
		}
	})
}

func TestBinaryMIME(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		c := s.connect(465, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		c.say("MAIL FROM:<larry@company.com> BODY=BINARYMIME", "250 ")
		c.say("RCPT TO:<moe@company.com>", "250 ")
		c.bdat("Bcc: x@y.z\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\n\r", false, "250 ")
		c.bdat("\n\rend", true, "250 ")
		m := s.received()[0]
		if m.env.Body != envelope.Body8BitMIME {
			t.Errorf("envelope says %v", m.env.Body)
		}
		if want := "\n\n" + b64("\x00\n\r\n\rend") + "\n"; !strings.HasSuffix(m.text, want) || strings.Contains(m.text, "Bcc") ||
			!strings.Contains(m.text, "\nContent-Transfer-Encoding: base64\n") {
			t.Errorf("stored %q", m.text)
		}
		// Outside of binary parts the rule for line ends holds.
		c.say("MAIL FROM:<larry@company.com> BODY=BINARYMIME", "250 ")
		c.say("RCPT TO:<moe@company.com>", "250 ")
		c.bdat("Subject: a\nb", true, "550 5.6.0 bare CR or LF")
	})
}

// TestNULIsRefused: no reader of the store can be given NUL, so nothing that
// takes a message lets it in.
func TestNULIsRefused(t *testing.T) {
	const want = "550 5.6.0 NUL in the message"
	for _, ends := range []string{"Refuse", "Repair"} {
		bubble(t, func(s *Settings) { s.BareLineEnds, s.ErrorsLimit = ends, 0 }, func(t *testing.T, s *site) {
			c := s.connect(25, "127.0.0.1")
			c.say("EHLO x.example", "250-")
			for _, text := range []string{"Subject: a\x00b\r\n\r\nx", "Subject: x\r\n\r\na\x00", "\x00"} {
				if got := c.mail("<a@example.net>", text, "<larry@company.com>"); got != want {
					t.Errorf("DATA %q: %s", text, got)
				}
				c.say("MAIL FROM:<a@example.net>", "250 ")
				c.say("RCPT TO:<larry@company.com>", "250 ")
				c.bdat(text, false, want)
				c.bdat("", true, "503 5.5.1 send MAIL first")
			}
			// A spamtrap does not show itself by another answer.
			if got := c.mail("<a@example.net>", "\x00", "<director@company.com>"); got != want {
				t.Errorf("spamtrap: %s", got)
			}
			// In BINARYMIME it may be where the part says so, and nowhere else.
			c.say("MAIL FROM:<a@example.net> BODY=BINARYMIME", "250 ")
			c.say("RCPT TO:<larry@company.com>", "250 ")
			c.bdat("Subject: x\r\n\r\na\x00\r\n", true, want)
			if got := s.received(); len(got) > 0 {
				t.Errorf("stored: %v", got)
			}
		})
	}
}

// TestMessageHasToComeAtARate: neither in DATA nor in BDAT does a client keep a
// queue file open by a byte now and then.
func TestMessageHasToComeAtARate(t *testing.T) {
	bubble(t, func(s *Settings) { s.DataTimeout = settings.Period(time.Minute) }, func(t *testing.T, s *site) {
		drip := func(c *client, text string, pause time.Duration, pieces int) time.Duration {
			began := time.Now()
			for range pieces {
				if _, err := c.conn.Write([]byte(text)); err != nil {
					break
				}
				time.Sleep(pause)
			}
			return time.Since(began)
		}
		for _, verb := range []string{"DATA", "BDAT 1000 LAST"} {
			for _, text := range []string{"x", strings.Repeat("x", 3000)} {
				c := s.connect(25, "127.0.0.1")
				c.say("HELO x.example", "250 ")
				c.say("MAIL FROM:<a@example.net>", "250 ")
				c.say("RCPT TO:<larry@company.com>", "250 ")
				if verb == "DATA" {
					c.say("DATA", "354 ")
				} else {
					<-c.send(strings.Replace(verb, "1000", fmt.Sprint(30*len(text)), 1) + "\r\n")
				}
				answer := make(chan string, 1)
				go func() {
					defer close(answer) // a failed reply ends this goroutine
					answer <- c.reply()
				}()
				if len(text) == 1 {
					took := drip(c, text, 25*time.Second, 30)
					if got := <-answer; !strings.HasPrefix(got, "421 4.4.2 ") || took > 7*time.Minute {
						t.Errorf("%s: %s after %v", verb, got, took)
					}
					c.conn.Close()
					continue
				}
				drip(c, text, 25*time.Second, 30)
				if verb == "DATA" {
					<-c.send("\r\n.\r\n")
				}
				if got := <-answer; !strings.HasPrefix(got, "250 ") {
					t.Errorf("%s, 120 octets a second: %s", verb, got)
				}
				c.conn.Close()
			}
		}
	})
}

func TestLostConnectionLeavesNothing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		for _, verb := range []string{"DATA\r\nSubject: x\r\n", "BDAT 100\r\nSubject: x\r\n", "BDAT 3\r\nabcMAIL"} {
			c := s.connect(25, "127.0.0.1")
			c.say("HELO x.example", "250 ")
			c.say("MAIL FROM:<a@example.net>", "250 ")
			c.say("RCPT TO:<larry@company.com>", "250 ")
			c.send(verb)
			synctest.Wait()
			c.conn.Close()
			synctest.Wait()
			if left := s.leftovers(); len(left) > 0 {
				t.Errorf("%q left %v", verb, left)
			}
		}
	})
}
