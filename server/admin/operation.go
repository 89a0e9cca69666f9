package admin

import (
	"context"
	"maps"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// operation is one call of an actor.
type operation struct {
	Actor
	context.Context
	call   string
	rule   rule
	rights accounts.Rights

	// What it is about: a domain, and an object in it; or neither, and a thing of the server.
	domain, object, about string
	listOwner             string // the account that owns the object, if that is a mailing list

	// For the record, without secrets.
	old, new dataformat.Value
	without  []string // settings that were given and have no effect
}

// begin finds what a call is about and compares rights. Its error is in the log.
func (a Actor) begin(ctx context.Context, call string, find finder) (*operation, error) {
	o := &operation{Actor: a, Context: ctx, call: call, rule: rules[call]}
	if err := o.authorize(find); err != nil {
		return nil, o.end(err)
	}
	return o, nil
}

func (o *operation) authorize(find finder) (err error) {
	if o.account != nil {
		if o.account, err = o.admin.acc.Current(o, o.account); err != nil {
			return err
		}
	}
	if o.rights, err = o.Rights(); err != nil {
		return err
	}
	err = find(o)
	switch {
	case err != nil && !o.rule.any && !o.rights.Server(accounts.RightUsers) && !fault.Is(err, fault.Invalid):
		return denied() // whether a domain exists is for those who may administer it
	case err != nil:
		return err
	case !o.rule.allows(o):
		return denied()
	case o.rule.guards && o.object != "":
		return o.covers(o.domain, o.object)
	}
	return nil
}

// look carries out a call that tells something.
func look[T any](ctx context.Context, a Actor, call string, find finder, get func(*operation) (T, error)) (T, error) {
	o, err := a.begin(ctx, call, find)
	if err != nil {
		var none T
		return none, err
	}
	v, err := get(o)
	return v, o.end(err)
}

// do carries out a call that does something.
func do(ctx context.Context, a Actor, call string, find finder, act func(*operation) error) error {
	o, err := a.begin(ctx, call, find)
	if err != nil {
		return err
	}
	return o.end(act(o))
}

// covers refuses a name that goes with rights which the actor lacks: who could give such an
// account another password, or its name to another account, would have its rights.
func (o *operation) covers(domain, name string) error {
	theirs, err := o.admin.acc.RightsOfName(domain, name)
	if err == nil && !o.rights.Covers(theirs) {
		err = denied()
	}
	return err
}

// denied is the answer to a call that its actor has no right to.
func denied() error { return fault.New("admin.Rights", fault.Denied, "access denied") }

// allowedAccount returns settings of accounts that were given, without those that the actor
// may not change; this is no error.
func (o *operation) allowedAccount(given dataformat.Dict) (dataformat.Dict, error) {
	given, err := accounts.RespellAccount(given)
	maps.DeleteFunc(given, func(key string, _ dataformat.Value) bool {
		if right := rulesRight(key); right != "" {
			return !o.mayRule(right)
		}
		return !o.rights.Setting(o.domain, key)
	})
	return given, err
}

// allowedDomain does the same with settings of a domain.
func (o *operation) allowedDomain(given dataformat.Dict) (dataformat.Dict, error) {
	given, err := accounts.RespellDomain(given)
	maps.DeleteFunc(given, func(key string, _ dataformat.Value) bool {
		if right := rulesRight(key); right != "" {
			return !o.mayRule(right)
		}
		return !o.rights.Domain(o.domain, key)
	})
	return given, err
}

// seesSecrets reports whether the actor may read the secrets of the target: the stored form
// of a password, from which it can be guessed, if it is not the password itself.
func (o *operation) seesSecrets() (bool, error) {
	if !o.rights.Server(accounts.RightUsers) {
		return false, nil
	}
	if o.object == "" {
		return true, nil
	}
	theirs, err := o.admin.acc.RightsOfName(o.domain, o.object)
	return err == nil && o.rights.Covers(theirs), err
}

// shown returns settings with the secrets only for those who may see them.
func (o *operation) shown(names *settings.Names, d dataformat.Dict, err error) (dataformat.Dict, error) {
	if err != nil {
		return nil, err
	}
	sees, err := o.seesSecrets()
	if err != nil {
		return nil, err
	}
	if d == nil {
		d = dataformat.Dict{}
	}
	if !sees {
		d, _ = withoutSecrets(names, d).(dataformat.Dict)
	}
	return d, nil
}

// withoutSecrets copies a value without the secrets in it.
func withoutSecrets(names *settings.Names, v dataformat.Value) dataformat.Value {
	switch v := v.(type) {
	case dataformat.Dict:
		out := make(dataformat.Dict, len(v))
		for key, e := range v {
			if !names.Secret(key) {
				out[key] = withoutSecrets(names, e)
			}
		}
		return out
	case dataformat.Array:
		out := make(dataformat.Array, len(v))
		for i, e := range v {
			out[i] = withoutSecrets(names, e)
		}
		return out
	}
	return v
}
