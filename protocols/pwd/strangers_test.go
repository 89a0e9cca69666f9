package pwd

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/protocols/transcript"
	"gatepost/server/settings"
)

func TestAnIdleStrangerGivesItsSlotUp(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		s := newSite(t, false)
		cfg := *s.pwd.cfg.Get()
		cfg.MaxSessions = 1
		s.pwd.cfg.Set(&cfg)
		pipes, done := transcript.NewPipes("192.0.2.1:106"), make(chan error, 1)
		life, stop := context.WithCancel(ctx)
		go func() { done <- s.pwd.Serve(life, pipes, settings.Listener{TLS: settings.TLSStart}) }()
		connect := func() *client {
			c, err := pipes.Dial("198.51.100.7")
			must(t, err)
			return newClient(t, c)
		}
		first := connect()
		first.line()
		time.Sleep(6 * time.Second)
		second := connect()
		second.line()
		if got := first.line(); got != "501 too many connections, try again later\r\n" {
			t.Errorf("%q", got)
		}
		waitClosed(first)
		second.expect("QUIT", "200 Gatepost PWD connection closed")
		stop()
		must(t, <-done)
	})
}

// An exchange that the client cancels, or leaves by closing the connection, is a failed login.
func TestAnExchangeThatIsNotFinishedIsAFailedLogin(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		s := newSite(t, false)
		for _, last := range []string{"*", "not base64", ""} {
			c := newClient(t, s.dial(t))
			c.line()
			if got := c.say("AUTH SCRAM-SHA-256 biwsbj1wb3N0bWFzdGVyLHI9YWJjZGVmZ2g="); !strings.HasPrefix(got, "300 ") {
				t.Errorf("the challenge is %s", got)
			}
			if last != "" {
				if got := c.say(last); !strings.HasPrefix(got, "5") {
					t.Errorf("%s: %s", last, got)
				}
			}
			c.Close()
		}
		synctest.Wait()
		if n := strings.Count(s.log.String(), "the exchange was not finished"); n != 3 {
			t.Errorf("%d failed logins in the log: %s", n, s.log.String())
		}
	})
}
