package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// A fake is a mail server in memory: what its SMTP end accepts is in its IMAP end.
type fake struct {
	smtp, imap string
	users      map[string]*imapmemserver.User
	// deliver decides how often message n is put into its mailbox; nil means once.
	deliver func(n int) int

	mu       sync.Mutex
	accepted int
}

func startFake(t *testing.T, accounts int) *fake {
	f := &fake{users: map[string]*imapmemserver.User{}}
	mem := imapmemserver.New()
	for i := range accounts {
		name := fmt.Sprintf("u%03d@bench.test", i)
		u := imapmemserver.NewUser(name, "secret")
		if err := u.Create("INBOX", nil); err != nil {
			t.Fatal(err)
		}
		mem.AddUser(u)
		f.users[name] = u
	}
	is := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return polled{mem.NewSession()}, nil, nil
		},
		Caps:         imap.CapSet{imap.CapIMAP4rev1: {}},
		InsecureAuth: true,
		Logger:       nolog{},
	})
	ss := smtp.NewServer(f)
	ss.AllowInsecureAuth = true
	ss.ErrorLog = nolog{}
	f.imap, f.smtp = serve(t, is), serve(t, ss)
	return f
}

// polled looks for news while a session is idle: the library's own Idle misses what
// comes between its continuation and its wait.
type polled struct{ imapserver.Session }

func (p polled) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-tick.C:
			if err := p.Poll(w, true); err != nil {
				return err
			}
		}
	}
}

type nolog struct{}

func (nolog) Printf(string, ...any) {}
func (nolog) Println(...any)        {}

func serve(t *testing.T, s interface {
	Serve(net.Listener) error
	Close() error
}) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return ln.Addr().String()
}

func (f *fake) NewSession(*smtp.Conn) (smtp.Session, error) { return &fakeSession{f: f}, nil }

type fakeSession struct {
	f  *fake
	to string
}

func (s *fakeSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *fakeSession) Reset()                               {}
func (s *fakeSession) Logout() error                        { return nil }
func (s *fakeSession) AuthMechanisms() []string             { return []string{sasl.Plain} }

func (s *fakeSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "u000@bench.test" || password != "secret" {
			return errors.New("no")
		}
		return nil
	}), nil
}

func (s *fakeSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.f.users[to] == nil {
		return &smtp.SMTPError{Code: 550, Message: "unknown user account"}
	}
	s.to = to
	return nil
}

func (s *fakeSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	times := 1
	if s.f.deliver != nil {
		times = s.f.deliver(s.f.accepted)
	}
	s.f.accepted++
	for range times {
		if _, err := s.f.users[s.to].Append("INBOX", literal{bytes.NewReader(b)}, &imap.AppendOptions{}); err != nil {
			return err
		}
	}
	return nil
}

type literal struct{ *bytes.Reader }

func (l literal) Size() int64 { return l.Reader.Size() }

// figures runs a command and returns its figures by name and unit.
func figures(t *testing.T, run func(context.Context, *report) error) map[string]figure {
	t.Helper()
	var b bytes.Buffer
	if err := run(t.Context(), &report{w: &b, json: true, command: "test"}); err != nil {
		t.Fatal(err)
	}
	all := map[string]figure{}
	for d := json.NewDecoder(&b); ; {
		var f figure
		if err := d.Decode(&f); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[f.Name+" "+f.Unit] = f
	}
}

func TestSendsUntilReadable(t *testing.T) {
	f := startFake(t, 3)
	c := &smtpCommand{
		Addr: f.smtp, Conns: 4, Messages: 50, Size: 1000, From: "sender@bench.test", Rcpt: "u%03d@bench.test", Accounts: 3,
		PerConn: 7, Auth: "u000@bench.test:secret", Pipelining: true, Repeat: 2, Readable: f.imap, Password: "secret",
	}
	got := figures(t, c.Run)
	if got["accepted /s"].Count != 2 || got["readable /s"].Count != 2 || got["readable /s"].Min <= 0 {
		t.Errorf("%+v", got)
	}
	if f.accepted != 100 {
		t.Errorf("%d messages accepted", f.accepted)
	}
	c.Pipelining, c.Repeat = false, 1
	figures(t, c.Run)
	c.Rcpt = "nobody%d@bench.test"
	c.Readable = ""
	if err := c.Run(t.Context(), &report{w: io.Discard}); err == nil || !strings.Contains(err.Error(), "unknown user account") {
		t.Errorf("refused messages: %v", err)
	}
	c.Auth = "u000@bench.test:wrong"
	if err := c.Run(t.Context(), &report{w: io.Discard}); err == nil {
		t.Error("a failed login was not noticed")
	}
}

