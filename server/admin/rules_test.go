package admin

import (
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

func value(t testing.TB, text string) dataformat.Value {
	t.Helper()
	v, err := dataformat.Parse([]byte(text))
	must(t, err)
	return v
}

// The owner of an account makes the rules that RulesAllowed lets, and does not touch those of an administrator.
func TestOwnersMakeTheRulesThatTheyMay(t *testing.T) {
	s := newSite(t)
	self := Name{"ann", "own.com"}
	ann, boss := s.as("ann", "own.com"), s.as("boss", "main.com", "Master")
	shown := func(want string) {
		t.Helper()
		list, err := ann.AccountMailRules(ctx, self)
		if got := dataformat.Compact(list); err != nil || got != want {
			t.Errorf("the rules are %s, %v, want %s", got, err, want)
		}
	}
	denied := func(err error) {
		t.Helper()
		if !fault.Is(err, fault.Denied) {
			t.Errorf("%v", err)
		}
	}
	const keep, copy = `(5,keep,(),(("Store in",Junk)))`, `(9,copy,(),(("Mirror to",x@far.net)))`
	must(t, ann.SetAccountMailRules(ctx, self, value(t, "("+keep+")")))
	denied(ann.SetAccountMailRules(ctx, self, value(t, "("+copy+")")))
	denied(ann.UpdateAccountMailRule(ctx, self, "", value(t, copy)))
	shown("(" + keep + ")")
	must(t, boss.UpdateAccountMailRule(ctx, self, "", value(t, copy)))
	must(t, ann.UpdateAccountMailRule(ctx, self, "", value(t, "(3,keep)")))
	must(t, ann.UpdateAccountMailRule(ctx, self, "copy", nil)) // it stays
	denied(ann.UpdateAccountMailRule(ctx, self, "", value(t, "(1,copy)")))
	must(t, ann.SetAccountMailRules(ctx, self, value(t, "Default")))
	shown("(" + copy + ")")
	must(t, boss.UpdateAccountSettings(ctx, self, dict(t, "{RulesAllowed=No;}")))
	denied(ann.SetAccountMailRules(ctx, self, value(t, "()")))
	must(t, boss.UpdateAccountSettings(ctx, self, dict(t, `{RulesAllowed="All But Exec";}`)))
	must(t, ann.UpdateAccountMailRule(ctx, self, "", value(t, copy)))
	denied(ann.UpdateAccountMailRule(ctx, self, "", value(t, `(1,run,(),((Execute,x)))`)))
	must(t, boss.SetAccountMailRules(ctx, self, value(t, "Default")))
	shown("()")
}

// Rules of the whole Main Domain act on the mail of administrators too.
func TestRulesOfTheMainDomainNeedARightOfTheServer(t *testing.T) {
	s := newSite(t)
	rule := value(t, `((5,copy,(),(("Mirror to","x@far.net"))))`)
	helper := s.as("helper", "main.com", "Domain", "RulesAllowed")
	if err := helper.SetDomainMailRules(ctx, "main.com", rule); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
	must(t, helper.UpdateDomainSettings(ctx, "main.com", dataformat.Dict{"Rules": rule}))
	must(t, helper.UpdateAccountDefaults(ctx, "main.com", dataformat.Dict{"Rules": rule}))
	must(t, helper.UpdateAccountMailRule(ctx, Name{"user", "main.com"}, "", rule.(dataformat.Array)[0]))
	s.as("chief", "main.com", "Master")
	if err := helper.SetAccountMailRules(ctx, Name{"chief", "main.com"}, rule); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
	owner := s.owner()
	if list, err := owner.DomainMailRules(ctx, "main.com"); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := owner.AccountMailRules(ctx, Name{"chief", "main.com"}); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	must(t, s.as("ofown", "own.com", "Domain", "RulesAllowed").SetDomainMailRules(ctx, "own.com", rule))
}
