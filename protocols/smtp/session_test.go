package smtp

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"gatepost/protocols/transcript"
	"gatepost/queue/envelope"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

var update = flag.Bool("update", false, "rewrite golden files")

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and look at the difference\n%s", file, got)
	}
}

// bubble runs a test with a site in a synctest bubble.
func bubble(t *testing.T, change func(*Settings), test func(t *testing.T, s *site)) {
	transcript.Bubble(t, func(t *testing.T) {
		if change == nil {
			change = func(*Settings) {}
		}
		test(t, newSite(t, change))
	})
}

func TestWhatTheQueueGets(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		c := s.connect(25, "198.51.100.7")
		c.say("HELO mx.example.net", "250 ")
		c.mail("<a@example.net>", "Subject: one\r\n\r\n..dotted", "<larry@company.com>")
		c.say("EHLO [198.51.100.7]", "250-")
		c.mail("<a@example.net> RET=HDRS ENVID=QQ+2B314 BODY=8BITMIME", "Subject: two\r\nBcc: stays@example.net\r\n\r\nx",
			"<larry@company.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Larry+2BL@company.com", "<moe@company.com> NOTIFY=NEVER")
		c.say("EHLO evil(name.example", "250-")
		c.mail("<> SMTPUTF8", "Subject: three", "<larry@company.com>")
		c.say("HELO", "250 ")
		c.mail("<a@example.net>", "Subject: four", "<larry@company.com>")
		c.say("QUIT", "221 ")

		c = s.connect(465, "2001:db8::7")
		c.say("EHLO laptop.home", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		c.mail("<larry@company.com>", "From: Larry <lawrence@company.com>\r\nTo: x@example.net\r\nBcc: hidden@example.net,\r\n other@example.net\r\nSubject: five\r\n\r\nx",
			"<x@example.net>", "<hidden@example.net>")
		c.say("QUIT", "221 ")

		c = s.connect(465, "192.0.2.99")
		c.say("EHLO [192.0.2.99]", "250-")
		c.say("AUTH PLAIN "+plain("shemp@branch.example", "secret"), "235 ")
		c.mail("<shemp@branch.example>", "From: Boss <boss@example.net>\r\nSender: Somebody <else@example.net>\r\nMessage-ID: <1@x>\r\nDate: today\r\n\r\nx", "<x@example.net>")
		c.mail("<shemp@branch.example>", "no header at all", "<x@example.net>")
		c.say("QUIT", "221 ")

		var all strings.Builder
		for _, m := range s.received() {
			fmt.Fprintf(&all, "==== %s\n%s\n\n%s", m.id, m.head, m.text)
		}
		golden(t, "stored.golden", all.String())
	})
}

func TestLogFollowsSessionAndMessage(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		c := s.connect(465, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		c.mail("<larry@company.com>", "Subject: private words", "<moe@company.com>")
		c.say("QUIT", "221 ")
		c.closed()
		c = s.connect(25, "127.0.0.1")
		c.say("EHLO [127.0.0.1]", "250-")
		c.say("AUTH LOGIN", "334 ")
		c.say(b64("larry"), "334 ")
		c.say(b64("wrong-password"), "535 ")
		c.mail("<a@example.net>", "a\nb", "<moe@company.com>")
		c.say("QUIT", "221 ")
		c.closed()
		synctest.Wait()
		log := s.log.String()
		for _, want := range []string{
			"SMTPI-000001([198.51.100.7]) got connection on 192.0.2.25:465\n",
			"SMTPI-000001([198.51.100.7]) rsp: 220 company.com ESMTP Gatepost is glad to see you!\n",
			"2 SMTPI-000001([198.51.100.7]) [90006] received encrypted(larry@company.com) size=24 return_path=larry@company.com rcpt=moe@company.com message_id=<smtp-90006@company.com>\n",
			"SMTPI-000001([198.51.100.7]) rsp: 250 90006 message accepted for delivery\n",
			"SMTPI-000001([198.51.100.7]) releasing stream\n",
			"3 SMTPI-000002([127.0.0.1]) message refused: bare CR or LF",
		} {
			if !strings.Contains(log, want) {
				t.Errorf("no %q in\n%s", want, log)
			}
		}
		for _, secret := range []string{plain("larry", "secret"), b64("wrong-password"), "wrong-password", "private words"} {
			if strings.Contains(strings.ReplaceAll(log, "header: Subject: private words", ""), secret) {
				t.Errorf("%q is in the log", secret)
			}
		}
	})
}

