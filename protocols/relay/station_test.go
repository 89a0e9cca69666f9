package relay

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/resolver/resolvertest"
	"gatepost/server/settings"
)

// routes sends everything to the domain's queue; [literals] and domains in .direct
// and .direct.port name their host, and a record gives old@ another name.
type routes struct{}

func (routes) Route(_ context.Context, _ names.Operation, a address.Address) (router.Route, error) {
	r := router.Route{Module: router.SMTP, Queue: a.Domain, Address: a, AsGiven: true}
	if plain, ok := a.Plain(); ok {
		r.Address = plain
	}
	if a.Local == "old" {
		r.Address.Local, r.AsGiven = "new", false
	}
	if ip, ok := a.Literal(); ok {
		r.Host = ip.String()
	}
	if host, port, ok := strings.Cut(a.Domain, ".direct"); ok {
		r.Host = host + ".direct"
		r.Port, _ = strconv.Atoi(strings.TrimPrefix(port, "."))
	}
	if a.Domain == "company.com" {
		r.Module, r.Queue = router.LOCAL, a.String()
	}
	return r, nil
}

// mxTest is the smart host of most tests, at an address of its own.
const mxTest = "mx.test. A 192.0.2.25"

// ourselves are the domain company.com and its address.
type ourselves struct{}

func (ourselves) DomainName(name string) (string, bool) { return name, name == "company.com" }
func (ourselves) Unseal(stored string) (string, error) {
	return strings.TrimPrefix(stored, "sealed:"), nil
}
func (ourselves) OwnIP(ip netip.Addr) (string, bool) { return "", ip.String() == "198.51.100.1" }

// inbox is LOCAL: it takes the reports.
type inbox struct {
	mu   sync.Mutex
	mail []string
}

func (*inbox) Policy() queue.Policy { return queue.Policy{Workers: 1} }

func (i *inbox) Deliver(_ context.Context, b *queue.Batch) {
	for _, it := range b.Items {
		data, err := os.ReadFile(it.File)
		if err != nil {
			panic(err)
		}
		i.mu.Lock()
		i.mail = append(i.mail, string(data[it.Offset:]))
		i.mu.Unlock()
		for _, r := range it.Recipients {
			it.Report(r, envelope.Status{Action: envelope.ActionDelivered})
		}
	}
}

// results keeps what the dequeuer logs about the SMTP module.
type results struct {
	mu    sync.Mutex
	lines []string
	attrs map[string]string // of the last record
	news  chan string       // if set, gets the lines too
}

func (*results) Enabled(context.Context, slog.Level) bool { return true }
func (r *results) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r *results) WithGroup(string) slog.Handler          { return r }
func (r *results) Handle(_ context.Context, rec slog.Record) error {
	if !strings.HasPrefix(rec.Message, "SMTP(") {
		return nil
	}
	attrs := map[string]string{}
	rec.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.String()
		return true
	})
	line := rec.Message
	if reply := attrs["reply"]; reply != "" && !strings.Contains(line, " relayed: ") {
		line += ": " + reply
	}
	line += " " + attrs["rcpt"] + " " + attrs["status"]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines, r.attrs = append(r.lines, line), attrs
	if r.news != nil {
		r.news <- line
	}
	return nil
}

// sender is a queue with the transport under test; the network is net.Pipe.
type station struct {
	t         *testing.T
	q         *queue.Queue
	transport *Transport
	set       *settings.Live[Settings]
	gateways  *settings.Live[GatewaySettings]
	zone      *resolvertest.Zone
	results   *results
	inbox     *inbox
	dir       string // of the queue

	mu      sync.Mutex
	dialed  []string
	refuse  error
	waiting chan net.Conn // the servers' ends
	stop    func()
}

func newStation(t *testing.T, d dataformat.Dict) *station {
	t.Helper()
	s := &station{t: t, results: &results{}, inbox: &inbox{}, waiting: make(chan net.Conn, 100)}
	set := new(Settings)
	if err := settings.Load(set, d); err != nil {
		t.Fatal(err)
	}
	s.set, s.gateways = settings.NewLive(set), settings.NewLive(new(GatewaySettings))
	qset := new(queue.Settings)
	if err := settings.Load(qset, dataformat.Dict{"CopyFailureReportsTo": dataformat.String("")}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	counter, err := queue.OpenCounter(filepath.Join(dir, "counter"), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(s.results)
	s.dir = filepath.Join(dir, "Queue")
	s.q, err = queue.Open(s.dir, queue.Options{Settings: settings.NewLive(qset), Router: routes{}, Counter: counter,
		MainDomain: func() string { return "company.com" }, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s.zone = resolvertest.New(t, mxTest)
	s.transport = New(s.set, s.gateways, s.zone.Resolver(), func() string { return "mail.company.com" }, ourselves{}, nil, nil, func(q string) bool { return s.q.Wake(router.SMTP, q) }, log)
	s.transport.dialer.dial = s.dial
	// A server sends tickets for sessions unasked, and net.Pipe has no room for them.
	s.transport.dialer.config = clientTLS
	s.q.Handle(router.SMTP, s.transport)
	s.q.Handle(router.LOCAL, s.inbox)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.q.Run(ctx)
	}()
	s.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		s.transport.Close()
		counter.Close()
		s.q.Close()
	})
	return s
}

func (s *station) dial(_ context.Context, _, address string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialed = append(s.dialed, address)
	if s.refuse != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: s.refuse}
	}
	client, server := net.Pipe()
	s.waiting <- server
	return client, nil
}

