package http

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"gatepost/server/fault"
)

// open returns an error unless the client may reach a part.
func (q *Request) open(r *http.Request, m *mount) error {
	if m.Part == "" || slices.Contains(m.OpenMethods, r.Method) {
		return nil
	}
	if q.Reaches(m.Part) {
		return nil
	}
	return fault.New("http.Access", fault.Denied, "This part of the server is not open to your address.")
}

// Reaches reports whether the client may reach a part of the module, by the settings of access.
func (q *Request) Reaches(part string) bool {
	switch q.parts.access(part) {
	case accessAll:
		return true
	case accessClients:
		return q.session.accounts.ClientIP(q.Peer.IP)
	}
	return false
}

// redirect sends a client that came without TLS to https, if the domain wants that. Methods and bodies go along (RFC 9110
// section 15.4.9). A host that is none of ours is not told to anybody.
func (k *session) redirect(w *response, r *http.Request, q *Request, m *mount) bool {
	if q.Peer.TLS || m.Clear || !k.accounts.RedirectsToHTTPS(q.Domain) {
		return false
	}
	to, ok := k.secureURL(q)
	if !ok {
		return false
	}
	status := http.StatusPermanentRedirect
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	h := w.Header()
	h.Set("Location", to+r.URL.RequestURI())
	h.Set("Cache-Control", "max-age=3600")
	w.WriteHeader(status)
	return true
}

// secureURL is the module over TLS, without a slash at the end: on the host that the client has named, or on the public one of the
// domain. There is none without a port.
func (k *session) secureURL(q *Request) (string, bool) {
	port := k.securePort()
	if port == 0 {
		return "", false
	}
	host := q.Host
	if _, ok := k.DomainOf(host); !ok {
		var err error
		if host, err = k.accounts.PublicName(q.Domain); err != nil {
			return "", false // the domain was deleted meanwhile
		}
	}
	return "https://" + HostPort(host, port), true
}

// HostPort writes a host with a port unless that is the one of https.
func HostPort(host string, port int) string {
	if port != 443 {
		return net.JoinHostPort(host, strconv.Itoa(port))
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return "[" + host + "]"
	}
	return host
}
