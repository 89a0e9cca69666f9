package admin

import (
	"context"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// This file has what forms need beside the values: which settings there are, what holds
// where none is set, and what the actor may change.

// A Sheet is a set of settings with all that a form shows of them. Who may see it is who may
// make the call that tells the explicit settings alone.
type Sheet struct {
	// Settings are the declared settings in the order of their declaration.
	Settings []settings.Setting
	// Own are the explicit values; a secret that is set is "hidden".
	Own dataformat.Dict
	// Above is what holds where Own has nothing.
	Above map[string]Above
	// Fixed are the settings that the actor may not change.
	Fixed map[string]bool
}

// Above is an inherited value and where it comes from.
type Above struct {
	Value  dataformat.Value
	Origin accounts.Origin
}

// May reports whether the actor may make a call about the server; about a domain, if the name
// has one; about an object, if it has a local part. It writes no record.
func (a Actor) May(ctx context.Context, call string, n Name) bool {
	find := server
	switch {
	case n.Local != "":
		find = account(n)
	case n.Domain != "":
		find = domain(n.Domain)
	}
	r, known := rules[call]
	o := &operation{Actor: a, Context: ctx, call: call, rule: r}
	return known && o.authorize(find) == nil
}

// Changes reports whether a call changes something.
func Changes(call string) bool { return rules[call].changes }

func newSheet(names *settings.Names, own dataformat.Dict, above func(key string) (dataformat.Value, accounts.Origin), fixed func(key string) bool) *Sheet {
	s := &Sheet{Settings: names.All(), Own: withHidden(names, own), Above: map[string]Above{}, Fixed: map[string]bool{}}
	for _, one := range s.Settings {
		if v, origin := above(one.Key); origin != "" && !one.Secret {
			s.Above[one.Key] = Above{v, origin}
		}
		if fixed(one.Key) {
			s.Fixed[one.Key] = true
		}
	}
	return s
}

// free is the answer for those who may change all settings of a sheet.
func free(string) bool { return false }

// fixedFor reports which settings of accounts the actor may not change with a call.
func (o *operation) fixedFor(call string) func(key string) bool {
	if change := rules[call]; !change.allows(o) || change.guards && o.object != "" && o.covers(o.domain, o.object) != nil {
		return func(string) bool { return true }
	}
	return func(key string) bool { return !o.rights.Setting(o.domain, key) }
}

// AccountSheet has the settings of an account.
func (a Actor) AccountSheet(ctx context.Context, n Name) (*Sheet, error) {
	return look(ctx, a, "GETACCOUNTSETTINGS", account(n), func(o *operation) (*Sheet, error) {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return nil, err
		}
		own, err := o.admin.acc.AccountSettings(o.domain, o.object).Get(o)
		if err != nil {
			return nil, err
		}
		return newSheet(accounts.AccountSettingNames(), own, acct.Above, o.fixedFor("UPDATEACCOUNTSETTINGS")), nil
	})
}

// AccountDefaultsSheet has the settings that accounts of a domain inherit.
func (a Actor) AccountDefaultsSheet(ctx context.Context, name string) (*Sheet, error) {
	return look(ctx, a, "GETACCOUNTDEFAULTS", domain(name), func(o *operation) (*Sheet, error) {
		own, err := o.admin.acc.AccountDefaults(o.domain).Get(o)
		if err != nil {
			return nil, err
		}
		above := func(key string) (dataformat.Value, accounts.Origin) { return o.admin.acc.AboveDefaults(o.domain, key) }
		return newSheet(accounts.AccountSettingNames(), own, above, o.fixedFor("UPDATEACCOUNTDEFAULTS")), nil
	})
}

// ServerAccountDefaultsSheet has the settings that accounts of all domains inherit.
func (a Actor) ServerAccountDefaultsSheet(ctx context.Context) (*Sheet, error) {
	return look(ctx, a, "GETSERVERACCOUNTDEFAULTS", server, func(o *operation) (*Sheet, error) {
		own, err := o.admin.acc.ServerAccountDefaults().Get(o)
		if err != nil {
			return nil, err
		}
		above := func(key string) (dataformat.Value, accounts.Origin) { return o.admin.acc.AboveDefaults("", key) }
		return newSheet(accounts.AccountSettingNames(), own, above, free), nil
	})
}

