package transcript

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// serve speaks a small protocol for the tests: SAY echoes, LIST answers three
// lines, SEND echoes lines up to a dot, STARTTLS, QUIT says goodbye.
func serve(c net.Conn, config *tls.Config) {
	defer func() { c.Close() }()
	in := bufio.NewReader(c)
	fmt.Fprint(c, "220 mail.example ready\r\n")
	sending := false
	for {
		c.SetReadDeadline(time.Now().Add(5 * time.Minute))
		l, err := in.ReadString('\n')
		if err != nil {
			fmt.Fprint(c, "idle\r\n")
			return
		}
		word, rest, _ := strings.Cut(strings.TrimSuffix(l, "\r\n"), " ")
		switch {
		case sending && word == ".":
			sending = false
		case sending:
			fmt.Fprintf(c, "got %s\r\n", strings.TrimSuffix(l, "\r\n"))
		case word == "SAY":
			fmt.Fprintf(c, "%s\r\n", rest)
		case word == "LF":
			fmt.Fprint(c, "bare\n")
		case word == "LIST":
			fmt.Fprint(c, "first\r\nsecond\r\nlast long line\r\n")
		case word == "SEND":
			sending = true
		case word == "STARTTLS":
			fmt.Fprint(c, "go\r\n"+rest)
			c = tls.Server(c, config)
			in = bufio.NewReader(c)
		case word == "QUIT":
			fmt.Fprint(c, "bye\r\n")
			return
		case word == "CUT":
			if t, ok := c.(*tls.Conn); ok {
				c = t.NetConn()
			}
			return
		}
	}
}

// start returns a Dial to serve over net.Pipe, and waits for the sessions at the test's end.
func start(t *testing.T) Dial {
	var sessions sync.WaitGroup
	t.Cleanup(sessions.Wait)
	return func() (net.Conn, error) {
		client, server := net.Pipe()
		sessions.Go(func() { serve(server, nil) })
		return client, nil
	}
}

func TestPlaysEveryKindOfLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// In the bubble the ten minutes of the transcript pass at once.
		Play(t, start(t), "testdata/greet.txtar", Timeout(time.Second))
	})
}

func TestPlayAllStartsAServerForEachFile(t *testing.T) {
	n := 0
	PlayAll(t, "testdata/short*.txtar", func(t *testing.T) Dial { n++; return start(t) })
	if n != 2 {
		t.Errorf("%d servers for 2 files", n)
	}
}

