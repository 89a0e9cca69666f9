package auth

import (
	"crypto/tls"
	"strings"

	"gatepost/accounts"
)

// domainOf returns the domain that a connection is to: the one whose host the client has named in TLS (RFC 6066 section 3), else
// that of our address. A host belongs to the domain of its name, or of its name without the first label, as certificates do.
func (a *Authenticator) domainOf(p accounts.Peer, state *tls.ConnectionState) string {
	if state != nil && state.ServerName != "" {
		name := strings.ToLower(strings.TrimSuffix(state.ServerName, "."))
		if domain, ok := a.acc.DomainName(name); ok {
			return domain
		}
		if _, rest, ok := strings.Cut(name, "."); ok {
			if domain, ok := a.acc.DomainName(rest); ok {
				return domain
			}
		}
	}
	return a.acc.DomainForIP(p.LocalIP)
}
