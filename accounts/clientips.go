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

// DomainClientIP reports whether an address is a Client IP of the server, or one of a domain: the machines
// that are trusted to speak for it. An address that is blacklisted is none.
func (s *Store) DomainClientIP(name string, ip netip.Addr) bool {
	if s.ClientIP(ip) {
		return true
	}
	real, ours := s.DomainName(name)
	if !ours || s.protection.Blacklisted(ip) {
		return false
	}
	d, err := s.domain(real)
	return err == nil && !d.suspended && d.settings.ClientIPs.Contains(ip)
}
