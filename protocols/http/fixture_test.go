package http

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox/mailboxtest"
	"gatepost/protocols/transcript"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// A fixture is a server with the domains company.com, alias mail.company.com, and client.dom; if
// asked for, with the account user1 in each of them, whose password is "secret 1".
type fixture struct {
	t        testing.TB
	accounts *accounts.Store
	server   *Server
	live     *settings.Live[UserSettings]
	log      *transcript.Log
	tls      *tls.Config
	spool    string
	pipes    *transcript.Pipes
	stop     func()
	held     chan struct{} // what /held waits for
	holding  atomic.Int64  // requests that wait there
}

type options struct {
	accounts bool // there are accounts
	listener settings.Listener
	config   func(*UserSettings)
	before   func(*fixture) // before it serves
}

var (
	plainListener = settings.Listener{Port: 8100, TLS: settings.TLSNone}
	tlsListener   = settings.Listener{Port: 9100, TLS: settings.TLSImplicit}
)

const (
	loopback = "127.0.0.1"
	remote   = "198.51.100.7"
)

func newFixture(t testing.TB, o options) *fixture {
	t.Helper()
	f := &fixture{t: t, log: new(transcript.Log), tls: transcript.ServerTLS(t), spool: t.TempDir(), held: make(chan struct{})}
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
	must(t, acc.CreateDomain(t.Context(), "client.dom", nil))
	must(t, acc.SetDomainAliases(t.Context(), "company.com", []string{"mail.company.com"}))
	if o.accounts {
		for _, domain := range []string{"company.com", "client.dom"} {
			must(t, acc.CreateAccount(t.Context(), domain, "user1", dataformat.Dict{"Password": dataformat.String("secret 1")}))
		}
	}
	cfg := &UserSettings{}
	must(t, settings.Load(cfg, nil))
	if o.config != nil {
		o.config(cfg)
	}
	f.live = settings.NewLive(cfg)
	f.server = New("HTTPU", f.live, acc, r, func() *tls.Config { return f.tls }, f.spool, log)
	f.mount("/{$}", Options{}, f.server.Front().ServeHTTP)
	f.mount("/show/", Options{Title: "What you have sent", Methods: []string{"GET", "POST", "PUT"}}, show)
	f.mount("/mine/", Options{Methods: []string{"GET", "POST"}, Login: true}, show)
	f.mount("/dav/", Options{Methods: []string{"OPTIONS", "GET", "PROPFIND"}, Login: true, Realm: `the "DAV" realm`, SlashInSegment: true}, show)
	f.mount("/small", Options{Methods: []string{"POST"}, MaxBody: 10}, show)
	f.mount("/fail/", Options{}, failWith)
	f.mount("/panic", Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "late" {
			io.WriteString(w, strings.Repeat("the beginning ", 1000))
		}
		var none []int
		_ = none[13]
	})
	f.mount("/held", Options{Methods: []string{"GET", "POST"}}, func(w http.ResponseWriter, r *http.Request) {
		f.holding.Add(1)
		defer f.holding.Add(-1)
		select {
		case <-f.held:
		case <-r.Context().Done():
			Refuse(w, r, fault.Wrap("test", fault.Canceled, r.Context().Err()))
			return
		}
		io.WriteString(w, "let go\n")
	})
	if o.before != nil {
		o.before(f)
	}
	if o.listener.Port == 0 {
		o.listener = plainListener
	}
	f.start(o.listener)
	return f
}

func (f *fixture) mount(pattern string, o Options, h http.HandlerFunc) {
	f.t.Helper()
	must(f.t, f.server.Mount(pattern, o, h))
}

// show answers with what a part is told of a request.
func show(w http.ResponseWriter, r *http.Request) {
	q := Of(r.Context())
	body, err := io.ReadAll(r.Body)
	if err != nil {
		Refuse(w, r, err)
		return
	}
	account := "nobody"
	if q.Account != nil {
		account = q.Account.Address()
	}
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "%s %q slash=%t domain=%s host=%s account=%s from=%s tls=%t service=%s body=%q\r\n",
		r.Method, q.Path, q.Slash, q.Domain, q.Host, account, q.Peer.IP, q.Peer.TLS, q.Peer.Service, body)
}

// failWith fails with the kind that the path names.
func failWith(w http.ResponseWriter, r *http.Request) {
	for _, k := range fault.Kinds() {
		if k.String() == Of(r.Context()).Path[0] {
			w.Header().Set("ETag", `"x"`)
			Refuse(w, r, fault.New("test", k, ""))
			return
		}
	}
	Refuse(w, r, fault.New("test", fault.NotFound, "There is no such kind."))
}

// start serves until the test ends or stop is called.
func (f *fixture) start(l settings.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	f.pipes = transcript.NewPipes(fmt.Sprintf("192.0.2.1:%d", l.Port))
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
		if n := f.server.limiter.all + len(f.server.limiter.perIP); n != 0 {
			f.t.Errorf("%d requests are still counted", n)
		}
		if left, err := filepath.Glob(f.spool + "/*"); err != nil || len(left) > 0 {
			f.t.Errorf("left in the spool: %v, %v", left, err)
		}
	})
	f.t.Cleanup(f.stop)
}

// client is a client of package net/http on the fixture's listener.
func (f *fixture) client(from string, h2 bool) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP1(!h2)
	p.SetHTTP2(h2)
	tr := &http.Transport{
		DialContext:     func(context.Context, string, string) (net.Conn, error) { return f.pipes.Dial(from) },
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: p,
	}
	f.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// get returns status and body.
func get(t testing.TB, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(body)
}

// A raw is a connection without a client library.
type raw struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func (f *fixture) connect(from string) *raw {
	f.t.Helper()
	c, err := f.pipes.Dial(from)
	must(f.t, err)
	f.t.Cleanup(func() { c.Close() })
	must(f.t, c.SetDeadline(time.Now().Add(time.Hour)))
	return &raw{t: f.t, Conn: c, in: bufio.NewReader(c)}
}

func (c *raw) send(text string) {
	c.t.Helper()
	_, err := io.WriteString(c, text)
	must(c.t, err)
}

// response reads one answer to a request with a method.
func (c *raw) response(method string) (int, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	must(c.t, err)
	body, err := io.ReadAll(resp.Body)
	must(c.t, err)
	return resp.StatusCode, string(body)
}

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dict(t testing.TB, text string) dataformat.Dict {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	must(t, err)
	return v.(dataformat.Dict)
}