// TestLogTellsWhyMailDidNotCome: every refusal of MAIL and RCPT is in the log at the
// default level; of recipients that are too many, the first.
func TestLogTellsWhyMailDidNotCome(t *testing.T) {
	bubble(t, func(s *Settings) { s.ErrorsLimit, s.StrangersRecipients = 0, 1 }, func(t *testing.T, s *site) {
		c := s.connect(25, "198.51.100.7")
		c.say("EHLO mx.example.net", "250-")
		c.say("MAIL FROM:<nosuch@company.com>", "550 5.1.8 ")
		c.say("MAIL FROM:<a@[192.0.2.77]>", "550 5.1.8 ")
		c.say("MAIL FROM:<a@example.net> SIZE=99999999", "552 5.3.4 ")
		c.say("MAIL FROM:<jürgen@example.net>", "553 5.6.7 ")
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say("RCPT TO:<jürgen@company.com>", "553 5.6.7 ")
		c.say("RCPT TO:<larry@company.com>", "250 ")
		for range 20 {
			c.say("RCPT TO:<moe@company.com>", "452 4.5.3 ")
		}
		c.say("QUIT", "221 ")
		c = s.connect(587, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		c.say("MAIL FROM:<larry@company.com>", "530 5.7.0 ")
		c = s.connect(465, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		c.say("MAIL FROM:<moe@company.com>", "550 5.7.1 ")
		synctest.Wait()
		log := s.log.String()
		for _, want := range []string{
			`3 SMTPI-000001([198.51.100.7]) sender refused return_path=nosuch@company.com status=550 error="return-path refused: unknown user account"`,
			`3 SMTPI-000001([198.51.100.7]) sender refused return_path=a@[192.0.2.77] status=550 error="the address literal is not the address of the client"`,
			`3 SMTPI-000001([198.51.100.7]) sender refused return_path=a@example.net status=552 error="message is too large"`,
			`3 SMTPI-000001([198.51.100.7]) sender refused return_path=jürgen@example.net status=553 error="the address needs SMTPUTF8"`,
			`3 SMTPI-000001([198.51.100.7]) recipient refused rcpt=jürgen@company.com return_path=a@example.net status=553 error="the address needs SMTPUTF8"`,
			`3 SMTPI-000001([198.51.100.7]) recipient refused rcpt=moe@company.com return_path=a@example.net status=452 error="too many recipients"`,
			`3 SMTPI-000002([198.51.100.7]) sender refused return_path=larry@company.com status=530 error="authentication required, and STARTTLS before it"`,
			`3 SMTPI-000003([198.51.100.7]) sender refused return_path=moe@company.com status=550 error="is not an address of larry@company.com" account=larry@company.com`,
		} {
			if n := strings.Count(log, want+"\n"); n != 1 {
				t.Errorf("%d times %q in\n%s", n, want, log)
			}
		}
	})
}

// TestLogHasNoCredentials has a client send its responses although AUTH was
// refused, and mistype the command.
func TestLogHasNoCredentials(t *testing.T) {
	off := func(s *Settings) { s.AdvertiseAUTH, s.ErrorsLimit = "nobody", 0 }
	bubble(t, off, func(t *testing.T, s *site) {
		c := s.connect(25, "127.0.0.1")
		response := plain("larry", "secret")
		c.send("AUTH LOGIN\r\n" + b64("larry") + "\r\n" + b64("secret") + "\r\n")
		c.expect("503 ")
		c.expect("500 ")
		c.expect("500 ")
		c.say("EHLO x.example", "250-")
		for _, line := range []string{"AUTH PLAIN", "AUTH=PLAIN", "auth: PLAIN"} {
			c.say(line, "50")
			c.say(response, "500 ")
			c.say("PASS secret", "500 ")
		}
		c.say("NOOP", "250 ")
		c.say("AUHT PLAIN "+response, "500 ")
		c.say("LOGIN larry secret", "500 ")
		c.say(strings.Repeat(response, 3), "500 ")
		c.say("QUIT", "221 ")
		c.closed()
		synctest.Wait()
		log := s.log.String()
		for _, want := range []string{"cmd: NOOP\n", "cmd: AUHT\n", "cmd: LOGIN\n", "cmd: AUTH ...\n", "cmd: ...\n"} {
			if !strings.Contains(log, want) {
				t.Errorf("no %q in\n%s", want, log)
			}
		}
		for _, hidden := range []string{response, b64("larry"), b64("secret"), "secret"} {
			if strings.Contains(strings.ToLower(log), strings.ToLower(hidden)) {
				t.Errorf("%q is in the log\n%s", hidden, log)
			}
		}
	})
}

// TestRepliesAreShortAndASCII: 512 octets, and UTF-8 only for a client that has asked for
// it (RFC 5321 4.5.3.1.5, RFC 6531 3.7.4.2).
func TestRepliesAreShortAndASCII(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		c := s.connect(25, "127.0.0.1")
		c.say("EHLO mx.example.net", "250-")
		if got := c.say("MAIL FROM:<jürgen@example.net>", "553 5.6.7 "); strings.ContainsFunc(got, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("%q", got)
		}
		c.say("MAIL FROM:<jürgen@example.net> SMTPUTF8", "250 jürgen@example.net sender accepted")
		c.say("RCPT TO:<jürgen@company.com>", "550 5.1.1 jürgen@company.com ")
	})
	long := reply{550, envelope.Code{5, 7, 1}, strings.Repeat("ü", 1000)}
	for _, about := range []string{"", strings.Repeat("ü", 1000)} {
		line := string(long.append([]byte("before"), about, true))[len("before"):]
		if len(line) > 512 || !strings.HasSuffix(line, "ü\r\n") || !utf8.ValidString(line) {
			t.Errorf("%d octets: %q", len(line), line)
		}
	}
}

