package accounts

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// TestADomainIsFoundAfterItWasForeign: a name that mail asked for in vain is
// remembered, and no longer so once a domain gets it.
func TestADomainIsFoundAfterItWasForeign(t *testing.T) {
	ctx := context.Background()
	p := newBase(t)
	s := p.open(t)
	expect := func(when, name, want string) {
		t.Helper()
		for range 2 {
			if real, ok := s.DomainName(name); real != want || ok != (want != "") {
				t.Errorf("%s: %s is %q, %v", when, name, real, ok)
			}
		}
	}
	expect("at first", "new.example", "")
	expect("at first", "other.example", "")
	expect("at first", "alias.example", "")
	if err := s.CreateDomain(ctx, "new.example", nil); err != nil {
		t.Fatal(err)
	}
	expect("created", "NEW.example.", "new.example")
	if err := s.SetDomainAliases(ctx, "new.example", []string{"alias.example"}); err != nil {
		t.Fatal(err)
	}
	expect("with an alias", "alias.example", "new.example")
	if err := s.RenameDomain(ctx, "new.example", "other.example"); err != nil {
		t.Fatal(err)
	}
	expect("renamed", "new.example", "")
	expect("renamed", "other.example", "other.example")
	expect("renamed", "alias.example", "other.example")
	if err := s.DeleteDomain(ctx, "other.example", true); err != nil {
		t.Fatal(err)
	}
	expect("deleted", "other.example", "")
	if err := os.MkdirAll(filepath.Join(p.base, domainsDirectory, "other.example"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	expect("put there by hand", "other.example", "other.example")
}
