package protection

import (
	"cmp"
	"container/list"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"gatepost/server/counters"
	"gatepost/server/fault"
	"gatepost/server/logs"
	"gatepost/server/rate"
)

// Cause is why an address is on the temporary blacklist, in words that an administrator and the client read.
type Cause string

// The causes.
const (
	FailedLogins      Cause = "too many failed logins"
	UnknownRecipients Cause = "too many unknown recipients"
	RefusedRelaying   Cause = "too many relaying attempts"
	ProtocolErrors    Cause = "too many protocol errors"
	EarlyTalker       Cause = "talking before the greeting"
	Spamtrap          Cause = "mail to a spamtrap"
	SilentClient      Cause = "connections without mail that others had to wait for"
	Administrator     Cause = "an administrator has blocked it"
)

const (
	maxCounted = 200_000 // windows of events
	maxBlocks  = 100_000 // that events have caused
	maxManual  = 10_000  // that administrators have made
)

// Block is an entry of the temporary blacklist.
type Block struct {
	// Network is an IPv4 address, or the 64 bits of an IPv6 one.
	Network netip.Prefix
	Cause   Cause
	// Count is how many events of the cause came before it.
	Count        int
	Since, Until time.Time
}

// blocks is the temporary blacklist and the events that lead there.
type blocks struct {
	p       *Protection
	counted *rate.Table[event]
	made    counters.Labelled

	mu     sync.Mutex
	table  map[netip.Prefix]*entry
	order  list.List // of *entry: those that events have caused, the oldest in front
	manual int       // entries that administrators have made
}

type event struct {
	network netip.Prefix
	cause   Cause
}

type entry struct {
	Block
	element *list.Element // nil if an administrator has made it
}

func newBlocks(p *Protection) blocks {
	return blocks{p: p, counted: rate.New[event](maxCounted), table: map[netip.Prefix]*entry{}}
}

// Made are the blocks that events have caused, by cause.
func (b *blocks) Made() *counters.Labelled { return &b.made }

// Network is what an address counts as: an IPv4 address, or an IPv6 network of 64 bits, since one host owns that many.
func Network(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	n, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: a local caller
	}
	return n
}

// Report counts something that only attackers do often. It reports whether the address is blocked since.
func (b *blocks) Report(ip netip.Addr, c Cause) bool {
	set := b.p.settings.Get()
	limit := set.limit(c)
	if limit.Unlimited() || set.DenyAccessFor <= 0 || !ip.IsValid() || b.p.Exempt(ip) {
		return false
	}
	e := event{Network(ip), c}
	b.p.senders.Reset(e.network)
	b.counted.Take(e, limit)
	n := b.counted.Count(e)
	if n < limit.Count {
		return false
	}
	b.counted.Reset(e)
	b.Block(ip, c, n)
	return true
}

// Block puts an address on the temporary blacklist, after so many events of a cause. It returns for how long: 0 when nobody
// is blocked. A block that is there already is prolonged.
func (b *blocks) Block(ip netip.Addr, c Cause, count int) time.Duration {
	d := b.p.settings.Get().DenyAccessFor.Duration()
	if d <= 0 || !ip.IsValid() || b.p.Exempt(ip) {
		return 0
	}
	b.put(Network(ip), c, count, d)
	b.made.Inc(string(c))
	b.p.log.LogAttrs(context.Background(), logs.LevelProblem, "address blocked", slog.String(logs.AttrPeer, ip.Unmap().String()),
		slog.String("cause", string(c)), slog.Int("events", count), slog.String("for", d.String()))
	return d
}

// BlockFor puts an address on the temporary blacklist for an administrator. Errors: Invalid for a time that is too long, and for a
// White Hole; TooMany.
func (b *blocks) BlockFor(ip netip.Addr, d time.Duration) error {
	const op = "protection.BlockFor"
	switch {
	case d <= 0 || d > maxBlock:
		return fault.New(op, fault.Invalid, "a number of seconds is expected, not more than 30 days")
	case b.p.WhiteHole(ip):
		return fault.New(op, fault.Invalid, "the address is a White Hole, which is never blocked")
	}
	if !b.put(Network(ip), Administrator, 0, d) {
		return fault.New(op, fault.TooMany, "too many addresses are blocked by administrators")
	}
	return nil
}

func (b *blocks) put(n netip.Prefix, c Cause, count int, d time.Duration) bool {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for front := b.order.Front(); front != nil; front = b.order.Front() {
		if e := front.Value.(*entry); now.Before(e.Until) && b.order.Len() < maxBlocks {
			break
		}
		b.remove(front.Value.(*entry))
	}
	old := b.table[n]
	if old != nil && old.element == nil && c != Administrator && old.Until.After(now.Add(d)) {
		return true // what the administrator has made lasts longer
	}
	if c == Administrator && b.manual >= maxManual && (old == nil || old.element != nil) {
		if b.dropEnded(now); b.manual >= maxManual {
			return false
		}
	}
	if old = b.table[n]; old != nil {
		b.remove(old)
	}
	e := &entry{Block: Block{Network: n, Cause: c, Count: count, Since: now, Until: now.Add(d)}}
	if b.table[n] = e; c == Administrator {
		b.manual++
	} else {
		e.element = b.order.PushBack(e)
	}
	return true
}

// dropEnded removes what administrators have made and has ended.
func (b *blocks) dropEnded(now time.Time) {
	for _, e := range b.table {
		if e.element == nil && !now.Before(e.Until) {
			b.remove(e)
		}
	}
}

func (b *blocks) remove(e *entry) {
	delete(b.table, e.Network)
	if e.element == nil {
		b.manual--
		return
	}
	b.order.Remove(e.element)
}

// Blocked returns the block of an address, if there is one.
func (b *blocks) Blocked(ip netip.Addr) (Block, bool) {
	b.mu.Lock()
	e := b.table[Network(ip)]
	b.mu.Unlock()
	if e == nil || !time.Now().Before(e.Until) || b.p.Exempt(ip) {
		return Block{}, false
	}
	return e.Block, true
}

// Lift ends the block of a network, and reports whether there was one. Its events count anew.
func (b *blocks) Lift(n netip.Prefix) bool {
	for _, c := range [...]Cause{FailedLogins, UnknownRecipients, RefusedRelaying, ProtocolErrors, EarlyTalker, Spamtrap, SilentClient} {
		b.counted.Reset(event{n, c})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.table[n]
	if e == nil {
		return false
	}
	b.remove(e)
	return time.Now().Before(e.Until)
}

// Blocks is the temporary blacklist, the one that ends last first.
func (b *blocks) Blocks() []Block {
	now := time.Now()
	b.mu.Lock()
	out := make([]Block, 0, len(b.table))
	for _, e := range b.table {
		if now.Before(e.Until) {
			out = append(out, e.Block)
		}
	}
	b.mu.Unlock()
	slices.SortFunc(out, func(x, y Block) int {
		return cmp.Or(y.Until.Compare(x.Until), x.Network.Addr().Compare(y.Network.Addr()))
	})
	return out
}

// Len is the number of addresses that are blocked.
func (b *blocks) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.table)
}
