package counters

import (
	"net/netip"
	"time"
)

// Wire is what a module with connections counts.
type Wire struct {
	// Accepted are connections that got a session.
	Accepted Counter
	// Refused are those that got none, by reason.
	Refused Labelled
	// Received and Sent are octets, those of TLS and its handshakes included.
	Received, Sent Counter
	// Encrypted are handshakes of TLS that were completed, Failed those that were not.
	Encrypted, Failed Counter
}

// Connection is one that is open.
type Connection struct {
	Number   uint64 // of the module's connections, since the start of the process
	Remote   netip.Addr
	Accepted time.Time
	Idle     time.Duration // for which the server has waited for the client; 0: it works for it
	Kind     string        // stranger, user or client
}
