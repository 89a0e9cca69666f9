package listen

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/fault"
)

// talk is a session that says hello, takes commands of a line, and ends with what it was
// told. "login" logs in, "work" has the server work for a minute.
func talk(ctx context.Context, c net.Conn) {
	say := func(text string) { io.WriteString(c, text+"\r\n") }
	say("hello")
	buf := make([]byte, 2000)
	for {
		n, err := c.Read(buf)
		if err != nil {
			reason, _ := Ended(ctx)
			say(reason)
			return
		}
		switch strings.TrimSpace(string(buf[:n])) {
		case "login":
			if err := LoggedIn(ctx); err != nil {
				say(fault.KindOf(err).String())
				continue
			}
			say("welcome")
		case "work":
			time.Sleep(time.Minute)
			say("done")
		}
	}
}

const displaced = "too many connections, try again later"

var trusted = netip.MustParseAddr("192.0.2.10")

// module is two listeners of a module with so many slots.
func module(t *testing.T, limit int) (a, b *started, count *Count) {
	count = new(Count)
	o := Options{
		MaxSessions: func() int { return limit }, Count: count,
		ClientIP: func(ip netip.Addr) bool { return ip == trusted },
	}
	a, b = start(t, o, talk), start(t, o, talk)
	synctest.Wait()
	return a, b, count
}

// enters connects from an address and expects the greeting.
func (s *started) enters(t *testing.T, from string) net.Conn {
	t.Helper()
	c := s.ln.dial(from)
	if got := hears(t, c); got != "hello" {
		t.Errorf("%s hears %q", from, got)
	}
	return c
}

// fill connects so many strangers.
func (s *started) fill(t *testing.T, n int) []net.Conn {
	t.Helper()
	list := make([]net.Conn, n)
	for i := range list {
		list[i] = s.enters(t, "198.51.100."+strconv.Itoa(i%250+1))
		time.Sleep(time.Millisecond) // so that one is the oldest
	}
	return list
}

// refused expects that a stranger gets no slot.
func (s *started) refused(t *testing.T, from string) {
	t.Helper()
	if got := hears(t, s.ln.dial(from)); got != "too many" {
		t.Errorf("%s hears %q", from, got)
	}
}

func say(t *testing.T, c net.Conn, text, want string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Errorf("%s: %v", text, err)
		return
	}
	if want == "" {
		return
	}
	if got := hears(t, c); got != want {
		t.Errorf("%s: %q, want %q", text, got, want)
	}
}

// TestStrangersLeaveSlots: of 100, a tenth is kept for Client IPs, a tenth for users and a
// twentieth for each of two listeners.
func TestStrangersLeaveSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, count := module(t, 100)
		a.fill(t, 75)
		a.refused(t, "192.0.2.1") // nobody has been idle for long
		for range 10 {
			a.enters(t, trusted.String())
		}
		for range 5 {
			b.enters(t, "192.0.2.1")
		}
		b.refused(t, "192.0.2.1")
		if n := count.Open(); n != 90 {
			t.Errorf("%d sessions", n)
		}
		a.end(t)
		b.end(t)
		if n := count.Open(); n != 0 {
			t.Errorf("%d sessions at the end", n)
		}
	})
}

func TestTheIdlestStrangerGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := module(t, 100)
		user := a.enters(t, "192.0.2.1")
		say(t, user, "login", "welcome")
		client := a.enters(t, trusted.String())
		works := a.enters(t, "192.0.2.2")
		say(t, works, "work", "")
		sends := a.enters(t, "192.0.2.3")
		drips := a.enters(t, "192.0.2.4")
		time.Sleep(time.Second)
		silent := a.enters(t, "192.0.2.5")
		late := b.fill(t, 5) // all that is kept for the listener
		for range idleGrace / time.Second {
			say(t, sends, strings.Repeat("x", 2000), "")
			say(t, drips, "x", "")
			time.Sleep(time.Second)
		}
		time.Sleep(time.Millisecond)
		young := a.fill(t, 71)
		first, second := a.enters(t, "192.0.2.6"), a.enters(t, "192.0.2.6")
		for _, c := range []net.Conn{drips, silent} { // in this order: silence began later
			if got := hears(t, c); got != displaced {
				t.Errorf("it hears %q", got)
			}
		}
		a.refused(t, "192.0.2.7")
		if n := strings.Count(a.log.String(), "idle session ended"); n != 1 { // the second is told a second later
			t.Errorf("%d records: %s", n, a.log)
		}
		for _, c := range append(young, append(late, user, client, sends, first, second)...) {
			say(t, c, "login", "")
			if got := hears(t, c); got == displaced || got == "" {
				t.Errorf("it hears %q", got)
			}
		}
		time.Sleep(time.Minute)
		if got := hears(t, works); got != "done" {
			t.Errorf("a session that the server works for hears %q", got)
		}
		a.end(t)
		b.end(t)
	})
}

