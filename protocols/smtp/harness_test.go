package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/protocols/transcript"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/protection"
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
	protect  *settings.Live[protection.Settings]
	queueDir string
	log      *siteLog
	stop     context.CancelFunc
	serving  sync.WaitGroup

	tls       atomic.Pointer[tls.Config]
	listeners map[int]*transcript.Pipes // by port
}

// siteLog takes the lines of package logs.
type siteLog struct{ transcript.Log }

// Line appends one.
func (l *siteLog) Line(line []byte, _ bool) { _, _ = l.Write(line) }

const table = `
<director> = spamtrap
<nobody> = null
<closed> = error
<robot> = "robot -q"@pipe
old.company.com = company.com
<blacklist-admin*@blacklisted> = postmaster
Relay:<partner-*> = *@partner.example
`

// noTransport keeps a queue from working: its module has no workers.
// backsUp knows one domain, and one of which the DNS says nothing.
func backsUp(_ context.Context, domain string) (bool, error) {
	if domain == "unknown.example" {
		return false, errors.New("SERVFAIL")
	}
	return domain == "backed.example", nil
}

type noTransport struct{}

func (noTransport) Deliver(context.Context, *queue.Batch) {}
func (noTransport) Policy() queue.Policy                  { return queue.Policy{} }

// newSite makes a site: company.com with the accounts larry, moe and curly (who
// has no Relay), branch.example with shemp. The password is secret. It is kept in
// clear: the one-way form takes its time, and is the directory's to test.
func newSite(t testing.TB, change ...func(*Settings)) *site {
	t.Helper()
	ctx := context.Background()
	s := &site{t: t, log: new(siteLog), listeners: map[int]*transcript.Pipes{}}
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
	var protect protection.Settings
	s.must(settings.Load(&protect, nil))
	protect.DenyAccessFor = 0 // tests of the temporary blacklist want another one
	s.protect = settings.NewLive(&protect)
	guard, err := protection.Open(base, s.protect, log)
	s.must(err)
	s.accounts, err = accounts.Open(base, accounts.Options{
		Protection: guard,
		MainDomain: "company.com", Shards: 1, Log: log, NextID: func() (uint64, error) {
			id, err := counter.NextID()
			return uint64(id), err
		},
	})
	s.must(err)
	s.must(s.accounts.SetClientIPs(ctx, "127.0.0.1\n::1\n10.0.0.0/8"))
	s.must(s.accounts.AccountDefaults("company.com").Update(ctx, dict("PasswordEncryption", "clear")))
	s.must(s.accounts.CreateDomain(ctx, "branch.example", nil))
	s.must(s.accounts.CreateAccount(ctx, "company.com", "larry", secret()))
	s.must(s.accounts.CreateAccount(ctx, "company.com", "moe", secret()))
	curly := secret()
	curly["AccessModes"] = dataformat.Array{dataformat.String("Mail"), dataformat.String("Mobile")}
	s.must(s.accounts.CreateAccount(ctx, "company.com", "curly", curly))
	s.must(s.accounts.CreateAccount(ctx, "branch.example", "shemp", secret()))
	s.must(s.accounts.SetAccountAliases(ctx, "company.com", "larry", []string{"lawrence"}))
	s.must(s.accounts.Forwarders().Create(ctx, "company.com", "away", "larry@elsewhere.example"))

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
	s.tls.Store(transcript.ServerTLS(t))
	s.server = New(s.settings, s.queue, routes, s.accounts, s.tls.Load, backsUp, s, s, log)
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
	for _, l := range []settings.Listener{port24, port25, port587, port465} {
		ln := transcript.NewPipes(fmt.Sprintf("192.0.2.25:%d", l.Port))
		s.listeners[l.Port] = ln
		s.serving.Go(func() {
			serve := s.server.Serve
			if l.Port == port24.Port {
				serve = s.server.ServeLMTP(settings.NewLive(&LMTPSettings{}))
			}
			if err := serve(life, ln, l); err != nil {
				t.Error(err)
			}
		})
	}
	return s
}

var (
	port24  = settings.Listener{Port: 24, TLS: settings.TLSStart} // LMTP
	port25  = settings.Listener{Port: 25, TLS: settings.TLSStart}
	port587 = settings.Listener{Port: 587, TLS: settings.TLSStart}
	port465 = settings.Listener{Port: 465, TLS: settings.TLSImplicit}
)

func (s *site) must(err error) {
	if err != nil {
		s.t.Helper()
		s.t.Fatal(err)
	}
}

// dial connects to a listener from an address.
func (s *site) dial(l settings.Listener, from string) (net.Conn, error) {
	c, err := s.listeners[l.Port].Dial(from)
	if err == nil && l.TLS == settings.TLSImplicit {
		return transcript.TLSClient(c, &tls.Config{InsecureSkipVerify: true}), nil
	}
	return c, err
}

// accepted is a message that was accepted.
type accepted struct {
	id   string
	head string
	env  *envelope.Envelope
	text string // with LF line ends, for comparison
}

// received returns the accepted messages in their order.
func (s *site) received() []accepted {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.queueDir, "*.msg"))
	s.must(err)
	var all []accepted
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
		all = append(all, accepted{filepath.Base(name), string(head), env, string(bytes.ReplaceAll(text, crlf, []byte("\n")))})
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

// StartQueue is the Starter of the site: mail waits for waiting.example.
func (s *site) StartQueue(domain string) bool { return domain == "waiting.example" }

// StartQueuesBelow does the same.
func (s *site) StartQueuesBelow(domain string) int {
	if domain == "waiting.example" || domain == "example" {
		return 1
	}
	return 0
}

// HasMail is part of the Turner of the site.
func (s *site) HasMail(domain string) (bool, error) {
	if domain == "busy.example" {
		return false, fault.New("test", fault.Busy, "")
	}
	return domain == "waiting.example", nil
}

// Turn is a client that has nothing to send.
func (s *site) Turn(_ context.Context, c net.Conn, host string, domains []string) error {
	r := bufioReaderOf(c)
	if greeting, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(greeting, "220 ") {
		return fmt.Errorf("greeting %q: %w", greeting, err)
	}
	fmt.Fprintf(c, "EHLO %s for %s\r\n", host, strings.Join(domains, ","))
	if _, err := r.ReadString('\n'); err != nil {
		return err
	}
	_, err := io.WriteString(c, "QUIT\r\n")
	return err
}
