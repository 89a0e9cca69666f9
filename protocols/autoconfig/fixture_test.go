package autoconfig

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"gatepost/accounts"
	gate "gatepost/protocols/http"
	"gatepost/protocols/transcript"
	"gatepost/router"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// A fixture is HTTPU with the pages, and with the domains company.com, alias mail.company.com, and client.dom. company.com
// has the account alice.
type fixture struct {
	t        *testing.T
	accounts *accounts.Store
	live     *settings.Live[gate.UserSettings]
	pipes    *transcript.Pipes
}

var (
	plainListener = settings.Listener{Port: 8100, TLS: settings.TLSNone}
	tlsListener   = settings.Listener{Port: 9100, TLS: settings.TLSImplicit}
)

const (
	loopback = "127.0.0.1"
	remote   = "198.51.100.7"
)

func newFixture(t *testing.T, l settings.Listener, services []MailService, https int) *fixture {
	t.Helper()
	log := slog.New(slog.NewTextHandler(new(transcript.Log), nil))
	var ids atomic.Uint64
	acc, err := accounts.Open(t.TempDir(), accounts.Options{MainDomain: "company.com", Shards: 1, NextID: func() (uint64, error) { return ids.Add(1), nil }, Log: log})
	must(t, err)
	t.Cleanup(func() { must(t, acc.Close()) })
	f := &fixture{t: t, accounts: acc, live: settings.NewLive(new(gate.UserSettings)), pipes: transcript.NewPipes(fmt.Sprintf("192.0.2.1:%d", l.Port))}
	f.change("{}")
	rs := new(router.Settings)
	must(t, settings.Load(rs, nil))
	r, err := router.New(settings.NewLive(rs), acc, log)
	must(t, err)
	must(t, acc.CreateDomain(t.Context(), "client.dom", nil))
	must(t, acc.SetDomainAliases(t.Context(), "company.com", []string{"mail.company.com"}))
	must(t, acc.CreateAccount(t.Context(), "company.com", "alice", dataformat.Dict{"Password": dataformat.String("secret 1")}))
	encrypt := transcript.ServerTLS(t)
	h := gate.New("HTTPU", f.live, acc, r, func() *tls.Config { return encrypt }, t.TempDir(), log)
	must(t, New(Options{Accounts: acc, Services: func() []MailService { return services }, Port: func() int { return https }}).Mount(h))
	must(t, h.Mount("/{$}", gate.Options{}, h.Front()))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Serve(ctx, f.pipes, l) }()
	t.Cleanup(sync.OnceFunc(func() {
		cancel()
		must(t, <-done)
	}))
	return f
}

// change puts settings of HTTPU in force.
func (f *fixture) change(text string) {
	f.t.Helper()
	s := new(gate.UserSettings)
	must(f.t, settings.Load(s, settingsOf(f.t, text)))
	f.live.Set(s)
}

func (f *fixture) client(from string) *http.Client {
	tr := &http.Transport{
		DialContext:     func(context.Context, string, string) (net.Conn, error) { return f.pipes.Dial(from) },
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
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

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func settingsOf(t testing.TB, text string) dataformat.Dict {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	must(t, err)
	return v.(dataformat.Dict)
}
