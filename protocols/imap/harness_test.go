package imap

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"sync"
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
	addr string
	log  lockedBuffer
	stop context.CancelFunc
	done chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
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
		MainDomain: "company.com", Shards: 1, NextID: func() uint64 { return ids.Add(1) }, Log: log,
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
	f.srv = New(f.cfg, acc, r, func() *tls.Config { return testTLS() }, log)
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
	ctx, cancel := context.WithCancel(context.Background())
	f.addr, f.stop, f.done = ln.Addr().String(), cancel, make(chan error, 1)
	go func() { f.done <- f.srv.Serve(ctx, ln, settings.Listener{TLS: mode}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-f.done; err != nil {
			t.Error(err)
		}
		f.done <- nil
		if n := f.srv.count.Crashed(); n > 0 {
			t.Errorf("%d sessions crashed: %s", n, f.log.String())
		}
	})
}

func (f *fixture) dial() (net.Conn, error) { return net.Dial("tcp", f.addr) }

var testTLS = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"company.com"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// TestMain makes dates independent of the machine: the store gives times in local time.
func TestMain(m *testing.M) {
	time.Local = time.UTC
	m.Run()
}

func TestTranscripts(t *testing.T) {
	transcript.PlayAll(t, "testdata/*.txtar", func(t *testing.T) transcript.Dial { return start(t).dial })
}