func TestFailureNamesLineAndReason(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"other text", "S: 220 <*>\nC: SAY hi\nS: ho\n", "x.txtar:3: S: ho\nreceived: hi"},
		{"silence", "S: 220 <*>\n\nS: more\n", "x.txtar:3: S: more\nthe server says nothing"},
		{"silence after S*", "S: 220 <*>\nC: SAY hi\nS*\nS: more\n", "no line fits (1 skipped): the server says nothing"},
		{"closed", "S: 220 <*>\nC: QUIT\nS: bye\nS: more\n", "the server closed the connection"},
		{"not closed", "S: 220 <*>\nS! CLOSED\n", "keeps the connection open"},
		{"text instead of close", "S: 220 <*>\nC: SAY hi\nS! CLOSED\n", `received: "hi\r\n"`},
		{"bare LF", "S: 220 <*>\nC: LF\nS: bare\n", "does not end in CRLF"},
		{"bytes", "S: 220 <*>\nC: SAY hi\nS- ho\n", `received: "hi"`},
		{"file", "S: 220 <*>\nC: LIST\nS< l\n-- l --\nfirst\n2nd\n", "l line 2: received: second"},
		{"capture differs", "S: 220 <h=[a-z]+><*>\nC: SAY x\nS: <$h>\n", "received: x"},
		{"unknown name", "S: 220 <*>\nC: SAY <$x>\n", "no text has the name x"},
		{"unknown name expected", "S: <$x>\n", "no text has the name x"},
		{"unended capture", "S: <x=a\n", "<x= has no end"},
		{"bad regexp", "S: <x=(>\n", "missing closing )"},
		{"missing file", "C< nothing\n", `x.txtar:1: C< nothing` + "\n" + `the archive has no file "nothing"`},
		{"bad line", "\nHELLO\n", "x.txtar:2: HELLO\na line begins with"},
		{"bad operator", "C? x\n", "a line begins with"},
		{"bad server operator", "S? x\n", "a line begins with"},
		{"bare letter", "C\n", "a line begins with"},
		{"huge number", "C99999999999999999999: x\n", "out of range"},
		{"bad escape", "C- \\q\n", "the escapes are"},
		{"cut escape", "C- \\x4\n", "two hexadecimal digits"},
		{"bad hex", "C- \\xzz\n", "two hexadecimal digits"},
		{"backslash at the end", "S- a\\\n", "a backslash at the end"},
		{"bad count", "C* x y\n", "invalid syntax"},
		{"bad directive", "C! DANCE\n", "STARTTLS and CLOSE"},
		{"bad server directive", "S! OPEN\n", "CLOSED"},
		{"text after S*", "S* x\n", "stands alone"},
		{"bad wait", "! WAIT x\n", "invalid duration"},
		{"bad bang", "! SLEEP 1s\n", "a line begins with"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := play("x.txtar", []byte(c.text), start(t))
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v\nwant %s", err, c.want)
				}
			})
		})
	}
}

func TestWaitsForAServerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		err := play("x.txtar", []byte("C: hello\n"), Conn(client))
		if err == nil || !strings.Contains(err.Error(), "does not read") {
			t.Error(err)
		}
	})
}

func TestSendingToAClosedServerIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := play("x.txtar", []byte("C: QUIT\nC* 1000 x\nS*\nS! CLOSED\n"), start(t)); err != nil {
			t.Error(err)
		}
	})
}

func TestStartTLSOverTCP(t *testing.T) {
	config := ServerTLS(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { serve(c, config) })
		}
	})
	defer sessions.Wait()
	defer ln.Close()
	dial := func() (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) }

	text := "S: 220 <*>\nC: STARTTLS\nS: go\nC! STARTTLS\nC: SAY safe\nS: safe\nC! CLOSE\n"
	if err := play("x.txtar", []byte(text), dial); err != nil {
		t.Error(err)
	}
	text = "S: 220 <*>\nC: STARTTLS\nS: go\nC! STARTTLS\nC: QUIT\nS: bye\nS! CLOSED\n"
	if err := play("x.txtar", []byte(text), dial); err != nil {
		t.Error(err)
	}
	text = "S: 220 <*>\nC: STARTTLS\nS: go\nC! STARTTLS\nC: CUT\nS! CLOSED\n"
	if err := play("x.txtar", []byte(text), dial); err == nil || !strings.Contains(err.Error(), "close alert") {
		t.Errorf("the end of TLS without a close alert: %v", err)
	}
	text = "S: 220 <*>\nC: STARTTLS early\nS: go\nC! STARTTLS\n"
	if err := play("x.txtar", []byte(text), dial); err == nil {
		t.Error("text before the handshake was not noticed")
	}
	text = "S: 220 <*>\nC: STARTTLS\nS: go\nC! STARTTLS\n"
	if err := play("x.txtar", []byte(text), dial, TLS(&tls.Config{ServerName: "other.example"})); err == nil {
		t.Error("the given TLS configuration was not used")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("S: 220 <*>\nC- \\x00\nC* 3 a\nS1! CLOSED\n! WAIT 1s\n-- f --\nx\n")
	f.Add("C!\nS*\nC99:\n")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parse("x", []byte(text))
		if err != nil {
			return
		}
		for _, s := range d.steps {
			compile(s.text, map[string]string{})
		}
	})
}
