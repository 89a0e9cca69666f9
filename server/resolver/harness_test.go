package resolver_test

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"gatepost/server/resolver"
	"gatepost/server/resolver/resolvertest"
	"gatepost/server/settings"
)

// served returns a resolver that asks a name server of the zone.
func served(t *testing.T, zone *resolvertest.Zone) *resolver.Resolver {
	t.Helper()
	return asking(t, nil, zone.Serve(t))
}

// asking returns a resolver over name servers, with settings that tests can wait for.
func asking(t *testing.T, change func(*resolver.Settings), servers ...netip.AddrPort) *resolver.Resolver {
	t.Helper()
	s := &resolver.Settings{Servers: servers, TimeOut: settings.Period(200 * time.Millisecond), Attempts: 1, Requests: 20,
		TrustAD: "Loopback", CacheSize: 1 << 20}
	if change != nil {
		change(s)
	}
	r := resolver.New(settings.NewLive(s), slog.New(slog.DiscardHandler))
	t.Cleanup(r.Close)
	return r
}
