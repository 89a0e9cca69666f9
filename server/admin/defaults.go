package admin

import (
	"context"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

// This file has the calls about what domains and accounts inherit.

// A getter and a setter of settings that all domains or accounts inherit.
type (
	serverGet = func() dataformat.Dict
	serverSet = func(context.Context, dataformat.Dict) error
)

// serverDict shows settings of the server.
func (a Actor) serverDict(ctx context.Context, call string, names *settings.Names, get serverGet) (dataformat.Dict, error) {
	return look(ctx, a, call, server, func(o *operation) (dataformat.Dict, error) { return o.shown(names, get(), nil) })
}

// setServer writes settings of the server.
func (a Actor) setServer(ctx context.Context, call string, names *settings.Names, given dataformat.Dict, get serverGet, set serverSet) error {
	return do(ctx, a, call, server, func(o *operation) error {
		read := func() (dataformat.Dict, error) { return get(), nil }
		return o.settings(names, given, read, func() error { return set(o, given) })
	})
}

// A getter and a setter of settings of one domain.
type (
	domainGet = func(string) (dataformat.Dict, error)
	domainSet = func(context.Context, string, dataformat.Dict) error
)

// setInDomain writes settings of a domain.
func (a Actor) setInDomain(ctx context.Context, call, name string, given dataformat.Dict, get domainGet, set domainSet) error {
	return do(ctx, a, call, domain(name), func(o *operation) error {
		read := func() (dataformat.Dict, error) { return get(o.domain) }
		return o.settings(accounts.AccountSettingNames(), given, read, func() error { return set(o, o.domain, given) })
	})
}

// updateInDomain writes those settings of a domain's accounts that the actor may change.
func (a Actor) updateInDomain(ctx context.Context, call, name string, given dataformat.Dict, get domainGet, set domainSet) error {
	return do(ctx, a, call, domain(name), func(o *operation) error {
		allowed, err := o.allowedAccount(given)
		if err != nil {
			return err
		}
		read := func() (dataformat.Dict, error) { return get(o.domain) }
		return o.settings(accounts.AccountSettingNames(), allowed, read, func() error { return set(o, o.domain, allowed) })
	})
}

// DomainDefaults are the settings that domains inherit.
func (a Actor) DomainDefaults(ctx context.Context) (dataformat.Dict, error) {
	return a.serverDict(ctx, "GETDOMAINDEFAULTS", accounts.DomainSettingNames(), a.admin.acc.DomainDefaults)
}

// UpdateDomainDefaults merges settings into those that domains inherit.
func (a Actor) UpdateDomainDefaults(ctx context.Context, given dataformat.Dict) error {
	return a.setServer(ctx, "UPDATEDOMAINDEFAULTS", accounts.DomainSettingNames(), given, a.domainDefaults, a.admin.acc.UpdateDomainDefaults)
}

// SetDomainDefaults replaces the settings that domains inherit.
func (a Actor) SetDomainDefaults(ctx context.Context, given dataformat.Dict) error {
	return a.setServer(ctx, "SETDOMAINDEFAULTS", accounts.DomainSettingNames(), given, a.domainDefaults, a.admin.acc.SetDomainDefaults)
}

// domainDefaults are the domain defaults with those of accounts, which may be given with them.
func (a Actor) domainDefaults() dataformat.Dict {
	d := a.admin.acc.DomainDefaults()
	if defaults := a.admin.acc.ServerAccountDefaults(); d != nil && len(defaults) > 0 {
		d["AccountDefaults"] = defaults
	}
	return d
}

// ServerAccountDefaults are the settings that accounts of all domains inherit.
func (a Actor) ServerAccountDefaults(ctx context.Context) (dataformat.Dict, error) {
	return a.serverDict(ctx, "GETSERVERACCOUNTDEFAULTS", accounts.AccountSettingNames(), a.admin.acc.ServerAccountDefaults)
}

// UpdateServerAccountDefaults merges settings into those that accounts of all domains inherit.
func (a Actor) UpdateServerAccountDefaults(ctx context.Context, given dataformat.Dict) error {
	return a.setServer(ctx, "UPDATESERVERACCOUNTDEFAULTS", accounts.AccountSettingNames(), given,
		a.admin.acc.ServerAccountDefaults, a.admin.acc.UpdateServerAccountDefaults)
}

// SetServerAccountDefaults replaces the settings that accounts of all domains inherit.
func (a Actor) SetServerAccountDefaults(ctx context.Context, given dataformat.Dict) error {
	return a.setServer(ctx, "SETSERVERACCOUNTDEFAULTS", accounts.AccountSettingNames(), given,
		a.admin.acc.ServerAccountDefaults, a.admin.acc.SetServerAccountDefaults)
}

// ServerAccountPrefs are the preferences that accounts of all domains inherit.
func (a Actor) ServerAccountPrefs(ctx context.Context) (dataformat.Dict, error) {
	return a.serverDict(ctx, "GETSERVERACCOUNTPREFS", preferences, a.admin.acc.ServerAccountPrefs)
}

// UpdateServerAccountPrefs merges preferences into those that accounts of all domains inherit.
func (a Actor) UpdateServerAccountPrefs(ctx context.Context, given dataformat.Dict) error {
	return a.setServer(ctx, "UPDATESERVERACCOUNTPREFS", preferences, given, a.admin.acc.ServerAccountPrefs, a.admin.acc.UpdateServerAccountPrefs)
}

// SetServerAccountPrefs replaces the preferences that accounts of all domains inherit.
func (a Actor) SetServerAccountPrefs(ctx context.Context, given dataformat.Dict) error {
	return a.setServer(ctx, "SETSERVERACCOUNTPREFS", preferences, given, a.admin.acc.ServerAccountPrefs, a.admin.acc.SetServerAccountPrefs)
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
	return a.updateInDomain(ctx, "UPDATEACCOUNTDEFAULTS", name, given, a.admin.acc.AccountDefaults, a.admin.acc.UpdateAccountDefaults)
}

// SetAccountDefaults replaces the settings that accounts of a domain inherit.
func (a Actor) SetAccountDefaults(ctx context.Context, name string, given dataformat.Dict) error {
	return a.setInDomain(ctx, "SETACCOUNTDEFAULTS", name, given, a.admin.acc.AccountDefaults, a.admin.acc.SetAccountDefaults)
}

// AccountTemplate is what new accounts of a domain start with.
func (a Actor) AccountTemplate(ctx context.Context, name string) (dataformat.Dict, error) {
	return a.domainDict(ctx, "GETACCOUNTTEMPLATE", name, accounts.AccountSettingNames(), a.admin.acc.AccountTemplate)
}

// UpdateAccountTemplate merges settings into a domain's template. Settings that the actor may
// not change are left out.
func (a Actor) UpdateAccountTemplate(ctx context.Context, name string, given dataformat.Dict) error {
	return a.updateInDomain(ctx, "UPDATEACCOUNTTEMPLATE", name, given, a.admin.acc.AccountTemplate, a.admin.acc.UpdateAccountTemplate)
}

// SetAccountTemplate replaces a domain's template.
func (a Actor) SetAccountTemplate(ctx context.Context, name string, given dataformat.Dict) error {
	return a.setInDomain(ctx, "SETACCOUNTTEMPLATE", name, given, a.admin.acc.AccountTemplate, a.admin.acc.SetAccountTemplate)
}

// AccountDefaultPrefs are the preferences that accounts of a domain inherit.
func (a Actor) AccountDefaultPrefs(ctx context.Context, name string) (dataformat.Dict, error) {
	return a.domainDict(ctx, "GETACCOUNTDEFAULTPREFS", name, preferences, a.admin.acc.AccountDefaultPrefs)
}

// UpdateAccountDefaultPrefs merges preferences into those that accounts of a domain inherit.
func (a Actor) UpdateAccountDefaultPrefs(ctx context.Context, name string, given dataformat.Dict) error {
	return a.setInDomain(ctx, "UPDATEACCOUNTDEFAULTPREFS", name, given, a.admin.acc.AccountDefaultPrefs, a.admin.acc.UpdateAccountDefaultPrefs)
}

// SetAccountDefaultPrefs replaces the preferences that accounts of a domain inherit.
func (a Actor) SetAccountDefaultPrefs(ctx context.Context, name string, given dataformat.Dict) error {
	return a.setInDomain(ctx, "SETACCOUNTDEFAULTPREFS", name, given, a.admin.acc.AccountDefaultPrefs, a.admin.acc.SetAccountDefaultPrefs)
}