func TestEveryIMAPCommandMeasures(t *testing.T) {
	f := startFake(t, 2)
	s := server{Addr: f.imap, Users: "u%03d@bench.test", Accounts: 2, Password: "secret"}
	o := opened{s, load{Conns: 2, Repeat: 3}}
	if err := (&fetchFlags{o}).Run(t.Context(), &report{w: io.Discard}); err == nil {
		t.Error("an empty mailbox was measured")
	}
	figures(t, (&fillCommand{server: s, Messages: 10, Size: 500, Mailbox: "INBOX"}).Run)
	for name, run := range map[string]func(context.Context, *report) error{
		"FETCH 1:* (UID FLAGS)":            (&fetchFlags{o}).Run,
		"FETCH 1:* (ENVELOPE RFC822.SIZE)": (&fetchEnvelope{o}).Run,
		"FETCH 1:* (BODY.PEEK[])":          (&fetchBody{o}).Run,
		"SEARCH SUBJECT benchmark":         (&searchCommand{o, "SUBJECT benchmark"}).Run,
		"SELECT INBOX":                     (&selectCommand{o}).Run,
		"NOOP":                             (&noopCommand{o}).Run,
		"STORE":                            (&storeCommand{o}).Run,
		"LOGIN+LOGOUT":                     (&loginCommand{s, load{2, 3}}).Run,
		"APPEND":                           (&appendCommand{s, load{2, 3}, 500, "INBOX"}).Run,
		"APPEND until 2 idle ones know":    (&idleCommand{server: s, Conns: 3, Notify: 2, Select: true}).Run,
		"memory of an idle connection":     (&idleCommand{server: s, Conns: 3, PID: os.Getpid(), Select: true}).Run,
		"FETCH of the header list":         (&fetchList{o}).Run,
	} {
		found := false
		for got := range figures(t, run) {
			found = found || strings.HasPrefix(got, name)
		}
		if !found {
			t.Errorf("no figure %s", name)
		}
	}
}

func TestLedgerAndVerify(t *testing.T) {
	f := startFake(t, 4)
	path := filepath.Join(t.TempDir(), "ledger")
	send := &smtpCommand{
		Addr: f.smtp, Conns: 3, Messages: 20, Size: 500, From: "sender@bench.test", Rcpt: "u%03d@bench.test", Accounts: 4,
		Pipelining: true, Repeat: 1, Ledger: path,
	}
	verify := &verifyCommand{Ledger: []string{path}, Addr: f.imap, Password: "secret"}

	if got := figures(t, send.Run); got["acknowledged messages"].Max != 20 {
		t.Errorf("%+v", got)
	}
	if got := figures(t, verify.Run); got["acknowledged messages"].Max != 20 || got["missing messages"].Max != 0 {
		t.Errorf("%+v", got)
	}

	f.deliver = func(n int) int { return map[int]int{25: 0, 30: 2}[n] + map[bool]int{true: 1}[n != 25 && n != 30] }
	figures(t, send.Run)
	var b bytes.Buffer
	if err := verify.Run(t.Context(), &report{w: &b, json: true}); !errors.Is(err, errFindings) {
		t.Errorf("a lost and a doubled message: %v", err)
	}
	if !strings.Contains(b.String(), `"missing","unit":"messages","min":1`) || !strings.Contains(b.String(), `"more than once","unit":"messages","min":1`) {
		t.Error(b.String())
	}
}

// TestLedgerOutlivesTheServer ends the server in the middle.
func TestLedgerOutlivesTheServer(t *testing.T) {
	f := startFake(t, 1)
	path := filepath.Join(t.TempDir(), "ledger")
	ctx, kill := context.WithCancel(t.Context())
	f.deliver = func(n int) int {
		if n == 30 {
			kill() // closes the client's connections, which is the same from its side
		}
		return 1
	}
	send := &smtpCommand{
		Addr: f.smtp, Conns: 3, Size: 500, From: "sender@bench.test", Rcpt: "u%03d@bench.test", Accounts: 1,
		Pipelining: true, Repeat: 1, Ledger: path,
	}
	if err := send.Run(ctx, &report{w: io.Discard}); err != nil {
		t.Error(err)
	}
	got := figures(t, (&verifyCommand{Ledger: []string{path}, Addr: f.imap, Password: "secret"}).Run)
	if n := got["acknowledged messages"].Max; n < 27 || n > 33 || got["missing messages"].Max != 0 {
		t.Errorf("%+v", got)
	}
	send.Addr = "127.0.0.1:1"
	if err := send.Run(t.Context(), &report{w: io.Discard}); err == nil {
		t.Error("a server that never answered was not noticed")
	}
}

func TestFiguresForPeople(t *testing.T) {
	var b strings.Builder
	r := &report{w: &b}
	if err := errors.Join(r.print("one", "/s", 5), r.print("many", "ms", milliseconds([]time.Duration{3e6, 1e6, 2e6})...)); err != nil {
		t.Fatal(err)
	}
	want := "one                                          5 /s\n" +
		"many                                         2 ms (min 1, 99% 3, max 3, n=3)\n"
	if b.String() != want {
		t.Errorf("%q", b.String())
	}
	if r.print("none", "ms") == nil {
		t.Error("a figure without samples")
	}
}

func TestMessagesHaveTheirSize(t *testing.T) {
	for _, size := range []int{400, 4096, 100000} {
		if got := len(newMessage("a@b", "c@d", "e@f", size)); got < size-2 || got > size+2 {
			t.Errorf("%d bytes for %d", got, size)
		}
	}
}
