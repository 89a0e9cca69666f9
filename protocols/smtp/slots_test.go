package smtp

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// turnedAway connects to the submission port for an answer that is no greeting.
func (s *site) turnedAway(from string) *client {
	conn, err := s.dial(port587, from)
	s.must(err)
	return &client{s.t, conn, bufioReaderOf(conn)}
}

// A slow stranger gives its slot up to the next client, on any port, and is told so; who
// has logged in and Client IPs do not.
func TestAnIdleStrangerGivesItsSlotUp(t *testing.T) {
	bubble(t, func(s *Settings) { s.Channels = 1 }, func(t *testing.T, s *site) {
		first := s.connect(587, "198.51.100.7")
		for range 6 {
			time.Sleep(time.Second)
			if _, err := first.conn.Write([]byte("N")); err != nil {
				t.Fatal(err)
			}
		}
		second := s.connect(25, "127.0.0.1")
		first.expect("421 4.7.0 company.com too many connections, try again later, closing connection")
		first.closed()
		time.Sleep(6 * time.Second)
		s.turnedAway("198.51.100.7").expect("421 4.7.0 company.com too many connections, try again later")
		second.say("QUIT", "221 ")
		second.closed()
	})
	bubble(t, func(s *Settings) { s.Channels = 1 }, func(t *testing.T, s *site) {
		user := s.connect(465, "198.51.100.7")
		user.say("EHLO x.example", "250-")
		user.say("AUTH PLAIN "+plain("larry", "secret"), "235 ")
		time.Sleep(time.Minute)
		s.turnedAway("198.51.100.8").expect("421 4.7.0 company.com too many connections, try again later")
		user.say("QUIT", "221 ")
	})
}

// Of 30 slots three are kept for Client IPs and one for each listener.
func TestALoginWithoutASlotIsRefusedForNow(t *testing.T) {
	bubble(t, func(s *Settings) { s.Channels = 30 }, func(t *testing.T, s *site) {
		for i := range 25 {
			c := s.connect(465, "198.51.100."+strconv.Itoa(i))
			c.say("EHLO x.example", "250-")
			want := "235 "
			if i == 24 {
				want = "454 4.7.0 "
			}
			c.say("AUTH PLAIN "+plain("larry", "secret"), want)
		}
	})
}

// An exchange that the client cancels, or leaves by closing the connection, is a failed login.
func TestAnExchangeThatIsNotFinishedIsAFailedLogin(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *site) {
		for _, cancel := range []bool{true, false} {
			c := s.connect(465, "198.51.100.7")
			c.say("EHLO x.example", "250-")
			c.say("AUTH SCRAM-SHA-256 biwsbj1sYXJyeSxyPWFiY2RlZmdo", "334 ")
			if cancel {
				c.say("*", "501 ")
				c.say("AUTH SCRAM-SHA-256 biwsbj1sYXJyeSxyPWFiY2RlZmdo", "334 ")
				c.say("not base64", "501 ")
			}
			c.conn.Close()
		}
		synctest.Wait()
		if n := strings.Count(s.log.String(), "the exchange was not finished"); n != 3 {
			t.Errorf("%d failed logins in the log: %s", n, s.log.String())
		}
	})
}