func TestRecipientLimits(t *testing.T) {
	few := func(s *Settings) { s.StrangersRecipients, s.RecipientsLimit = 2, 3 }
	bubble(t, few, func(t *testing.T, s *site) {
		for from, limit := range map[string]int{"198.51.100.7": 2, "10.0.0.1": 3} {
			c := s.connect(25, from)
			if got := c.say("EHLO x.example", "250-"); !strings.Contains(got, fmt.Sprintf("LIMITS RCPTMAX=%d\n", limit)) {
				t.Error(got)
			}
			c.say("MAIL FROM:<a@example.net>", "250 ")
			for i := range limit {
				c.say(fmt.Sprintf("RCPT TO:<larry+%d@company.com>", i), "250 ")
			}
			c.say("RCPT TO:<moe@company.com>", "452 4.5.3 moe@company.com too many recipients")
			c.say("RSET", "250 ")
		}
	})
}

func TestUnknownRecipientsCloseASession(t *testing.T) {
	bubble(t, func(s *Settings) { s.ErrorsLimit = 0 }, func(t *testing.T, s *site) {
		c := s.connect(25, "198.51.100.7")
		c.say("EHLO x.example", "250-")
		c.say("MAIL FROM:<a@example.net>", "250 ")
		for i := range 9 {
			c.say(fmt.Sprintf("RCPT TO:<nosuch%d@company.com>", i), "550 5.1.1 ")
		}
		c.say("RCPT TO:<nosuch@company.com>", "550 5.1.1 ")
		c.expect("421 4.7.0 company.com too many unknown recipients")
		c.closed()
		// A client of ours with an old address list is no attacker.
		c = s.connect(25, "127.0.0.1")
		c.say("EHLO x.example", "250-")
		c.say("MAIL FROM:<a@example.net>", "250 ")
		for i := range 20 {
			c.say(fmt.Sprintf("RCPT TO:<nosuch%d@company.com>", i), "550 5.1.1 ")
		}
		c.say("RCPT TO:<larry@company.com>", "250 ")
	})
}

func TestMailOutFlow(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.must(s.accounts.AccountSettings("company.com", "larry").Update(t.Context(), dict("MailOutFlow", "(2, 1m)")))
		c := s.connect(465, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		for range 2 {
			c.mail("<larry@company.com>", "x", "<moe@company.com>")
		}
		c.say("MAIL FROM:<larry@company.com>", "450 4.7.1 ")
		sleep("1m")
		c.mail("<larry@company.com>", "x", "<moe@company.com>")
	})
}