// TestAFloodDoesNotReachAQuietListener, however long the sessions there are idle.
func TestAFloodDoesNotReachAQuietListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, count := module(t, 100)
		quiet := b.fill(t, 20)
		time.Sleep(time.Minute)
		flood := a.fill(t, 60)
		a.refused(t, "192.0.2.1")
		time.Sleep(idleGrace + time.Millisecond)
		for i := range 60 {
			a.enters(t, "192.0.2.1")
			if got := hears(t, flood[i]); got != displaced {
				t.Errorf("flood %d hears %q", i, got)
			}
		}
		for _, c := range quiet {
			say(t, c, "login", "welcome")
		}
		// The listener with the flood gives way to the other one.
		time.Sleep(idleGrace + time.Millisecond)
		for _, c := range b.fill(t, 20)[:15] {
			say(t, c, "login", "welcome")
		}
		if n := count.Open(); n > 100 {
			t.Errorf("%d sessions", n)
		}
		a.end(t)
		b.end(t)
	})
}

func TestUsersLeaveSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := module(t, 100)
		var users []net.Conn
		for range 80 {
			c := a.enters(t, "192.0.2.1")
			say(t, c, "login", "welcome")
			users = append(users, c)
		}
		c := a.enters(t, "192.0.2.1") // one of the kept slots
		say(t, c, "login", "busy")
		b.fill(t, 5)
		for range 10 {
			say(t, a.enters(t, trusted.String()), "login", "welcome")
		}
		users[0].Close()
		synctest.Wait()
		say(t, c, "login", "welcome")
		a.end(t)
		b.end(t)
	})
}

func TestAListenerThatStoppedKeepsNoSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, count := module(t, 100)
		open := b.enters(t, "192.0.2.1")
		b.ln.Close()
		synctest.Wait()
		a.fill(t, 79)
		a.refused(t, "192.0.2.2")
		say(t, open, "login", "welcome")
		open.Close()
		a.end(t)
		b.stop()
		<-b.done
		if n := count.Open(); n != 0 {
			t.Errorf("%d sessions at the end", n)
		}
	})
}

// TestSessionsThatAreDisplacedAreBounded: clients that do not take their last words keep
// their connections for a while.
func TestSessionsThatAreDisplacedAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 200
		count := new(Count)
		s := start(t, Options{MaxSessions: func() int { return slots }, Count: count}, talk)
		s.fill(t, 160)
		time.Sleep(idleGrace + time.Millisecond)
		s.fill(t, maxLeaving)
		s.refused(t, "192.0.2.1")
		if n := count.Open(); n != 160+maxLeaving {
			t.Errorf("%d sessions", n)
		}
		time.Sleep(StopGrace)
		s.enters(t, "192.0.2.1")
		s.end(t)
	})
}

// boundListener allows half of what is asked, and never no limit.
type boundListener struct{ *fakeListener }

func (boundListener) MaxSessions(asked int) int { return max(1, asked/2) }

func TestAListenerBoundsTheSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for asked, want := range map[int]int{0: 1, 4: 2} {
			ln := newListener()
			s := startOn(t, ln, boundListener{ln}, Options{MaxSessions: func() int { return asked }}, talk)
			s.fill(t, want)
			s.refused(t, "192.0.2.1")
			s.end(t)
		}
	})
}

