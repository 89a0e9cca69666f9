package server

import (
	"os"
	"testing"

	"gatepost/router"
	"gatepost/router/address"
	"gatepost/server/dataformat"
)

// TestReturnPathsOfMailThatIsPassedOn: they lead back to whom they stand for, and only those that this server made.
func TestReturnPathsOfMailThatIsPassedOn(t *testing.T) {
	s := open(t)
	a, ok := s.rewritten(address.Address{Local: "joe", Domain: "far.net"})
	if !ok || a.Domain != s.accounts.MainDomain() {
		t.Fatalf("%v, %v", a, ok)
	}
	r, err := s.router.Route(t.Context(), router.Mail, a)
	if err != nil || r.Module != router.SMTP || r.Address.String() != "joe@far.net" || !r.Relay {
		t.Errorf("%+v, %v", r, err)
	}
	forged := a
	forged.Local = a.Local[:6] + "zzzzzzzz" + a.Local[14:]
	if r, err := s.router.Route(t.Context(), router.Mail, forged); err == nil {
		t.Errorf("a forged one leads to %+v", r)
	}
	if a, ok := s.rewritten(address.Address{Local: "ann", Domain: s.accounts.MainDomain()}); ok {
		t.Errorf("our own becomes %v", a)
	}
	if err := s.UpdateModule(t.Context(), "Signing", dataformat.Dict{"RewriteReturnPaths": dataformat.String("NO")}); err != nil {
		t.Fatal(err)
	}
	if a, ok := s.rewritten(address.Address{Local: "joe", Domain: "far.net"}); ok {
		t.Errorf("switched off, it becomes %v", a)
	}
}

// TestReloadReadsKeys: a key that somebody takes away by hand is gone after a reload.
func TestReloadReadsKeys(t *testing.T) {
	s := open(t)
	domain := s.accounts.MainDomain()
	if _, err := s.CreateDKIMKey(t.Context(), domain, "s1", "Ed25519"); err != nil {
		t.Fatal(err)
	}
	if d, err := s.DKIMKeys(t.Context(), domain); err != nil || len(d) != 1 {
		t.Fatalf("%v, %v", d, err)
	}
	if err := os.RemoveAll(s.base.path("DKIM")); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d, err := s.DKIMKeys(t.Context(), domain); err != nil || len(d) != 0 {
		t.Errorf("%v, %v", d, err)
	}
}
