package smtp

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatepost/protocols/transcript"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // golden files hold dates
	os.Exit(m.Run())
}

// client is a client that tests drive by hand.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// connect opens a connection and reads the greeting.
func (s *site) connect(port int, from string) *client {
	s.t.Helper()
	c := s.client(port, from)
	c.expect("220 ")
	return c
}

// client opens a connection.
func (s *site) client(port int, from string) *client {
	s.t.Helper()
	l := port25
	switch port {
	case 587:
		l = port587
	case 465:
		l = port465
	}
	conn, err := s.dial(l, from)
	s.must(err)
	return &client{s.t, conn, bufio.NewReader(conn)}
}

// send sends text as it is, in its own goroutine: a pipe has no buffer.
func (c *client) send(text string) chan error {
	done := make(chan error, 1)
	go func() {
		_, err := c.conn.Write([]byte(text))
		done <- err
	}()
	return done
}

// reply reads a whole reply and returns its lines.
func (c *client) reply() string {
	c.t.Helper()
	var all strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("after %q: %v", all.String(), err)
		}
		all.WriteString(strings.TrimSuffix(line, "\r\n"))
		if len(line) < 4 || line[3] != '-' {
			return all.String()
		}
		all.WriteString("\n")
	}
}

func (c *client) expect(prefix string) string {
	c.t.Helper()
	got := c.reply()
	if !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("reply %q, want %q", got, prefix)
	}
	return got
}

// say sends a line and expects the beginning of the reply.
func (c *client) say(line, prefix string) string {
	c.t.Helper()
	c.send(line + "\r\n")
	return c.expect(prefix)
}

// closed expects the end of the connection.
func (c *client) closed() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err == nil || err == transcript.ErrCut {
		c.t.Fatalf("%q, %v where the end is expected", b, err)
	}
}

// mail gives a message with one transaction and returns the reply to its end.
func (c *client) mail(from, text string, to ...string) string {
	c.t.Helper()
	c.say("MAIL FROM:"+from, "250 ")
	for _, r := range to {
		c.say("RCPT TO:"+r, "250 ")
	}
	c.say("DATA", "354 ")
	c.send(text + "\r\n.\r\n")
	return c.reply()
}

// bdat sends a chunk.
func (c *client) bdat(chunk string, last bool, prefix string) {
	c.t.Helper()
	end := "\r\n"
	if last {
		end = " LAST\r\n"
	}
	c.send("BDAT " + strconv.Itoa(len(chunk)) + end + chunk)
	c.expect(prefix)
}

// plain is the response of PLAIN.
func plain(name, password string) string {
	return b64(fmt.Sprintf("\x00%s\x00%s", name, password))
}
