package server

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	nethttp "net/http"
	"strings"

	"gatepost/accounts"
	"gatepost/protocols/http"
)

// This file has the MTA-STS policies of our own domains (RFC 8461): they tell others which servers take mail for a domain, and that these
// have certificates which programs trust.

// policyLabel is what stands before the name of a domain in the host that has its policy.
const policyLabel = "mta-sts"

// policyOf returns the policy of a domain and the id by which others see that it has changed; both empty for none.
func (s *Server) policyOf(domain string) (text, id string, err error) {
	p, err := s.accounts.MTASTSPolicy(domain)
	if err != nil || p.Mode == accounts.NoPolicy {
		return "", "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "version: STSv1\r\nmode: %s\r\n", p.Mode)
	for _, host := range p.Hosts {
		fmt.Fprintf(&b, "mx: %s\r\n", host)
	}
	fmt.Fprintf(&b, "max_age: %d\r\n", int(p.MaxAge.Seconds()))
	sum := sha256.Sum256([]byte(b.String()))
	return b.String(), hex.EncodeToString(sum[:10]), nil
}

// mtaSTS serves the policies, each on the host mta-sts of its domain.
func (s *Server) mtaSTS(h *http.Server) error {
	return h.Mount("/.well-known/mta-sts.txt", http.Options{}, nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		q := http.Of(r.Context())
		domain, ok := strings.CutPrefix(q.Host, policyLabel+".")
		if !ok {
			nethttp.NotFound(w, r)
			return
		}
		text, _, err := s.policyOf(domain)
		if err != nil || text == "" {
			nethttp.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=us-ascii")
		_, _ = w.Write([]byte(text)) // the client may have gone
	}))
}

// shownOnPort25 is the certificate that other servers see when they deliver to a host.
func (s *Server) shownOnPort25(host string) *tls.Certificate {
	if c, err := s.chooseCertificate(&tls.ClientHelloInfo{ServerName: host}); err == nil && c != nil {
		return c
	}
	return s.cert.Load()
}
