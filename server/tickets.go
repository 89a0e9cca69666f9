package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"time"

	"gatepost/server/settings"
)

// A client that comes again shows a ticket of its session before, which saves both sides the costly part of the handshake (RFC 8446
// section 2.2, RFC 5077). The keys of tickets are in memory alone. Who gets one reads the sessions that began with it, so they are changed often:
// TLSTimeToLive is how long a ticket is of use at least, and a key lives a quarter longer.

const (
	// ticketKeys is how many keys are known, the one of new tickets first.
	ticketKeys = 5
	// The bounds of TLSTimeToLive; clients keep no ticket for longer than a week.
	minTicket, maxTicket = time.Minute, 7 * 24 * time.Hour
)

// tickets are the keys that all configurations share.
type tickets struct {
	keys    [][32]byte
	configs []*tls.Config
}

// rotate has a new key for the tickets from now on, and forgets the oldest one.
func (t *tickets) rotate() {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	t.keys = append([][32]byte{key}, t.keys[:min(len(t.keys), ticketKeys-1)]...)
	for _, c := range t.configs {
		c.SetSessionTicketKeys(t.keys)
	}
}

// rotateTickets changes the keys of tickets until ctx ends.
func (s *Server) rotateTickets(ctx context.Context) {
	for {
		timer := time.NewTimer(s.main.Get().TLSTimeToLive.Duration() / (ticketKeys - 1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			s.tickets.rotate()
		}
	}
}

func checkTimeToLive(p settings.Period) error {
	if p == settings.Never || p.Duration() < minTicket || p.Duration() > maxTicket {
		return settings.BadValue("TLSTimeToLive", "it is 1m to 7d, not %s", p)
	}
	return nil
}
