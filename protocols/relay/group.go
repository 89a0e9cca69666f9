package relay

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"

	"gatepost/queue"
	"gatepost/router"
)

// Group implements queue.Grouper: all queues that go to the smart host are one destination,
// and so are those of domains with the same best mail servers.
func (t *Transport) Group(ctx context.Context, b *queue.Batch) string {
	if b.Queue == router.Wakeup || t.IsTurned(b.Queue) || t.held(b.Queue) {
		return "" // it goes nowhere now, or where nothing else goes
	}
	c := t.choices()
	var first way
	for _, it := range b.Items {
		for i := range it.Routes {
			w, none := c.wayOf(it.Envelope, &it.Routes[i])
			if none != nil || first != (way{}) && first != w {
				return ""
			}
			first = w
		}
	}
	b.Limit(first.channels())
	return strings.Join(t.bestHosts(ctx, first), ",")
}

// bestHosts returns the hosts of a way that are tried first, with their port if it is not the usual one; none
// if the DNS does not say.
func (t *Transport) bestHosts(ctx context.Context, w way) []string {
	names := []string{w.name}
	if w.mx {
		groups, err := t.finder.exchangers(ctx, w.name)
		if err != nil {
			return nil // Deliver meets it too
		}
		names = slices.Sorted(slices.Values(groups[0]))
	}
	for i, name := range names {
		names[i] = strings.ToLower(name)
		if port := w.hop(name).port(); port != portSMTP {
			names[i] = net.JoinHostPort(names[i], strconv.Itoa(port))
		}
	}
	return names
}
