package arriving

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
)

// A signature whose key nobody can look up proves nothing, and puts nothing off.
func TestSignaturesThatCannotBeLookedUp(t *testing.T) {
	for _, selector := range []string{"s", "a..b", strings.Repeat("x", 70), strings.Repeat("x.", 130) + "x", "a b", "*", "\xff", "."} {
		for _, from := range []string{"boss@here.test", "a@author.test"} {
			s := newStage(t, "")
			domain := from[strings.IndexByte(from, '@')+1:]
			signature := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=" + domain + "; s=" + selector +
				";\r\n h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=aaaa\r\n"
			if v := s.run(t, "a@list.test", signature+letter(from), "u@here.test"); outcome(v) != "refuse" {
				t.Errorf("%.20q, %s: %s %s", selector, from, outcome(v), v.Fields)
			}
		}
	}
}

// slow is a resolver that knows some texts, and does not answer for slow.test until the time is over.
type slow map[string]string

func (s slow) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if strings.HasSuffix(name, "slow.test") {
		<-ctx.Done()
		return nil, &net.DNSError{Err: "time-out", Name: name, IsTimeout: true}
	}
	if err := ctx.Err(); err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: name, IsTimeout: true}
	}
	if text, ok := s[strings.TrimSuffix(name, ".")]; ok {
		return []string{text}, nil
	}
	return nil, &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}
}

func (slow) LookupMX(context.Context, string) ([]*net.MX, error)        { return nil, nil }
func (slow) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) { return nil, nil }
func (slow) LookupAddr(context.Context, string) ([]string, error)       { return nil, nil }

// Domains of the sender that do not answer put nothing off.
func TestSlowDomainsHideNothing(t *testing.T) {
	for _, from := range []string{"boss@here.test", "a@author.test", "x@slow.test, boss@here.test", "x@slow.test, a@author.test"} {
		s := newStage(t, "")
		s.verifier.Resolver = slow{"here.test": "v=spf1 -all", "_dmarc.author.test": "v=DMARC1; p=reject"}
		synctest.Test(t, func(t *testing.T) {
			if v := s.run(t, "a@slow.test", letter(from), "u@here.test"); outcome(v) != "refuse" {
				t.Errorf("%s: %s %s", from, outcome(v), v.Fields)
			}
		})
	}
}