// TestMailOutFlowCountsAcceptedMessages: what was refused or given up costs
// nothing, and sessions at the same time share the limit.
func TestMailOutFlowCountsAcceptedMessages(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.must(s.accounts.AccountSettings("company.com", "larry").Update(t.Context(), dict("MailOutFlow", "(1, 1m)")))
		login := func() *client {
			c := s.connect(465, "198.51.100.7")
			c.say("EHLO laptop.home", "250-")
			c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
			return c
		}
		c, other := login(), login()
		c.say("MAIL FROM:<moe@company.com>", "550 5.7.1 ")
		c.say("MAIL FROM:<larry@company.com>", "250 ")
		c.say("RSET", "250 ")
		if got := c.mail("<larry@company.com>", "a\nb", "<moe@company.com>"); !strings.HasPrefix(got, "550 5.6.0") {
			t.Error(got)
		}
		begin := s.server.begin
		s.server.begin = func(context.Context, *envelope.Envelope) (submission, error) {
			return &broken{commit: fault.New("queue", fault.NoSpace, ""), aborted: new(atomic.Int32), bytes: new(atomic.Int64)}, nil
		}
		if got := c.mail("<larry@company.com>", "x", "<moe@company.com>"); !strings.HasPrefix(got, "452 ") {
			t.Error(got)
		}
		s.server.begin = begin
		other.say("MAIL FROM:<larry@company.com>", "250 ")
		other.say("RCPT TO:<moe@company.com>", "250 ")
		if got := c.mail("<larry@company.com>", "x", "<moe@company.com>"); !strings.HasPrefix(got, "250 ") {
			t.Error(got)
		}
		other.bdat("x", true, "450 4.7.1 ")
		c.say("MAIL FROM:<larry@company.com>", "450 4.7.1 ")
		if got, left := s.received(), s.leftovers(); len(got) != 1 || len(left) > 0 {
			t.Errorf("%d stored, left %v", len(got), left)
		}
	})
}

func TestAccountDeletedDuringItsSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		c := s.connect(465, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		c.say("AUTH PLAIN "+plain("curly", "secret"), "235 ")
		s.must(s.accounts.DeleteAccount(t.Context(), "company.com", "curly"))
		c.expect("421 4.7.0 company.com the account has been deleted")
		c.closed()
	})
}

func TestPasswordChangedDuringItsSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		c := s.connect(465, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		s.must(s.accounts.SetPassword(t.Context(), "company.com", "larry", "other", false))
		c.expect("421 4.7.0 company.com the password has been changed")
		c.closed()
	})
}

func TestForcedAuthentication(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.must(s.accounts.DomainSettings("branch.example").Update(t.Context(), dict("ForceSMTPAUTH", "everybody")))
		c := s.connect(25, "127.0.0.1")
		c.say("EHLO x.example", "250-")
		c.say("MAIL FROM:<shemp@branch.example>", "530 5.7.0 ")
		c.say("MAIL FROM:<larry@company.com>", "250 ")
	})
}

