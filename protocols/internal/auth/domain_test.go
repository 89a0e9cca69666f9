package auth

import (
	"crypto/tls"
	"slices"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

func TestDomainOfAConnection(t *testing.T) {
	a, acc := newAuth(t, "")
	must(t, acc.CreateDomain(ctx, "mail.sub.test", nil))
	for name, want := range map[string]string{
		"": "c.com", "d.com": "d.com", "MAIL.D.com.": "d.com", "mail.e.com": "d.com", "a.b.d.com": "c.com", "mail.sub.test": "mail.sub.test",
		"imap.mail.sub.test": "mail.sub.test", "elsewhere.test": "c.com", "com": "c.com", ".": "c.com", "../x": "c.com",
	} {
		if got := a.domainOf(peer, &tls.ConnectionState{ServerName: name}); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	if got := a.domainOf(peer, nil); got != "c.com" {
		t.Errorf("without TLS: %s", got)
	}
}

func TestAUTHMethods(t *testing.T) {
	a, acc := newAuth(t, "")
	set := func(value dataformat.Value) error {
		return acc.DomainSettings("d.com").Update(ctx, dataformat.Dict{"AUTHMethods": value})
	}
	to, _ := handshake(t, tls.VersionTLS13)
	to.ServerName = "mail.d.com"
	for _, c := range []struct {
		value dataformat.Value
		want  []string
	}{
		{dataformat.String("All"), []string{ScramPlus, ScramSHA1Plus, Scram, ScramSHA1, Plain, Login}},
		{dataformat.String("None"), nil},
		{dataformat.Array{}, nil},
		{dataformat.String("plain, scram-sha-256"), []string{Scram, Plain}},
		{dataformat.Array{dataformat.String("LOGIN"), dataformat.String("DIGEST-MD5")}, []string{Login}},
	} {
		must(t, set(c.value))
		if got := a.Mechanisms(ctx, peer, true, to); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.value, got, c.want)
		}
		for _, mech := range []string{Scram, ScramSHA1, Plain, Login} {
			if _, err := a.Start(ctx, mech, peer, to, "x"); (err == nil) != slices.Contains(c.want, mech) || err != nil && !fault.Is(err, fault.Unsupported) {
				t.Errorf("%v: %s: %v", c.value, mech, err)
			}
		}
		if got := a.Mechanisms(ctx, peer, true, nil); len(got) != 4 {
			t.Errorf("another domain offers %v", got)
		}
	}
	if _, err := a.Plain(ctx, peer, "u@d.com", "right"); err != nil {
		t.Errorf("a plain login is no mechanism: %v", err)
	}
	for _, bad := range []dataformat.Value{dataformat.String("a;b"), dataformat.String("ABCDEFGHIJKLMNOPQRSTU"), dataformat.Array{dataformat.Dict{}}} {
		if err := set(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
