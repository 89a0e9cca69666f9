package mailauth

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/authres"
)

// ForeignResults returns the offsets of the Authentication-Results fields that bear a name of this server
// although it did not write them (RFC 8601 section 5). Of a header that is too large to be
// verified the first part is looked at.
func ForeignResults(text io.ReaderAt, size int64, ours func(name string) bool) ([]int64, error) {
	fields, _, err := readHeader(text, size)
	if err != nil && err != errLargeHeader && err != errNoHeader {
		return nil, err
	}
	var list []int64
	at := int64(0)
	for _, f := range fields {
		if f.name == "authentication-results" {
			id, _, _ := strings.Cut(withoutComments(f.value()), ";")
			if words := strings.Fields(id); len(words) > 0 && ours(strings.Trim(words[0], `"`)) {
				list = append(list, at)
			}
		}
		at += int64(len(f.raw))
	}
	return list, nil
}

// withoutComments is a value without what stands in parentheses.
func withoutComments(s string) string {
	var b strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			if i++; depth == 0 {
				b.WriteByte(s[i])
			}
		case c == '"' && depth == 0:
			quoted = !quoted
		case c == '(' && !quoted:
			depth++
		case c == ')' && !quoted && depth > 0:
			depth--
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// PassedOn reports whether those who passed a message on are to be believed: the ARC chain verifies,
// all sealers are trusted, and the first of them found that DMARC passed, or SPF or DKIM of the author's
// domain.
func (r *Results) PassedOn(trusted []string) bool {
	if r.ARC.Result != Pass || len(r.ARC.Sets) == 0 {
		return false
	}
	for _, s := range r.ARC.Sets {
		if !slices.ContainsFunc(trusted, func(t string) bool { return within(s.Sealer, normal(t)) && normal(t) != "" }) {
			return false
		}
	}
	_, results, err := authres.Parse(r.ARC.Sets[0].Results)
	if err != nil {
		return false
	}
	for _, one := range results {
		switch x := one.(type) {
		case *authres.DMARCResult:
			if x.Value == authres.ResultPass && slices.Contains(r.Authors, normal(x.From)) {
				return true
			}
		case *authres.DKIMResult:
			if x.Value == authres.ResultPass && slices.Contains(r.Authors, normal(x.Domain)) {
				return true
			}
		}
	}
	return false
}

// Publishes reports whether a domain says in the DNS who may send in its name: SPF or DMARC.
func (v *Verifier) Publishes(ctx context.Context, domain string) (bool, error) {
	steps, err := v.walk(ctx, domain)
	if err != nil || len(steps) > 0 {
		return len(steps) > 0, err
	}
	list, err := v.Resolver.LookupTXT(ctx, domain)
	if err != nil && !notFound(err) {
		return false, err
	}
	return slices.ContainsFunc(list, func(text string) bool {
		version, _, _ := strings.Cut(text, " ")
		return strings.EqualFold(version, "v=spf1")
	}), nil
}

// ReceivedSPF is the field that tells the result of SPF (RFC 7208 section 9.1).
func (r *Results) ReceivedSPF(name string, client netip.Addr, helo, returnPath string) string {
	value := func(s string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(clean(s)) + `"`
	}
	identity := "mailfrom"
	if r.SPF.HELO {
		identity = "helo"
	}
	return "Received-SPF: " + string(r.SPF.Result) + " client-ip=" + client.String() + ";\r\n\tenvelope-from=" + value(returnPath) +
		"; helo=" + value(helo) + ";\r\n\treceiver=" + name + "; identity=" + identity + "\r\n"
}