func TestForeignFromRefused(t *testing.T) {
	bubble(t, func(s *Settings) { s.ForeignFrom, s.ErrorsLimit = "Refuse", 0 }, func(t *testing.T, s *site) {
		c := s.connect(465, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		if got := c.mail("<larry@company.com>", "From: boss@company.com\r\n\r\nx", "<moe@company.com>"); got != "550 5.7.1 From must be an address of larry@company.com" {
			t.Error(got)
		}
		for from, want := range map[string]string{
			"boss@company.com, Larry <larry@company.com>": "550 5.7.1 From must be",
			"Larry <larry@company.com>, boss@company.com": "550 5.7.1 From must be",
			"us: larry@company.com, boss@company.com;":    "550 5.7.1 From must be",
			"us:;":                               "550 5.7.1 From must be",
			"boss. larry@company.com":            "550 5.7.1 From must be",
			"Jos\xe9 <larry@company.com>":        "250 ",
			"Larry <larry@company.com>, <broken": "550 5.7.1 From must be",
			"":                                   "550 5.7.1 From must be",
			"x@nosuch.example\r\nFrom: larry@company.com":     "550 5.7.1 more than one From",
			"larry@company.com\r\nFROM : larry@company.com":   "550 5.7.1 more than one From",
			"Larry <larry@company.com>, lawrence@company.com": "250 ",
		} {
			if got := c.mail("<larry@company.com>", "From: "+from+"\r\n\r\nx", "<moe@company.com>"); !strings.HasPrefix(got, want) {
				t.Errorf("From: %q: %s", from, got)
			}
		}
		if got := c.mail("<larry@company.com>", "From: larry@company.com\r\n"+strings.Repeat("X: y\r\n", maxHeader/6+1)+"\r\nx", "<moe@company.com>"); !strings.HasPrefix(got, "552 5.3.4 ") {
			t.Error(got)
		}
	})
}

// TestSenderTellsWhoWrote: every From with somebody else in it, and all Sender
// fields that claim something else.
func TestSenderTellsWhoWrote(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		c := s.connect(465, "198.51.100.7")
		c.say("EHLO laptop.home", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		for _, test := range []struct{ header, want string }{
			{"From: larry@company.com, boss@company.com\r\n", "From: larry@company.com, boss@company.com\nSender: <larry@company.com>\n"},
			{"Sender: a@x.example\r\nFrom: boss@company.com\r\nSENDER: b@x.example,\r\n c@x.example\r\n", "From: boss@company.com\nSender: <larry@company.com>\n"},
			{"From: boss@company.com\r\nSender: lawrence@company.com\r\n", "From: boss@company.com\nSender: lawrence@company.com\n"},
			{"Subject: nobody's\r\n", "Subject: nobody's\nFrom: <larry@company.com>\n"},
			{"Sender: boss@company.com\r\n", "From: <larry@company.com>\nSender: <larry@company.com>\n"},
			{"From: larry@company.com\r\nSender: boss@company.com\r\n", "From: larry@company.com\nSender: <larry@company.com>\n"},
			{"From: larry@company.com\r\nSender: larry@company.com, boss@company.com\r\n", "From: larry@company.com\nSender: <larry@company.com>\n"},
			{"From: larry@company.com\r\nSender: lawrence@company.com\r\n", "From: larry@company.com\nSender: lawrence@company.com\n"},
			{"From: larry@company.com,\r\n lawrence@company.com\r\n", "From: larry@company.com,\n lawrence@company.com\nSender: <larry@company.com>\n"},
			{"From: =?koi8-r?B?98nLzw==?= <larry@company.com>\r\n", "From: =?koi8-r?B?98nLzw==?= <larry@company.com>\n"},
			{"From: J\xf6rg <larry@company.com>\r\n", "From: J\xf6rg <larry@company.com>\n"},
			{"From: =?utf-8?Q?boss=40company.com=2C?= <larry@company.com>\r\n", "From: =?utf-8?Q?boss=40company.com=2C?= <larry@company.com>\nSender: <larry@company.com>\n"},
		} {
			c.mail("<larry@company.com>", "Date: today\r\nMessage-ID: <1@x>\r\n"+test.header+"\r\nx", "<moe@company.com>")
			all := s.received()
			if got := all[len(all)-1].text; !strings.HasSuffix(got, "\nMessage-ID: <1@x>\n"+test.want+"\nx\n") {
				t.Errorf("%q was stored as %q", test.header, got)
			}
		}
	})
}

