package router

import (
	"strconv"
	"strings"

	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

// routeSuffix routes addresses of which the end of the domain says where they lead.
func (w *walk) routeSuffix() (Route, bool, error) {
	domain := w.addr.Domain
	if domain == names.Pipe {
		return Route{
			Module: PIPE, Queue: w.addr.Local, Address: address.Address{Local: w.addr.Local, Domain: names.Pipe},
			Relay: w.relay, Direct: w.direct,
		}, true, nil
	}
	if domain == names.Wakeup && w.op == names.Mail {
		host, err := address.NormalizeDomain(w.addr.Local)
		if err != nil {
			return Route{}, false, fault.New("router.Route", fault.Invalid, "the address names no domain to wake up")
		}
		return Route{Module: SMTP, Queue: Wakeup, Address: address.Address{Local: host, Domain: names.Wakeup}}, true, nil
	}
	for _, s := range names.HostSuffixes() {
		if name, ok := strings.CutSuffix(domain, s); ok {
			host, port, err := splitPort(name)
			if err != nil {
				return Route{}, false, err
			}
			queue := host
			if port > 0 {
				queue += ":" + strconv.Itoa(port)
			}
			return w.remoteRoute(queue, host, port), true, nil
		}
	}
	if name, ok := strings.CutSuffix(domain, names.LocalSuffix); ok {
		return w.routeUnified(w.c.main(), name)
	}
	if name, ok := strings.CutSuffix(domain, names.DomainSuffix); ok {
		real, ours := w.c.realName(name)
		if real == "" {
			real = w.c.main()
		}
		if !ours {
			return Route{}, false, fault.New("router.Route", fault.NoHost, textUnknownHost)
		}
		account := w.addr.Local
		account = account[strings.LastIndexAny(account, "@%")+1:]
		return w.routeUnified(real, account)
	}
	return Route{}, false, nil
}

// splitPort separates a host from a port in either spelling: host.25, host:25.
func splitPort(name string) (host string, port int, err error) {
	i := strings.LastIndexAny(name, ".:")
	if i > 0 && allDigits(name[i+1:]) && (name[i] == ':' || name[i-1] == ']' || !isIPv4(name)) {
		port, err = strconv.Atoi(name[i+1:])
		if err != nil || port < 1 || port > 65535 {
			return "", 0, fault.New("router.Route", fault.Invalid, "bad port number")
		}
		name = name[:i]
	}
	host, err = address.NormalizeDomain(name)
	return host, port, err
}

// isIPv4 tells 192.0.2.1 from a host with a port, 192.0.2.1.25.
func isIPv4(s string) bool {
	return strings.Count(s, ".") == 3 && allDigits(strings.ReplaceAll(s, ".", ""))
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// remoteRoute is the route to another host. The address to send is the local part
// if that is an address; else the host's name, or the literal, is its domain.
//
// A bang path that a sender wrote before the domain of another system is that
// system's to read (RFC 5321 2.3.11), and stays as it is.
func (w *walk) remoteRoute(queue, host string, port int) Route {
	a, ok := w.addr.Plain()
	switch {
	case ok && (host != "" || w.localFromTable || strings.ContainsAny(w.addr.Local, "@%")):
	case host != "":
		a = address.Address{Local: w.addr.Local, Domain: host}
	default:
		a = w.addr
	}
	route := Route{Module: SMTP, Queue: queue, Address: a, Host: host, Port: port, AsGiven: w.rewrites == 0, Relay: w.relay}
	if w.op == Signal {
		route.Module = SIP
	}
	return route
}
