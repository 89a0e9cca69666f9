package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/server/dataformat"
)

func TestStopDoesNotWaitForASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test")})
		s.send(mailText, nil, "a@far.org")
		synctest.Wait()
		start := time.Now()
		s.stop()
		if d := time.Since(start); d > 2*stopGrace {
			t.Errorf("the stop took %v", d)
		}
		if c, err := s.accept(); err == nil {
			c.Close()
		}
		s.want()
	})
}

// The server closes its stores within three seconds, the relay among them.
func TestCloseDoesNotWaitForTheReplyToQuit(t *testing.T) {
	p := &peer{ehlo: pipelining, say: func(_ int, line string) string {
		if line == "QUIT" {
			return ""
		}
		return fine(line)
	}}
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test")})
		go p.serve(s)
		s.send(mailText, nil, "a@far.org")
		synctest.Wait()
		time.Sleep(idleFor + 100*time.Millisecond)
		start := time.Now()
		s.stop()
		if d := time.Since(start); d > time.Second {
			t.Errorf("the stop took %v", d)
		}
	})
}

// A server that does not read cannot take the last word of TLS either.
func TestStopDoesNotSayGoodbyeToAServerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test")})
		s.transport.dialer.config = func(string, bool) *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
		server := newServer(s)
		server.cert, server.deaf = selfSigned(t), true
		go server.serve()
		s.send("Subject: long\r\n\r\n"+strings.Repeat("line\r\n", 100000), nil, "a@far.org")
		synctest.Wait()
		start := time.Now()
		s.stop()
		if d := time.Since(start); d > stopGrace {
			t.Errorf("the stop took %v", d)
		}
	})
}

// lateStop stops the server just before a deadline is set.
type lateStop struct {
	net.Conn
	stop func()
}

func (l *lateStop) SetReadDeadline(t time.Time) error {
	l.stop()
	synctest.Wait()
	return l.Conn.SetReadDeadline(t)
}

func TestStopBetweenTheDeadlineAndItsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		defer client.Close()
		ctx, cancel := context.WithCancel(context.Background())
		l := &lateStop{Conn: client, stop: cancel}
		c := &conn{raw: client, net: l, r: bufio.NewReader(l)}
		defer c.obey(ctx)()
		start := time.Now()
		if _, err := c.read(10 * time.Minute); err == nil {
			t.Error("there is a reply")
		}
		if d := time.Since(start); d > stopGrace {
			t.Errorf("the read took %v", d)
		}
	})
}
