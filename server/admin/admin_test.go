package admin

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatepost/accounts"
	"gatepost/router"
	"gatepost/server/admin/admintest"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/settings"
)

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// site is a server with the Main Domain main.com and the domains own.com and other.com, each
// with the account user.
type site struct {
	*Admin
	t      testing.TB
	acc    *accounts.Store
	server *admintest.Server
	log    *strings.Builder
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, server: admintest.New("<a> = b"), log: new(strings.Builder)}
	log := logs.New(sink{s.log}, func() *logs.Levels { return &logs.Levels{Default: 5} })
	var ids atomic.Uint64
	ids.Store(1000)
	var err error
	s.acc, err = accounts.Open(t.TempDir(), accounts.Options{
		MainDomain: "main.com", Shards: 1, NextID: func() (uint64, error) { return ids.Add(1), nil }, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	t.Cleanup(func() { must(t, s.acc.Close()) })
	for _, d := range []string{"own.com", "other.com"} {
		must(t, s.acc.CreateDomain(ctx, d, nil))
	}
	for _, d := range []string{"main.com", "own.com", "other.com"} {
		must(t, s.acc.CreateAccount(ctx, d, "user", nil))
	}
	routes, err := router.New(settings.NewLive(new(router.Settings)), s.acc, log)
	must(t, err)
	s.Admin = New(s.acc, routes, s.server, log)
	return s
}

// sink collects the lines of the log.
type sink struct{ to *strings.Builder }

// sinking is held while a line is written: calls may run side by side.
var sinking sync.Mutex

func (s sink) Line(line []byte, _ bool) {
	sinking.Lock()
	defer sinking.Unlock()
	s.to.Write(line)
}

// as makes an account with rights, if it is not there, and returns it as an actor.
func (s *site) as(name, domain string, rights ...string) Actor {
	s.t.Helper()
	if _, err := s.acc.Account(ctx, domain, name); err != nil {
		must(s.t, s.acc.CreateAccount(ctx, domain, name, nil))
	}
	must(s.t, s.acc.SetAccountRights(ctx, domain, name, rights))
	a, err := s.acc.Account(ctx, domain, name)
	must(s.t, err)
	return s.As(a, accounts.Peer{Service: "TEST"})
}

func (s *site) owner() Actor { return s.Owner(accounts.Peer{Service: "TEST"}) }

func dict(t testing.TB, text string) dataformat.Dict {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	must(t, err)
	return v.(dataformat.Dict)
}

// record returns what the log has got since the last call, without the time of day.
func (s *site) record() string {
	sinking.Lock()
	defer sinking.Unlock()
	defer s.log.Reset()
	return withoutTime(s.log.String())
}

func withoutTime(line string) string {
	_, record, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	return record
}

func wantKind(t testing.TB, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("error %v, not %v", err, kind)
	}
}
