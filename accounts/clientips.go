package accounts

import (
	"context"
	"net/netip"
	"path/filepath"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// ClientIPs returns the list of the machines that the administrator trusts.
func (s *serverFiles) ClientIPs() settings.IPList { return s.state.Load().clientIPs }

// SetClientIPs replaces the list. Errors: Invalid, which names the line.
func (s *serverFiles) SetClientIPs(ctx context.Context, text string) error {
	const op = "accounts.SetClientIPs"
	if _, err := settings.ParseIPList(text); err != nil {
		return fault.Newf(op, fault.Invalid, "%s", err)
	}
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	path := filepath.Join(s.base, settingsDirectory, clientIPsFile)
	if err := dataformat.WriteFile(path, dataformat.String(text), dataformat.StylePretty); err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	return fault.Wrap(op, fault.Internal, s.load(s.state.Load().domainAliases))
}

// ClientIP reports whether an address is one of the Client IPs: the machines
// that the administrator trusts.
func (s *serverFiles) ClientIP(ip netip.Addr) bool { return s.state.Load().clientIPs.Contains(ip) }
