package accounts

import (
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

func TestInheritedSettingSaysWhereItComesFrom(t *testing.T) {
	s := newStore(t)
	dict := func(text string) dataformat.Dict {
		t.Helper()
		v, err := dataformat.Parse([]byte(text))
		must(t, err)
		return v.(dataformat.Dict)
	}
	must(t, s.CreateDomain(ctx, "client.com", nil))
	must(t, s.ServerAccountDefaults().Update(ctx, dict(`{MaxAccountSize=1G;MaxMailboxes=7;MailOutFlow=(9,1h);ServiceClasses={gold={QuotaSuspend=99;MaxMessageSize=9M;};};}`)))
	must(t, s.AccountDefaults("client.com").Update(ctx, dict(`{MaxAccountSize=2G;ServiceClass=gold;ServiceClasses={gold={MaxMessageSize=8M;};};}`)))
	must(t, s.AccountTemplate("client.com").Update(ctx, dict(`{MaxMailboxes=5;RealName=new;}`)))
	must(t, s.CreateAccount(ctx, "client.com", "ann", dict(`{RealName=Ann;}`)))
	a, err := s.Account(ctx, "client.com", "ann")
	must(t, err)
	for key, want := range map[string]struct {
		value  string
		origin Origin
	}{
		"realname":       {"Ann", OfAccount},
		"MaxMailboxes":   {"5", OfAccount}, // copied from the template when the account was made
		"MaxMessageSize": {"8M", OfDomainClass},
		"QuotaSuspend":   {"99", OfServerClass},
		"MaxAccountSize": {"2G", OfDomain},
		"MailOutFlow":    {"(9,1h)", OfServer},
		"MailToAll":      {"YES", BuiltIn},
		"NoSuch":         {"", ""},
		"ServiceClasses": {"", ""},
	} {
		v, origin := a.Inherited(key)
		if text := shown(v); text != want.value || origin != want.origin {
			t.Errorf("%s is %s of %q, not %s of %q", key, text, origin, want.value, want.origin)
		}
	}
	for key, want := range map[string]Origin{"MaxMailboxes": OfTemplate, "MaxAccountSize": OfDomain, "MaxMessageSize": OfDomainClass, "MailToAll": BuiltIn} {
		if _, origin, err := s.InheritedByTemplate("client.com", key); err != nil || origin != want {
			t.Errorf("a new account has %s of %q, not of %q; %v", key, origin, want, err)
		}
	}
	must(t, s.DomainDefaults().Update(ctx, dict(`{AccountsLimit=10;MailToUnknown=Discarded;}`)))
	must(t, s.DomainSettings("client.com").Update(ctx, dict(`{AccountsLimit=20;}`)))
	for key, want := range map[string]Origin{"AccountsLimit": OfDomain, "MailToUnknown": OfServer, "MailToAllAction": BuiltIn, "AccountDefaults": ""} {
		if _, origin, err := s.InheritedByDomain("client.com", key); err != nil || origin != want {
			t.Errorf("the domain has %s of %q, not of %q; %v", key, origin, want, err)
		}
	}
	_, _, err = s.InheritedByDomain("nowhere.com", "AccountsLimit")
	wantKind(t, err, fault.NoDomain)
}

func shown(v dataformat.Value) string {
	if v == nil {
		return ""
	}
	return dataformat.Compact(v)
}
