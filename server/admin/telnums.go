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

// The changes of ModifyAccountTelnums.
const (
	AddTelnum    = "add" // one more number; one that the account has stays
	RemoveTelnum = "del"
	PopTelnum    = "pop" // remove the first one
)

// ModifyAccountTelnums makes one change to the telephone numbers of an account. It returns the number that PopTelnum has
// removed, which takes none; "" if there was none. Errors: Invalid, Exists; NotFound if the account has not the number to remove.
func (a Actor) ModifyAccountTelnums(ctx context.Context, n Name, change, text string) (popped string, err error) {
	const op = "admin.Telnums"
	err = do(ctx, a, "MODIFYACCOUNTTELNUMS", account(n), func(o *operation) error {
		if (change == PopTelnum) != (text == "") {
			return fault.New(op, fault.Invalid, "add and del take a telephone number, pop takes none")
		}
		return o.editTelnums(func(old []string) ([]string, error) {
			switch change {
			case AddTelnum:
				return append(old, text), nil
			case PopTelnum:
				if len(old) > 0 {
					popped, old = old[0], old[1:]
				}
				return old, nil
			case RemoveTelnum:
				number, err := accounts.ParseTelnum(text)
				if err != nil {
					return nil, err
				}
				i := slices.Index(old, number)
				if i < 0 {
					return nil, fault.Newf(op, fault.NotFound, "the account has no telephone number %s", number)
				}
				return slices.Delete(old, i, i+1), nil
			}
			return nil, fault.New(op, fault.Invalid, "op must be add, del or pop")
		})
	})
	if err != nil {
		return "", err
	}
	return popped, nil
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
