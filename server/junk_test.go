package server_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/resolver/resolvertest"
)

// imapClient speaks IMAP line by line.
type imapClient struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func (r *running) imap(t *testing.T, user string) *imapClient {
	t.Helper()
	c, err := net.Dial("tcp", r.addr(143))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	i := &imapClient{t, c, bufio.NewReader(c)}
	i.line()
	i.do(fmt.Sprintf("LOGIN %s %q", user, testPassword))
	return i
}

func (i *imapClient) line() string {
	i.t.Helper()
	s, err := i.r.ReadString('\n')
	if err != nil {
		i.t.Fatal(err)
	}
	return s
}

// do gives a command, which has to succeed, and returns what was answered.
func (i *imapClient) do(command string) string {
	i.t.Helper()
	if _, err := fmt.Fprintf(i.c, "a %s\r\n", command); err != nil {
		i.t.Fatal(err)
	}
	var all strings.Builder
	for {
		s := i.line()
		all.WriteString(s)
		if strings.HasPrefix(s, "a ") {
			if !strings.HasPrefix(s, "a OK") {
				i.t.Fatalf("%.60s: %s", command, s)
			}
			return all.String()
		}
	}
}

func (i *imapClient) append(box, text string) {
	i.t.Helper()
	i.do(fmt.Sprintf("APPEND %s {%d+}\r\n%s", box, len(text), text))
}

// What a user moves into Junk teaches the filter, and what then comes goes there with its score.
func TestJunkFilter(t *testing.T) {
	zone := resolvertest.New(t, "elsewhere.test. MX 10 mx.elsewhere.test.\nmx.elsewhere.test. A 127.0.0.1")
	r := start(t, fmt.Sprintf("SETDNRSETTINGS {Servers=(%q);}", zone.Serve(t).String()), `SETCLIENTIPS ""`, "UPDATEMODULE SMTP {DelayPrompt=0s;}")
	alice, other := r.imap(t, "alice"), r.imap(t, "alice")
	junk := func(n int) string {
		return fmt.Sprintf("From: Shop <win%d@casino%d.test>\r\nSubject: bonus casino %d\r\nMessage-ID: <%d@casino.test>\r\n\r\nspin the roulette wheel and win a jackpot bonus today, casino number %d\r\n", n, n, n, n, n)
	}
	ham := func(n int) string {
		return fmt.Sprintf("From: Carl <carl@partner.test>\r\nSubject: project meeting %d\r\nMessage-ID: <%d@partner.test>\r\n\r\nplease look at the minutes of the project meeting number %d before Monday\r\n", n, n, n)
	}
	const n = 20
	for i := range n {
		alice.append("INBOX", junk(i))
		alice.append("INBOX", ham(i))
	}
	learned := func(account, want string) {
		t.Helper()
		eventually(t, account+" has taught "+want, func() bool { return dataformat.Compact(r.cli(t, "GETACCOUNTJUNK "+account).Data) == want })
	}
	send := func(to, text string) {
		t.Helper()
		if err := r.sendPlain(r.addr(25), "win@elsewhere.test", to+"@"+testDomain, text); err != nil {
			t.Fatal(err)
		}
	}
	has := func(box, what string, count int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s has %d messages with %s", box, count, what), func() bool {
			other.do("EXAMINE " + box)
			answer := other.do(fmt.Sprintf("SEARCH HEADER %s", what))
			line, _, _ := strings.Cut(answer, "\r\n")
			return len(strings.Fields(line)) == count+2
		})
	}
	send("alice", junk(500))
	has("INBOX", `SUBJECT "casino 500"`, 1) // nothing was learned yet
	has("INBOX", `X-Junk-Score ""`, 0)

	alice.do("SELECT INBOX")
	alice.do("MOVE 1:40 Junk") // wrong for half of them
	learned("alice", "{Ham=0;Junk=40;}")
	alice.do("SELECT Junk")
	alice.do("SEARCH SUBJECT meeting")
	for i := n; i >= 1; i-- {
		alice.do(fmt.Sprintf("MOVE %d INBOX", 2*i))
	}
	learned("alice", "{Ham=20;Junk=20;}")
	alice.do("STORE 1 +FLAGS ($Junk)") // it was learned
	alice.do("SELECT INBOX")
	alice.do("COPY 3 Archive")
	alice.do("STORE 1 +FLAGS (\\Seen)")

	send("alice", junk(501))
	has("Junk", `X-Junk-Score XXXXXXXXXX`, 1)
	send("alice", ham(502))
	has("INBOX", `SUBJECT "meeting 502"`, 1)
	has("INBOX", `X-Junk-Score XXXXXXXXXX`, 0)
	has("INBOX", `X-Junk-Score "[]"`, 1)
	send("bob", junk(503))
	bob := r.imap(t, "bob")
	eventually(t, "bob has the message in INBOX", func() bool { return strings.Contains(bob.do("STATUS INBOX (MESSAGES)"), "MESSAGES 1") })
	bob.do("SELECT INBOX")
	if text := bob.do("FETCH 1 BODY.PEEK[HEADER]"); strings.Contains(text, "X-Junk-Score") {
		t.Errorf("the domain has learned too little to score:\n%s", text)
	}

	// Rules see the score.
	r.cli(t, `SETACCOUNTMAILRULES alice ((5,Keep,(("Header Field",in,"X-Junk-Score*XXXXXXXXXX*")),(("Store in",Archive),(Discard))))`)
	send("alice", junk(504))
	has("Archive", `SUBJECT "casino 504"`, 1)
	r.cli(t, `SETACCOUNTMAILRULES alice ((5,Tag,(("Header Field",in,"X-Junk-Score*XXXXXXXXXX*")),(("Tag Subject","[junk]"))))`)
	send("alice", junk(505))
	has("Junk", `SUBJECT "[junk]bonus casino 505"`, 1)
	has("Junk", `X-Junk-Score XXXXXXXXXX`, 2)
	r.cli(t, "SETACCOUNTMAILRULES alice Default")

	r.cli(t, "UPDATEACCOUNTSETTINGS alice {JunkScore=0;}")
	send("alice", junk(506))
	has("INBOX", `SUBJECT "casino 506"`, 1)
	r.cli(t, "UPDATEACCOUNTSETTINGS alice {JunkFilter=NO;}")
	send("alice", junk(507))
	has("INBOX", `SUBJECT "casino 507"`, 1)
	has("INBOX", `X-Junk-Score XXXXXXXXXX`, 1)
	r.cli(t, "RESETACCOUNTJUNK alice")
	learned("alice", "{Ham=0;Junk=0;}")
	if a := r.cli(t, "GETDOMAINJUNK"); dataformat.Compact(a.Data) == "{Ham=0;Junk=0;}" {
		t.Error("the domain has learned nothing")
	}
}
