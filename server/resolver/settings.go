package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// Settings of look-ups in the DNS.
type Settings struct {
	Servers   Servers         `key:"Servers" level:"basic" since:"0.2" help:"name servers, each an IP address with an optional port, asked in this order; none for those of /etc/resolv.conf"`
	TimeOut   settings.Period `key:"TimeOut" default:"3s" level:"advanced" since:"0.2" help:"how long one name server has for one answer"`
	Attempts  int             `key:"Attempts" default:"3" level:"advanced" since:"0.2" help:"how often each name server is asked before a look-up fails"`
	Requests  int             `key:"ConcurrentRequests" default:"200" level:"advanced" since:"0.2" help:"look-ups that wait for name servers at a time"`
	TrustAD   string          `key:"TrustAD" default:"Loopback" values:"Loopback|Always|Never" level:"advanced" since:"0.2" help:"whose word counts that DNSSEC has validated an answer: name servers on this machine, all, or none"`
	CacheSize settings.Size   `key:"CacheSize" default:"16M" unit:"bytes" level:"advanced" since:"0.2" help:"memory for answers that are kept; 0 keeps none"`
}

// Validate checks the numbers.
func (s *Settings) Validate() error {
	switch {
	case s.TimeOut.Duration() < time.Second || s.TimeOut.Duration() > lookupLimit:
		return settings.BadValue("TimeOut", "it is 1s to %s", settings.Period(lookupLimit))
	case s.Attempts < 1 || s.Attempts > 10:
		return settings.BadValue("Attempts", "it is 1 to 10, not %d", s.Attempts)
	case s.Requests < 1 || s.Requests > 10_000:
		return settings.BadValue("ConcurrentRequests", "it is 1 to 10000, not %d", s.Requests)
	case s.CacheSize < 0:
		return settings.BadValue("CacheSize", "it cannot be unlimited")
	}
	return nil
}

// Servers are the addresses of name servers.
type Servers []netip.AddrPort

// maxServers bounds the time that a look-up can take, and the length of the list.
const maxServers = 16

const portDNS = 53

// parseServer reads 192.0.2.1, 192.0.2.1:5300, 2001:db8::1, [2001:db8::1] or [2001:db8::1]:5300.
func parseServer(s string) (netip.AddrPort, error) {
	s = strings.TrimSpace(s)
	if ap, err := netip.ParseAddrPort(s); err == nil && ap.Port() != 0 {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return netip.AddrPortFrom(a.Unmap(), portDNS), nil
	}
	return netip.AddrPort{}, fmt.Errorf("%q is not the address of a name server (such as 192.0.2.53 or [2001:db8::53]:5300)", s)
}

// SetValue reads an array of addresses; one string stands for a list of one.
func (l *Servers) SetValue(v dataformat.Value) error {
	a, ok := v.(dataformat.Array)
	if s, one := dataformat.Text(v); one {
		a, ok = dataformat.Array{}, true
		if s != "" {
			a = dataformat.Array{v}
		}
	}
	if !ok {
		return errors.New("an array of addresses is expected")
	}
	if len(a) > maxServers {
		return fmt.Errorf("more than %d name servers", maxServers)
	}
	var out Servers
	for _, e := range a {
		s, ok := dataformat.Text(e)
		if !ok {
			return errors.New("an array of addresses is expected")
		}
		server, err := parseServer(s)
		if err != nil {
			return err
		}
		out = append(out, server)
	}
	*l = out
	return nil
}

// DataValue is the array.
func (l Servers) DataValue() dataformat.Value {
	a := make(dataformat.Array, len(l))
	for i, s := range l {
		a[i] = dataformat.String(serverName(s))
	}
	return a
}

// serverName is a name server as people write it, without the usual port.
func serverName(s netip.AddrPort) string {
	if s.Port() == portDNS {
		return s.Addr().String()
	}
	return s.String()
}
