package relay

import (
	"bufio"
	"bytes"
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
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/protocols/transcript"
	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// routes sends everything to the domain's queue; [literals] name their host.
type routes struct{}

func (routes) Route(_ context.Context, _ names.Operation, a address.Address) (router.Route, error) {
	r := router.Route{Module: router.SMTP, Queue: a.Domain, Address: a}
	if ip, ok := a.Literal(); ok {
		r.Host = ip.String()
	}
	if a.Domain == "company.com" {
		r.Module, r.Queue = router.LOCAL, a.String()
	}
	return r, nil
}

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
}

func (*results) Enabled(context.Context, slog.Level) bool { return true }
func (r *results) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r *results) WithGroup(string) slog.Handler          { return r }
func (r *results) Handle(_ context.Context, rec slog.Record) error {
	if !strings.HasPrefix(rec.Message, "SMTP(") {
		return nil
	}
	line := rec.Message
	rec.Attrs(func(a slog.Attr) bool {
		if a.Key == "rcpt" || a.Key == "status" {
			line += " " + a.Value.String()
		}
		return true
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	return nil
}

// sender is a queue with the transport under test; the network is net.Pipe.
type station struct {
	t         *testing.T
	q         *queue.Queue
	transport *Transport
	set       *settings.Live[Settings]
	results   *results
	inbox     *inbox

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
	s.set = settings.NewLive(set)
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
	s.q, err = queue.Open(filepath.Join(dir, "Queue"), queue.Options{Settings: settings.NewLive(qset), Router: routes{}, Counter: counter,
		MainDomain: func() string { return "company.com" }, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s.transport = New(s.set, func() string { return "mail.company.com" }, log)
	s.transport.dialer.dial = s.dial
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

// In the transcripts of this package C is the server that we connect to, and S
// is what we say.
func TestDialogues(t *testing.T) {
	for _, c := range []struct {
		name string
		set  dataformat.Dict
		mail func(s *station)
		want []string
	}{
		{name: "pipelining", mail: func(s *station) { s.send(mailText, nil, "a@far.org", "b@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0"}},
		{name: "stepwise", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0"}},
		{name: "helo", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0"}},
		{name: "parameters", mail: func(s *station) {
			s.send("Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\n", func(e *envelope.Envelope) {
				e.ID, e.Return, e.SMTPUTF8, e.Body = "QQ 1", envelope.ReturnHeaders, true, envelope.Body8BitMIME
				e.Recipients[0].Notify, e.Recipients[0].Original = envelope.NotifySuccess|envelope.NotifyFailure, "rfc822;o+x@old.org"
				e.Recipients[1].Notify = envelope.NotifyNever
			}, "jürgen@far.org", "b@far.org")
		}, want: []string{"SMTP(far.org) relayed: relayed via mx.test jürgen@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0"}},
		{name: "refusals", mail: func(s *station) { s.send(mailText, nil, "good@far.org", "no@far.org", "later@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test good@far.org 2.0.0",
				"SMTP(far.org) failed: recipient rejected by mx.test: 550 5.1.1 no such user ask postmaster no@far.org 5.1.1",
				"SMTP(far.org) delayed: recipient rejected by mx.test: 450 greylisted later@far.org 4.0.0"}},
		{name: "nobody-accepted", mail: func(s *station) {
			s.send(mailText, nil, "no@far.org")
			s.send(mailText, nil, "good@far.org")
		}, want: []string{"SMTP(far.org) failed: recipient rejected by mx.test: 550 no no@far.org 5.0.0",
			"SMTP(far.org) relayed: relayed via mx.test good@far.org 2.0.0"}},
		{name: "text-rejected", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) failed: message text rejected by mx.test: 552 1 Requested mail action aborted, mailbox not found a@far.org 5.0.0"}},
		{name: "return-path-rejected", mail: func(s *station) { s.send(mailText, nil, "a@far.org", "b@far.org") },
			want: []string{"SMTP(far.org) delayed: return-path rejected by mx.test: 451 4.1.8 cannot resolve a@far.org 4.1.8",
				"SMTP(far.org) delayed: return-path rejected by mx.test: 451 4.1.8 cannot resolve b@far.org 4.1.8"}},
		{name: "too-many-recipients", mail: func(s *station) { s.send(mailText, nil, "a@far.org", "b@far.org", "c@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0",
				"SMTP(far.org) relayed: relayed via mx.test c@far.org 2.0.0"}},
		{name: "rcptmax", mail: func(s *station) { s.send(mailText, nil, "a@far.org", "b@far.org", "c@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0",
				"SMTP(far.org) relayed: relayed via mx.test c@far.org 2.0.0"}},
		{name: "size", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) failed: message is too large for mx.test a@far.org 5.3.4"}},
		{name: "binary", mail: func(s *station) {
			s.send("Subject: b\r\n\r\na\nb\r.\r\n", func(e *envelope.Envelope) { e.Body = envelope.BodyBinaryMIME }, "a@far.org")
		}, want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0"}},
		{name: "no-binary", mail: func(s *station) {
			s.send("Subject: b\r\n\r\na\nb\r.\r\n", func(e *envelope.Envelope) { e.Body = envelope.BodyBinaryMIME }, "a@far.org")
		}, want: []string{"SMTP(far.org) failed: binary message cannot be sent to mx.test a@far.org 5.6.3"}},
		{name: "no-utf8", mail: func(s *station) {
			s.send("Subject: plain\r\n\r\n", func(e *envelope.Envelope) { e.SMTPUTF8 = true }, "a@far.org")
			s.send("Subject: \xc3\xbc\r\n\r\n", func(e *envelope.Envelope) { e.SMTPUTF8 = true }, "b@far.org")
			s.send("Subject: plain\r\n\r\n", nil, "jürgen@far.org")
		}, want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0",
			"SMTP(far.org) failed: mx.test does not take internationalized mail b@far.org 5.6.7",
			"SMTP(far.org) failed: mx.test does not take internationalized mail jürgen@far.org 5.6.7"}},
		{name: "greeting-421", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) delayed: connection refused by mx.test: 421 4.3.2 busy a@far.org 4.3.2"}},
		{name: "greeting-554", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) failed: connection refused by mx.test: 554 go away a@far.org 5.0.0"}},
		{name: "lost-after-dot", mail: func(s *station) {
			s.send(mailText, nil, "a@far.org")
			s.send(mailText, nil, "b@far.org")
		}, want: []string{"SMTP(far.org) delayed: connection with mx.test is broken a@far.org 4.4.2",
			"SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0"}},
		{name: "lost-at-mail", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) delayed: connection with mx.test is broken a@far.org 4.4.2"}},
		{name: "closing-421", mail: func(s *station) {
			s.send(mailText, nil, "a@far.org")
			s.send(mailText, nil, "b@far.org")
		}, want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0",
			"SMTP(far.org) delayed: connection closed by mx.test: 421 4.7.0 enough b@far.org 4.4.2"}},
		{name: "silence", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) delayed: connection with mx.test is broken: greeting: read pipe: i/o timeout a@far.org 4.4.2"}},
		{name: "rubbish", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) delayed: connection with mx.test is broken: greeting: the reply is not one of SMTP a@far.org 4.4.2"}},
		{name: "tls-required", set: dataformat.Dict{"SmartHostTLS": dataformat.String("Required")},
			mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) delayed: connection with mx.test is broken: TLS is required and not offered a@far.org 4.4.2"}},
		{name: "tls-injection", set: dataformat.Dict{"SmartHostTLS": dataformat.String("Required")},
			mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) delayed: connection with mx.test is broken: TLS: the server sent more before encryption a@far.org 4.4.2"}},
		{name: "tls-refused", mail: func(s *station) { s.send(mailText, nil, "a@far.org") },
			want: []string{"SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set := dataformat.Dict{"SmartHost": dataformat.String("mx.test"), "ChannelsPerHost": dataformat.String("1")}
				for k, v := range c.set {
					set[k] = v
				}
				s := newStation(t, set)
				defer s.stop()
				s.hold(func() { c.mail(s) })
				transcript.Play(t, s.accept, filepath.Join("testdata", c.name+".txtar"))
				s.want(c.want...)
			})
		})
	}
}

// hold lets the messages of mail wait in one batch.
func (s *station) hold(mail func()) {
	now := *s.set.Get()
	stopped := now
	stopped.Channels = 0
	s.set.Set(&stopped)
	s.q.WakeModule(router.SMTP)
	time.Sleep(2 * time.Minute) // the scheduler sees it
	mail()
	s.set.Set(&now)
	time.Sleep(2 * time.Minute)
}

func TestWithoutSmartHostMailWaitsUntilOneIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		defer s.stop()
		s.send(mailText, nil, "a@far.org")
		s.want("SMTP(far.org) delayed: no smart host is set a@far.org 4.4.4")
		info, ok := s.q.Info(router.SMTP, "far.org")
		if !ok || info.LastError != "no smart host is set" || info.DelayedTill.IsZero() {
			t.Errorf("%+v", info)
		}
		with := *s.set.Get()
		with.SmartHost = Host{Name: "mx.test", Port: 2525}
		s.set.Set(&with)
		s.q.WakeModule(router.SMTP)
		transcript.Play(t, s.accept, "testdata/stepwise.txtar")
		synctest.Wait()
		if s.dialed[0] != "mx.test:2525" {
			t.Errorf("dialed %v", s.dialed)
		}
	})
}

func TestWithoutSmartHostMailMayBeReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"WithoutSmartHost": dataformat.String("Return")})
		defer s.stop()
		s.send(mailText, nil, "a@far.org")
		s.want("SMTP(far.org) failed: no smart host is set a@far.org 5.4.4")
		synctest.Wait()
		if len(s.inbox.mail) != 1 || !strings.Contains(s.inbox.mail[0], "Failed to deliver to 'a@far.org'\r\nSMTP module(domain far.org) reports:\r\n no smart host is set\r\n") {
			t.Errorf("%q", s.inbox.mail)
		}
	})
}