// TestReturnPathOfAnAccountIsQualified: RFC 6409 section 4.2. A name alone would be read as one
// of the next server's own.
func TestReturnPathOfAnAccountIsQualified(t *testing.T) {
	open := dict("SenderAddressRequired", "NO")
	bubble(t, func(s *Settings) { s.ErrorsLimit = 0 }, func(t *testing.T, s *site) {
		for _, domain := range []string{"company.com", "branch.example"} {
			s.must(s.accounts.CreateAccount(t.Context(), domain, "open", secret()))
			s.must(s.accounts.AccountSettings(domain, "open").Update(t.Context(), open))
		}
		for _, test := range []struct {
			port           int
			login          string
			from, accepted string
		}{
			{465, "larry", "larry", "larry@company.com"},
			{465, "larry", "Lawrence+x", "Lawrence+x@company.com"},
			{465, "larry", "larry@localhost", "larry@company.com"},
			{465, "larry", "moe", ""},
			{465, "larry", "moe@localhost", ""},
			{465, "larry", "larry@scanner", ""},
			{465, "shemp@branch.example", "shemp", "shemp@branch.example"},
			{465, "shemp@branch.example", "larry", ""},
			{465, "open", "scan", "scan@company.com"},
			{465, "open", "scan@scanner", ""},
			{465, "open", "scan@[192.0.2.1]", "scan@[192.0.2.1]"},
			{465, "open@branch.example", "scan", "scan@branch.example"},
			{465, "open@branch.example", "scan@localhost", "scan@company.com"},
			{25, "larry", "larry", "larry@company.com"},
			{25, "larry", "scan", "scan@company.com"},
			{25, "larry", "scan@scanner", ""},
			{25, "", "scan", ""},
		} {
			c := s.connect(test.port, "127.0.0.1")
			c.say("EHLO scanner", "250-")
			if test.login != "" {
				c.say("AUTH PLAIN "+plain(test.login, "secret"), "235 ")
			}
			c.send("MAIL FROM:<" + test.from + ">\r\n")
			got := c.reply()
			if want := "250 " + test.accepted + " sender accepted"; test.accepted == "" && !strings.HasPrefix(got, "550 5.") || test.accepted != "" && got != want {
				t.Errorf("port %d, account %q, return-path %s: %s", test.port, test.login, test.from, got)
			}
			if test.accepted == "" {
				continue
			}
			c.say("RCPT TO:<larry@company.com>", "250 ")
			c.say("DATA", "354 ")
			c.send("x\r\n.\r\n")
			c.expect("250 ")
			all := s.received()
			if got := all[len(all)-1].env.ReturnPath.String(); got != test.accepted {
				t.Errorf("the queue has the return-path %s, want %s", got, test.accepted)
			}
		}
	})
}

// TestTwoWaysToARecipient: an address and a forwarder to it are one recipient.
func TestTwoWaysToARecipient(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		s.must(s.accounts.Forwarders().Create(t.Context(), "company.com", "desk", "larry@company.com"))
		s.must(s.accounts.Forwarders().Create(t.Context(), "company.com", "desk2", "desk@company.com"))
		s.must(s.accounts.Forwarders().Create(t.Context(), "company.com", "box", "news#larry@company.com"))
		c := s.connect(25, "127.0.0.1")
		c.say("EHLO mx.example.net", "250-")
		for _, test := range []struct{ rcpts, want string }{
			{"larry desk desk2 larry", "<larry@company.com>"},
			{"desk larry", "<desk@company.com>"},
			{"away@company.com larry@elsewhere.example", "<away@company.com>"},
			{"partner-1 1@partner.example", "<partner-1@company.com>"},
			{"larry moe lawrence box", "<larry@company.com> <moe@company.com> <lawrence@company.com> <box@company.com>"},
			{"larry+a larry+b", "<larry+a@company.com> <larry+b@company.com>"},
		} {
			var rcpts []string
			for _, r := range strings.Fields(test.rcpts) {
				if !strings.Contains(r, "@") {
					r += "@company.com"
				}
				rcpts = append(rcpts, "<"+r+">")
			}
			c.mail("<a@example.net>", "x", rcpts...)
			all := s.received()
			var got []string
			for _, r := range all[len(all)-1].env.Recipients {
				got = append(got, "<"+r.Address.String()+">")
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%s: %s, want %s", test.rcpts, got, test.want)
			}
		}
		// The sender gets the reports that either asked for.
		c.say("MAIL FROM:<a@example.net>", "250 ")
		c.say("RCPT TO:<desk@company.com> NOTIFY=NEVER", "250 ")
		c.say("RCPT TO:<larry@company.com> NOTIFY=SUCCESS,FAILURE", "250 ")
		c.say("DATA", "354 ")
		c.send("x\r\n.\r\n")
		c.expect("250 ")
		all := s.received()
		if got := all[len(all)-1].env.Recipients; len(got) != 1 || got[0].Notify != envelope.NotifySuccess|envelope.NotifyFailure {
			t.Errorf("%+v", got)
		}
	})
}

