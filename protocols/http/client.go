package http

import (
	"net/http"
	"net/netip"
	"strings"
)

// client returns who sent a request: the other end of the connection, or, when that is a trusted
// proxy, whom it names. Of the addresses in X-Forwarded-For the last ones are the proxies'; the
// last that is no trusted proxy is the client. What stands before it anybody can have written.
func (k *session) client(h http.Header) (ip netip.Addr, secure bool) {
	ip, secure = k.remote, k.tls != nil
	proxies := k.config.TrustedProxies
	if !trusted(proxies, ip) {
		return ip, secure
	}
	if proto := last(h["X-Forwarded-Proto"]); proto != "" {
		secure = strings.EqualFold(proto, "https")
	}
	hops := strings.Split(strings.Join(h["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0 && trusted(proxies, ip); i-- {
		hop, ok := forwarded(hops[i])
		if !ok {
			break // the proxy that wrote it is all we know
		}
		ip = hop
	}
	return ip, secure
}

func trusted(proxies interface{ Contains(netip.Addr) bool }, ip netip.Addr) bool {
	return ip.IsValid() && proxies.Contains(ip)
}

// forwarded reads one element of X-Forwarded-For; some proxies write the port, too.
func forwarded(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	ip, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return ip.Unmap().WithZone(""), err == nil
}

// last returns the last element of a list header.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	v := values[len(values)-1]
	return strings.TrimSpace(v[strings.LastIndexByte(v, ',')+1:])
}

// unlimited tells the addresses whose connections are not counted one by one: Client IPs, and the
// proxies through which all others come.
func (s *Server) unlimited(ip netip.Addr) bool {
	return s.accounts.ClientIP(ip) || s.config().common().TrustedProxies.Contains(ip)
}

// proxied tells the proxies whose connections begin with a PROXY header.
func (s *Server) proxied(ip netip.Addr) bool {
	config := s.config().common()
	return bool(config.ProxyProtocol) && trusted(config.TrustedProxies, ip)
}
