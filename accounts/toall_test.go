package accounts

import (
	"slices"
	"strings"
	"testing"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

func TestWhoMayWriteToAllAccounts(t *testing.T) {
	s := newStore(t)
	must(t, s.CreateDomain(ctx, "d.com", nil))
	for _, name := range []string{"user", "admin"} {
		must(t, s.CreateAccount(ctx, "d.com", name, nil))
	}
	must(t, s.SetAccountRights(ctx, "d.com", "admin", []string{"Domain"}))
	type sender struct {
		account string
		trusted bool
	}
	senders := map[string]sender{
		"stranger": {}, "client": {trusted: true}, "other": {"postmaster@gone.com", true},
		"user": {"user@d.com", true}, "admin": {"admin@D.com", true}, "postmaster": {"postmaster@company.com", false},
	}
	for action, allowed := range map[string]string{
		"anybody": "stranger client other user admin postmaster", "Everybody": "stranger client other user admin postmaster",
		"clients": "client other user admin postmaster", "authenticated users": "other user admin postmaster",
		"Authenticated Domain Users": "user admin", "default": "user admin",
		"Authenticated Administrator": "admin postmaster", "nobody": "", "Disabled": "",
	} {
		must(t, s.DomainSettings("d.com").Update(ctx, dataformat.Dict{"MailToAllAction": dataformat.String(action)}))
		for name, from := range senders {
			err := s.MayWriteToAll("D.com", from.account, from.trusted)
			if want := slices.Contains(strings.Fields(allowed), name); want != (err == nil) || !want && !fault.Is(err, fault.Denied) {
				t.Errorf("%s by %s: %v", action, name, err)
			}
		}
	}
	wantKind(t, s.DomainSettings("d.com").Update(ctx, dataformat.Dict{"MailToAllAction": dataformat.String("Sometimes")}), fault.Invalid)
	wantKind(t, s.MayWriteToAll("no.com", "", true), fault.NoDomain)
}
