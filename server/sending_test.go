package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/resolver/resolvertest"
)

// A server is its own gateway: what a test of a gateway says follows from a real login and a
// real message.
func TestGatewayFromEndToEnd(t *testing.T) {
	r := start(t)
	create := func(user, password string) string {
		return fmt.Sprintf("{Host=\"127.0.0.1\";Port=%d;TLS=Required;User=%s;Password=%q;SenderAddress=\"alice@%s\";}", 587+r.shift, user, password, testDomain)
	}
	steps := func() string {
		d, ok := r.cli(t, "TESTGATEWAY own TO bob@"+testDomain).Data.(dataformat.Dict)
		if !ok {
			t.Fatal("no dictionary")
		}
		return strings.Join(append(d.Strings("Steps"), d.String("Success")), "\n")
	}
	r.cli(t, "CREATEGATEWAY own "+create("alice", "wrong"))
	want := `^the server refused the password: 535 5\.7\.8 [^\n]+\nNO$`
	if got := steps(); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("got\n%s", got)
	}
	r.cli(t, "UPDATEGATEWAY own "+create("alice", testPassword))
	want = fmt.Sprintf(`^connected to 127\.0\.0\.1, port %d
encrypted with TLS1\.3; the certificate was not verified
logged in as alice \(PLAIN\)
the server took a message to <bob@%s>: 250 \d+ message accepted for delivery
connect success!
YES$`, 587+r.shift, regexp.QuoteMeta(testDomain))
	if got := steps(); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if a := r.cli(t, "GETGATEWAY own"); strings.Contains(dataformat.Compact(a.Data), "assword") {
		t.Errorf("the password is shown: %s", dataformat.Compact(a.Data))
	}
	if log := r.log(t); strings.Contains(log, testPassword) || strings.Contains(log, "wrong\"") {
		t.Error("a password is in the log")
	}
}

