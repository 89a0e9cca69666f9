package relay

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"gatepost/queue/envelope"
	"gatepost/server/dataformat"
)

// hasty is a server on the loopback interface that reads a part of the text,
// answers, and hangs up while the rest is on its way. It serves one connection.
func hasty(t *testing.T, ehlo, answer string) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		io.WriteString(c, "220 mx.test\r\n")
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word {
			case "EHLO":
				io.WriteString(c, ehlo)
				continue
			case "DATA":
				io.WriteString(c, "354 go\r\n")
			case "BDAT":
			default:
				io.WriteString(c, "250 ok\r\n")
				continue
			}
			io.CopyN(io.Discard, r, 1<<16)
			io.WriteString(c, answer)
			return // with unread text: the system resets the connection
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-served
	})
	return l
}

// A server that has enough of a text says so in the middle of it.
func TestReplyInTheMiddleOfTheTextDecides(t *testing.T) {
	const binary = "250-mx.test\r\n250-CHUNKING\r\n250 BINARYMIME\r\n"
	for name, c := range map[string]struct{ ehlo, answer, want string }{
		"final":       {pipelining, "552 5.3.4 too large\r\n", "failed: message text rejected by mx.test: 552 5.3.4 too large a@far.org 5.3.4"},
		"stepwise":    {stepwise, "554 no spam\r\n", "failed: message text rejected by mx.test: 554 no spam a@far.org 5.0.0"},
		"in a chunk":  {binary, "552 5.3.4 too large\r\n", "failed: message text rejected by mx.test: 552 5.3.4 too large a@far.org 5.3.4"},
		"broken off":  {pipelining, "554-5.7.1 no\r\n", "failed: message text rejected by mx.test: 554 5.7.1 no a@far.org 5.7.1"},
		"for now":     {pipelining, "452 4.3.1 disk is full\r\n", "delayed: message text rejected by mx.test: 452 4.3.1 disk is full a@far.org 4.3.1"},
		"a goodbye":   {pipelining, "421 4.3.2 going down\r\n", "delayed: message text rejected by mx.test: 421 4.3.2 going down a@far.org 4.3.2"},
		"no refusal":  {pipelining, "250 ok\r\n", "delayed: connection with mx.test is broken a@far.org 4.4.2"},
		"not a reply": {pipelining, "what?\r\n", "delayed: connection with mx.test is broken a@far.org 4.4.2"},
		"no word":     {pipelining, "", "delayed: connection with mx.test is broken a@far.org 4.4.2"},
	} {
		t.Run(name, func(t *testing.T) {
			l := hasty(t, c.ehlo, c.answer)
			s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test")})
			defer s.stop()
			s.results.news = make(chan string, 10)
			s.transport.dialer.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
			}
			s.send("Subject: long\r\n\r\n"+strings.Repeat(strings.Repeat("text", 200)+"\r\n", 20_000), func(e *envelope.Envelope) {
				if c.ehlo == binary {
					e.Body = envelope.BodyBinaryMIME
				}
			}, "a@far.org")
			if got := <-s.results.news; got != "SMTP(far.org) "+c.want {
				t.Errorf("got  %s\nwant SMTP(far.org) %s", got, c.want)
			}
		})
	}
}
