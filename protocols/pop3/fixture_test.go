package pop3

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/mailbox/mailboxtest"
	"gatepost/protocols/transcript"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// A fixture is a server with the account user1 in company.com: three messages in INBOX and
// one in Sorted, and the password "secret 1".
type fixture struct {
	t        testing.TB
	accounts *accounts.Store
	server   *Server
	live     *settings.Live[Settings]
	log      *transcript.Log
	tls      *tls.Config
	pipes    *transcript.Pipes
	stop     func()
}

const (
	dotted  = "From: a@example.com\r\nSubject: dots\r\n\r\nfirst line\r\n.dot\r\n..two\r\n.\r\nlast line\r\n"
	empty   = "Subject: no body\r\n\r\n"
	unended = "Subject: no line end\r\n\r\nabc"
)

// options change a fixture before it starts.
type options struct {
	password string // how it is stored
	listener settings.Listener
	config   func(*Settings)
	noTLS    bool
}

func newFixture(t testing.TB, o options) *fixture {
	t.Helper()
	f := &fixture{t: t, log: new(transcript.Log), tls: transcript.ServerTLS(t)}
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var ids atomic.Uint64
	acc, err := accounts.Open(t.TempDir(), accounts.Options{
		MainDomain: "company.com", Shards: 1, NextID: func() (uint64, error) { return ids.Add(1), nil }, Log: log,
	})
	must(t, err)
	t.Cleanup(func() { must(t, acc.Close()) })
	mailboxtest.CheckAtEnd(t, acc.Mail())
	f.accounts = acc

	rs := &router.Settings{}
	must(t, settings.Load(rs, nil))
	r, err := router.New(settings.NewLive(rs), acc, log)
	must(t, err)
	if o.password != "" {
		must(t, acc.DomainSettings("company.com").Set(t.Context(), dataformat.Dict{}))
		must(t, acc.AccountDefaults("company.com").Set(t.Context(), dataformat.Dict{"PasswordEncryption": dataformat.String(o.password)}))
	}
	must(t, acc.CreateAccount(t.Context(), "company.com", "user1", dataformat.Dict{"Password": dataformat.String("secret 1")}))
	for _, m := range []string{dotted, empty, unended} {
		f.put("INBOX", m)
	}
	_, err = f.mail().CreateMailbox(t.Context(), "Sorted", mailbox.CreateOptions{})
	must(t, err)
	f.put("Sorted", "Subject: sorted\r\n\r\nonly one\r\n")

	cfg := &Settings{}
	must(t, settings.Load(cfg, nil))
	if o.config != nil {
		o.config(cfg)
	}
	f.live = settings.NewLive(cfg)
	f.server = New(f.live, acc, r, func() *tls.Config {
		if o.noTLS {
			return nil
		}
		return f.tls
	}, log)
	f.start(o.listener)
	return f
}

// start serves until the test ends or stop is called.
func (f *fixture) start(l settings.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	f.pipes = transcript.NewPipes("192.0.2.1:110")
	done := make(chan error, 1)
	go func() { done <- f.server.Serve(ctx, f.pipes, l) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
		if n := f.server.count.Crashed(); n > 0 {
			f.t.Errorf("%d sessions crashed:\n%s", n, f.log)
		}
	})
	f.t.Cleanup(f.stop)
}

func (f *fixture) account() *accounts.Account {
	f.t.Helper()
	a, err := f.accounts.Account(f.t.Context(), "company.com", "user1")
	must(f.t, err)
	return a
}

func (f *fixture) mail() *mailbox.Account { return f.account().Mail() }

func (f *fixture) put(box, text string) {
	f.t.Helper()
	_, err := f.mail().Append(f.t.Context(), box, mailbox.AppendMessage{Body: strings.NewReader(text)})
	must(f.t, err)
}

// open opens user1's INBOX as an IMAP session would.
func (f *fixture) open() *mailbox.Mailbox {
	f.t.Helper()
	box, err := f.mail().Open(f.t.Context(), "INBOX", false)
	must(f.t, err)
	return box
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	loopback = "127.0.0.1"
	remote   = "198.51.100.7"
)

// A client is a connection for tests that need more than a transcript.
type client struct {
	t testing.TB
	net.Conn
	buf []byte
}

func (f *fixture) connect(ip string) *client {
	f.t.Helper()
	c, err := f.pipes.Dial(ip)
	must(f.t, err)
	f.t.Cleanup(func() { c.Close() })
	return &client{t: f.t, Conn: c}
}

// login connects and logs user1 in.
func (f *fixture) login() *client {
	c := f.connect(loopback)
	c.want("+OK")
	c.ask("USER user1", "+OK")
	c.ask("PASS secret 1", "+OK")
	return c
}

// line reads a line without its end.
func (c *client) line() string {
	c.t.Helper()
	for {
		if i := bytes.IndexByte(c.buf, '\n'); i >= 0 {
			l := string(c.buf[:i])
			c.buf = c.buf[i+1:]
			return strings.TrimSuffix(l, "\r")
		}
		must(c.t, c.SetReadDeadline(time.Now().Add(time.Hour)))
		chunk := make([]byte, 4096)
		n, err := c.Read(chunk)
		c.buf = append(c.buf, chunk[:n]...)
		if err != nil {
			c.t.Fatalf("read: %v after %q", err, c.buf)
		}
	}
}

// want reads a line that begins so.
func (c *client) want(prefix string) string {
	c.t.Helper()
	l := c.line()
	if !strings.HasPrefix(l, prefix) {
		c.t.Fatalf("%q, want %q", l, prefix)
	}
	return l
}

func (c *client) send(text string) {
	c.t.Helper()
	_, err := io.WriteString(c, text+"\r\n")
	must(c.t, err)
}

func (c *client) ask(command, prefix string) string {
	c.t.Helper()
	c.send(command)
	return c.want(prefix)
}

// lines reads a multi-line response and undoes the dots.
func (c *client) lines() []string {
	c.t.Helper()
	var all []string
	for {
		l := c.line()
		if l == "." {
			return all
		}
		all = append(all, strings.TrimPrefix(l, "."))
	}
}
