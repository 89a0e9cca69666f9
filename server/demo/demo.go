// Package demo is a throw-away server that proves itself.
//
// It makes a base directory in the system's temporary directory, two accounts
// with random passwords, sends a message from one to the other by submission
// with STARTTLS and authentication, reads it back through IMAP, compares, and
// runs until it is stopped. Its files are removed at the end.
package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"gatepost/server"
	"gatepost/server/control"
	"gatepost/server/dataformat"
)

// Options are for Run.
type Options struct {
	// Once ends the demo after the proof.
	Once bool
	// PortShift is added to every port; 0 means a shift at which all are free.
	PortShift int
	// Program is how the program is called in the commands to try.
	Program string
	Out     io.Writer
}

const domain = "demo.test"

type account struct{ name, password string }

// Run runs the demo until ctx ends, or until the proof with Once.
func Run(ctx context.Context, o Options) error {
	dir, err := os.MkdirTemp("", "gatepost-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.PortShift == 0 {
		if o.PortShift, err = freeShift(); err != nil {
			return err
		}
	}
	fmt.Fprintf(o.Out, "Starting a server with its files in %s ...\n", dir)
	people := []account{{"alice", rand.Text()[:12]}, {"bob", rand.Text()[:12]}, {server.Postmaster, rand.Text()[:12]}}
	s, err := server.New(server.Config{Base: dir, MainDomain: domain, Listen: []string{"127.0.0.1"},
		PortShift: o.PortShift, Messages: io.Discard})
	if err != nil {
		return err
	}
	runCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(runCtx) }()

	select {
	case err = <-ended:
		return errors.Join(err, s.Close())
	case <-s.Ready():
	}
	err = prove(ctx, s, dir, people, o.Out)
	if err == nil {
		explain(o, dir, people)
		if !o.Once {
			fmt.Fprint(o.Out, "\nThe server runs until you press Ctrl-C; then everything of it is removed.\n")
			select {
			case <-ctx.Done():
			case early := <-ended:
				ended <- early
			}
		}
	}
	stop()
	return errors.Join(err, <-ended, s.Close())
}

// freeShift finds a shift at which all stock ports are free on loopback.
func freeShift() (int, error) {
	for shift := 10_000; shift <= 50_000; shift += 1_000 {
		if portsFree(shift) {
			return shift, nil
		}
	}
	return 0, errors.New("no free ports from 10025 on; give --port-shift")
}

func portsFree(shift int) bool {
	for _, port := range server.StockPorts() {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+shift)))
		if err != nil {
			return false
		}
		ln.Close()
	}
	return true
}

// prove makes the accounts, sends a message and reads it back.
func prove(ctx context.Context, s *server.Server, dir string, people []account, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client, err := control.Dial(dir)
	if err != nil {
		return err
	}
	defer client.Close()
	fmt.Fprintln(out, "Making accounts ...")
	for _, p := range people {
		command := fmt.Sprintf("CREATEACCOUNT %s {Password=%s;}", p.name, dataformat.Quote(p.password))
		if p.name == server.Postmaster {
			command = fmt.Sprintf("SETACCOUNTPASSWORD %s PASSWORD %s", p.name, dataformat.Quote(p.password))
		}
		if a, err := client.Do(command); err != nil || !a.OK() {
			return errors.Join(err, fmt.Errorf("make %s: %s", p.name, a.Text))
		}
	}
	from, to := people[0], people[1]
	subject := "Hello from the demo " + rand.Text()[:8]
	body := fmt.Sprintf("From: <%[1]s@%[3]s>\r\nTo: <%[2]s@%[3]s>\r\nSubject: %[4]s\r\nDate: %[5]s\r\n"+
		"Message-ID: <%[6]s@%[3]s>\r\n\r\nThis message went through the queue and the router into a mailbox.\r\n",
		from.name, to.name, domain, subject, time.Now().Format(time.RFC1123Z), rand.Text())
	fmt.Fprintln(out, "Sending a message ...")
	sent := time.Now()
	if err := send(s.Addr("SMTP", 587), from, to, body); err != nil {
		return fmt.Errorf("send the message: %w", err)
	}
	accepted := time.Since(sent)
	got, err := receive(ctx, s.Addr("IMAP", 143), to, subject)
	if err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	if !bytes.HasSuffix(got, []byte(body)) {
		return fmt.Errorf("the message was read back changed:\n%s", got)
	}
	fmt.Fprintf(out, "%s@%s sent a message to %s@%s: accepted in %s, read back through IMAP after %s, byte for byte the same.\n",
		from.name, domain, to.name, domain, accepted.Round(100*time.Microsecond), time.Since(sent).Round(100*time.Microsecond))
	return nil
}

