package accounts

import (
	"context"
	"net/netip"

	"gatepost/server/protection"
	"gatepost/server/settings"
)

// Protection knows about the addresses of clients.
func (s *serverFiles) Protection() *protection.Protection { return s.protection }

// ClientIPs returns the list of the machines that the administrator trusts.
func (s *serverFiles) ClientIPs() settings.IPList { return s.protection.List(protection.Clients) }

// SetClientIPs replaces the list. Errors: Invalid, which names the line.
func (s *serverFiles) SetClientIPs(ctx context.Context, text string) error {
	return s.protection.SetList(ctx, protection.Clients, text)
}

// ClientIP reports whether an address is one of the Client IPs: the machines
// that the administrator trusts.
func (s *serverFiles) ClientIP(ip netip.Addr) bool { return s.protection.Client(ip) }
