package admin

import (
	"context"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about the second factor of administrators (TOTP, RFC 6238).

// SecondFactor reports whether an account has a second factor, and how many recovery codes are left.
func (a Actor) SecondFactor(ctx context.Context, n Name) (has bool, left int, err error) {
	type state struct {
		has  bool
		left int
	}
	s, err := look(ctx, a, "GETACCOUNTTOTP", account(n), func(o *operation) (state, error) {
		has, left, err := o.admin.acc.SecondFactor(o, o.domain, o.object)
		return state{has, left}, err
	})
	return s.has, s.left, err
}

// SetSecondFactor gives the actor's own account a second factor, once a code proves that its program has the secret, and
// returns the recovery codes.
func (a Actor) SetSecondFactor(ctx context.Context, secret, code string) (recovery []string, err error) {
	err = do(ctx, a, "SETACCOUNTTOTP", self, func(o *operation) error {
		has, _, err := o.admin.acc.SecondFactor(o, o.domain, o.object)
		if err == nil && has {
			err = fault.New("admin.SetSecondFactor", fault.Exists, "the account has a second factor; reset it first")
		}
		if err == nil {
			recovery, err = o.admin.acc.SetSecondFactor(o, o.domain, o.object, secret, code)
		}
		o.new = dataformat.String("on")
		return err
	})
	return recovery, err
}

// ResetSecondFactor takes the second factor of an account away, such as when its phone is lost.
func (a Actor) ResetSecondFactor(ctx context.Context, n Name) error {
	return do(ctx, a, "RESETACCOUNTTOTP", account(n), func(o *operation) error {
		o.new = dataformat.String("off")
		return o.admin.acc.ResetSecondFactor(o, o.domain, o.object)
	})
}
