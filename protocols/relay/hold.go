package relay

import (
	"strings"
	"sync"
	"time"

	"gatepost/queue"
	"gatepost/queue/envelope"
	"gatepost/router"
)

// Mail for some domains waits until it is asked for: their servers are reached only now and then.
// The settings name them; ETRN (RFC 1985), an administrator, or a message to domain%wakeup at this
// server asks. Then their queue is released: for a while mail goes out as it does for others.

const (
	// released is how long a queue stays released.
	released = 15 * time.Minute
	// holdRetry is the interval at which a message on hold comes by again.
	holdRetry = 24 * time.Hour
)

// holds remembers which queues were released, and until when.
type holds struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// release lets the mail of a queue go for a while.
func (h *holds) release(queue string) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until == nil {
		h.until = map[string]time.Time{}
	}
	for q, t := range h.until {
		if now.After(t) {
			delete(h.until, q)
		}
	}
	h.until[queue] = now.Add(released)
}

func (h *holds) isReleased(queue string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Before(h.until[queue])
}

// holdsFor reports whether the settings hold mail for a queue, which is named after a domain.
func (s *Settings) holdsFor(queue string) bool {
	for _, pattern := range s.Hold {
		pattern = strings.ToLower(strings.TrimSpace(pattern))
		suffix, wild := strings.CutPrefix(pattern, "*")
		if queue == pattern || wild && strings.HasSuffix(queue, suffix) {
			return true
		}
	}
	return false
}

// held reports whether the mail of a queue waits until it is asked for.
func (t *Transport) held(queue string) bool {
	return t.settings.Get().holdsFor(queue) && !t.holds.isReleased(queue)
}

// Release lets the mail of a queue go that waits until it is asked for. The queue is to be woken after it.
func (t *Transport) Release(queue string) { t.holds.release(queue) }

// onHold is what becomes of mail that waits until it is asked for.
var onHold = envelope.Status{Action: envelope.ActionDelayed, Code: envelope.Code{4, 7, 0},
	Text: "on hold until the domain asks for its mail", Retry: holdRetry}

// apart handles the batches that no host takes: those on hold, and those that release others.
func (t *Transport) apart(b *queue.Batch) bool {
	switch {
	case b.Queue == router.Wakeup:
		t.wakeOthers(b)
	case t.held(b.Queue):
		for _, it := range b.Items {
			it.ReportAll(it.Recipients, onHold)
		}
	default:
		return false
	}
	return true
}

// wakeOthers releases the queues of the domains that messages to domain%wakeup name. The messages themselves
// end here.
func (t *Transport) wakeOthers(b *queue.Batch) {
	for _, it := range b.Items {
		for i, rcpt := range it.Recipients {
			domain := strings.ToLower(it.Routes[i].Address.Local)
			text := "the queue of " + domain + " is released"
			t.Release(domain)
			if !t.wake(domain) {
				text = "no mail waits for " + domain
			}
			it.Report(rcpt, envelope.Status{Action: envelope.ActionDelivered, Code: envelope.Code{2, 0, 0}, Text: text})
		}
	}
}
