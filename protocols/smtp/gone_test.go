package smtp

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"gatepost/queue/envelope"
)

// A client that is killed leaves messages behind that it has pipelined in chunks (RFC 3030 section 4.2),
// and sends again what has no answer when it is back. Its connection is closed while the third of twenty
// messages is being received: the third may be accepted, later ones would be delivered twice.
func TestPipelinedMessagesEndWithTheirClient(t *testing.T) {
	const all, last = 20, 3
	for _, how := range []string{"closed", "reset"} {
		t.Run(how, func(t *testing.T) {
			s := newSite(t)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			s.must(err)
			ended := make(chan struct{})
			n, reached, closed := 0, make(chan struct{}), make(chan struct{})
			begin := s.server.begin
			s.server.begin = func(ctx context.Context, env *envelope.Envelope) (submission, error) {
				if n++; n == last {
					close(reached)
					<-closed
				}
				return begin(ctx, env)
			}
			c, err := net.Dial("tcp", ln.Addr().String())
			s.must(err)
			near, err := ln.Accept()
			s.must(err)
			s.must(ln.Close())
			go func() {
				defer close(ended)
				defer near.Close()
				s.server.run(t.Context(), near, port25, false)
			}()
			// Without an answer to each, the test would wait for ever.
			s.must(c.SetDeadline(time.Now().Add(10 * time.Second)))
			const text = "Subject: x\r\n\r\nx\r\n"
			_, err = fmt.Fprint(c, "EHLO x.example\r\n", strings.Repeat("MAIL FROM:<a@example.net>\r\nRCPT TO:<larry@company.com>\r\n"+
				fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text), all))
			s.must(err)
			in := bufio.NewReader(c)
			for found := 0; found < last-1; {
				line, err := in.ReadString('\n')
				s.must(err)
				if strings.Contains(line, "message accepted") {
					found++
				}
			}
			<-reached
			if how == "reset" {
				s.must(c.(*net.TCPConn).SetLinger(0))
			}
			s.must(c.Close())
			close(closed)
			<-ended
			if found := len(s.received()); found < last-1 || found > last {
				t.Errorf("%d messages are accepted", found)
			}
		})
	}
}
