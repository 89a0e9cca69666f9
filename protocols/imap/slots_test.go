package imap

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/protocols/transcript"
	"gatepost/server/settings"
)

func TestAnIdleStrangerGivesItsSlotUp(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t)
		cfg := *f.cfg.Get()
		cfg.Channels = 1
		f.cfg.Set(&cfg)
		f.pipes(t, settings.TLSStart)
		first := f.far(t)
		first.until("* OK")
		time.Sleep(6 * time.Second)
		second := f.far(t)
		second.until("* OK")
		if got := first.line(); got != "* BYE [UNAVAILABLE] Too many connections, try again later" {
			t.Errorf("%s", got)
		}
		first.closed()
		second.send("a LOGOUT\r\n")
		second.until("a OK")
		f.stop()
		<-f.done
		f.done <- nil
	})
}

// An exchange that the client cancels, or leaves by closing the connection, is a failed login.
func TestAnExchangeThatIsNotFinishedIsAFailedLogin(t *testing.T) {
	transcript.Bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.pipes(t, settings.TLSStart)
		for _, last := range []string{"*\r\n", "not base64\r\n", ""} {
			c := f.far(t)
			c.until("* OK")
			c.send("a AUTHENTICATE SCRAM-SHA-256 biwsbj11c2VyMSxyPWFiY2RlZmdo\r\n")
			c.until("+ ")
			if last != "" {
				c.send(last)
				c.until("a BAD")
			}
			c.Close()
		}
		synctest.Wait()
		if n := strings.Count(f.log.String(), "the exchange was not finished"); n != 3 {
			t.Errorf("%d failed logins in the log: %s", n, f.log.String())
		}
	})
}
