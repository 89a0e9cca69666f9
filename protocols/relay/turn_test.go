package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/router"
	"gatepost/server/dataformat"
)

// turn turns a connection to a server. The channel has the result.
func (s *station) turn(serve func(net.Conn), queues ...string) <-chan error {
	ours, theirs := net.Pipe()
	go serve(theirs)
	done := make(chan error, 1)
	go func() {
		done <- s.transport.Turn(s.t.Context(), ours, "[192.0.2.9]", queues, func(ctx context.Context, queue string) error {
			return s.q.Quiet(ctx, router.SMTP, queue)
		})
		ours.Close()
	}()
	return done
}

func holding(domains ...string) dataformat.Dict {
	list := dataformat.Array{}
	for _, d := range domains {
		list = append(list, dataformat.String(d))
	}
	return dataformat.Dict{"SmartHost": dataformat.String("mx.test"), "HoldForDomains": list}
}

// Mail on hold goes through a connection that its domain has turned, through no other, and only then.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, holding("far.org", "two.org", "other.org"))
		defer s.stop()
		for i := range 40 { // more than one batch would take
			s.send(fmt.Sprintf("Subject: %d\r\n\r\nx\r\n", i), nil, "a@far.org")
		}
		s.send(mailText, nil, "b@two.org")
		s.send(mailText, nil, "c@other.org")
		time.Sleep(time.Minute)
		v := newServer(s)
		started := time.Now()
		if err := <-s.turn(v.session, "far.org", "nothing.org", "two.org"); err != nil {
			t.Error(err)
		}
		if took := time.Since(started); took > time.Second {
			t.Errorf("the turn took %v", took)
		}
		if v.count() != 41 || len(s.dialed) > 0 {
			t.Errorf("%d messages, dialed %q", v.count(), s.dialed)
		}
		s.send(mailText, nil, "late@far.org")
		time.Sleep(time.Hour)
		if v.count() != 41 || len(s.dialed) > 0 {
			t.Errorf("afterwards: %d messages, dialed %q", v.count(), s.dialed)
		}
		s.results.mu.Lock()
		defer s.results.mu.Unlock()
		lines := strings.Join(s.results.lines, "\n")
		if n := strings.Count(lines, "SMTP(far.org) relayed: relayed via [192.0.2.9]"); n != 40 {
			t.Errorf("%d relayed in\n%s", n, lines)
		}
		if strings.Contains(lines, "has ended") {
			t.Errorf("a batch too many shows in\n%s", lines)
		}
	})
}

// A client that leaves before it has all gets the rest another time, and nothing twice.
func TestTurnBreaks(t *testing.T) {
	for name, c := range map[string]struct {
		take   int // messages that it takes
		held   bool
		dialed int
	}{
		"at once, held":      {0, true, 0},
		"after one, held":    {1, true, 0},
		"after one, by MX":   {1, false, 1},
		"greeting, no mail":  {-1, true, 0},
		"greeting is a 554,": {-2, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := holding("far.org")
				if !c.held {
					d = holding()
				}
				s := newStation(t, d)
				defer s.stop()
				s.refuse = io.ErrUnexpectedEOF // no host answers
				for range 3 {
					s.send(mailText, nil, "a@far.org")
				}
				synctest.Wait()
				s.mu.Lock()
				s.dialed, s.refuse = nil, nil
				s.mu.Unlock()
				taken := 0
				err := <-s.turn(func(nc net.Conn) {
					defer nc.Close()
					switch c.take {
					case -1:
						return
					case -2:
						io.WriteString(nc, "554 no\r\n")
						return
					}
					io.WriteString(nc, "220 hello\r\n")
					for r := bufio.NewReader(nc); ; {
						line, err := r.ReadString('\n')
						switch {
						case err != nil || strings.HasPrefix(line, "MAIL") && taken == c.take:
							return
						case strings.HasPrefix(line, "DATA"):
							io.WriteString(nc, "354 go\r\n")
							for line != ".\r\n" && err == nil {
								line, err = r.ReadString('\n')
							}
							taken++
							io.WriteString(nc, "250 ok\r\n")
						default:
							io.WriteString(nc, "250 ok\r\n")
						}
					}
				}, "far.org")
				if (err != nil) != (c.take < 0) {
					t.Errorf("Turn: %v", err)
				}
				v := newServer(s)
				go v.serve()
				time.Sleep(30 * time.Hour)
				s.mu.Lock()
				dialed := len(s.dialed)
				s.mu.Unlock()
				if (dialed > 0) != (c.dialed > 0) {
					t.Errorf("dialed %d times", dialed)
				}
				if err := <-s.turn(v.session, "far.org"); err != nil {
					t.Error(err)
				}
				if got := v.count() + taken; got != 3 {
					t.Errorf("%d messages, %d of them at once", got, taken)
				}
			})
		})
	}
}
