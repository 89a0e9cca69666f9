package admin

import (
	"context"
	"strconv"

	"gatepost/accounts/junk"
	"gatepost/server/dataformat"
)

// This file has the calls about what the junk filter has learned.

// learned tells what a table has learned: Junk and Ham, numbers of messages.
func learned(file string) (dataformat.Dict, error) {
	l, err := junk.Read(file)
	if err != nil {
		return nil, err
	}
	count := func(n uint64) dataformat.Value { return dataformat.String(strconv.FormatUint(n, 10)) }
	return dataformat.Dict{"Junk": count(l.Junk), "Ham": count(l.Ham)}, nil
}

// AccountJunk tells how many messages the junk filter has learned from an account, as Junk and as Ham.
func (a Actor) AccountJunk(ctx context.Context, n Name) (dataformat.Dict, error) {
	return look(ctx, a, "GETACCOUNTJUNK", account(n), func(o *operation) (dataformat.Dict, error) {
		acc, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return nil, err
		}
		return learned(junk.AccountFile(acc))
	})
}

// ResetAccountJunk has the junk filter forget what it has learned from an account. What the domain has of it stays.
func (a Actor) ResetAccountJunk(ctx context.Context, n Name) error {
	return do(ctx, a, "RESETACCOUNTJUNK", account(n), func(o *operation) error {
		acc, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return err
		}
		return junk.Forget(junk.AccountFile(acc))
	})
}

// DomainJunk is AccountJunk for what the accounts of a domain have taught together.
func (a Actor) DomainJunk(ctx context.Context, name string) (dataformat.Dict, error) {
	return look(ctx, a, "GETDOMAINJUNK", domain(name), func(o *operation) (dataformat.Dict, error) {
		file, err := junk.DomainFile(o.admin.acc, o.domain)
		if err != nil {
			return nil, err
		}
		return learned(file)
	})
}

// ResetDomainJunk has the junk filter forget what the accounts of a domain have taught together. What each has taught for itself stays.
func (a Actor) ResetDomainJunk(ctx context.Context, name string) error {
	return do(ctx, a, "RESETDOMAINJUNK", domain(name), func(o *operation) error {
		file, err := junk.DomainFile(o.admin.acc, o.domain)
		if err != nil {
			return err
		}
		return junk.Forget(file)
	})
}
