package accounts

import (
	"os"
	"testing"

	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

func TestGroups(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "user", nil))
	groups := s.Groups()
	must(t, groups.Create(ctx, "d.com", "Staff", dict(t, `{MEMBERS=(user, "x@y.com"); SetReplyTo=YES; Floor=2;}`)))
	wantKind(t, groups.Create(ctx, "d.com", "staff", nil), fault.Exists)
	wantKind(t, groups.Create(ctx, "d.com", "user", nil), fault.Exists)
	wantKind(t, s.CreateAccount(ctx, "d.com", "staff", nil), fault.Exists)
	wantKind(t, s.Forwarders().Create(ctx, "d.com", "staff", "x@y.com"), fault.Exists)
	wantKind(t, groups.Create(ctx, "d.com", "all", nil), fault.Invalid)
	wantKind(t, groups.Create(ctx, "no.com", "g", nil), fault.NoDomain)
	for _, bad := range []string{`{Members=("a b");}`, `{Members=("x@y@");}`, `{Expand=perhaps;}`, `{SetReplyToo=YES;}`} {
		wantKind(t, groups.Set(ctx, "d.com", "staff", dict(t, bad)), fault.Invalid)
	}
	wantKind(t, groups.Set(ctx, "d.com", "nobody", nil), fault.NotFound)
	wantKind(t, s.DeleteDomain(ctx, "d.com", false), fault.NotEmpty)

	must(t, s.Close())
	s = p.open(t)
	groups = s.Groups()
	g, err := groups.Get(ctx, "d.com", "STAFF")
	must(t, err)
	if got := g.Settings(); len(got.Members) != 2 || got.Members[1] != "x@y.com" || !bool(got.SetReplyTo) || g.Address().String() != "staff@d.com" {
		t.Errorf("%+v", g)
	}
	d, err := groups.Settings(ctx, "d.com", "staff")
	wantDict(t, d, err, `{Floor=2;Members=(user,x@y.com);SetReplyTo=YES;}`)

	must(t, groups.Set(ctx, "d.com", "staff", dict(t, `{EmailDisabled=YES;}`)))
	o, err := s.Object(ctx, "d.com", "staff")
	must(t, err)
	if o.Kind != names.Group || !o.Disabled {
		t.Errorf("%+v", o)
	}
	wantKind(t, groups.Rename(ctx, "d.com", "staff", "user"), fault.Exists)
	must(t, groups.Rename(ctx, "d.com", "staff", "crew"))
	must(t, s.RenameDomain(ctx, "d.com", "e.com"))
	list, err := groups.List(ctx, "e.com")
	wantList(t, list, err, "crew")
	page, err := s.ListObjects(ctx, "e.com", ListOptions{Limit: 10, Groups: true})
	must(t, err)
	if page.Groups != 1 || page.Objects["crew"].Kind != names.Group {
		t.Errorf("%+v", page)
	}
	must(t, groups.Delete(ctx, "e.com", "crew"))
	wantKind(t, groups.Delete(ctx, "e.com", "crew"), fault.NotFound)
	o, err = s.Object(ctx, "e.com", "crew")
	must(t, err)
	if o.Kind != names.None {
		t.Errorf("%+v", o)
	}
}

// A damaged file is no unknown name: its mail waits.
func TestDamagedGroupIsNotUnknown(t *testing.T) {
	s := newStore(t)
	must(t, s.Groups().Create(ctx, "", "g", dataformat.Dict{}))
	d, err := s.domain(s.MainDomain())
	must(t, err)
	must(t, os.WriteFile(d.groupFile("g"), []byte("{Members=("), 0o600))
	must(t, s.Reload())
	_, err = s.Object(ctx, s.MainDomain(), "g")
	wantKind(t, err, fault.Corrupt)
	must(t, s.Groups().Delete(ctx, "", "g"))
}
