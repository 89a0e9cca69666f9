package relay

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"gatepost/protocols/transcript"
	"gatepost/queue/envelope"
	"gatepost/server/dataformat"
)

// A large message goes in one chunk where that is offered, as it is; a small one does not. NOTIFY is passed
// on as it was given.
func TestChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test"), "ChannelsPerHost": dataformat.String("1")})
		defer s.stop()
		large := mailText + strings.Repeat(".a line\r\n", 10_000)
		var got []string
		go func() {
			c, err := s.accept()
			if err != nil {
				return
			}
			defer c.Close()
			r := bufio.NewReader(c)
			say := func(text string) { io.WriteString(c, text+"\r\n") }
			say("220 mx.test")
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				line = strings.TrimSpace(line)
				got = append(got, line)
				word, arg, _ := strings.Cut(line, " ")
				switch word {
				case "EHLO":
					say("250-mx.test\r\n250-PIPELINING\r\n250-DSN\r\n250 CHUNKING")
				case "BDAT":
					size, last, _ := strings.Cut(arg, " ")
					n, _ := strconv.Atoi(size)
					text := make([]byte, n)
					if _, err := io.ReadFull(r, text); err != nil || last != "LAST" || string(text) != large {
						t.Errorf("%s: %d bytes, %v", line, len(text), err)
					}
					say("250 2.0.0 taken")
				case "DATA":
					say("354 go")
					for line != ".\r\n" {
						if line, err = r.ReadString('\n'); err != nil {
							return
						}
					}
					say("250 2.0.0 taken")
				case "QUIT":
					say("221 bye")
					return
				default:
					say("250 ok")
				}
			}
		}()
		s.hold(func() {
			s.send(large, func(e *envelope.Envelope) { e.Recipients[0].Notify = envelope.NotifyDefault | envelope.NotifyGiven }, "a@far.org")
			s.send(mailText, nil, "b@far.org")
		})
		s.want("SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0")
		want := []string{"EHLO mail.company.com", "MAIL FROM:<joe@company.com>", "RCPT TO:<a@far.org> NOTIFY=FAILURE,DELAY", fmt.Sprintf("BDAT %d LAST", len(large)),
			"MAIL FROM:<joe@company.com>", "RCPT TO:<b@far.org>", "DATA"}
		if text := strings.Join(got, "\n"); !strings.HasPrefix(text, strings.Join(want, "\n")) {
			t.Errorf("the server got\n%s", text)
		}
	})
}

// A TLS session is resumed by the next connection to the host, but not where the certificate is to be verified and
// was not.
func TestTLSSessionsAreResumed(t *testing.T) {
	d := newDialer(func() string { return "mail.company.com" })
	ln, err := tls.Listen("tcp", "127.0.0.1:0", transcript.ServerTLS(t))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "220 hello\r\n")
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	connect := func(verify bool) (resumed bool, err error) {
		c, err := tls.Dial("tcp", ln.Addr().String(), d.config("company.com", verify))
		if err != nil {
			return false, err
		}
		defer c.Close()
		if _, err := bufio.NewReader(c).ReadString('\n'); err != nil { // the ticket comes before it
			t.Fatal(err)
		}
		return c.ConnectionState().DidResume, nil
	}
	if resumed, err := connect(false); resumed || err != nil {
		t.Errorf("first: %v %v", resumed, err)
	}
	if resumed, err := connect(false); !resumed || err != nil {
		t.Errorf("second: %v %v", resumed, err)
	}
	if _, err := connect(true); err == nil {
		t.Error("verified by an old session")
	}
	ln.Close()
	<-served
}
