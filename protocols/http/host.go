package http

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"gatepost/server/fault"
)

// serviceLabels are the labels in front of a domain name under which clients look for its services:
// people point such names at the server without making each a domain alias.
var serviceLabels = []string{"mail", "autoconfig", "autodiscover", "mta-sts"}

// domain returns the domain that a request is for, by its real name, and the host without the
// port. The Host header names it (HTTP/2: :authority), else the name in the TLS handshake, else the
// local address; with none of these it is the Main Domain. A Host that is no name and no
// address is Invalid (RFC 9112 section 3.2).
func (k *session) domain(header string) (domain, host string, err error) {
	if header != "" {
		if host, err = hostName(header); err != nil {
			return "", "", err
		}
		if d, ok := k.DomainOf(host); ok {
			return d, host, nil
		}
	}
	if k.tls != nil && k.tls.ServerName != "" {
		if d, ok := k.DomainOf(strings.ToLower(k.tls.ServerName)); ok {
			return d, host, nil
		}
	}
	return k.accounts.DomainForIP(k.local), host, nil
}

// DomainOf finds a domain by its name, an alias, or either with a service label in front.
func (s *Server) DomainOf(host string) (string, bool) {
	if host == "" {
		return "", false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return "", false
	}
	if d, ok := s.accounts.DomainName(host); ok {
		return d, true
	}
	for _, label := range serviceLabels {
		if rest, ok := strings.CutPrefix(host, label+"."); ok {
			return s.accounts.DomainName(rest)
		}
	}
	return "", false
}

// hostName cuts the port off and checks what remains: labels of letters, digits, - and _, or an
// IP address. The result is in lower case, without a dot at the end and without brackets.
func hostName(header string) (string, error) {
	bad := fault.New("http.Host", fault.Invalid, "The Host header is neither a host name nor an address.")
	host := header
	if strings.HasPrefix(header, "[") || strings.Contains(header, ":") {
		h, port, err := net.SplitHostPort(header)
		switch {
		case err == nil:
			if n, err := strconv.ParseUint(port, 10, 16); (err != nil || n == 0) && port != "" {
				return "", bad
			}
			host = h
		case strings.HasPrefix(header, "[") && strings.HasSuffix(header, "]"):
			host = header[1 : len(header)-1]
		default:
			return "", bad
		}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" || ip.Is6() != strings.HasPrefix(header, "[") {
			return "", bad
		}
		return ip.String(), nil
	}
	if strings.HasPrefix(header, "[") {
		return "", bad
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" || len(host) > 253 {
		return "", bad
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", bad
		}
	}
	return host, nil
}