// unverified is TLS towards a certificate that was signed by nobody, on loopback.
var unverified = &tls.Config{InsecureSkipVerify: true}

func send(addr string, from, to account, body string) error {
	c, err := smtp.DialStartTLS(addr, unverified)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", from.name+"@"+domain, from.password)); err != nil {
		return err
	}
	if err := c.SendMail(from.name+"@"+domain, []string{to.name + "@" + domain}, strings.NewReader(body)); err != nil {
		return err
	}
	return c.Quit()
}

// receive waits for the message with the subject in the account's INBOX.
func receive(ctx context.Context, addr string, who account, subject string) ([]byte, error) {
	c, err := imapclient.DialStartTLS(addr, &imapclient.Options{TLSConfig: unverified})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if err := c.Login(who.name+"@"+domain, who.password).Wait(); err != nil {
		return nil, err
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		return nil, err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		found, err := c.UIDSearch(&imap.SearchCriteria{
			Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: subject}}}, nil).Wait()
		if err != nil {
			return nil, err
		}
		if uids := found.AllUIDs(); len(uids) > 0 {
			section := &imap.FetchItemBodySection{Peek: true}
			messages, err := c.Fetch(imap.UIDSetNum(uids...), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{section}}).Collect()
			if err != nil {
				return nil, err
			}
			if len(messages) == 1 {
				return messages[0].FindBodySection(section), c.Logout().Wait()
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
			if err := c.Noop().Wait(); err != nil {
				return nil, err
			}
		}
	}
}

// explain prints how to reach the server. What it offers to type can be pasted as it is.
func explain(o Options, dir string, people []account) {
	port := func(n int) int { return n + o.PortShift }
	fmt.Fprintf(o.Out, "\nThe server is on 127.0.0.1, with a self-signed certificate. Its accounts:\n\n")
	for _, p := range people {
		fmt.Fprintf(o.Out, "    %-22s password %s\n", p.name+"@"+domain, p.password)
	}
	fmt.Fprintf(o.Out, `
    IMAP        port %d (STARTTLS), %d (TLS)
    POP3        port %d (STLS), %d (TLS)
    submission  port %d (STARTTLS), %d (TLS)
    SMTP        port %d
    CLI         port %d
    HTTP        http://127.0.0.1:%d/ and https://127.0.0.1:%d/ for users, :%d and :%d for administrators

A mail program can use the accounts with these ports; the commands below are for another terminal.

To try next:
`, port(143), port(993), port(110), port(995), port(587), port(465), port(25), port(106),
		port(8100), port(9100), port(8010), port(9010))
	reader := people[1].name + "@" + domain
	for _, try := range []struct{ what, command string }{
		{"read the message", fmt.Sprintf("curl --user %s:%s 'imap://127.0.0.1:%d/INBOX;MAILINDEX=1'", reader, people[1].password, port(143))},
		{"send one as other servers do", fmt.Sprintf("printf 'Subject: hello\\r\\n\\r\\nhello\\r\\n' | curl --mail-from you@example.org --mail-rcpt %s --upload-file - smtp://127.0.0.1:%d", reader, port(25))},
		{"list the accounts", fmt.Sprintf("%s cli --base %s LISTACCOUNTS", o.Program, dir)},
		{"ask where an address leads", fmt.Sprintf("%s route --base %s postmaster@%s", o.Program, dir, domain)},
		{"follow the log", fmt.Sprintf("tail -f %s/SystemLogs/*.log", dir)},
	} {
		fmt.Fprintf(o.Out, "\n    # %s\n    %s\n", try.what, try.command)
	}
}
