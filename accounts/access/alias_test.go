package access

import (
	"testing"

	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

func TestMailboxAliases(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	set := func(aliases dataformat.Dict) error {
		return s.accounts.SetMailboxAliases(ctx, "company.com", "user", aliases)
	}
	for _, bad := range []dataformat.Dict{
		{"inbox": dataformat.String("~other/Box")}, {"~x": dataformat.String("~other/Box")}, {"": dataformat.String("~other/Box")},
		{"a": dataformat.String("Box")}, {"a": dataformat.String("~other")}, {"a": dataformat.String("~other/")}, {"a": dataformat.String("~/Box")},
		{"a": dataformat.Array{}}, {"a": dataformat.String("~o r/Box")}, {"a": dataformat.String("~other/B*x")},
	} {
		if err := set(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if err := set(dataformat.Dict{"Trash": dataformat.String("~other/Box")}); !fault.Is(err, fault.Exists) {
		t.Error(err)
	}
	user, other := s.account("user", "company.com"), s.account("other", "company.com") // user is a snapshot from before the aliases
	s.must(set(dataformat.Dict{"Team/Sales": dataformat.String("~other/Sales"), "loop": dataformat.String("~user/loop"), "far": dataformat.String("~nobody/Box")}))
	for _, name := range []string{"Sales", "Sales/2026", "Closed"} {
		_, err := other.Mail().CreateMailbox(ctx, name, mailbox.CreateOptions{})
		s.must(err)
	}
	for _, name := range []string{"Sales", "Sales/2026"} {
		s.must(other.Mail().ChangeACL(ctx, name, func(mailbox.ACL) (mailbox.ACL, error) {
			return mailbox.ACL{{Identifier: "user", Rights: uint32(Lookup | Read)}}, nil
		}))
	}
	for _, c := range []struct {
		name, owner, box string
		rights           Rights
	}{
		{"Team/Sales", "other", "Sales", Lookup | Read}, {"Team/Sales/2026", "other", "Sales/2026", Lookup | Read}, {"Team/Sales/2027", "other", "Sales/2027", 0},
		{"Team", "user", "Team", All}, {"Team/SalesX", "user", "Team/SalesX", All}, {"loop", "user", "loop", All}, {"Trash", "user", "Trash", All},
		{"~/Team/Sales", "user", "Team/Sales", All},
	} {
		m, err := s.resolver.Mailbox(ctx, user, c.name)
		if err != nil || m.Account.Name != c.owner || m.Name != c.box || m.Rights != c.rights {
			t.Errorf("%s: %s of %s, %q, %v", c.name, m.Name, m.Account.Name, m.Rights, err)
		}
	}
	if _, err := s.resolver.Mailbox(ctx, user, "far"); !fault.Is(err, fault.NoMailbox) {
		t.Error(err)
	}
	// Another's aliases are not followed.
	if m, err := s.resolver.Mailbox(ctx, s.account("users", "company.com"), "~user/Team/Sales"); err != nil || m.Account.Name != "user" {
		t.Errorf("%+v, %v", m, err)
	}
	// A mailbox that came later is not hidden.
	_, err := user.Mail().CreateMailbox(ctx, "Team/Sales", mailbox.CreateOptions{})
	s.must(err)
	if m, err := s.resolver.Mailbox(ctx, user, "Team/Sales"); err != nil || m.Foreign() {
		t.Errorf("%+v, %v", m, err)
	}
	s.must(set(nil))
	if m, err := s.resolver.Mailbox(ctx, user, "loop"); err != nil || m.Foreign() {
		t.Errorf("%+v, %v", m, err)
	}
}
