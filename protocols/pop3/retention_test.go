package pop3

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/settings"
)

func TestLoginDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lastLogins
		for _, step := range []struct {
			wait    time.Duration
			account uint64
			refused bool
		}{{0, 1, false}, {time.Minute, 1, true}, {0, 2, false}, {4 * time.Minute, 1, false}, {0, 1, true}, {time.Hour, 2, false}} {
			time.Sleep(step.wait)
			if err := l.allow(step.account, 5*time.Minute); errors.Is(err, errLoginDelay) != step.refused {
				t.Errorf("%+v: %v", step, err)
			}
		}
		for i := range uint64(10_000) {
			time.Sleep(time.Second)
			if err := l.allow(i+10, 5*time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if len(l.times) > 1000 {
			t.Errorf("%d logins are kept", len(l.times))
		}
	})
}

func TestLoginDelayIsTold(t *testing.T) {
	f := newFixture(t, options{listener: startTLS, config: func(s *Settings) { s.LoginDelay = settings.Period(time.Hour) }})
	f.login().Close()
	c := f.connect(loopback)
	c.want("+OK")
	c.ask("USER user1", "+OK")
	c.ask("PASS secret 1", "-ERR [LOGIN-DELAY] this account was logged in to a moment ago, try again later")
}

func TestRetrievedMessagesExpire(t *testing.T) {
	for days, left := range map[int]uint32{-1: 3, 0: 2, 1: 3} {
		f := newFixture(t, options{listener: startTLS, config: func(s *Settings) { s.Expire = days }})
		c := f.login()
		c.ask("RETR 2", "+OK")
		c.lines()
		c.ask("QUIT", "+OK")
		f.stop()
		info, err := f.mail().Status(t.Context(), "INBOX")
		if err != nil || info.Messages != left {
			t.Errorf("%d days: %d messages, %v", days, info.Messages, err)
		}
	}
}
