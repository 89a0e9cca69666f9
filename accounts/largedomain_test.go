package accounts

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// A domain that is large already takes names one by one, shows them and has them
// after the next start; what was looked up before is found.
func TestLargeDomainChangesByLines(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	entries, aliases, list := dataformat.Dict{}, dataformat.Dict{}, []string{"new.com"}
	for i := range 1000 {
		entries[fmt.Sprintf("f%d", i)] = object{target: "x@y.com"}.dataValue()
		alias := fmt.Sprintf("a%d.com", i)
		aliases[alias] = dataformat.String("d.com")
		if i != 1 {
			list = append(list, alias)
		}
	}
	d, err := s.domain("d.com")
	must(t, err)
	must(t, dataformat.WriteFile(d.file(aliasesFile), entries, dataformat.StyleOld))
	must(t, dataformat.WriteFile(filepath.Join(s.base, settingsDirectory, domainAliasesFile), aliases, dataformat.StyleOld))
	must(t, s.Reload())
	check := func(s *Store) {
		t.Helper()
		have, err := s.AccountAliases(ctx, "d.com", "u2")
		wantList(t, have, err, "one", "two")
		for name, kind := range map[string]names.ObjectKind{"one": names.Alias, "fwd": names.Forwarder, "f1": names.Forwarder, "f2": names.None, "gone": names.None} {
			if o, err := s.Object(ctx, "d.com", name); err != nil || o.Kind != kind {
				t.Errorf("%s: %+v %v", name, o, err)
			}
		}
		for name, ours := range map[string]bool{"new.com": true, "a1.com": false, "a2.com": true, "d.com": true} {
			if real, ok := s.DomainName(name); ok != ours || ok && real != "d.com" {
				t.Errorf("%s: %q %v", name, real, ok)
			}
		}
	}
	if _, ok := s.DomainName("new.com"); ok {
		t.Error("new.com is there")
	}
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	must(t, s.SetAccountAliases(ctx, "d.com", "u", []string{"one", "gone"}))
	must(t, s.SetAccountAliases(ctx, "d.com", "u", []string{"two", "one"}))
	must(t, s.RenameAccount(ctx, "d.com", "u", "d.com", "u2"))
	must(t, s.Forwarders().Create(ctx, "d.com", "fwd", "x@y.com"))
	wantKind(t, s.Forwarders().Create(ctx, "d.com", "two", "x@y.com"), fault.Exists)
	must(t, s.Forwarders().Delete(ctx, "d.com", "f2"))
	must(t, s.SetDomainAliases(ctx, "d.com", list))
	for _, path := range []string{d.file("aliases.changes"), filepath.Join(s.base, settingsDirectory, "DomainAliases.changes")} {
		if i, err := os.Stat(path); err != nil || i.Size() == 0 {
			t.Errorf("no change is a line of %s: %v", path, err)
		}
	}
	check(s)
	p.close(t, s)
	check(p.open(t))
}
