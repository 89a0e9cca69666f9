package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// give sets the ACL of a mailbox of user@company.com: identifier, letters, identifier, letters ...
func (s *site) give(box string, elements ...string) {
	s.t.Helper()
	s.must(s.account("user", "company.com").Mail().ChangeACL(s.t.Context(), box, func(mailbox.ACL) (acl mailbox.ACL, err error) {
		for i := 0; i < len(elements) && err == nil; i += 2 {
			acl, err = Change(acl, elements[i], elements[i+1])
		}
		return acl, err
	}))
}

// sharing is a site with a mailbox that is given away, groups, and users without rights of administrators.
func sharing(t *testing.T) (*site, map[string]*accounts.Account) {
	s := newSite(t)
	ctx := t.Context()
	_, err := s.account("user", "company.com").Mail().CreateMailbox(ctx, "Box", mailbox.CreateOptions{})
	s.must(err)
	s.must(s.accounts.CreateDomain(ctx, "third.example", nil))
	s.must(s.accounts.SetDomainAliases(ctx, "branch.example", []string{"br.example"}))
	s.must(s.accounts.CreateAccount(ctx, "company.com", "third", nil))
	s.must(s.accounts.CreateAccount(ctx, "third.example", "other", nil))
	group := func(domain, name string, members ...string) {
		list := make(dataformat.Array, len(members))
		for i, m := range members {
			list[i] = dataformat.String(m)
		}
		s.must(s.accounts.Groups().Create(ctx, domain, name, dataformat.Dict{"Members": list}))
	}
	group("company.com", "staff", "ALIAS", "user@br.example", "x@elsewhere.example")
	group("company.com", "outer", "loop", "staff")
	group("company.com", "loop", "outer", "outer@company.com")
	group("branch.example", "staff", "other@third.example")
	users := map[string]*accounts.Account{}
	for _, name := range []string{"other@company.com", "third@company.com", "user@branch.example", "other@third.example"} {
		local, domain, _ := strings.Cut(name, "@")
		users[name] = s.account(local, domain)
	}
	return s, users
}

// identifiers are those of each kind, with the users of a sharing site whom they mean.
var identifiers = []struct{ identifier, means string }{
	{"other", "other@company.com"},
	{"OTHER", "other@company.com"},
	{"alias", "other@company.com"},
	{"alias@company.com", "other@company.com"},
	{"other@company.com", "other@company.com"},
	{"other@third.example", "other@third.example"},
	{"user@branch.example", "user@branch.example"},
	{"user@br.example", "user@branch.example"},
	{"user", ""}, // the owner
	{"owner", ""},
	{"nobody", ""},
	{"staff", ""}, // a group without #
	{"other@elsewhere.example", ""},
	{"anyone", "other@company.com third@company.com user@branch.example other@third.example"},
	{"authenticated", "other@company.com third@company.com user@branch.example other@third.example"},
	{"anyone@", "other@company.com third@company.com"},
	{"anyone@company.com", "other@company.com third@company.com"},
	{"anyone@branch.example", "user@branch.example"},
	{"anyone@br.example", "user@branch.example"},
	{"anyone@elsewhere.example", ""},
	{"#staff", "other@company.com user@branch.example"},
	{"#staff@company.com", "other@company.com user@branch.example"},
	{"#outer", "other@company.com user@branch.example"},
	{"#staff@branch.example", "other@third.example"},
	{"#nobody", ""},
	{"#other", ""}, // an account with #
	{"#staff@elsewhere.example", ""},
}

