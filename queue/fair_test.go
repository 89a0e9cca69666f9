package queue

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/server/dataformat"
)

// network is a transport to many hosts, each with manners of its own. A connection of a
// batch answers after greet; a message takes each.
type network struct {
	policy Policy
	group  func(queue string) string // nil: it is no Grouper

	mu     sync.Mutex
	hosts  map[string]*host // by queue, or by group
	manner func(name string) host
	asked  int // calls of Group
}

type host struct {
	greet, each time.Duration
	silent      bool // no connection is ever answered
	most        int  // connections at once, more are refused; 0: any

	conns, peak int
	got         map[string]time.Time // by recipient: the last message
	messages    int
}

// silence is how long a transport waits for a greeting.
const silence = 5 * time.Minute

func newNetwork(manner func(name string) host) *network {
	return &network{manner: manner, hosts: map[string]*host{}, policy: Policy{
		Workers: 50, Silent: 200, PerQueue: 20, Backlog: 10, BatchSize: 50, Retry: remoteSchedule, Warn: []time.Duration{4 * time.Hour, 24 * time.Hour}}}
}

func (n *network) Policy() Policy { return n.policy }

func (n *network) host(queue string) *host {
	name := queue
	if n.group != nil {
		name = n.group(queue)
	}
	h := n.hosts[name]
	if h == nil {
		made := n.manner(name)
		made.got = map[string]time.Time{}
		h = &made
		n.hosts[name] = h
	}
	return h
}

func (n *network) Deliver(ctx context.Context, b *Batch) {
	n.mu.Lock()
	h := n.host(b.Queue)
	h.conns++
	h.peak = max(h.peak, h.conns)
	refused := h.most > 0 && h.conns > h.most
	greet, each := h.greet, h.each
	if h.silent {
		greet = silence
	}
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		h.conns--
		n.mu.Unlock()
	}()
	all := func(st envelope.Status) {
		for _, it := range b.Items {
			it.ReportAll(it.Recipients, st)
		}
	}
	if refused {
		all(hostDown("421 too many connections"))
		return
	}
	if !pause(ctx, greet) {
		return
	}
	n.mu.Lock()
	silent := h.silent
	n.mu.Unlock()
	if silent {
		all(hostDown("no greeting"))
		return
	}
	b.Answered()
	for i, it := range b.Items {
		if i > 0 && !b.More() {
			return
		}
		if !pause(ctx, each) {
			return
		}
		n.mu.Lock()
		h.messages++
		for _, r := range it.Routes {
			h.got[r.Address.String()] = time.Now()
		}
		n.mu.Unlock()
		it.ReportAll(it.Recipients, envelope.Status{Action: envelope.ActionRelayed, Code: envelope.Code{2, 0, 0}, Text: "relayed via " + b.Queue})
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// grouping is a network that is a Grouper.
type grouping struct{ *network }

func (g grouping) Group(_ context.Context, b *Batch) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	return g.group(b.Queue)
}

// state returns what a host has seen.
func (n *network) state(name string) host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return *n.host(name)
}

func (n *network) change(name string, f func(h *host)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n.host(name))
}

// on makes a queue with a network for SMTP.
func (n *network) on(t *testing.T) *bench {
	b := open(t, t.TempDir())
	b.set.Set(testSettings(t, dataformat.Dict{"CopyFailureReportsTo": dataformat.String("")}).Get())
	if n.group != nil {
		b.q.Handle(router.SMTP, grouping{n})
	} else {
		b.q.Handle(router.SMTP, n)
	}
	return b
}

// fill submits messages to a domain.
func (b *bench) fill(messages int, domain string) {
	b.t.Helper()
	for range messages {
		b.mustSubmit(b.env("joe@company.com", "a@"+domain), testMessage)
	}
}

// within waits for a condition that the clock of the test brings about, and returns how
// long that took.
func within(t *testing.T, limit time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !done() {
		if time.Since(start) > limit {
			t.Errorf("not in %v: %s", limit, what)
			break
		}
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
	}
	return time.Since(start)
}

// of counts the messages that the hosts got whose name begins so.
func (n *network) of(prefix string) (messages int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, h := range n.hosts {
		if strings.HasPrefix(name, prefix) {
			messages += h.messages
		}
	}
	return messages
}

func silentOrGood(name string) host {
	if strings.HasPrefix(name, "silent") {
		return host{silent: true}
	}
	return host{greet: 20 * time.Millisecond, each: 5 * time.Millisecond}
}

func TestSilentHostsHoldUpNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(silentOrGood)
		b := n.on(t)
		for i := range 10 {
			b.fill(20, fmt.Sprintf("silent%d.net", i))
		}
		for i := range 40 {
			b.fill(20, fmt.Sprintf("good%d.net", i))
		}
		b.run()
		within(t, 5*time.Second, "the mail of 40 good hosts", func() bool { return n.of("good") == 800 })
		for i := range 10 {
			if h := n.state(fmt.Sprintf("silent%d.net", i)); h.peak != 1 {
				t.Errorf("silent host %d had %d connections", i, h.peak)
			}
		}
		b.halt()
	})
}

