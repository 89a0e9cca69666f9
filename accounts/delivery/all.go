package delivery

import (
	"context"
	"strings"

	"gatepost/accounts"
	"gatepost/queue/envelope"
	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// AllAccounts tells the queue who gets mail to all@domain (queue.Options.AllAccounts):
// every account of the domain that wants such mail and, if the domain says so,
// its forwarders. Errors: NoDomain, Denied.
func AllAccounts(acc *accounts.Store) func(ctx context.Context, src *envelope.Source, domain string) ([]address.Address, error) {
	return func(ctx context.Context, src *envelope.Source, domain string) ([]address.Address, error) {
		if err := acc.MayWriteToAll(domain, src.Account, src.Trusted); err != nil {
			return nil, err
		}
		set, err := acc.DomainEffectiveSettings(domain)
		if err != nil {
			return nil, err
		}
		return allAccounts(ctx, acc, domain, set)
	}
}

func allAccounts(ctx context.Context, acc *accounts.Store, domain string, set dataformat.Dict) (to []address.Address, err error) {
	list, err := acc.Accounts(ctx, domain)
	if err != nil {
		return nil, err
	}
	for _, name := range list {
		a, err := acc.Account(ctx, domain, name)
		if fault.Is(err, fault.NotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		if bool(a.Settings().MailToAll) && a.Enabled("Mail") {
			to = append(to, address.Address{Local: name, Domain: domain})
		}
	}
	if strings.EqualFold(set.String("AllWithForwarders"), "YES") {
		forwarders, err := acc.Forwarders().List(ctx, domain)
		if err != nil {
			return nil, err
		}
		for _, name := range forwarders {
			to = append(to, address.Address{Local: name, Domain: domain})
		}
	}
	return to, nil
}