// TestAcceptedMessageClearsErrors: a server that brings much mail is not cut off for one
// refusal now and then.
func TestAcceptedMessageClearsErrors(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		c := s.connect(25, "127.0.0.1")
		c.say("EHLO mx.example.net", "250-")
		for range 5 {
			for range s.settings.Get().ErrorsLimit - 1 {
				c.say("WHAT", "500 ")
			}
			c.mail("<a@example.net>", "x", "<larry@company.com>")
		}
		for range s.settings.Get().ErrorsLimit {
			c.say("WHAT", "500 ")
		}
		c.expect("421 4.7.0 company.com too many errors")
		c.closed()
	})
}

func TestSpamtrapKeepsTheMessageFromEverybody(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		c := s.connect(25, "198.51.100.7")
		c.say("EHLO x.example", "250-")
		if got := c.mail("<a@example.net>", "x", "<larry@company.com>", "<director@company.com>"); !strings.HasSuffix(got, "message accepted for delivery") {
			t.Error(got)
		}
		if got := s.received(); len(got) != 0 {
			t.Errorf("stored: %v", got)
		}
		// One of our users has mistyped; the others get the message.
		c = s.connect(465, "198.51.100.7")
		c.say("EHLO x.example", "250-")
		c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		c.mail("<larry@company.com>", "x", "<moe@company.com>", "<director@company.com>")
		if got := s.received(); len(got) != 1 {
			t.Errorf("stored: %v", got)
		}
		if log := s.log.String(); strings.Count(log, "spamtrap addressed") != 2 || !strings.Contains(log, "spamtrap: message dropped") {
			t.Error(log)
		}
	})
	bubble(t, func(s *Settings) { s.Spamtrap = "Refuse" }, func(t *testing.T, s *site) {
		c := s.connect(25, "198.51.100.7")
		c.say("EHLO x.example", "250-")
		if got := c.mail("<a@example.net>", "x", "<director@company.com>"); !strings.HasPrefix(got, "550 5.7.1 ") {
			t.Error(got)
		}
	})
}

// TestSessionHasToBringMail: a client keeps its place neither by a byte of a command now
// and then nor by commands that lead to no message.
func TestSessionHasToBringMail(t *testing.T) {
	for name, test := range map[string]struct {
		begin string // the client's dialogue, a reply to each line
		text  string // is sent again and again
		pause time.Duration
		stays time.Duration // at the most; 0 for as long as it likes
	}{
		"bytes of a command":     {"", "N", time.Minute, 5 * time.Minute},
		"bytes of a response":    {"EHLO x.example|AUTH LOGIN", "N", time.Minute, 5 * time.Minute},
		"NOOP":                   {"", "NOOP\r\n", 4 * time.Minute, 30 * time.Minute},
		"EHLO":                   {"", "EHLO x.example\r\n", 4 * time.Minute, 30 * time.Minute},
		"messages given up":      {"HELO x.example", "MAIL FROM:<a@example.net>\r\nRCPT TO:<larry@company.com>\r\nRSET\r\n", 4 * time.Minute, 30 * time.Minute},
		"chunks given up":        {"EHLO x.example", "MAIL FROM:<a@example.net>\r\nRCPT TO:<larry@company.com>\r\nBDAT 1\r\nxRSET\r\n", 4 * time.Minute, 30 * time.Minute},
		"chunks with their BDAT": {"EHLO x.example|MAIL FROM:<a@example.net>|RCPT TO:<larry@company.com>", "BDAT 1\r\nx", 4 * time.Minute, 60 * time.Minute},
		"messages":               {"EHLO x.example", "MAIL FROM:<a@example.net>\r\nRCPT TO:<larry@company.com>\r\nBDAT 1 LAST\r\nx", 4 * time.Minute, 0},
	} {
		bubble(t, nil, func(t *testing.T, s *site) {
			c := s.connect(25, "127.0.0.1")
			for _, line := range strings.FieldsFunc(test.begin, func(r rune) bool { return r == '|' }) {
				c.say(line, "")
			}
			began, last := time.Now(), make(chan string, 1)
			go func() {
				var line string
				for err := error(nil); err == nil; {
					var l string
					if l, err = c.r.ReadString('\n'); l != "" {
						line = l
					}
				}
				last <- line
			}()
			gone := false
			for !gone && time.Since(began) < 2*time.Hour {
				_, err := c.conn.Write([]byte(test.text))
				gone = err != nil
				time.Sleep(test.pause)
			}
			took := time.Since(began)
			c.conn.Close()
			line := <-last
			if test.stays == 0 {
				if gone {
					t.Errorf("%s: gone after %v: %s", name, took, line)
				}
			} else if !gone || took > test.stays+2*test.pause || !strings.HasPrefix(line, "421 4.4.2 ") {
				t.Errorf("%s: gone %v after %v: %s", name, gone, took, line)
			}
		})
	}
}

