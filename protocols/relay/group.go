package relay

import (
	"context"
	"strings"

	"gatepost/queue"
)

// Group implements queue.Grouper: all queues that go to the smart host are one destination,
// and so are those whose routes name one host.
func (t *Transport) Group(_ context.Context, b *queue.Batch) string {
	s := t.settings.Get()
	var first hop
	for _, it := range b.Items {
		for i := range it.Routes {
			h, ok := hopOf(s, it.Routes[i])
			if !ok || first != (hop{}) && first != h {
				return ""
			}
			first = h
		}
	}
	return strings.ToLower(first.host.String())
}
