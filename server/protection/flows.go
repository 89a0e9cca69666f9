package protection

import (
	"net/netip"
	"time"

	"gatepost/server/counters"
	"gatepost/server/rate"
	"gatepost/server/settings"
)

// flows count how fast strangers come, by their networks.
type flows struct {
	connections, messages *rate.Table[netip.Prefix]
	slowed                counters.Labelled
}

// maxFlows is how many networks are counted.
const maxFlows = 100_000

func newFlows() flows {
	return flows{connections: rate.New[netip.Prefix](maxFlows), messages: rate.New[netip.Prefix](maxFlows)}
}

// TakeConnection counts a connection of a stranger on port 25. It returns 0, or how long it is until the address may connect
// again. Client IPs and White Holes are not counted.
func (p *Protection) TakeConnection(ip netip.Addr) time.Duration {
	return p.take(p.connections, ip, p.settings.Get().Connections, "connections")
}

// TakeMessage counts a message that a stranger begins, as TakeConnection does connections.
func (p *Protection) TakeMessage(ip netip.Addr) time.Duration {
	return p.take(p.messages, ip, p.settings.Get().Messages, "messages")
}

func (p *Protection) take(t *rate.Table[netip.Prefix], ip netip.Addr, limit settings.Rate, what string) time.Duration {
	if limit.Unlimited() || !ip.IsValid() || p.Exempt(ip) {
		return 0
	}
	wait := t.Take(Network(ip), limit)
	if wait > 0 {
		p.slowed.Inc(what)
	}
	return wait
}

// Slowed are connections and messages of strangers that came too fast.
func (p *Protection) Slowed() *counters.Labelled { return &p.slowed }
