package relay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatepost/queue/envelope"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// Exim's smtp_accept_max_per_connection, Exchange and others end a session after
// some messages, by 421 or without a word: the host is fine and takes a new one.
func TestHostThatLimitsMessagesPerConnectionGetsThemAllAtOnce(t *testing.T) {
	for _, bye := range []string{"421 4.7.0 too many messages in this connection\r\n" + hangUp, hangUp} {
		mails := map[int]int{}
		taken := 0
		p := &peer{ehlo: pipelining, say: func(n int, line string) string {
			if strings.HasPrefix(line, "MAIL") {
				if mails[n]++; mails[n] > 2 {
					return bye
				}
			}
			if line == "." {
				taken++
			}
			return fine(line)
		}}
		p.play(t, func(s *station) {
			for i := range 10 {
				s.send(mailText, nil, fmt.Sprintf("a%d@far.org", i))
			}
		}, time.Second, func(s *station) {
			if taken != 10 || len(s.dialed) != 5 {
				t.Errorf("%q: %d messages arrived through %d connections", bye, taken, len(s.dialed))
			}
		})
	}
}

// RFC 5321 section 4.2: only the code counts, and the message has been taken.
func TestOdd250AfterTheTextIsNotSentAgain(t *testing.T) {
	for _, final := range []string{
		"250 " + strings.Repeat("x", 2100) + "\r\n", "250 " + strings.Repeat("x", 5000) + "\r\n",
		"250\tok\r\n", "250-a\r\n251 b\r\n", "250-a\r\n" + hangUp, "250 ok" + hangUp,
	} {
		taken := 0
		p := &peer{ehlo: pipelining, say: func(_ int, line string) string {
			if line == "." {
				taken++
				return final
			}
			return fine(line)
		}}
		p.play(t, func(s *station) {
			s.send(mailText, nil, "a@far.org")
			s.send(mailText, nil, "b@far.org")
		}, 4*time.Hour, func(s *station) {
			s.want("SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0")
			if taken != 2 || len(s.dialed) != 2 {
				t.Errorf("%.20q: two messages arrived %d times through %d connections", final, taken, len(s.dialed))
			}
		})
	}
}

func TestOdd5xxAfterTheTextIsFinal(t *testing.T) {
	p := &peer{ehlo: pipelining, say: func(_ int, line string) string {
		if line == "." {
			return "554\tno spam\r\n"
		}
		return fine(line)
	}}
	p.play(t, func(s *station) { s.send(mailText, nil, "a@far.org") }, time.Hour, func(s *station) {
		s.want("SMTP(far.org) failed: message text rejected by mx.test: 554 no spam a@far.org 5.0.0")
	})
}

// RFC 5321 section 4.5.3.1.10: older servers say 552 where 452 is meant.
func Test552AfterOthersWereAcceptedMeansTooManyRecipients(t *testing.T) {
	refused := 0
	p := &peer{ehlo: pipelining, say: func(_ int, line string) string {
		if line == "RCPT TO:<b@far.org>" && refused == 0 {
			refused++
			return "552 too many recipients\r\n"
		}
		return fine(line)
	}}
	p.play(t, func(s *station) { s.send(mailText, nil, "a@far.org", "b@far.org") }, time.Minute, func(s *station) {
		s.want("SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0")
	})
}

func Test552ToTheFirstRecipientIsFinal(t *testing.T) {
	p := &peer{ehlo: pipelining, say: func(_ int, line string) string {
		if strings.HasPrefix(line, "RCPT") {
			return "552 5.2.2 mailbox full\r\n"
		}
		return fine(line)
	}}
	p.play(t, func(s *station) { s.send(mailText, nil, "a@far.org", "b@far.org") }, time.Minute, func(s *station) {
		s.want("SMTP(far.org) failed: recipient rejected by mx.test: 552 5.2.2 mailbox full a@far.org 5.2.2",
			"SMTP(far.org) failed: recipient rejected by mx.test: 552 5.2.2 mailbox full b@far.org 5.2.2")
	})
}

func Test421ToRcptKeepsItsWords(t *testing.T) {
	for _, ehlo := range []string{pipelining, stepwise} {
		p := &peer{ehlo: ehlo, say: func(_ int, line string) string {
			if line == "RCPT TO:<b@far.org>" {
				return "421 4.7.0 enough\r\n" + hangUp
			}
			return fine(line)
		}}
		p.play(t, func(s *station) { s.send(mailText, nil, "a@far.org", "b@far.org") }, time.Second, func(s *station) {
			s.want("SMTP(far.org) delayed: connection closed by mx.test: 421 4.7.0 enough a@far.org 4.4.2",
				"SMTP(far.org) delayed: connection closed by mx.test: 421 4.7.0 enough b@far.org 4.4.2")
		})
	}
}

// What a stranger's server says is shown on terminals.
func TestRepliesHoldNoControlCharacters(t *testing.T) {
	p := &peer{ehlo: pipelining, say: func(_ int, line string) string {
		if strings.HasPrefix(line, "RCPT") {
			return "450-\x1b[2J\x1b]0;owned\x07 \xff\x9b\r\n450 \u009b2J\tgrün\x7f\rlater\r\n"
		}
		return fine(line)
	}}
	p.play(t, func(s *station) { s.send(mailText, nil, "a@far.org") }, time.Second, func(s *station) {
		s.want("SMTP(far.org) delayed: recipient rejected by mx.test: 450 [2J ]0;owned ? 2J grün later a@far.org 4.0.0")
	})
}

// Every server understands the form that needs no SMTPUTF8 (RFC 6533 section 3).
func TestOriginalRecipientIsPassedOnInASCII(t *testing.T) {
	p := &peer{ehlo: "250-mx.test\r\n250-SMTPUTF8\r\n250 DSN\r\n", say: func(_ int, line string) string { return fine(line) }}
	p.play(t, func(s *station) {
		s.send(mailText, func(e *envelope.Envelope) {
			e.SMTPUTF8 = true
			e.Recipients[0].Original = "utf-8;jürgen+\U0001d11e@old.org"
			e.Recipients[1].Original = `utf-8;j\x{FC}rgen@old.org`
		}, "a@far.org", "b@far.org")
	}, time.Second, func(*station) {
		for _, want := range []string{`1 RCPT TO:<a@far.org> ORCPT=utf-8;j\x{FC}rgen+2B\x{1D11E}@old.org`, `1 RCPT TO:<b@far.org> ORCPT=utf-8;j\x{FC}rgen@old.org`} {
			if !slices.Contains(p.heard, want) {
				t.Errorf("no %q in %q", want, p.heard)
			}
		}
	})
}

func TestBadSettingsAreRefused(t *testing.T) {
	for key, bad := range map[string]string{
		"HELOName": "a b", "RetryFor": "0s", "RetryEvery": "0s", "ChannelsPerHost": "0",
	} {
		if err := settings.Load(new(Settings), dataformat.Dict{key: dataformat.String(bad)}); err == nil {
			t.Errorf("%s = %q is accepted", key, bad)
		}
	}
	for key, good := range map[string]string{"HELOName": "Mail.Example.org", "RetryFor": "never"} {
		set := new(Settings)
		if err := settings.Load(set, dataformat.Dict{key: dataformat.String(good)}); err != nil {
			t.Errorf("%s = %q: %v", key, good, err)
		}
		if never := (&Transport{settings: settings.NewLive(set)}).Policy().Retry.Expire == 0; never != (good == "never") {
			t.Errorf("%s = %q: ends never: %v", key, good, never)
		}
	}
}
