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
	senders               *rate.Table[netip.Prefix] // from which messages were accepted
	slowed                counters.Labelled
}

// maxFlows is how many networks are counted.
const maxFlows = 100_000

func newFlows() flows {
	return flows{connections: rate.New[netip.Prefix](maxFlows), messages: rate.New[netip.Prefix](maxFlows), senders: rate.New[netip.Prefix](maxFlows)}
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

// senderFor is how long an address is a known sender after its message.
var senderFor = settings.Rate{Count: 1, Period: settings.Period(30 * 24 * time.Hour)}

// Delivered notes that a message of a stranger was accepted.
func (p *Protection) Delivered(ip netip.Addr) {
	if ip.IsValid() {
		p.senders.Fill(Network(ip), senderFor.Count, senderFor.Period.Duration())
	}
}

// KnownSender reports whether a message was lately accepted from a stranger's address, and nothing since that only attackers do.
func (p *Protection) KnownSender(ip netip.Addr) bool {
	return ip.IsValid() && p.senders.Count(Network(ip)) > 0
}
