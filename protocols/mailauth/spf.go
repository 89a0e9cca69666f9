package mailauth

import (
	"context"
	"strings"

	"blitiri.com.ar/go/spf"
)

// spf verifies the domain of the return-path, or of HELO when that is empty (RFC 7208 section 2.4).
func (v *Verifier) spf(ctx context.Context, m *Message) SPF {
	sender, r := m.ReturnPath, SPF{Result: None}
	if sender == "" {
		sender, r.HELO = "postmaster@"+m.HELO, true
	}
	at := strings.LastIndexByte(sender, '@')
	if r.Domain = normal(sender[at+1:]); at < 0 || !strings.Contains(r.Domain, ".") {
		r.Reason = "no domain name"
		return r
	}
	result, err := spf.CheckHostWithSender(m.Client.Unmap().AsSlice(), m.HELO, sender[:at+1]+r.Domain,
		spf.WithContext(ctx), spf.WithResolver(v.Resolver))
	r.Result = Result(result)
	if err != nil && (r.Result == TempError || r.Result == PermError) {
		r.Reason = err.Error()
	}
	return r
}
