package server

import (
	"io"
	"testing"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/fault"
)

func TestQueuesOfHostsAndOfAccountsAreReleased(t *testing.T) {
	s := open(t) // its queue does not run: what is sent waits
	for _, to := range []address.Address{{Local: "postmaster", Domain: "corp.test"}, {Local: "joe", Domain: "far.test"}} {
		sub, err := s.queue.Begin(t.Context(), &envelope.Envelope{Source: envelope.Source{Tag: "SMTP", Trusted: true},
			Recipients: []envelope.Recipient{{Address: to}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(sub, "Subject: x\r\n\r\nx\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := sub.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, there := s.queue.Info(router.LOCAL, "postmaster@corp.test"); !there {
		t.Fatal("nothing waits for postmaster")
	}
	for _, name := range []string{"postmaster@corp.test", "far.test"} {
		if err := s.ReleaseQueue(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.ReleaseQueue(t.Context(), "nobody@corp.test"); !fault.Is(err, fault.NotFound) {
		t.Errorf("nobody: %v", err)
	}
}