func TestStopIsAnOrder(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		idle := s.connect(25, "127.0.0.1")
		secure := s.connect(465, "127.0.0.1")
		data := s.connect(25, "127.0.0.1")
		data.say("HELO x.example", "250 ")
		data.say("MAIL FROM:<a@example.net>", "250 ")
		data.say("RCPT TO:<larry@company.com>", "250 ")
		data.say("DATA", "354 ")
		data.send("Subject: half of it\r\n")
		synctest.Wait()
		s.stop()
		for _, c := range []*client{idle, secure, data} {
			c.expect("421 4.3.2 company.com service is going down")
			c.closed()
		}
		s.serving.Wait()
		if left := s.leftovers(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestTLSOnlyWhereItIsOffered(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		synctest.Wait() // for the listeners
		s.tls.Store(nil)
		c := s.connect(25, "127.0.0.1")
		if got := c.say("EHLO x.example", "250-"); strings.Contains(got, "STARTTLS") {
			t.Error(got)
		}
		c.say("STARTTLS", "502 5.5.1 ")
	})
}

func TestAdvertiseAUTH(t *testing.T) {
	for whom, offered := range map[string]bool{"everybody": true, "clients": true, "non-clients": false, "nobody": false} {
		bubble(t, func(s *Settings) { s.AdvertiseAUTH = whom }, func(t *testing.T, s *site) {
			c := s.connect(25, "127.0.0.1")
			if got := c.say("EHLO x.example", "250-"); strings.Contains(got, "\n250-AUTH ") != offered {
				t.Errorf("%s: %s", whom, got)
			}
			if !offered {
				c.say("AUTH PLAIN "+plain("larry", "secret"), "502 5.5.1 ")
			}
			c = s.connect(587, "127.0.0.1")
			if got := c.say("EHLO x.example", "250-"); !strings.Contains(got, "\n250-AUTH ") {
				t.Errorf("%s on 587: %s", whom, got)
			}
		})
	}
}

func TestSettingsAreDeclaredWell(t *testing.T) {
	if err := settings.Check(&Settings{}); err != nil {
		t.Error(err)
	}
	for key, value := range map[string]string{"DelayPrompt": "3m", "CommandTimeout": "1s", "RecipientsLimit": "0", "Channels": "-5", "Prompt": "a\u00e9"} {
		if err := settings.Load(&Settings{}, dict(key, value)); err == nil {
			t.Errorf("%s=%s is accepted", key, value)
		}
	}
}

func TestOneConnectionTooMany(t *testing.T) {
	bubble(t, func(s *Settings) { s.Channels = 1 }, func(t *testing.T, s *site) {
		first := s.connect(587, "127.0.0.1")
		conn, err := s.dial(port25, "127.0.0.1")
		s.must(err)
		second := &client{t, conn, bufioReaderOf(conn)}
		second.expect("421 4.7.0 company.com too many connections, try again later")
		second.closed()
		first.say("QUIT", "221 ")
		first.closed()
		synctest.Wait()
		s.connect(25, "127.0.0.1").say("QUIT", "221 ")
	})
}

func TestATRNAccounts(t *testing.T) {
	for entry, ok := range map[string]bool{
		"client.com=client@example.org": true, " Client.COM = client@example.org ": true,
		"client.com": false, "=client@example.org": false, "client.com=client": false, "*.com=client@example.org": false, "client.com=": false,
	} {
		var cfg Settings
		if err := settings.Load(&cfg, dataformat.Dict{"ATRNAccounts": dataformat.Array{dataformat.String(entry)}}); (err == nil) != ok {
			t.Errorf("%q: %v", entry, err)
		}
	}
}
