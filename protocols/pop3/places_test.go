package pop3

import (
	"testing"
	"time"

	"gatepost/protocols/transcript"
)

func TestAnIdleStrangerGivesItsPlaceUp(t *testing.T) {
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
