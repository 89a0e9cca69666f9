package pop3

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/protocols/transcript"
)

func TestAnIdleStrangerGivesItsSlotUp(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t, options{listener: startTLS, config: func(s *Settings) { s.Channels = 1 }})
		first := f.connect(remote)
		first.want("+OK")
		time.Sleep(6 * time.Second)
		second := f.login()
		first.want("-ERR [SYS/TEMP] too many connections, try again later")
		time.Sleep(6 * time.Second)
		f.connect(loopback).want("-ERR [SYS/TEMP] too many connections, try again later")
		second.ask("QUIT", "+OK")
		f.stop()
	})
}

// An exchange that the client cancels, or leaves by closing the connection, is a failed login.
func TestAnExchangeThatIsNotFinishedIsAFailedLogin(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t, options{listener: startTLS})
		for _, last := range []string{"*", "not base64", ""} {
			c := f.connect(remote)
			c.want("+OK")
			c.ask("AUTH SCRAM-SHA-256 biwsbj11c2VyMSxyPWFiY2RlZmdo", "+ ")
			if last != "" {
				c.ask(last, "-ERR")
			}
			c.Close()
		}
		synctest.Wait()
		if n := strings.Count(f.log.String(), "the exchange was not finished"); n != 3 {
			t.Errorf("%d failed logins in the log: %s", n, f.log.String())
		}
		f.stop()
	})
}
