package server_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
)

// A client logs in, turns the connection and gets the mail that is held for its domain.
func TestTurnedConnection(t *testing.T) {
	r := start(t)
	r.cli(t, `UPDATEMODULE SMTPSending {HoldForDomains=(client.test);}`)
	r.cli(t, fmt.Sprintf(`UPDATEMODULE SMTP {ATRNAccounts=("client.test=bob@%s");}`, testDomain))
	if err := r.submit(t, "alice@"+testDomain, "joe@client.test", "waits for its turn"); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", r.addr(587))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	read := func() string { // the last line of a reply, or a command
		t.Helper()
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if len(line) < 4 || line[3] != '-' {
				return strings.TrimSpace(line)
			}
		}
	}
	read()
	for _, step := range [][2]string{
		{"EHLO client.test", "250"},
		{"ATRN client.test", "530"},
		{"AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00bob\x00"+testPassword)), "235"},
		{"ATRN other.test", "450"},
		{"ATRN client.test", "250"},
	} {
		got := "453"
		for strings.HasPrefix(got, "453") { // the message is not routed yet
			fmt.Fprintf(conn, "%s\r\n", step[0])
			got = read()
		}
		if !strings.HasPrefix(got, step[1]) {
			t.Fatalf("%s: %s, want %s", step[0], got, step[1])
		}
	}
	fmt.Fprint(conn, "220 client.test ready\r\n")
	var said []string
	var text strings.Builder
	for len(said) == 0 || said[len(said)-1] != "QUIT" {
		line := read()
		verb, _, _ := strings.Cut(line, " ")
		said = append(said, verb)
		if verb != "DATA" {
			fmt.Fprint(conn, "250 ok\r\n")
			continue
		}
		fmt.Fprint(conn, "354 go\r\n")
		for line := ""; line != ".\r\n"; {
			if line, err = in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			text.WriteString(line)
		}
		fmt.Fprint(conn, "250 ok\r\n")
	}
	if got := strings.Join(said, " "); got != "EHLO MAIL RCPT DATA QUIT" || !strings.Contains(text.String(), "waits for its turn") {
		t.Errorf("the server said %s, and sent\n%s", got, text.String())
	}
	if d, err := r.QueueInfo(t.Context(), "SMTP", "client.test"); err != nil || len(d) > 0 {
		t.Errorf("still in the queue: %v, %v", d, err)
	}
}
