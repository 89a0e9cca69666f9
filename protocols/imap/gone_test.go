package imap

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"gatepost/accounts/mailbox"
)

// A client that is killed leaves pipelined commands behind, and sends again what has no answer when it is
// back. Its connection is closed while the tenth of sixty messages is being stored: the tenth may be
// stored, later ones would be there twice.
func TestPipelinedMessagesEndWithTheirClient(t *testing.T) {
	const all, last = 60, 10
	commands := map[string]string{"APPEND": "APPEND INBOX {6+}\r\nA: b\r\n\r\n", "COPY": "COPY 1 INBOX\r\n"}
	for name, command := range commands {
		for _, how := range []string{"closed", "reset"} {
			for _, secure := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s TLS=%v", name, how, secure), func(t *testing.T) {
					f := newFixture(t)
					f.fill(t, 1, 100)
					c, ended := f.converse(t, t.Context(), secure)
					n := 0
					reached, closed := make(chan struct{}), make(chan struct{})
					stop := f.account(t).Watch(func() {
						if n++; n == last {
							close(reached)
							<-closed
						}
					})
					// Without an answer to each, the test would wait for ever.
					if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
						t.Fatal(err)
					}
					c.send(strings.Repeat("c "+command, all))
					for range last - 1 {
						c.until("c OK") // or the system would reset the connection at its end
					}
					<-reached
					conn := c.Conn
					if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
						conn = t.NetConn()
					}
					if how == "reset" {
						if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
							t.Fatal(err)
						}
					}
					conn.Close()
					close(closed)
					wantEnd(t, ended)
					stop()
					if found := f.messages(t) - 1; found < last-1 || found > last {
						t.Errorf("%d messages are stored", found)
					}
				})
			}
		}
	}
}

// A client may shut down its sending side behind what it has pipelined, and read the answers.
func TestPipelinedMessagesOfAClientThatReadsAreAllStored(t *testing.T) {
	f := newFixture(t)
	c, ended := f.converse(t, t.Context(), false)
	c.send(strings.Repeat("c APPEND INBOX {4+}\r\nx\r\n\r\n\r\n", 50))
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		c.until("c OK")
	}
	wantEnd(t, ended)
	if found := f.messages(t); found != 50 {
		t.Errorf("%d messages are stored", found)
	}
}

// messages returns how many messages user1's INBOX has.
func (f *fixture) messages(t *testing.T) int {
	t.Helper()
	m, err := f.account(t).Open(t.Context(), "INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return m.Len()
}

func (f *fixture) account(t *testing.T) *mailbox.Account {
	t.Helper()
	acc, err := f.acc.Account(t.Context(), "", "user1")
	if err != nil {
		t.Fatal(err)
	}
	return acc.Mail()
}