// TestSlotsHold: whatever comes and goes, the sessions and what is kept for others are
// never more than the limit, and the books are right.
func TestSlotsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for range 10 {
			limit := 1 + r.IntN(120)
			c := new(Count)
			var groups []*group
			for range 1 + r.IntN(4) {
				groups = append(groups, c.listen())
			}
			var open []*session
			for range 1000 {
				switch i := r.IntN(10); {
				case i < 6:
					g := groups[r.IntN(len(groups))]
					if i == 0 {
						g = &c.clients
					}
					s := &session{traffic: &traffic{accepted: time.Now()}}
					s.traffic.waits.Store(r.Int32N(3))
					kept, had := c.kept(g, limit), g.sessions
					if _, ok := c.enter(s, g, limit); ok {
						open = append(open, s)
					} else if had < kept {
						t.Fatalf("refused with %d sessions in a group that has %d slots", had, kept)
					}
				case i < 8 && len(open) > 0:
					c.login(open[r.IntN(len(open))], limit)
				case len(open) > 0:
					n := r.IntN(len(open))
					c.leave(open[n])
					open = append(open[:n], open[n+1:]...)
				}
				time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
				sum, displaced := c.clients.sessions+c.users.sessions, 0
				for _, g := range groups {
					sum += g.sessions
					if len(g.strangers) != g.sessions {
						t.Fatalf("%d strangers in a group of %d", len(g.strangers), g.sessions)
					}
					for i, s := range g.strangers {
						if s.index != i || s.group != g {
							t.Fatal("a stranger is not where it thinks")
						}
					}
				}
				for _, s := range open {
					if s.group == nil {
						displaced++
					}
				}
				if c.open+c.wanting(limit) > limit || sum != c.open || displaced != c.leaving || len(open) != c.open+c.leaving {
					t.Fatalf("limit %d: %d open, %d kept, %d counted, %d leave", limit, c.open, c.wanting(limit), sum, c.leaving)
				}
			}
		}
	})
}

// TestASessionThatReadsAllTheTimeCanBeIdle: HTTP/2 writes while another goroutine waits for the client.
func TestASessionThatReadsAllTheTimeCanBeIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{MaxSessions: func() int { return 10 }, Count: new(Count)}
		a := start(t, o, func(ctx context.Context, c net.Conn) {
			read := make(chan struct{})
			go func() {
				defer close(read)
				_, _ = io.Copy(io.Discard, c)
			}()
			time.Sleep(time.Microsecond) // it waits for the client then
			io.WriteString(c, "hello\r\n")
			<-read
			reason, _ := Ended(ctx)
			io.WriteString(c, reason+"\r\n")
		})
		synctest.Wait()
		flood := a.fill(t, 8)
		time.Sleep(idleGrace + time.Millisecond)
		a.enters(t, "192.0.2.1")
		if got := hears(t, flood[0]); got != displaced {
			t.Errorf("the idlest hears %q", got)
		}
		a.end(t)
	})
}

// Strangers who hardly say a word make room after a second, and a known stranger does not wait for a slot: not even while those
// who are not known wait for their greeting.
func TestAKnownStrangerDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		count := new(Count)
		o := Options{MaxSessions: func() int { return 10 }, Count: count, Known: func(ip netip.Addr) bool { return ip.String() == "192.0.2.1" },
			Blocked: func(ip netip.Addr) bool { return ip.String() == "192.0.2.66" }}
		s := start(t, o, func(ctx context.Context, c net.Conn) {
			if crowded := Crowded(ctx); crowded != (count.Open() >= 8) {
				t.Errorf("crowded: %v with %d sessions", crowded, count.Open())
			}
			if _, err := c.Read(make([]byte, 1)); err != nil { // it waits before it greets
				reason, _ := Ended(ctx)
				io.WriteString(c, reason+"\r\n")
				return
			}
			talk(ctx, c)
		})
		synctest.Wait()
		var flood []net.Conn
		for i := range 8 { // a tenth each is kept for Client IPs and users
			flood = append(flood, s.ln.dial("198.51.100."+strconv.Itoa(i+1)))
			time.Sleep(time.Millisecond)
		}
		s.refused(t, "192.0.2.66") // who is blocked takes no slot
		s.refused(t, "192.0.2.2")
		k := s.ln.dial("192.0.2.1")
		if got := hears(t, flood[0]); got != displaced {
			t.Errorf("the oldest of the flood hears %q", got)
		}
		say(t, k, "x", "hello")
		for _, c := range flood[1:] {
			say(t, c, "x", "hello")
		}
		time.Sleep(900 * time.Millisecond)
		s.refused(t, "192.0.2.2")
		for _, c := range append(flood[2:], k) {
			say(t, c, "EHLO a\r\n", "") // these say a word
		}
		time.Sleep(200 * time.Millisecond)
		c := s.ln.dial("192.0.2.2")
		if got := hears(t, flood[1]); got != displaced {
			t.Errorf("who says nothing hears %q", got)
		}
		say(t, c, "x", "hello")
		s.refused(t, "192.0.2.3")
		s.end(t)
	})
}