// AccountTemplateSheet has what new accounts of a domain start with.
func (a Actor) AccountTemplateSheet(ctx context.Context, name string) (*Sheet, error) {
	return look(ctx, a, "GETACCOUNTTEMPLATE", domain(name), func(o *operation) (*Sheet, error) {
		own, err := o.admin.acc.AccountTemplate(o.domain).Get(o)
		if err != nil {
			return nil, err
		}
		above := func(key string) (dataformat.Value, accounts.Origin) {
			v, origin, err := o.admin.acc.AboveTemplate(o.domain, key)
			if err != nil {
				return nil, "" // the domain is gone; the next call tells
			}
			return v, origin
		}
		return newSheet(accounts.AccountSettingNames(), own, above, o.fixedFor("UPDATEACCOUNTTEMPLATE")), nil
	})
}

// DomainSheet has the settings of a domain.
func (a Actor) DomainSheet(ctx context.Context, name string) (*Sheet, error) {
	return look(ctx, a, "GETDOMAINSETTINGS", domain(name), func(o *operation) (*Sheet, error) {
		own, err := o.admin.acc.DomainSettings(o.domain).Get(o)
		if err != nil {
			return nil, err
		}
		above := func(key string) (dataformat.Value, accounts.Origin) { return o.admin.acc.AboveDomain(o.domain, key) }
		fixed := func(key string) bool { return !o.rights.Domain(o.domain, key) }
		return newSheet(accounts.DomainSettingNames(), own, above, fixed), nil
	})
}

// DomainDefaultsSheet has the settings that domains inherit.
func (a Actor) DomainDefaultsSheet(ctx context.Context) (*Sheet, error) {
	return look(ctx, a, "GETDOMAINDEFAULTS", server, func(o *operation) (*Sheet, error) {
		own, err := o.admin.acc.DomainDefaults().Get(o)
		if err != nil {
			return nil, err
		}
		above := func(key string) (dataformat.Value, accounts.Origin) { return o.admin.acc.AboveDomain("", key) }
		return newSheet(accounts.DomainSettingNames(), own, above, free), nil
	})
}

// ModuleSheet has the settings of a module.
func (a Actor) ModuleSheet(ctx context.Context, name string) (*Sheet, error) {
	return look(ctx, a, "GETMODULE", named(name), func(o *operation) (*Sheet, error) {
		module, err := o.module(name)
		if err != nil {
			return nil, err
		}
		own, err := o.admin.server.Module(o, module)
		if err != nil {
			return nil, err
		}
		return moduleSheet(o.admin.server.SettingNames(module), own), nil
	})
}

// ServerSheet has the settings of the server that are no module's.
func (a Actor) ServerSheet(ctx context.Context) (*Sheet, error) {
	return look(ctx, a, "GETSERVERSETTINGS", server, func(o *operation) (*Sheet, error) {
		own, err := o.admin.server.ServerSettings(o)
		if err != nil {
			return nil, err
		}
		return moduleSheet(o.admin.server.SettingNames(mainModule), own), nil
	})
}

// moduleSheet is a sheet of settings above which there are only the declared defaults.
func moduleSheet(names *settings.Names, own dataformat.Dict) *Sheet {
	above := func(key string) (dataformat.Value, accounts.Origin) {
		s, _ := names.Find(key)
		return s.DefaultValue(), accounts.BuiltIn
	}
	return newSheet(names, own, above, free)
}

// GroupSheet has the settings of a group.
func (a Actor) GroupSheet(ctx context.Context, n Name) (*Sheet, error) {
	return look(ctx, a, "GETGROUP", object(n), func(o *operation) (*Sheet, error) {
		own, err := o.admin.acc.Groups().Settings(o, o.domain, o.object)
		if err != nil {
			return nil, err
		}
		s := moduleSheet(accounts.GroupSettingNames(), own)
		if !rules["SETGROUP"].allows(o) {
			for _, one := range s.Settings {
				s.Fixed[one.Key] = true
			}
		}
		return s, nil
	})
}
