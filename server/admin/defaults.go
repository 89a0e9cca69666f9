package admin

import (
	"context"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// This file has the calls about what domains and accounts inherit.

// A write is accounts.Layer.Update or accounts.Layer.Set.
type write = func(accounts.Layer, context.Context, dataformat.Dict) error

// put writes settings into a layer.
func (o *operation) put(names *settings.Names, given dataformat.Dict, l accounts.Layer, w write) error {
	return o.settings(names, given, func() (dataformat.Dict, error) { return l.Get(o) }, func() error { return w(l, o, given) })
}

// putWithDefaults does the same where the account defaults may be given too; the record has them.
func (o *operation) putWithDefaults(given dataformat.Dict, l, defaults accounts.Layer, w write) error {
	read := func() (dataformat.Dict, error) {
		d, err := l.Get(o)
		if err != nil {
			return nil, err
		}
		inherited, err := defaults.Get(o)
		if len(inherited) > 0 {
			d["AccountDefaults"] = inherited
		}
		return d, err
	}
	return o.settings(accounts.DomainSettingNames(), given, read, func() error { return w(l, o, given) })
}

// serverDict shows settings of the server.
func (a Actor) serverDict(ctx context.Context, call string, names *settings.Names, l accounts.Layer) (dataformat.Dict, error) {
	return look(ctx, a, call, server, func(o *operation) (dataformat.Dict, error) {
		d, err := l.Get(o)
		return o.shown(names, d, err)
	})
}

// setServer writes settings of the server.
func (a Actor) setServer(ctx context.Context, call string, names *settings.Names, given dataformat.Dict, l accounts.Layer, w write) error {
	return do(ctx, a, call, server, func(o *operation) error { return o.put(names, given, l, w) })
}

// domainDict shows settings of a domain.
func (a Actor) domainDict(ctx context.Context, call, name string, names *settings.Names, layer func(string) accounts.Layer) (dataformat.Dict, error) {
	return look(ctx, a, call, domain(name), func(o *operation) (dataformat.Dict, error) {
		d, err := layer(o.domain).Get(o)
		return o.shown(names, d, err)
	})
}

// setInDomain writes settings of a domain.
func (a Actor) setInDomain(ctx context.Context, call, name string, given dataformat.Dict, layer func(string) accounts.Layer, w write) error {
	return do(ctx, a, call, domain(name), func(o *operation) error {
		return o.put(accounts.AccountSettingNames(), given, layer(o.domain), w)
	})
}

// updateInDomain merges those settings of a domain's accounts that the actor may change.
func (a Actor) updateInDomain(ctx context.Context, call, name string, given dataformat.Dict, layer func(string) accounts.Layer) error {
	return do(ctx, a, call, domain(name), func(o *operation) error {
		allowed, err := o.allowedAccount(given)
		if err != nil {
			return err
		}
		return o.put(accounts.AccountSettingNames(), allowed, layer(o.domain), accounts.Layer.Update)
	})
}

// setDomainDefaults writes the settings that domains inherit.
func (a Actor) setDomainDefaults(ctx context.Context, call string, given dataformat.Dict, w write) error {
	return do(ctx, a, call, server, func(o *operation) error {
		return o.putWithDefaults(given, o.admin.acc.DomainDefaults(), o.admin.acc.ServerAccountDefaults(), w)
	})
}

// DomainDefaults are the settings that domains inherit.
func (a Actor) DomainDefaults(ctx context.Context) (dataformat.Dict, error) {
	return a.serverDict(ctx, "GETDOMAINDEFAULTS", accounts.DomainSettingNames(), a.admin.acc.DomainDefaults())
}

// UpdateDomainDefaults merges settings into those that domains inherit.
func (a Actor) UpdateDomainDefaults(ctx context.Context, given dataformat.Dict) error {
	return a.setDomainDefaults(ctx, "UPDATEDOMAINDEFAULTS", given, accounts.Layer.Update)
}

// SetDomainDefaults replaces the settings that domains inherit.
func (a Actor) SetDomainDefaults(ctx context.Context, given dataformat.Dict) error {
	return a.setDomainDefaults(ctx, "SETDOMAINDEFAULTS", given, accounts.Layer.Set)
}

// ServerAccountDefaults are the settings that accounts of all domains inherit.
func (a Actor) ServerAccountDefaults(ctx context.Context) (dataformat.Dict, error) {
	return a.serverDict(ctx, "GETSERVERACCOUNTDEFAULTS", accounts.AccountSettingNames(), a.admin.acc.ServerAccountDefaults())
}

// UpdateServerAccountDefaults merges settings into those that accounts of all domains inherit.
func (a Actor) UpdateServerAccountDefaults(ctx context.Context, given dataformat.Dict) error {
	return a.setServer(ctx, "UPDATESERVERACCOUNTDEFAULTS", accounts.AccountSettingNames(), given, a.admin.acc.ServerAccountDefaults(), accounts.Layer.Update)
}

// SetServerAccountDefaults replaces the settings that accounts of all domains inherit.
func (a Actor) SetServerAccountDefaults(ctx context.Context, given dataformat.Dict) error {
	return a.setServer(ctx, "SETSERVERACCOUNTDEFAULTS", accounts.AccountSettingNames(), given, a.admin.acc.ServerAccountDefaults(), accounts.Layer.Set)
}

// ServerAccountPrefs are the preferences that accounts of all domains inherit.
func (a Actor) ServerAccountPrefs(ctx context.Context) (dataformat.Dict, error) {
	return a.serverDict(ctx, "GETSERVERACCOUNTPREFS", preferences, a.admin.acc.ServerAccountPrefs())
}

// UpdateServerAccountPrefs merges preferences into those that accounts of all domains inherit.
func (a Actor) UpdateServerAccountPrefs(ctx context.Context, given dataformat.Dict) error {
	return a.setServer(ctx, "UPDATESERVERACCOUNTPREFS", preferences, given, a.admin.acc.ServerAccountPrefs(), accounts.Layer.Update)
}

// SetServerAccountPrefs replaces the preferences that accounts of all domains inherit.
func (a Actor) SetServerAccountPrefs(ctx context.Context, given dataformat.Dict) error {
	return a.setServer(ctx, "SETSERVERACCOUNTPREFS", preferences, given, a.admin.acc.ServerAccountPrefs(), accounts.Layer.Set)
}

// preferences are names without declarations: what seems to be a secret is one.
var preferences = settings.NamesOf()

// AccountDefaults are the settings that accounts of a domain inherit.
func (a Actor) AccountDefaults(ctx context.Context, name string) (dataformat.Dict, error) {
	return a.domainDict(ctx, "GETACCOUNTDEFAULTS", name, accounts.AccountSettingNames(), a.admin.acc.AccountDefaults)
}

// UpdateAccountDefaults merges settings into those that accounts of a domain inherit.
// Settings that the actor may not change are left out.
func (a Actor) UpdateAccountDefaults(ctx context.Context, name string, given dataformat.Dict) error {
	return a.updateInDomain(ctx, "UPDATEACCOUNTDEFAULTS", name, given, a.admin.acc.AccountDefaults)
}

// SetAccountDefaults replaces the settings that accounts of a domain inherit.
func (a Actor) SetAccountDefaults(ctx context.Context, name string, given dataformat.Dict) error {
	return a.setInDomain(ctx, "SETACCOUNTDEFAULTS", name, given, a.admin.acc.AccountDefaults, accounts.Layer.Set)
}

// AccountTemplate is what new accounts of a domain start with.
func (a Actor) AccountTemplate(ctx context.Context, name string) (dataformat.Dict, error) {
	return a.domainDict(ctx, "GETACCOUNTTEMPLATE", name, accounts.AccountSettingNames(), a.admin.acc.AccountTemplate)
}

// UpdateAccountTemplate merges settings into a domain's template. Settings that the actor may
// not change are left out.
func (a Actor) UpdateAccountTemplate(ctx context.Context, name string, given dataformat.Dict) error {
	return a.updateInDomain(ctx, "UPDATEACCOUNTTEMPLATE", name, given, a.admin.acc.AccountTemplate)
}

// SetAccountTemplate replaces a domain's template.
func (a Actor) SetAccountTemplate(ctx context.Context, name string, given dataformat.Dict) error {
	return a.setInDomain(ctx, "SETACCOUNTTEMPLATE", name, given, a.admin.acc.AccountTemplate, accounts.Layer.Set)
}

// AccountDefaultPrefs are the preferences that accounts of a domain inherit.
func (a Actor) AccountDefaultPrefs(ctx context.Context, name string) (dataformat.Dict, error) {
	return a.domainDict(ctx, "GETACCOUNTDEFAULTPREFS", name, preferences, a.admin.acc.AccountDefaultPrefs)
}

// UpdateAccountDefaultPrefs merges preferences into those that accounts of a domain inherit.
func (a Actor) UpdateAccountDefaultPrefs(ctx context.Context, name string, given dataformat.Dict) error {
	return a.setInDomain(ctx, "UPDATEACCOUNTDEFAULTPREFS", name, given, a.admin.acc.AccountDefaultPrefs, accounts.Layer.Update)
}

// SetAccountDefaultPrefs replaces the preferences that accounts of a domain inherit.
func (a Actor) SetAccountDefaultPrefs(ctx context.Context, name string, given dataformat.Dict) error {
	return a.setInDomain(ctx, "SETACCOUNTDEFAULTPREFS", name, given, a.admin.acc.AccountDefaultPrefs, accounts.Layer.Set)
}