// More hosts are silent than there are places for them: those that have waited for half a
// minute make room, and no message waits for longer than that takes.
func TestMoreSilentHostsThanPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(silentOrGood)
		n.policy.Workers, n.policy.Silent = 5, 10
		b := n.on(t)
		for i := range 40 {
			b.fill(1, fmt.Sprintf("silent%d.net", i))
		}
		for i := range 40 {
			b.fill(1, fmt.Sprintf("good%d.net", i))
		}
		b.run()
		within(t, 4*patience+10*time.Second, "the mail of the good hosts", func() bool { return n.of("good") == 40 })
		synctest.Wait()
		if info, ok := b.q.Info(router.SMTP, "silent0.net"); !ok || !strings.Contains(info.LastError, "the host does not answer") {
			t.Errorf("the queue of a silent host: %+v", info)
		}
		b.halt()
	})
}

// Hosts that answered, with many connections, fall silent, and give up the workers.
func TestHostsThatFallSilentGiveUpTheirWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(func(name string) host { return host{each: 5 * time.Millisecond} })
		n.policy.Workers = 10
		b := n.on(t)
		for _, d := range []string{"slow1.net", "slow2.net", "slow3.net"} {
			b.fill(300, d)
			n.change(d, func(h *host) { h.each = 100 * time.Millisecond })
		}
		b.run()
		time.Sleep(3 * time.Second)
		for _, d := range []string{"slow1.net", "slow2.net", "slow3.net"} {
			n.change(d, func(h *host) { h.each = time.Minute })
		}
		time.Sleep(10 * time.Second)
		b.fill(20, "good.net")
		took := within(t, 5*time.Second, "the mail of a good host", func() bool { return n.of("good") == 20 })
		t.Log("after", took)
		b.halt()
	})
}

func TestDeadHostIsTriedByOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(silentOrGood)
		b := n.on(t)
		b.fill(200, "silent.net")
		b.run()
		time.Sleep(3 * time.Hour)
		b.fill(10, "silent.net")
		time.Sleep(3 * time.Hour)
		if h := n.state("silent.net"); h.peak != 1 {
			t.Errorf("%d connections at once", h.peak)
		}
		n.change("silent.net", func(h *host) { h.silent, h.each = false, 100*time.Millisecond })
		within(t, 2*time.Hour+silence, "the mail", func() bool { return n.of("silent") == 210 })
		if h := n.state("silent.net"); h.peak < 2 {
			t.Error("it got one connection when it answered")
		}
		b.halt()
	})
}

// A host that refuses further connections is no dead host: nothing is delayed.
func TestConnectionTooMuchDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(func(string) host { return host{most: 3, greet: 10 * time.Millisecond, each: 50 * time.Millisecond} })
		b := n.on(t)
		b.fill(600, "few.net")
		b.run()
		within(t, 20*time.Second, "all mail", func() bool { return n.of("few") == 600 })
		if h := n.state("few.net"); h.peak > firstLimit {
			t.Errorf("%d connections at once, where 3 are allowed", h.peak)
		}
		b.halt()
	})
}

func TestLimitGrowsWhileAHostTakesMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(func(string) host { return host{each: 20 * time.Millisecond} })
		b := n.on(t)
		b.fill(2000, "good.net")
		b.run()
		time.Sleep(500 * time.Millisecond)
		if h := n.state("good.net"); h.peak != firstLimit {
			t.Errorf("%d connections at first", h.peak)
		}
		within(t, time.Minute, "all mail", func() bool { return n.of("good") == 2000 })
		if h := n.state("good.net"); h.peak <= firstLimit || h.peak > 20 {
			t.Errorf("%d connections at most", h.peak)
		}
		b.halt()
	})
}

// Domains that lead to the same hosts share their connections and their death.
func TestDomainsOfOneHostAreOneDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(func(string) host { return host{silent: true, each: 100 * time.Millisecond} })
		n.group = func(string) string { return "mx.net" }
		b := n.on(t)
		for i := range 30 {
			b.fill(5, fmt.Sprintf("d%d.net", i))
		}
		b.run()
		time.Sleep(2 * time.Hour)
		if h := n.state("mx.net"); h.peak != 1 {
			t.Errorf("%d connections to a dead host", h.peak)
		}
		var waits Entry
		b.q.List(context.Background(), func(e Entry) bool {
			waits = e
			return e.Queue != "d29.net"
		})
		if waits.NextTry.IsZero() || waits.LastError != "no greeting" || waits.WaitsFor != "mx.net is considered dead" {
			t.Errorf("a message that waits for the host: %+v", waits)
		}
		n.change("mx.net", func(h *host) { h.silent = false })
		within(t, 31*time.Minute+silence, "the mail of all domains", func() bool { return n.of("mx.net") == 150 })
		if h := n.state("mx.net"); h.peak < 2 || h.peak > 20 {
			t.Errorf("%d connections", h.peak)
		}
		b.halt()
	})
}

