package smtp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

// site is a whole receiver with a directory, a router and a queue that only
// accepts; the messages stay in it for the test to look at.
type site struct {
	t        testing.TB
	server   *Server
	accounts *accounts.Store
	queue    *queue.Queue
	settings *settings.Live[Settings]
	queueDir string
	log      *lockedBuffer
	stop     context.CancelFunc
	serving  sync.WaitGroup

	tls       atomic.Pointer[tls.Config]
	listeners map[settings.Listener]*pipeListener
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Line(line []byte, _ bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Write(line)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

const table = `
<director> = spamtrap
<nobody> = null
<closed> = error
old.company.com = company.com
Relay:<partner-*> = *@partner.example
`

// noTransport keeps a queue from working: its module has no workers.
type noTransport struct{}

func (noTransport) Deliver(context.Context, *queue.Batch) {}
func (noTransport) Policy() queue.Policy                  { return queue.Policy{} }

// newSite makes a site: company.com with the accounts larry, moe and curly (who
// has no Relay), branch.example with shemp. The password is secret. It is kept in
// clear: the one-way form takes its time, and is the directory's to test.
func newSite(t testing.TB, change ...func(*Settings)) *site {
	t.Helper()
	ctx := context.Background()
	s := &site{t: t, log: new(lockedBuffer), listeners: map[settings.Listener]*pipeListener{}}
	level := 5
	if _, ok := t.(*testing.T); !ok {
		level = 1
	}
	log := logs.New(s.log, func() *logs.Levels { return &logs.Levels{Default: level, Precision: 0} })
	base := t.TempDir()
	s.queueDir = filepath.Join(base, "Queue")
	if err := os.Mkdir(s.queueDir, 0o700); err != nil {
		t.Fatal(err)
	}
	counter, err := queue.OpenCounter(filepath.Join(base, "counter"), s.queueDir, 90000)
	s.must(err)
	s.accounts, err = accounts.Open(base, accounts.Options{
		MainDomain: "company.com", Shards: 1, Log: log, NextID: func() uint64 { return uint64(counter.NextID()) },
	})
	s.must(err)
	s.must(s.accounts.SetClientIPs(ctx, "127.0.0.1\n::1\n10.0.0.0/8"))
	s.must(s.accounts.UpdateAccountDefaults(ctx, "company.com", dict("PasswordEncryption", "clear")))
	s.must(s.accounts.CreateDomain(ctx, "branch.example", nil))
	s.must(s.accounts.CreateAccount(ctx, "company.com", "larry", secret()))
	s.must(s.accounts.CreateAccount(ctx, "company.com", "moe", secret()))
	curly := secret()
	curly["AccessModes"] = dataformat.Array{dataformat.String("Mail"), dataformat.String("Mobile")}
	s.must(s.accounts.CreateAccount(ctx, "company.com", "curly", curly))
	s.must(s.accounts.CreateAccount(ctx, "branch.example", "shemp", secret()))
	s.must(s.accounts.SetAccountAliases(ctx, "company.com", "larry", []string{"lawrence"}))
	s.must(s.accounts.CreateForwarder(ctx, "company.com", "away", "larry@elsewhere.example"))

	var rs router.Settings
	s.must(settings.Load(&rs, dataformat.Dict{"RouterTable": dataformat.String(table)}))
	routes, err := router.New(settings.NewLive(&rs), s.accounts, log)
	s.must(err)
	var qs queue.Settings
	s.must(settings.Load(&qs, nil))
	s.queue, err = queue.Open(s.queueDir, queue.Options{Settings: settings.NewLive(&qs), Router: routes, Counter: counter,
		MainDomain: s.accounts.MainDomain, Log: log})
	s.must(err)
	s.queue.Handle(router.LOCAL, noTransport{})
	s.queue.Handle(router.SMTP, noTransport{})

	var cfg Settings
	s.must(settings.Load(&cfg, nil))
	for _, f := range change {
		f(&cfg)
	}
	s.settings = settings.NewLive(&cfg)
	s.tls.Store(testTLS(t))
	s.server = New(s.settings, s.queue, routes, s.accounts, s.tls.Load, log)
	life, stop := context.WithCancel(ctx)
	s.stop = stop
	t.Cleanup(func() {
		stop()
		s.serving.Wait()
		s.must(s.queue.Close())
		s.must(counter.Close())
		s.must(s.accounts.Mail().Check(ctx, func(f mailbox.Finding) { t.Errorf("check: %+v", f) }))
		s.must(s.accounts.Close())
	})
	for _, l := range []settings.Listener{port25, port587, port465} {
		ln := newPipeListener(l.Port)
		s.listeners[listenerKey(l)] = ln
		s.serving.Go(func() {
			if err := s.server.Serve(life, ln, l); err != nil {
				t.Error(err)
			}
		})
	}
	return s
}

var (
	port25  = settings.Listener{Port: 25, TLS: settings.TLSStart}
	port587 = settings.Listener{Port: 587, TLS: settings.TLSStart}
	port465 = settings.Listener{Port: 465, TLS: settings.TLSImplicit}
)

func listenerKey(l settings.Listener) settings.Listener { return settings.Listener{Port: l.Port} }

func (s *site) must(err error) {
	if err != nil {
		s.t.Helper()
		s.t.Fatal(err)
	}
}

// dial connects to a listener from an address.
func (s *site) dial(l settings.Listener, from string) (net.Conn, error) {
	c, err := s.listeners[listenerKey(l)].dial(from)
	if err == nil && l.TLS == settings.TLSImplicit {
		return tls.Client(c, &tls.Config{InsecureSkipVerify: true}), nil
	}
	return c, err
}

// message is a message that was accepted.
type message struct {
	id   string
	head string
	env  *envelope.Envelope
	text string // with LF line ends, for comparison
}

// received returns the accepted messages in their order.
func (s *site) received() []message {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.queueDir, "*.msg"))
	s.must(err)
	var all []message
	for _, name := range names {
		raw, err := os.ReadFile(name)
		s.must(err)
		head, text, ok := bytes.Cut(raw, []byte("\n\n"))
		if !ok {
			s.t.Fatalf("%s has no empty line", name)
		}
		if bare(text) {
			s.t.Errorf("%s holds a bare CR or LF", name)
		}
		env, _, err := envelope.ReadHead(bufioReader(raw))
		s.must(err)
		all = append(all, message{filepath.Base(name), string(head), env, string(bytes.ReplaceAll(text, crlf, []byte("\n")))})
	}
	return all
}

