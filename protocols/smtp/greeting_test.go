package smtp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatepost/server/protection"
	"gatepost/server/settings"
)

// A mail server that waits for our own greeting, as it should, is put on the temporary blacklist when known senders need its slot.
func TestWaitingForOurGreetingIsNoOffence(t *testing.T) {
	bubble(t, func(set *Settings) {
		set.Channels, set.DelayPrompt = 50, settings.Period(5*time.Second)
	}, func(t *testing.T, s *site) {
		s.blocking()
		p := s.accounts.Protection()
		for i := range 200 {
			c := s.connect(25, fmt.Sprintf("192.0.2.%d", i+1)) // known senders
			c.say("EHLO mx.example.net", "250-")
			if got := c.mail("<a@example.net>", "Subject: x\r\n\r\nx", "<larry@company.com>"); !strings.HasPrefix(got, "250 ") {
				t.Fatal(got)
			}
			c.say("QUIT", "221 ")
		}
		for round := range 2 {
			// New mail servers that do all by the book fill the slots, and wait for the greeting.
			for i := range 45 {
				conn, err := s.dial(port25, fmt.Sprintf("198.51.100.%d", i+1))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				go func() {
					b := make([]byte, 512)
					for {
						if _, err := conn.Read(b); err != nil {
							return
						}
					}
				}()
				time.Sleep(time.Millisecond)
			}
			time.Sleep(100 * time.Millisecond)
			for i := range 40 { // regular senders come
				conn, err := s.dial(port25, fmt.Sprintf("192.0.2.%d", round*50+i+1))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				go func() {
					b := make([]byte, 512)
					for {
						if _, err := conn.Read(b); err != nil {
							return
						}
					}
				}()
				time.Sleep(time.Millisecond)
			}
			time.Sleep(2 * time.Minute)
		}
		n := 0
		for _, b := range p.Blocks() {
			if strings.HasPrefix(b.Network.String(), "198.51.100.") && b.Cause == protection.SilentClient {
				n++
			}
		}
		if n > 0 {
			t.Errorf("%d mail servers that waited for our greeting are blocked: %v", n, p.Blocks()[0])
		}
	})
}