// Each operation needs its right and no other, whoever has it by whatever identifier.
func TestEachRightByEachIdentifier(t *testing.T) {
	s, users := sharing(t)
	ctx := t.Context()
	check := func(what string, user *accounts.Account, want Rights) {
		t.Helper()
		m, err := s.resolver.Mailbox(ctx, user, "~user@company.com/Box")
		if err != nil || m.Rights != want {
			t.Errorf("%s: %s has %q, want %q, %v", what, user.Address(), m.Rights, want, err)
			return
		}
		for i := range letters {
			right := Rights(1 << i)
			verdict(t, fmt.Sprintf("%s: %s requires %s", what, user.Address(), right), m.Require(right), want.Has(right), want)
		}
		below, err := s.resolver.Mailbox(ctx, user, "~user@company.com/Box/new/deep")
		s.must(err)
		if below.Rights != 0 {
			t.Errorf("%s: %s has %q to what does not exist", what, user.Address(), below.Rights)
		}
		verdict(t, what+": create below", below.RequireCreate(ctx), want.Has(Create), want)
		verdict(t, what+": create beside", m.RequireCreate(ctx), false, want)
	}
	for _, c := range identifiers {
		for i := range letters {
			right := Rights(1 << i)
			for _, sign := range []string{"", "+", "-"} {
				if sign != "" && i%4 != 0 { // the letters are all the same to signs
					continue
				}
				what := fmt.Sprintf("%s%s %s", sign, c.identifier, right)
				base := Rights(0)
				s.give("Box", sign+c.identifier, right.String())
				if sign == "-" {
					base = All
					s.give("Box", "anyone", All.String(), sign+c.identifier, right.String())
				}
				for _, name := range slices.Sorted(maps.Keys(users)) {
					want := base
					if slices.Contains(strings.Fields(c.means), name) {
						want ^= right
					}
					check(what, users[name], want)
				}
				for _, name := range []string{"user", "users"} { // the owner and an administrator
					m, err := s.resolver.Mailbox(ctx, s.account(name, "company.com"), "~user/Box")
					if err != nil || m.Rights != All || m.Require(All) != nil || m.RequireCreate(ctx) != nil {
						t.Errorf("%s: %s has %q, %v", what, name, m.Rights, err)
					}
				}
			}
		}
	}
}

// verdict compares the answer to an operation with what the rights to the mailbox ask for.
func verdict(t *testing.T, what string, err error, allowed bool, rights Rights) {
	t.Helper()
	switch {
	case allowed:
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	case rights.Has(Lookup):
		if !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v, want Denied", what, err)
		}
	case !fault.Is(err, fault.NoMailbox):
		t.Errorf("%s: %v, want NoMailbox", what, err)
	}
}

func TestTheMostSpecificElementCounts(t *testing.T) {
	s, users := sharing(t)
	other := users["other@company.com"]
	for _, c := range []struct{ acl, want string }{
		{"anyone lrs", "lrs"},
		{"anyone lrs anyone@ l", "l"},
		{"anyone lrs anyone@ l #staff rw", "rw"},
		{"#staff rw #outer i #nobody a", "rwi"},
		{"anyone lrs anyone@ l #staff rw other p", "p"},
		{"other p alias i third a", "ip"},
		{"anyone@ l anyone@company.com r anyone@br.example a", "lr"},
		{"anyone lr +other s", "lrs"},
		{"anyone lr +anyone@ s +#staff w -other r", "lsw"},
		{"other lr +other r -other lr", ""},
		{"other l -anyone lrswipcda", ""},
		{"-third l anyone l", "l"},
		{"+anyone@br.example a", ""},
	} {
		s.give("Box", strings.Fields(c.acl)...)
		m, err := s.resolver.Mailbox(t.Context(), other, "~user/Box")
		if err != nil || m.Rights.String() != c.want {
			t.Errorf("%s: %q, want %q, %v", c.acl, m.Rights, c.want, err)
		}
	}
}

// What was taken away is gone for the next question, also of those who hold the mailbox.
func TestRevocationHoldsAtOnce(t *testing.T) {
	s, users := sharing(t)
	ctx := t.Context()
	other := users["other@company.com"]
	s.give("Box", "#staff", "lr", "+alias", "s")
	m, err := s.resolver.Mailbox(ctx, other, "~user/Box")
	s.must(err)
	want := func(step, want string) {
		t.Helper()
		if now, err := m.RightsTo(ctx, m.Name); err != nil || now.String() != want {
			t.Errorf("%s: %q, %v", step, now, err)
		}
	}
	want("at first", "lrs")
	s.must(s.accounts.SetAccountAliases(ctx, "company.com", "other", nil))
	want("without the alias", "")
	s.give("Box", "#outer", "lr")
	s.must(s.accounts.Groups().Set(ctx, "company.com", "staff", dataformat.Dict{"Members": dataformat.Array{dataformat.String("other")}}))
	want("in the nested group", "lr")
	s.must(s.accounts.Groups().Set(ctx, "company.com", "staff", nil))
	want("out of the nested group", "")
	s.must(s.accounts.Groups().Set(ctx, "company.com", "staff", dataformat.Dict{"Members": dataformat.Array{dataformat.String("later")}}))
	want("before the group that is nested", "")
	s.must(s.accounts.Groups().Create(ctx, "company.com", "later", dataformat.Dict{"Members": dataformat.Array{dataformat.String("other@company.com")}}))
	want("in a group that came later", "lr")
	s.must(s.accounts.Groups().Delete(ctx, "company.com", "later"))
	want("without the group", "")
	s.give("Box", "other", "lr")
	want("by name", "lr")
	s.must(s.account("user", "company.com").Mail().DeleteMailbox(ctx, "Box"))
	want("deleted", "")
	_, err = s.account("user", "company.com").Mail().CreateMailbox(ctx, "Box", mailbox.CreateOptions{})
	s.must(err)
	want("made again", "")
}