// leftovers are files of messages that were given up.
func (s *site) leftovers() []string {
	names, err := filepath.Glob(filepath.Join(s.queueDir, "*.tmp"))
	s.must(err)
	return names
}

func bare(text []byte) bool {
	t := bytes.ReplaceAll(text, crlf, nil)
	return bytes.ContainsAny(t, "\r\n")
}

// pipeListener accepts net.Pipe connections that show IP addresses.
type pipeListener struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener(port int) *pipeListener {
	return &pipeListener{addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 25), Port: port}, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return l.addr }

func (l *pipeListener) dial(from string) (net.Conn, error) {
	client, server := net.Pipe()
	remote := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 40000))
	select {
	case l.conns <- &addressed{server, l.addr, remote}:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

type addressed struct {
	net.Conn
	local, remote net.Addr
}

func (a *addressed) LocalAddr() net.Addr  { return a.local }
func (a *addressed) RemoteAddr() net.Addr { return a.remote }

var testCertificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	// The dates hold in a synctest bubble, where it is the year 2000, too.
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "company.com"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

func testTLS(t testing.TB) *tls.Config {
	t.Helper()
	c, err := testCertificate()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{c}}
}

// dict is a dictionary of one value, in the data format.
func dict(key, value string) dataformat.Dict {
	v, err := dataformat.Parse([]byte(value))
	if err != nil {
		v = dataformat.String(value)
	}
	return dataformat.Dict{key: v}
}

// sleep lets time pass in a bubble.
func sleep(d string) {
	p, err := time.ParseDuration(d)
	if err != nil {
		panic(err)
	}
	time.Sleep(p)
}

func secret() dataformat.Dict {
	return dataformat.Dict{"Password": dataformat.String("secret"), "PasswordEncryption": dataformat.String("clear")}
}
