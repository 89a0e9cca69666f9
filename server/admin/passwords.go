package admin

import (
	"context"
	"strings"

	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about passwords and identities of accounts.

// passwordSet is what the record of a new password has.
var passwordSet = dataformat.Dict{"Password": hidden}

// SetPassword gives an account a password. With check the account's own rules hold, as they
// do for those who have no right to go without: the account itself.
func (a Actor) SetPassword(ctx context.Context, n Name, password string, check bool) error {
	return do(ctx, a, "SETACCOUNTPASSWORD", account(n), func(o *operation) error {
		o.new = passwordSet
		check = check || !o.rights.Domain(o.domain, "BasicSettings")
		return o.admin.acc.SetPassword(o, o.domain, o.object, password, check)
	})
}

// ChangePassword gives the actor's own account a password, under the account's own rules.
func (a Actor) ChangePassword(ctx context.Context, password string) error {
	return do(ctx, a, "NEWPASS", self, func(o *operation) error {
		o.new = passwordSet
		return o.admin.acc.SetPassword(o, o.domain, o.object, password, true)
	})
}

// VerifyPassword reports whether a password is the account's. Errors: BadCredentials.
func (a Actor) VerifyPassword(ctx context.Context, n Name, password string) error {
	return do(ctx, a, "VERIFYACCOUNTPASSWORD", account(n), func(o *operation) error {
		return o.admin.acc.Logins().VerifyPassword(o, o.domain, o.object, password)
	})
}

// VerifyIdentity reports whether an account may write under a name and an address, as they
// stand in From: whether the address is its own. Errors: Denied.
func (a Actor) VerifyIdentity(ctx context.Context, n Name, identity string) error {
	return do(ctx, a, "VERIFYACCOUNTIDENTITY", account(n), func(o *operation) error {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return err
		}
		text := strings.TrimSpace(identity)
		if i := strings.LastIndexByte(text, '<'); i >= 0 && strings.HasSuffix(text, ">") {
			text = text[i:]
		}
		addr, err := address.Parse(text)
		if err != nil {
			return err
		}
		if addr.Domain == "" {
			addr.Domain = acct.Domain
		}
		own, err := o.admin.acc.OwnsAddress(o, acct, addr)
		if err == nil && !own {
			err = fault.New("admin.VerifyIdentity", fault.Denied, "the address does not belong to the account")
		}
		return err
	})
}

// RevealPassword returns a password that is kept in a reversible form.
func (a Actor) RevealPassword(ctx context.Context, n Name) (string, error) {
	return look(ctx, a, "GETACCOUNTPLAINPASSWORD", account(n), func(o *operation) (string, error) {
		return o.admin.acc.RevealPassword(o, o.domain, o.object)
	})
}