// log reads the server's log.
func (r *running) log(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "SystemLogs", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// sink is a mail server at one address; with a word it greets with that and takes nothing.
func sink(t *testing.T, addr netip.AddrPort, greeting string) {
	t.Helper()
	ln, err := net.Listen("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				if greeting != "" {
					io.WriteString(c, greeting+"\r\n")
					return
				}
				io.WriteString(c, "220 sink\r\n")
				for text, lines := false, bufio.NewScanner(c); lines.Scan(); {
					switch line := lines.Text(); {
					case text && line != ".":
						continue
					case line == "DATA":
						text = true
						io.WriteString(c, "354 go\r\n")
					case line == "QUIT":
						io.WriteString(c, "221 bye\r\n")
						return
					default:
						text = false
						io.WriteString(c, "250 ok\r\n")
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		all.Wait()
	})
}

// mailServers are the cases of the search for mail servers: what becomes of mail for a domain. The sinks
// listen at 127.0.0.81 and 127.0.0.82; 127.0.0.83 refuses with 554, and nothing listens at 127.0.0.84.
var mailServers = map[string]string{
	"best.example":   `relayed: relayed via a\.best\.example `,
	"second.example": `relayed: relayed via b\.second\.example `,
	"refuse.example": `relayed: relayed via b\.refuse\.example `,
	"alone.example":  `relayed: relayed via alone\.example `,
	"alias.example":  `relayed: relayed via a\.best\.example `,
	"many.example":   `relayed: relayed via m\d+\.many\.example `,
	"null.example":   `failed: null\.example does not take mail \(null MX\) `,
	"ours.example":   `failed: DNS loop: `,
	"none.example":   `failed: none\.example does not exist `,
	"empty.example":  `failed: empty\.example has neither a mail server nor an address `,
}

// sendToAll sends a message to each domain and waits for what becomes of it.
func (r *running) sendToAll(t *testing.T, port uint16, servers string) {
	t.Helper()
	for host, greeting := range map[string]string{"127.0.0.81": "", "127.0.0.82": "", "127.0.0.83": "554 no"} {
		sink(t, netip.AddrPortFrom(netip.MustParseAddr(host), port), greeting)
	}
	r.cli(t, fmt.Sprintf("SETDNRSETTINGS {Servers=(%q);}", servers))
	r.cli(t, fmt.Sprintf("UPDATEMODULE SMTPSending {Destinations={\"*\"={Port=%d;};};}", port))
	c, err := smtp.Dial(r.addr(25))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for domain := range mailServers {
		err := c.Mail("alice@" + testDomain)
		if err == nil {
			err = c.Rcpt("x@" + domain)
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := c.Data()
		if err == nil {
			_, err = io.WriteString(text, "Subject: x\r\n\r\nx\r\n")
		}
		if err == nil {
			err = text.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	limit := time.Now().Add(20 * time.Second)
	for domain, want := range mailServers {
		pattern := regexp.MustCompile(`SMTP\(` + regexp.QuoteMeta(domain) + `\) (.*)`)
		var got []string
		for got == nil && time.Now().Before(limit) {
			if got = pattern.FindStringSubmatch(r.log(t)); got == nil {
				r.cli(t, "NOOP")
			}
		}
		if got == nil {
			t.Errorf("%s: nothing has happened", domain)
		} else if !regexp.MustCompile("^" + want).MatchString(got[1]) {
			t.Errorf("%s: %s", domain, got[1])
		}
	}
}

// sinkPort finds a port that is free at all addresses of the sinks.
func sinkPort(t *testing.T) uint16 {
	t.Helper()
	for range 50 {
		ln, err := net.Listen("tcp", "127.0.0.81:0")
		if err != nil {
			t.Fatal(err)
		}
		port := ln.Addr().(*net.TCPAddr).AddrPort().Port()
		ln.Close()
		free := true
		for _, host := range []string{"127.0.0.82", "127.0.0.83", "127.0.0.84"} {
			other, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr(host), port).String())
			if err != nil {
				free = false
				break
			}
			other.Close()
		}
		if free {
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func TestMailServersFromEndToEnd(t *testing.T) {
	records := `
		best.example.     MX 10 a.best.example.
		best.example.     MX 20 b.second.example.
		a.best.example.   A 127.0.0.81
		second.example.   MX 10 a.second.example.
		second.example.   MX 20 b.second.example.
		a.second.example. A 127.0.0.84
		b.second.example. A 127.0.0.82
		refuse.example.   MX 10 a.refuse.example.
		refuse.example.   MX 20 b.refuse.example.
		a.refuse.example. A 127.0.0.83
		b.refuse.example. A 127.0.0.82
		alone.example.    A 127.0.0.81
		alias.example.    CNAME best.example.
		null.example.     MX 0 .
		ours.example.     MX 10 ` + testDomain + `.
		empty.example.    TXT x
`
	for i := range 60 {
		records += fmt.Sprintf("many.example. MX 10 m%d.many.example.\nm%d.many.example. A 127.0.0.81\n", i, i)
	}
	r := start(t)
	r.sendToAll(t, sinkPort(t), resolvertest.New(t, records).Serve(t).String())
}

// The same with dnsmasq, as many machines have it before their name servers.
func TestInteropDnsmasq(t *testing.T) {
	needPrograms(t, "dnsmasq")
	port := sinkPort(t)
	args := []string{"--keep-in-foreground", "--no-resolv", "--no-hosts", "--no-daemon", "--conf-file=/dev/null", "--pid-file=", "--user=", "--listen-address=127.0.0.1",
		"--bind-interfaces", fmt.Sprintf("--port=%d", port), "--local=/example/", "--local=/" + testDomain + "/",
		"--mx-host=best.example,a.best.example,10", "--mx-host=best.example,b.second.example,20", "--host-record=a.best.example,127.0.0.81",
		"--mx-host=second.example,a.second.example,10", "--mx-host=second.example,b.second.example,20",
		"--host-record=a.second.example,127.0.0.84", "--host-record=b.second.example,127.0.0.82",
		"--mx-host=refuse.example,a.refuse.example,10", "--mx-host=refuse.example,b.refuse.example,20",
		"--host-record=a.refuse.example,127.0.0.83", "--host-record=b.refuse.example,127.0.0.82",
		"--host-record=alone.example,127.0.0.81", "--dns-rr=null.example,15,000000",
		"--mx-host=ours.example," + testDomain + ",10", "--txt-record=empty.example,x",
		// dnsmasq knows no CNAME of a name that has only MX records.
		"--mx-host=alias.example,a.best.example,10"}
	for i := range 60 {
		args = append(args, fmt.Sprintf("--mx-host=many.example,m%d.many.example,10", i), fmt.Sprintf("--host-record=m%d.many.example,127.0.0.81", i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "dnsmasq", args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	for {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	r := start(t)
	r.sendToAll(t, sinkPort(t), fmt.Sprintf("127.0.0.1:%d", port))
}
