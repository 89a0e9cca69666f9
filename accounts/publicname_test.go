package accounts

import (
	"testing"

	"gatepost/server/fault"
)

func TestPublicNameOfADomain(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	must(t, s.CreateDomain(ctx, "d.com", nil))
	name := func(domain, want string) {
		t.Helper()
		if got, err := s.PublicName(domain); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", domain, got, err, want)
		}
	}
	name("d.com", s.MainDomain())
	must(t, s.SetDomainAliases(ctx, "d.com", []string{"a.d.com", "mail.z.com", "mail.d.com"}))
	name("d.com", "mail.d.com")
	name("a.d.com", "mail.d.com")
	must(t, s.DomainSettings("d.com").Update(ctx, dict(t, "{PublicServerName=MX.Example.org;}")))
	name("d.com", "mx.example.org")
	for _, bad := range []string{`"a b"`, `"192.0.2.1"`, `"a..b"`, `(a)`} {
		if err := s.DomainSettings("d.com").Update(ctx, dict(t, "{PublicServerName="+bad+";}")); !fault.Is(err, fault.Invalid) {
			t.Errorf("PublicServerName=%s: %v", bad, err)
		}
	}
	if _, err := s.PublicName("elsewhere.com"); !fault.Is(err, fault.NoDomain) {
		t.Errorf("a domain of somebody else: %v", err)
	}
}
