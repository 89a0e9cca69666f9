package admin

import (
	"context"
	"slices"

	"gatepost/accounts"
	"gatepost/server/fault"
)

// This file has the calls about the telephone numbers of accounts.

// AccountTelnums lists the telephone numbers of an account.
func (a Actor) AccountTelnums(ctx context.Context, n Name) ([]string, error) {
	return look(ctx, a, "GETACCOUNTTELNUMS", account(n), func(o *operation) ([]string, error) {
		return o.admin.acc.AccountTelnums(o, o.domain, o.object)
	})
}

// SetAccountTelnums replaces the telephone numbers of an account.
func (a Actor) SetAccountTelnums(ctx context.Context, n Name, numbers []string) error {
	return do(ctx, a, "SETACCOUNTTELNUMS", account(n), func(o *operation) error {
		return o.editTelnums(func([]string) ([]string, error) { return numbers, nil })
	})
}

// AddTelnum assigns one more telephone number to an account. One that it has stays.
func (a Actor) AddTelnum(ctx context.Context, n Name, number string) error {
	return do(ctx, a, "MODIFYACCOUNTTELNUMS", account(n), func(o *operation) error {
		return o.editTelnums(func(old []string) ([]string, error) { return append(old, number), nil })
	})
}

// RemoveTelnum takes a telephone number from an account. Errors: NotFound if it has another one only.
func (a Actor) RemoveTelnum(ctx context.Context, n Name, text string) error {
	return do(ctx, a, "MODIFYACCOUNTTELNUMS", account(n), func(o *operation) error {
		number, err := accounts.ParseTelnum(text)
		if err != nil {
			return err
		}
		return o.editTelnums(func(old []string) ([]string, error) {
			i := slices.Index(old, number)
			if i < 0 {
				return nil, fault.Newf("admin.Telnums", fault.NotFound, "the account has no telephone number %s", number)
			}
			return slices.Delete(old, i, i+1), nil
		})
	})
}

// PopTelnum takes the first telephone number from an account and returns it; "" if it has none.
func (a Actor) PopTelnum(ctx context.Context, n Name) (number string, err error) {
	err = do(ctx, a, "MODIFYACCOUNTTELNUMS", account(n), func(o *operation) error {
		return o.editTelnums(func(old []string) ([]string, error) {
			if len(old) > 0 {
				number, old = old[0], old[1:]
			}
			return old, nil
		})
	})
	if err != nil {
		return "", err
	}
	return number, nil
}

// editTelnums changes the telephone numbers of the account, and notes for the record what that has changed.
func (o *operation) editTelnums(edit func(old []string) ([]string, error)) error {
	var now []string
	old, err := o.admin.acc.EditAccountTelnums(o, o.domain, o.object, func(old []string) (_ []string, err error) {
		now, err = edit(old)
		return now, err
	})
	o.old, o.new = texts(old), texts(now)
	return err
}

// DomainTelnums lists the telephone numbers of a domain that have filter as a part, at most limit.
func (a Actor) DomainTelnums(ctx context.Context, name, filter string, limit int) (*accounts.TelnumList, error) {
	return look(ctx, a, "LISTDOMAINTELNUMS", domain(name), func(o *operation) (*accounts.TelnumList, error) {
		return o.admin.acc.Telnums(o, o.domain, filter, limit)
	})
}

// ServerTelnums lists the telephone numbers of all domains that have filter as a part, at most limit.
func (a Actor) ServerTelnums(ctx context.Context, filter string, limit int) (*accounts.TelnumList, error) {
	return look(ctx, a, "LISTSERVERTELNUMS", server, func(o *operation) (*accounts.TelnumList, error) {
		return o.admin.acc.Telnums(o, "", filter, limit)
	})
}