// accept gives a test the server's end of the next connection.
func (s *station) accept() (net.Conn, error) {
	select {
	case c := <-s.waiting:
		return c, nil
	case <-time.After(10 * time.Minute):
		return nil, errors.New("nobody connects")
	}
}

func (s *station) addr(text string) address.Address {
	a, err := address.Parse(text)
	if err != nil {
		s.t.Fatalf("%q: %v", text, err)
	}
	return a
}

const mailText = "Subject: hello\r\n\r\nline\r\n.dot\r\n..\r\n"

// send accepts a message; change may alter its envelope.
func (s *station) send(text string, change func(*envelope.Envelope), to ...string) {
	s.t.Helper()
	env := &envelope.Envelope{Source: envelope.Source{Tag: "SMTP", Trusted: true}, ReturnPath: s.addr("joe@company.com")}
	for _, r := range to {
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: s.addr(r), Notify: envelope.NotifyDefault})
	}
	if change != nil {
		change(env)
	}
	sub, err := s.q.Begin(context.Background(), env)
	if err != nil {
		s.t.Fatal(err)
	}
	defer sub.Abort()
	if _, err := io.WriteString(sub, text); err != nil {
		s.t.Fatal(err)
	}
	if err := sub.Commit(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *station) want(lines ...string) {
	s.t.Helper()
	synctest.Wait()
	s.results.mu.Lock()
	defer s.results.mu.Unlock()
	if !slices.Equal(s.results.lines, lines) {
		s.t.Errorf("results\n%s\nwant\n%s", strings.Join(s.results.lines, "\n"), strings.Join(lines, "\n"))
	}
}

// server is a mail server that takes everything.
type server struct {
	s        *station
	cert     *tls.Certificate
	implicit bool // TLS comes first
	deaf     bool // the text of a message is not read
	without  bool // REQUIRETLS is not offered

	mu        sync.Mutex
	texts     []string
	conns     []net.Conn
	encrypted bool
	lastMail  string
}

func newServer(s *station) *server { return &server{s: s} }

func (v *server) serve() {
	for {
		select {
		case c := <-v.s.waiting:
			v.mu.Lock()
			v.conns = append(v.conns, c)
			v.mu.Unlock()
			go v.session(c)
		case <-v.s.t.Context().Done():
			return
		}
	}
}

func (v *server) session(c net.Conn) {
	defer func() { c.Close() }()
	if v.implicit {
		c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*v.cert}})
	}
	r := bufio.NewReader(c)
	io.WriteString(c, "220 mx.test\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "EHLO":
			if v.cert != nil && !v.isEncrypted() {
				io.WriteString(c, "250-mx.test\r\n250 STARTTLS\r\n")
				continue
			}
			if v.isEncrypted() && !v.without {
				io.WriteString(c, "250-mx.test\r\n250-REQUIRETLS\r\n250 PIPELINING\r\n")
				continue
			}
			io.WriteString(c, "250-mx.test\r\n250 PIPELINING\r\n")
		case "MAIL":
			v.mu.Lock()
			v.lastMail = strings.TrimSpace(line)
			v.mu.Unlock()
			io.WriteString(c, "250 ok\r\n")
		case "STARTTLS":
			io.WriteString(c, "220 go\r\n")
			secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*v.cert}})
			if secure.Handshake() != nil {
				return
			}
			v.mu.Lock()
			v.encrypted = true
			v.mu.Unlock()
			c, r = secure, bufio.NewReader(secure)
		case "DATA":
			io.WriteString(c, "354 go\r\n")
			if v.deaf {
				<-v.s.t.Context().Done()
				return
			}
			var text strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			v.mu.Lock()
			v.texts = append(v.texts, text.String())
			v.mu.Unlock()
			io.WriteString(c, "250 ok\r\n")
		case "QUIT":
			io.WriteString(c, "221 bye\r\n")
			return
		default:
			io.WriteString(c, "250 ok\r\n")
		}
	}
}

func (v *server) mail() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lastMail
}

func (v *server) isEncrypted() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.encrypted
}

func (v *server) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.texts)
}

func (v *server) last() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.texts[len(v.texts)-1]
}

func (v *server) drop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.conns {
		c.Close()
	}
}

func selfSigned(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"mx.test"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