// Where a domain leads is asked again when its host was dead.
func TestDomainLeavesADeadHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(silentOrGood)
		var mu sync.Mutex
		to := map[string]string{}
		n.group = func(queue string) string {
			mu.Lock()
			defer mu.Unlock()
			if to[queue] != "" {
				return to[queue]
			}
			return "silent.mx"
		}
		b := n.on(t)
		for i := range 20 {
			b.fill(1, fmt.Sprintf("d%d.net", i))
		}
		b.run()
		time.Sleep(time.Hour)
		mu.Lock()
		to["d13.net"] = "good.mx"
		mu.Unlock()
		within(t, 31*time.Minute+silence, "the mail of the domain", func() bool { return n.of("good.mx") == 1 })
		b.halt()
	})
}

// A batch ends after a while when others wait for a worker.
func TestLongBatchMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(func(string) host { return host{each: time.Second} })
		n.policy.Workers, n.policy.Silent, n.policy.PerQueue = 1, 1, 1
		b := n.on(t)
		b.fill(100, "big1.net")
		b.fill(100, "big2.net")
		b.fill(1, "small.net")
		b.run()
		within(t, 2*longTurn+10*time.Second, "the message of the small domain", func() bool { return n.of("small") == 1 })
		b.halt()
	})
}

// What is known of a destination outlives its mail for a while, and not for long.
func TestIdleDestinationsAreEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(silentOrGood)
		b := n.on(t)
		b.run()
		b.fill(1, "good.net")
		time.Sleep(time.Second)
		synctest.Wait()
		m := b.q.modules[router.SMTP]
		b.q.mu.Lock()
		if d := m.named["good.net"]; d == nil || !d.alive || m.idle.n != 1 {
			t.Errorf("after its mail: %+v", d)
		}
		b.q.mu.Unlock()
		time.Sleep(idleFor + housekeeping)
		synctest.Wait()
		b.q.mu.Lock()
		if len(m.named) != 0 || m.idle.n != 0 {
			t.Errorf("%d destinations, %d idle", len(m.named), m.idle.n)
		}
		for i := range maxIdle + 100 {
			q := b.q.queue(m, fmt.Sprintf("d%d.net", i))
			b.q.offer(q) // empty
		}
		if len(m.named) != maxIdle || m.idle.n != maxIdle {
			t.Errorf("%d destinations, %d idle", len(m.named), m.idle.n)
		}
		b.q.mu.Unlock()
		b.halt()
	})
}

// Senders hear of a dead host as they do if their domain is the only one that leads there.
func TestDomainsOfADeadHostWaitFiveDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(silentOrGood)
		n.group = func(string) string { return "silent.mx" }
		b := n.on(t)
		const domains = 8
		for i := range domains {
			b.mustSubmit(b.env(fmt.Sprintf("u%d@company.com", i), fmt.Sprintf("a@d%d.net", i)), testMessage)
		}
		b.run()
		start := time.Now()
		time.Sleep(4*24*time.Hour + 20*time.Hour)
		synctest.Wait()
		reports := func(i int) (delays, failed int) {
			for _, m := range b.local.messages(fmt.Sprintf("u%d@company.com", i)) {
				if strings.Contains(m, "Subject: Message Delayed") {
					delays++
				}
				if strings.Contains(m, "Subject: Undeliverable mail") {
					failed++
				}
			}
			return delays, failed
		}
		for i := range domains {
			if d, f := reports(i); d != 2 || f != 0 {
				t.Errorf("domain %d after %v: %d warnings, %d failures", i, time.Since(start), d, f)
			}
		}
		time.Sleep(6*time.Hour + silence)
		synctest.Wait()
		for i := range domains {
			if d, f := reports(i); d != 2 || f != 1 {
				t.Errorf("domain %d at the end: %d warnings, %d failures", i, d, f)
			}
		}
		if n := b.q.Len(); n != 0 {
			t.Errorf("%d messages are left", n)
		}
		if h := n.state("silent.mx"); h.peak != 1 {
			t.Errorf("%d connections", h.peak)
		}
		b.halt()
	})
}

func TestReleaseTriesADeadHostAtOnce(t *testing.T) {
	for _, grouped := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(silentOrGood)
			if grouped {
				n.group = func(string) string { return "silent.mx" }
			}
			b := n.on(t)
			b.fill(3, "silent1.net")
			b.fill(3, "silent2.net")
			b.run()
			time.Sleep(10 * time.Hour)
			for _, name := range []string{"silent.mx", "silent1.net"} {
				n.change(name, func(h *host) { h.silent = false })
			}
			time.Sleep(silence) // of an attempt under way
			if !b.q.Wake(router.SMTP, "silent1.net") {
				t.Error("there is no such queue")
			}
			within(t, 5*time.Second, "the mail of the released queue", func() bool {
				return len(b.q.ids()) <= 3
			})
			b.halt()
		})
	}
}
