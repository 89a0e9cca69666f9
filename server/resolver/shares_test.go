package resolver_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"gatepost/server/resolver"
	"gatepost/server/settings"
)

// TestStrangersLeaveRoom: strangers whose domains do not answer take neither the look-ups of the server nor those of other
// clients, whatever the number of names that they have.
func TestStrangersLeaveRoom(t *testing.T) {
	asked := make(chan string, 1000)
	silent := server(t, func(q *dns.Msg, tcp bool) [][]byte {
		if strings.HasPrefix(q.Question[0].Name, "slow") {
			asked <- q.Question[0].Name
			return nil
		}
		return [][]byte{reply(q, nil, q.Question[0].Name+" 60 A 192.0.2.1")}
	})
	r := asking(t, func(s *resolver.Settings) { s.TimeOut = settings.Period(20 * time.Second) }, silent)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	// flood asks for slow names in the name of a client, and returns how many look-ups are under way for them.
	flood := func(client string, names int) {
		for i := range names {
			all.Go(func() {
				r.A(resolver.ForStranger(ctx, netip.MustParseAddr(client)), fmt.Sprintf("slow-%s-%d.test", client, i))
			})
		}
	}
	count := func(want int) {
		t.Helper()
		for range want {
			<-asked
		}
	}
	answers := func(ctx context.Context, name string) bool {
		limited, stop := context.WithTimeout(ctx, 2*time.Second)
		defer stop()
		_, err := r.A(limited, name)
		return err == nil
	}
	// One network has a tenth of 20, which is two; all strangers 15.
	flood("192.0.2.1", 30)
	count(2)
	if !answers(resolver.ForStranger(ctx, netip.MustParseAddr("198.51.100.1")), "good1.test") {
		t.Error("another client waits for a flood")
	}
	for i := range 10 {
		flood(fmt.Sprintf("203.0.%d.1", i), 5)
	}
	count(13)
	if !answers(ctx, "good2.test") {
		t.Error("the server waits for strangers")
	}
	select {
	case name := <-asked:
		t.Errorf("one more: %s", name)
	default:
	}
	cancel()
	r.Close()
}
