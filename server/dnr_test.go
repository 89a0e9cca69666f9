package server

import (
	"fmt"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/resolver/resolvertest"
)

// The name servers of the settings are asked as soon as they are set, and what others have said
// no longer counts.
func TestNameServersOfTheSettings(t *testing.T) {
	s := open(t)
	for _, want := range []string{"192.0.2.1", "192.0.2.2"} {
		server := resolvertest.New(t, "mx.example. A "+want+"\nmx.example. AAAA 2001:db8::1").Serve(t).String()
		set := dataformat.Dict{"Servers": dataformat.Array{dataformat.String(server)}}
		if err := s.SetDNRSettings(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		a, err := s.resolver.A(t.Context(), "mx.example")
		if err != nil || fmt.Sprint(a.Records) != "["+want+"]" {
			t.Errorf("%v, %v", a.Records, err)
		}
		got, err := s.DNRSettings(t.Context())
		if err != nil || dataformat.Compact(got) != dataformat.Compact(set) {
			t.Errorf("settings read back: %s, %v", dataformat.Compact(got), err)
		}
	}
	if err := s.UpdateDNRSettings(t.Context(), dataformat.Dict{"Servers": dataformat.Array{dataformat.String("ns.example")}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a name as address: %v", err)
	}
}

// Mail for elsewhere is led by the DNS without any setting but the name servers.
func TestMailForElsewhereGoesByMX(t *testing.T) {
	s := open(t)
	zone := resolvertest.New(t, "null.example. MX 0 .\nours.example. MX 10 corp.test.\nhost.example. A 192.0.2.1")
	if err := s.SetDNRSettings(t.Context(), dataformat.Dict{"Servers": dataformat.String(zone.Serve(t).String())}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		domain string
		backup bool
	}{{"null.example", false}, {"ours.example", false}, {"host.example", false}} {
		if ok, err := s.relay.BacksUp(t.Context(), c.domain); ok != c.backup || err != nil {
			t.Errorf("%s: %v, %v", c.domain, ok, err)
		}
		if zone.Asked(c.domain, "MX") != 1 {
			t.Errorf("%s was not asked for", c.domain)
		}
	}
}
