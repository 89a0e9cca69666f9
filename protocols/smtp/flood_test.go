package smtp

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"gatepost/server/protection"
	"gatepost/server/settings"
)

// Hundreds of connections that send a byte a second, and come again when they are closed, keep nobody from delivering within a second: no Client IP,
// no user, no stranger who has written before, and soon no other either. (gatebench slow is the same with 5,000 connections.)
func TestSlowConnectionsKeepNobodyOut(t *testing.T) {
	bubble(t, func(set *Settings) {
		set.Channels, set.DelayPrompt = 50, settings.Period(5*time.Second)
	}, func(t *testing.T, s *site) {
		s.blocking()
		first := s.connect(25, "192.0.2.1")
		first.say("EHLO mx.example.net", "250-")
		if got := first.mail("<a@example.net>", "Subject: x\r\n\r\nx", "<larry@company.com>"); !strings.HasPrefix(got, "250 ") {
			t.Fatal(got)
		}
		first.say("QUIT", "221 ")
		stop := make(chan struct{})
		for i := range 300 {
			go s.drip(fmt.Sprintf("198.51.%d.%d", 100+i/200, i%200+1), time.Duration(i)*20*time.Millisecond, stop)
		}
		time.Sleep(10 * time.Second)
		for range 5 {
			for _, who := range []struct {
				port int
				from string
			}{{25, "127.0.0.1"}, {465, "203.0.113.1"}, {25, "192.0.2.1"}} {
				start := time.Now()
				c := s.connect(who.port, who.from)
				c.say("EHLO mx.example.net", "250-")
				if who.port == 465 {
					c.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
				}
				if got := c.mail("<larry@company.com>", "Subject: x\r\n\r\nx", "<moe@company.com>"); !strings.HasPrefix(got, "250 ") {
					t.Fatal(got)
				}
				c.say("QUIT", "221 ")
				if d := time.Since(start); d > time.Second {
					t.Errorf("%s delivers in %s", who.from, d)
				}
			}
			time.Sleep(5 * time.Second)
		}
		time.Sleep(2 * time.Minute) // the flood is blocked by now
		if n := len(s.accounts.Protection().Blocks()); n < 250 {
			t.Errorf("%d of 300 addresses are blocked", n)
		}
		c := s.connect(25, "192.0.2.2")
		c.say("EHLO mx.example.net", "250-")
		if got := c.mail("<a@example.net>", "Subject: x\r\n\r\nx", "<larry@company.com>"); !strings.HasPrefix(got, "250 ") {
			t.Error(got)
		}
		for _, b := range s.accounts.Protection().Blocks() {
			if b.Cause != protection.SilentClient {
				t.Errorf("%s: %s", b.Network, b.Cause)
			}
		}
		close(stop)
	})
}

// drip is a slow client: it waits for the greeting, sends a byte a second, and comes again five seconds after it was closed.
func (s *site) drip(from string, first time.Duration, stop chan struct{}) {
	for wait := first; ; wait = 5 * time.Second {
		select {
		case <-stop:
			return
		case <-time.After(wait):
		}
		conn, err := s.dial(port25, from)
		if err != nil {
			return
		}
		s.dripOn(conn, stop)
		conn.Close()
	}
}

func (s *site) dripOn(conn net.Conn, stop chan struct{}) {
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "220 ") {
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = r.ReadString('\n')
	}()
	for {
		select {
		case <-ended:
			return
		case <-stop:
			conn.Close()
			<-ended
			return
		case <-time.After(time.Second):
		}
		if _, err := conn.Write([]byte("E")); err != nil {
			<-ended
			return
		}
	}
}
