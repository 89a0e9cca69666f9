package listpages

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/lists"
	"gatepost/accounts/lists/archive"
	"gatepost/accounts/subscribers"
	gate "gatepost/protocols/http"
	"gatepost/protocols/transcript"
	"gatepost/queue"
	"gatepost/router"
	"gatepost/server/admin"
	"gatepost/server/admin/admintest"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// A fixture is HTTPU with the pages of the lists of company.com and of client.dom, which has none. The mail that lists write
// stays in the queue.
type fixture struct {
	t     *testing.T
	store *accounts.Store
	admin *admin.Admin
	log   *transcript.Log
	pipes map[bool]*transcript.Pipes // by whether they have TLS
}

func newFixture(t *testing.T, given map[string]string) *fixture {
	t.Helper()
	dir := t.TempDir()
	f := &fixture{t: t, log: new(transcript.Log), pipes: map[bool]*transcript.Pipes{}}
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var ids atomic.Uint64
	var err error
	f.store, err = accounts.Open(t.TempDir(), accounts.Options{MainDomain: "company.com", Shards: 1, NextID: func() (uint64, error) { return ids.Add(1), nil }, Log: log})
	must(t, err)
	t.Cleanup(func() { must(t, f.store.Close()) })
	must(t, f.store.CreateDomain(t.Context(), "client.dom", nil))
	must(t, f.store.CreateAccount(t.Context(), "company.com", "ann", nil))
	for name, set := range given {
		d, err := dataformat.Parse([]byte(set))
		must(t, err)
		must(t, f.store.Lists().Create(t.Context(), "company.com", name, "ann", d.(dataformat.Dict)))
	}
	routing := load[router.Settings](t)
	r, err := router.New(settings.NewLive(routing), f.store, log)
	must(t, err)
	counter, err := queue.OpenCounter(filepath.Join(dir, "counter"), filepath.Join(dir, "Queue"), 0)
	must(t, err)
	t.Cleanup(func() { must(t, counter.Close()) })
	q, err := queue.Open(filepath.Join(dir, "Queue"), queue.Options{Settings: settings.NewLive(load[queue.Settings](t)), Router: r, Counter: counter,
		MainDomain: f.store.MainDomain, Log: log})
	must(t, err)
	t.Cleanup(func() { must(t, q.Close()) })
	conf := transcript.ServerTLS(t)
	h := gate.New("HTTPU", settings.NewLive(load[gate.Settings](t)), f.store, r, func() *tls.Config { return conf }, t.TempDir(), log)
	m := lists.NewManager(lists.Options{Store: f.store, Router: r, Queue: q, Log: log})
	f.admin = admin.New(f.store, r, &administered{new(admintest.Server), m}, log)
	pages, err := New(Options{Store: f.store, Manager: m, Archive: archive.New(f.store), Admin: f.admin, Limit: settings.Rate{Count: 5, Period: settings.Period(time.Hour)}, Least: time.Millisecond})
	must(t, err)
	must(t, pages.Mount(h))
	for secure, l := range map[bool]settings.Listener{false: {Port: 8100, TLS: settings.TLSNone}, true: {Port: 9100, TLS: settings.TLSImplicit}} {
		pipes := transcript.NewPipes("192.0.2.1:8100")
		f.pipes[secure] = pipes
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- h.Serve(ctx, pipes, l) }()
		t.Cleanup(func() { cancel(); must(t, <-done) })
	}
	return f
}

func load[T any](t *testing.T) *T {
	t.Helper()
	s := new(T)
	must(t, settings.Load(s, nil))
	return s
}

func (f *fixture) list(name string) *accounts.MailingList {
	f.t.Helper()
	l, err := f.store.Lists().Get(f.t.Context(), "company.com", name)
	must(f.t, err)
	return l
}

// add subscribes an address and returns its secret.
func (f *fixture) add(list, address string, mode subscribers.Mode) string {
	f.t.Helper()
	must(f.t, f.list(list).Subscribers().Change(f.t.Context(), address, func(s *subscribers.Subscriber) error {
		*s = subscribers.Subscriber{Address: address, Mode: mode}
		return nil
	}))
	return f.subscriber(list, address).Secret
}

func (f *fixture) subscriber(list, address string) subscribers.Subscriber {
	f.t.Helper()
	s, err := f.list(list).Subscribers().Get(address)
	must(f.t, err)
	return s
}

// tokens are the questions that wait.
func (f *fixture) tokens(list, kind string) []subscribers.Question {
	f.t.Helper()
	all, err := f.list(list).Subscribers().Questions(kind, 100, time.Now())
	must(f.t, err)
	return all
}

// an answer is what a request got.
type answer struct {
	status int
	body   string
	header http.Header
}

// do sends a request from an address; a form makes it a POST. Each more is a header field.
func (f *fixture) do(from, address string, form url.Values, more ...string) answer {
	f.t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(f.t.Context(), method, address, body)
	must(f.t, err)
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, line := range more {
		key, value, _ := strings.Cut(line, ": ")
		r.Header.Set(key, value)
	}
	pipes := f.pipes[r.URL.Scheme == "https"]
	dial := func(context.Context, string, string) (net.Conn, error) { return pipes.Dial(from) }
	tr := &http.Transport{DialContext: dial, DisableKeepAlives: true, DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		return abrupt{c, raw}, c.HandshakeContext(ctx)
	}}
	resp, err := (&http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	must(f.t, err)
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	must(f.t, err)
	return answer{resp.StatusCode, string(all), resp.Header}
}

// abrupt is a connection that ends without the last words of TLS. On a pipe both ends would wait for the other to read them.
type abrupt struct {
	*tls.Conn
	raw net.Conn
}

func (a abrupt) Close() error { return a.raw.Close() }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// administered is a server whose mailing lists are real.
type administered struct {
	*admintest.Server
	lists *lists.Manager
}

func (s *administered) ChangeSubscriptions(ctx context.Context, l *accounts.MailingList, all []subscribers.Subscriber, how subscribers.How) ([]error, error) {
	var requests []lists.Request
	for _, one := range all {
		requests = append(requests, lists.Request{Address: one.Address, RealName: one.RealName, Mode: one.Mode})
	}
	return s.lists.ChangeAll(ctx, l, requests, how)
}

func (s *administered) Waiting(_ context.Context, l *accounts.MailingList, limit int) (postings, subscriptions []subscribers.Question, err error) {
	all, err := s.lists.Waiting(l, limit)
	for _, w := range all {
		postings = append(postings, subscribers.Question{Token: w.Token, Address: w.Author, Value: w.Subject, Asked: w.Since})
	}
	return postings, nil, err
}

func (s *administered) OpenWaiting(ctx context.Context, l *accounts.MailingList, token string) (io.ReadCloser, error) {
	return s.lists.Pending(ctx, l, token)
}

func (s *administered) Approve(ctx context.Context, l *accounts.MailingList, token string) error {
	return s.lists.Approve(ctx, l, token)
}

func (s *administered) Reject(ctx context.Context, l *accounts.MailingList, token, reason string) error {
	return s.lists.Reject(ctx, l, token, reason)
}
