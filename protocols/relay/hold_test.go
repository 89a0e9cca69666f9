package relay

import (
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/dataformat"
)

func TestHoldPatterns(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		queue    string
		want     bool
	}{
		{nil, "far.org", false},
		{[]string{"far.org"}, "far.org", true},
		{[]string{"far.org"}, "x.far.org", false},
		{[]string{"*.far.org"}, "x.far.org", true},
		{[]string{"*.far.org"}, "far.org", false},
		{[]string{" Far.Org "}, "far.org", true},
		{[]string{"*"}, "far.org", true},
	} {
		if got := (&Settings{Hold: c.patterns}).holdsFor(c.queue); got != c.want {
			t.Errorf("%q holds %s: %v", c.patterns, c.queue, got)
		}
	}
}

// Mail on hold waits until it is asked for, by ETRN or by a message to domain%wakeup.
func TestHold(t *testing.T) {
	for name, ask := range map[string]func(s *station){
		"by ETRN": func(s *station) {
			s.transport.Release("far.org")
			if !s.transport.wake("far.org") {
				s.t.Error("there is no queue")
			}
		},
		"by a message": func(s *station) {
			s.send(mailText, nil, "far.org@wakeup")
			synctest.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test"), "HoldForDomains": dataformat.Array{dataformat.String("far.org")}})
				defer s.stop()
				s.send(mailText, nil, "a@far.org")
				time.Sleep(26 * time.Hour)
				held := "SMTP(far.org) delayed: on hold until the domain asks for its mail a@far.org 4.7.0"
				s.want(held, held)
				if len(s.dialed) > 0 {
					t.Errorf("dialed %q", s.dialed)
				}
				ask(s)
				synctest.Wait()
				if name == "by a message" {
					s.want(held, held, "SMTP(wakeup) delivered: the queue of far.org is released far.org@wakeup 2.0.0")
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				if len(s.dialed) != 1 {
					t.Errorf("dialed %q", s.dialed)
				}
			})
		})
	}
}
