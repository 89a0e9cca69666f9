package imap

import (
	"testing"
	"time"

	"gatepost/protocols/transcript"
	"gatepost/server/settings"
)

func TestAnIdleStrangerGivesItsPlaceUp(t *testing.T) {
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
