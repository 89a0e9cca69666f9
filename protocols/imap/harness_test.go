package imap

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox/mailboxtest"
	"gatepost/protocols/transcript"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// fixture is a server with the accounts user1 and user2 of company.com, whose passwords
// are secret1 and secret2, and small and barred with the password secret: one is full
// soon, and the other may not use IMAP.
type fixture struct {
	srv  *Server
	acc  *accounts.Store
	cfg  *settings.Live[Settings]
	addr string            // of listen
	pipe *transcript.Pipes // of pipes
	log  transcript.Log
	stop context.CancelFunc
	done chan error
}

// newFixture makes a server that listens nowhere yet. The store is checked when the test
// ends.
func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{}
	var ids atomic.Uint64
	ids.Store(1000)
	level := slog.Level(-4)
	if _, benchmark := t.(*testing.B); benchmark {
		level = logs.LevelMajor // as it is by default
	}
	log := slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: level}))
	acc, err := accounts.Open(t.TempDir(), accounts.Options{
		MainDomain: "company.com", Shards: 1, Log: log,
		NextID: func() (uint64, error) { return ids.Add(1), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.acc = acc
	t.Cleanup(func() {
		if err := acc.Close(); err != nil {
			t.Error(err)
		}
	})
	mailboxtest.CheckAtEnd(t, acc.Mail())
	for _, n := range []string{"1", "2"} {
		err := acc.CreateAccount(context.Background(), "", "user"+n, dataformat.Dict{
			"PasswordEncryption": dataformat.String("clear"), "Password": dataformat.String("secret" + n)})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, given := range map[string]dataformat.Dict{
		"small":  {"MaxAccountSize": dataformat.String("1K")},
		"barred": {"AccessModes": dataformat.Array{dataformat.String("Mail"), dataformat.String("POP")}},
	} {
		given["PasswordEncryption"], given["Password"] = dataformat.String("clear"), dataformat.String("secret")
		if err := acc.CreateAccount(context.Background(), "", name, given); err != nil {
			t.Fatal(err)
		}
	}
	var routing router.Settings
	r, err := router.New(settings.NewLive(&routing), acc, log)
	if err != nil {
		t.Fatal(err)
	}
	var s Settings
	if err := settings.Load(&s, nil); err != nil {
		t.Fatal(err)
	}
	f.cfg = settings.NewLive(&s)
	config := transcript.ServerTLS(t)
	f.srv = New(f.cfg, acc, r, func() *tls.Config { return config }, log)
	return f
}

// start makes a server that listens on the loopback interface until the test ends.
func start(t testing.TB) *fixture {
	t.Helper()
	f := newFixture(t)
	f.listen(t, settings.TLSStart)
	return f
}

func (f *fixture) listen(t testing.TB, mode settings.TLSMode) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = ln.Addr().String()
	f.serve(t, ln, mode)
}

// pipes makes a server that is reached over pipes until the test ends, so that time
// can pass in a bubble.
func (f *fixture) pipes(t testing.TB, mode settings.TLSMode) {
	t.Helper()
	f.pipe = transcript.NewPipes("192.0.2.2:143")
	f.serve(t, f.pipe, mode)
}

func (f *fixture) serve(t testing.TB, ln net.Listener, mode settings.TLSMode) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	f.stop, f.done = cancel, done // of the last one
	go func() { done <- f.srv.Serve(ctx, ln, settings.Listener{TLS: mode}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
		if n := f.srv.count.Crashed(); n > 0 {
			t.Errorf("%d sessions crashed: %s", n, f.log.String())
		}
	})
}

func (f *fixture) dial() (net.Conn, error) { return net.Dial("tcp", f.addr) }

// TestMain makes dates independent of the machine: the store gives times in local time.
func TestMain(m *testing.M) {
	time.Local = time.UTC
	m.Run()
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	transcript.PlayAll(t, "testdata/*.txtar", func(t *testing.T) transcript.Dial { return start(t).dial })
}

// openView returns a view of a mailbox without a client.
func openView(t testing.TB, srv *Server, acc *accounts.Account, name string) *view {
	t.Helper()
	m, err := acc.Mail().Open(t.Context(), name, true)
	if err != nil {
		t.Fatal(err)
	}
	return &view{responder: &responder{ctx: t.Context(), processors: srv.processors, texts: srv.texts}, mailbox: m}
}