// Outermost mailboxes lie in the account, which has an ACL of its own.
func TestOutermostMailboxes(t *testing.T) {
	s, users := sharing(t)
	ctx := t.Context()
	other := users["other@company.com"]
	s.give("", "other", "c")
	s.give("Box", "other", "lrd")
	for name, want := range map[string]bool{"~user/New": true, "~user/Box": true, "~user/New/deep": true, "~user/Box/in": false} {
		m, err := s.resolver.Mailbox(ctx, other, name)
		s.must(err)
		verdict(t, name, m.RequireCreate(ctx), want, Lookup)
	}
	if m, err := s.resolver.Mailbox(ctx, other, "~user/"); err != nil || m.Rights != Create {
		t.Errorf("%q, %v", m.Rights, err)
	}
}

func TestIdentifiers(t *testing.T) {
	for text, want := range map[string]string{
		"Bob": "bob", " bob ": "bob", "BOB@Company.COM": "bob@company.com", "+Bob": "+bob", "-#Staff@d.com": "-#staff@d.com", "anyone@": "anyone@",
		"Anyone@D.com.": "anyone@d.com", "-anyone": "-anyone", "authenticated": "authenticated", "b@bücher.example": "b@xn--bcher-kva.example",
		"": "", "+": "", "#": "", "bob@": "", "#g@": "", "@d.com": "", "a b": "", "bob@a b": "", "--bob": "--bob", "a@b@c": "", "b\x00b": "", "authenticated@": "",
		strings.Repeat("x", 200): "",
	} {
		id, err := ParseIdentifier(text)
		if want == "" != (err != nil) || err != nil && !fault.Is(err, fault.Invalid) || err == nil && id.String() != want {
			t.Errorf("%q: %q, %v", text, id, err)
		}
	}
}

func TestChangesOfAnACL(t *testing.T) {
	for _, c := range []struct{ before, identifier, value, want string }{
		{"", "Bob", "lr", "bob=lr"},
		{"bob=lr", "bob", "+s", "bob=lrs"},
		{"bob=lr", "BOB", "-r", "bob=l"},
		{"bob=lr", "bob", "-lr", ""},
		{"bob=lr", "bob", "", ""},
		{"bob=lr", "bob", "adcpiwsrl", "bob=lrswipcda"},
		{"bob=lr", "-bob", "+a", "bob=lr -bob=a"},
		{"bob=lr", "ann", "-r", "bob=lr"},
		{"bob=lr", "bob", "x", "error"},
		{"bob=lr", "bob@", "l", "error"},
	} {
		var acl mailbox.ACL
		if id, rights, ok := strings.Cut(c.before, "="); ok {
			r, err := ParseRights(rights)
			if err != nil {
				t.Fatal(err)
			}
			acl = mailbox.ACL{{Identifier: id, Rights: uint32(r)}}
		}
		acl, err := Change(acl, c.identifier, c.value)
		var got []string
		for _, e := range acl {
			got = append(got, e.Identifier+"="+Rights(e.Rights).String())
		}
		if c.want == "error" != (err != nil) || err == nil && strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

func FuzzParseIdentifier(f *testing.F) {
	for _, c := range identifiers {
		f.Add("-" + c.identifier)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseIdentifier(text)
		if err != nil {
			return
		}
		if again, err := ParseIdentifier(id.String()); err != nil || again != id {
			t.Errorf("%q: %+v, %+v, %v", text, id, again, err)
		}
	})
}
