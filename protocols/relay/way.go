package relay

import (
	"strings"

	"gatepost/router"
)

// way is how mail leaves: whose hosts take it, and how they are reached.
type way struct {
	name  string // a domain, host or IP address
	port  int    // 0 for the usual one
	mx    bool   // the MX records of name say which hosts these are
	named bool   // somebody here has named the host, not the sender
	tls   string // a value of Settings.SmartHostTLS
	lmtp  bool   // the hosts speak LMTP
}

// wayOf returns the way of a route: to the host that it names, else to the smart host, else to the
// servers of the domain. A host with a port is found by its address records (router.Route.Port). No
// way is left if mail for elsewhere has to wait for a smart host.
func wayOf(s *Settings, r router.Route) (way, bool) {
	if r.Host != "" {
		name := strings.TrimSuffix(strings.TrimPrefix(r.Host, "["), "]")
		if len(name) > 5 && strings.EqualFold(name[:5], "IPv6:") {
			name = name[5:]
		}
		return way{name: name, port: r.Port, mx: r.Port == 0 && !isIP(name), named: true, tls: ifOffered}, true
	}
	switch {
	case !s.SmartHost.IsZero():
		return way{name: s.SmartHost.Name, port: s.SmartHost.Port, named: true, tls: s.SmartHostTLS, lmtp: s.SmartHost.LMTP}, true
	case s.WithoutHost != byMX:
		return way{}, false
	}
	return way{name: r.Address.Domain, mx: true, tls: ifOffered}, true
}

// hop is how one host of the way is reached.
func (w way) hop(host string) hop {
	return hop{host: Host{Name: host, Port: w.port, LMTP: w.lmtp}, tls: w.tls}
}
