package pwd

import (
	"context"
	"testing"
	"time"

	"gatepost/protocols/transcript"
	"gatepost/server/settings"
)

func TestAnIdleStrangerGivesItsPlaceUp(t *testing.T) {
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
