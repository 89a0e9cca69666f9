package accounts

import (
	"fmt"
	"slices"
	"testing"

	"gatepost/server/fault"
)

func TestTelnumsFollowTheirAccounts(t *testing.T) {
	p := newBase(t)
	s := p.open(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	must(t, s.CreateAccount(ctx, "d.com", "u", nil))
	must(t, s.CreateAccount(ctx, "d.com", "w", nil))
	must(t, s.SetAccountTelnums(ctx, "d.com", "u", []string{"+49 (30) 123-456", "401"}))
	owner := func(number, want string) {
		t.Helper()
		domain, name, ok, err := s.Telnum(ctx, number)
		must(t, err)
		if got := fmt.Sprint(name, "@", domain, " ", ok); got != want {
			t.Errorf("%s: %s, want %s", number, got, want)
		}
	}
	owner("+4930123456", "u@d.com true")
	owner("402", "@ false")
	if err := s.SetAccountTelnums(ctx, "d.com", "w", []string{"402", "401"}); !fault.Is(err, fault.Exists) {
		t.Errorf("a number of another account: %v", err)
	}
	for _, bad := range []string{"", "7", "+", "12a4", "++49", "4+9", "123456789012345678901"} {
		if err := s.SetAccountTelnums(ctx, "d.com", "w", []string{bad}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	owner("402", "@ false")

	must(t, s.RenameAccount(ctx, "d.com", "u", "", "v"))
	owner("401", "v@"+s.MainDomain()+" true")
	must(t, s.RenameAccount(ctx, "", "v", "d.com", "u"))
	must(t, s.RenameDomain(ctx, "d.com", "e.com"))
	owner("401", "u@e.com true")
	must(t, s.SetAccountTelnums(ctx, "e.com", "w", []string{"500"}))
	s = p.restart(t, s)
	owner("401", "u@e.com true")
	have, err := s.AccountTelnums(ctx, "e.com", "u")
	must(t, err)
	if !slices.Equal(have, []string{"+4930123456", "401"}) {
		t.Errorf("after a restart: %v", have)
	}
	list, err := s.Telnums(ctx, "e.com", "0", 2)
	must(t, err)
	if list.Total != 3 || len(list.Accounts) != 2 || list.Accounts["401"] != "u@e.com" {
		t.Errorf("list: %+v", list)
	}

	// What is deleted leaves no number to whoever gets its name.
	must(t, s.DeleteAccount(ctx, "e.com", "u"))
	owner("401", "@ false")
	must(t, s.DeleteDomain(ctx, "e.com", true))
	owner("500", "@ false")
}