func TestLiteralIsReachedDirectly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test"), "Channels": dataformat.String("1")})
		defer s.stop()
		s.refuse = errors.New("connection refused")
		s.send(mailText, nil, "a@[192.0.2.7]", "b@[IPv6:2001:db8::7]")
		s.want("SMTP([192.0.2.7]) delayed: cannot connect to [192.0.2.7]: connection refused a@[192.0.2.7] 4.4.1",
			"SMTP([IPv6:2001:db8::7]) delayed: cannot connect to [2001:db8::7]: connection refused b@[IPv6:2001:db8::7] 4.4.1")
		slices.Sort(s.dialed)
		if want := []string{"192.0.2.7:25", "[2001:db8::7]:25"}; !slices.Equal(s.dialed, want) {
			t.Errorf("dialed %v, want %v", s.dialed, want)
		}
	})
}

func TestIdleConnectionServesTheNextBatchAndEndsAfterTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test")})
		defer s.stop()
		server := newServer(s)
		go server.serve()
		for range 3 {
			s.send(mailText, nil, "a@far.org")
			synctest.Wait()
			time.Sleep(time.Second)
		}
		if len(s.dialed) != 1 {
			t.Errorf("dialed %d times", len(s.dialed))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.send(mailText, nil, "a@far.org")
		synctest.Wait()
		if len(s.dialed) != 2 {
			t.Errorf("dialed %d times after a pause", len(s.dialed))
		}
		if n := server.count(); n != 4 {
			t.Errorf("%d messages arrived", n)
		}
	})
}

func TestIdleConnectionThatTheServerClosedIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test")})
		defer s.stop()
		server := newServer(s)
		go server.serve()
		s.send(mailText, nil, "a@far.org")
		synctest.Wait()
		server.drop()
		synctest.Wait()
		s.send(mailText, nil, "b@far.org")
		synctest.Wait()
		if n := server.count(); n != 2 {
			t.Errorf("%d messages arrived", n)
		}
		s.want("SMTP(far.org) relayed: relayed via mx.test a@far.org 2.0.0", "SMTP(far.org) relayed: relayed via mx.test b@far.org 2.0.0")
	})
}

func TestStartTLSEncryptsTheMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test")})
		defer s.stop()
		server := newServer(s)
		server.cert = selfSigned(t)
		go server.serve()
		s.send(mailText, nil, "a@far.org")
		synctest.Wait()
		if server.count() != 1 || !server.isEncrypted() {
			t.Fatalf("%d messages, encrypted %v", server.count(), server.isEncrypted())
		}
		if got := server.last(); got != mailText {
			t.Errorf("got %q", got)
		}
	})
}

func TestUnknownCertificateStopsRequiredTLS(t *testing.T) {
	for _, mode := range []string{"Required", "Implicit"} {
		synctest.Test(t, func(t *testing.T) {
			s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test"), "SmartHostTLS": dataformat.String(mode)})
			defer s.stop()
			server := newServer(s)
			server.cert, server.implicit = selfSigned(t), mode == "Implicit"
			go server.serve()
			s.send(mailText, nil, "a@far.org")
			synctest.Wait()
			if info, _ := s.q.Info(router.SMTP, "far.org"); !strings.Contains(info.LastError, "certificate") {
				t.Errorf("%s: last error %q", mode, info.LastError)
			}
			if server.count() != 0 {
				t.Errorf("%s: the mail was sent", mode)
			}
		})
	}
}

func TestStopDoesNotWaitForASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, dataformat.Dict{"SmartHost": dataformat.String("mx.test")})
		s.send(mailText, nil, "a@far.org")
		synctest.Wait()
		start := time.Now()
		s.stop()
		if d := time.Since(start); d > 2*stopGrace {
			t.Errorf("the stop took %v", d)
		}
		if c, err := s.accept(); err == nil {
			c.Close()
		}
		s.want()
	})
}

// server is a mail server that takes everything.
type server struct {
	s        *station
	cert     *tls.Certificate
	implicit bool // TLS comes first

	mu        sync.Mutex
	texts     []string
	conns     []net.Conn
	encrypted bool
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
			io.WriteString(c, "250-mx.test\r\n250 PIPELINING\r\n")
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

func TestDotWriterAnyCut(t *testing.T) {
	for text, want := range map[string]string{
		"":                 ".\r\n",
		"a\r\n":            "a\r\n.\r\n",
		"no end":           "no end\r\n.\r\n",
		".\r\n..\r\n":      "..\r\n...\r\n.\r\n",
		"a\n.\nb\r.\r\r\n": "a\r\n..\r\nb\r\n..\r\n\r\n.\r\n",
		"end\r":            "end\r\n.\r\n",
		"\r\n.\r\n":        "\r\n..\r\n.\r\n",
	} {
		for cut := 1; cut <= max(1, len(text)); cut++ {
			var out bytes.Buffer
			w := bufio.NewWriter(&out)
			d := dotWriter{w: w, start: true}
			for i := 0; i < len(text); i += cut {
				d.write([]byte(text[i:min(i+cut, len(text))]))
			}
			d.end()
			w.Flush()
			if out.String() != want || d.err != nil {
				t.Errorf("%q in pieces of %d: %q, want %q", text, cut, out.String(), want)
			}
		}
	}
}

// The message must end where we say, for every reader of line ends.
func FuzzDotWriter(f *testing.F) {
	f.Add("a\r\n.\r\nMAIL FROM:<x>\r\n", 3)
	f.Add("a\n.\nb\r.\r", 1)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		cut = max(1, min(cut, len(text)))
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		d := dotWriter{w: w, start: true}
		for i := 0; i < len(text); i += cut {
			d.write([]byte(text[i:min(i+cut, len(text))]))
		}
		d.end()
		w.Flush()
		got := out.String()
		body, ok := strings.CutSuffix(got, ".\r\n")
		if !ok || strings.Count(got, "\r") != strings.Count(got, "\r\n") || strings.Count(got, "\n") != strings.Count(got, "\r\n") {
			t.Fatalf("%q gives %q", text, got)
		}
		for line := range strings.SplitSeq(body, "\r\n") {
			if line == "." {
				t.Fatalf("%q ends early: %q", text, got)
			}
		}
	})
}

func FuzzReadReply(f *testing.F) {
	for _, seed := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "250-a\r\n251 b\r\n", "550 5.1.1 x\n", "25", "250\r\n", "999 x\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rep, err := readReply(bufio.NewReaderSize(strings.NewReader(text), 4096))
		if err != nil {
			return
		}
		if rep.code < 200 || rep.code > 599 || len(rep.lines) == 0 || len(rep.lines) > maxReplyLines {
			t.Fatalf("%q: %+v", text, rep)
		}
		if c := rep.enhanced(); c[0] != 2 && c[0] != 4 && c[0] != 5 {
			t.Fatalf("%q: class %v", text, c)
		}
		st := rep.status("rejected by", "x")
		if st.Action == envelope.ActionFailed && st.Code[0] != 5 || st.Action == envelope.ActionDelayed && st.Code[0] != 4 {
			t.Fatalf("%q: %+v", text, st)
		}
	})
}

func TestParseHost(t *testing.T) {
	for text, want := range map[string]Host{
		"": {}, "mail.example.org": {"mail.example.org", 0}, "mail.example.org:587": {"mail.example.org", 587},
		"192.0.2.1": {"192.0.2.1", 0}, "192.0.2.1:25": {"192.0.2.1", 25}, "[2001:db8::1]": {"2001:db8::1", 0}, "[2001:db8::1]:25": {"2001:db8::1", 25},
	} {
		got, err := ParseHost(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if back, err := ParseHost(got.String()); err != nil || back != got {
			t.Errorf("%q reads back as %+v, %v", got.String(), back, err)
		}
	}
	for _, bad := range []string{"a b", "host:x", "host:99999", ":25", "a@b", "host/x"} {
		if h, err := ParseHost(bad); err == nil {
			t.Errorf("%q is %+v", bad, h)
		}
	}
	if err := settings.Check(new(Settings)); err != nil {
		t.Error(err)
	}
}
