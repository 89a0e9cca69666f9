package admin

import (
	"context"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file has the calls about accounts.

// noteSpecial tells of a form of storage that was asked for.
func (o *operation) noteSpecial(s Storage) {
	if s.Special {
		o.note("all accounts have one form of storage, with several mailboxes")
	}
}

// CreateAccount makes an account. Settings that the actor may not change are left out.
func (a Actor) CreateAccount(ctx context.Context, n Name, given dataformat.Dict, s Storage) error {
	return do(ctx, a, "CREATEACCOUNT", object(n), func(o *operation) error {
		if s.Special && !o.rights.Domain(o.domain, "CanCreateSpecialAccounts") {
			return denied()
		}
		if err := s.validate(); err != nil {
			return err
		}
		allowed, err := o.allowedAccount(given)
		if err != nil {
			return err
		}
		if err := o.admin.acc.CreateAccount(o, o.domain, o.object, allowed); err != nil {
			return err
		}
		o.new = withHidden(accounts.AccountSettingNames(), allowed)
		o.tellKept(accounts.AccountSettingNames(), allowed)
		o.noteSpecial(s)
		return nil
	})
}

// RenameAccount gives an account another name, in its domain unless the new name has another.
func (a Actor) RenameAccount(ctx context.Context, n, newName Name, s Storage) error {
	return do(ctx, a, "RENAMEACCOUNT", object(n), func(o *operation) error {
		if err := s.validate(); err != nil {
			return err
		}
		to := o.domain
		if newName.Domain != "" {
			var err error
			to, err = o.realDomain(newName.Domain)
			if err != nil && !o.rights.Server(accounts.RightUsers) {
				err = denied() // as in a domain that exists and is somebody else's
			}
			if err != nil {
				return err
			}
		}
		if to != o.domain && !o.rights.Domain(to, "CanCreateAccounts") {
			return denied()
		}
		// Rights belong to names: a file may give some to one that nobody has yet.
		if err := o.covers(to, newName.Local); err != nil {
			return err
		}
		o.old, o.new = dataformat.String(o.object+"@"+o.domain), dataformat.String(newName.Local+"@"+to)
		return o.admin.acc.RenameAccount(o, o.domain, o.object, to, newName.Local)
	})
}

// DeleteAccount removes an account with all that it has.
func (a Actor) DeleteAccount(ctx context.Context, n Name) error {
	return do(ctx, a, "DELETEACCOUNT", object(n), func(o *operation) error {
		return o.admin.acc.DeleteAccount(o, o.domain, o.object)
	})
}

// SetAccountType has nothing to change: all types are one.
func (a Actor) SetAccountType(ctx context.Context, n Name, s Storage) error {
	return do(ctx, a, "SETACCOUNTTYPE", account(n), func(o *operation) error {
		_, err := o.admin.acc.Account(o, o.domain, o.object)
		if err == nil {
			o.noteSpecial(s)
		}
		return err
	})
}

// accountDict shows settings or preferences of an account.
func (a Actor) accountDict(ctx context.Context, call string, n Name, get func(context.Context, string, string) (dataformat.Dict, error)) (dataformat.Dict, error) {
	return look(ctx, a, call, account(n), func(o *operation) (dataformat.Dict, error) {
		d, err := get(o, o.domain, o.object)
		return o.shown(accounts.AccountSettingNames(), d, err)
	})
}

// accountLayer shows a layer of an account.
func (a Actor) accountLayer(ctx context.Context, call string, n Name, layer func(domain, name string) accounts.Layer) (dataformat.Dict, error) {
	return a.accountDict(ctx, call, n, func(ctx context.Context, domain, name string) (dataformat.Dict, error) {
		return layer(domain, name).Get(ctx)
	})
}

// AccountSettings are the explicit settings of an account.
func (a Actor) AccountSettings(ctx context.Context, n Name) (dataformat.Dict, error) {
	return a.accountLayer(ctx, "GETACCOUNTSETTINGS", n, a.admin.acc.AccountSettings)
}

// AccountEffectiveSettings are the settings of an account with what it inherits.
func (a Actor) AccountEffectiveSettings(ctx context.Context, n Name) (dataformat.Dict, error) {
	return a.accountDict(ctx, "GETACCOUNTEFFECTIVESETTINGS", n, a.admin.acc.AccountEffectiveSettings)
}

// AccountSetting is one effective setting of an account; nil when nobody sets it, and when it
// is a secret that the actor may not see.
func (a Actor) AccountSetting(ctx context.Context, n Name, key string) (dataformat.Value, error) {
	return look(ctx, a, "GETACCOUNTONESETTING", account(n), func(o *operation) (dataformat.Value, error) {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return nil, err
		}
		sees, err := o.seesSecrets()
		if err != nil || !sees && accounts.AccountSettingNames().Secret(key) {
			return nil, err
		}
		v := acct.Setting(key)
		if !sees {
			v = withoutSecrets(accounts.AccountSettingNames(), v)
		}
		return v, nil
	})
}

// UpdateAccountSettings merges settings into the explicit ones of an account. Settings that
// the actor may not change are left out.
func (a Actor) UpdateAccountSettings(ctx context.Context, n Name, given dataformat.Dict) error {
	return do(ctx, a, "UPDATEACCOUNTSETTINGS", account(n), func(o *operation) error {
		allowed, err := o.allowedAccount(given)
		if err != nil {
			return err
		}
		return o.put(accounts.AccountSettingNames(), allowed, o.admin.acc.AccountSettings(o.domain, o.object), accounts.Layer.Update)
	})
}

// SetAccountSettings replaces the explicit settings of an account.
func (a Actor) SetAccountSettings(ctx context.Context, n Name, given dataformat.Dict) error {
	return do(ctx, a, "SETACCOUNTSETTINGS", account(n), func(o *operation) error {
		return o.put(accounts.AccountSettingNames(), given, o.admin.acc.AccountSettings(o.domain, o.object), accounts.Layer.Set)
	})
}

// AccountPrefs are the explicit preferences of an account.
func (a Actor) AccountPrefs(ctx context.Context, n Name) (dataformat.Dict, error) {
	return a.accountLayer(ctx, "GETACCOUNTPREFS", n, a.admin.acc.AccountPrefs)
}

// AccountEffectivePrefs are the preferences of an account with what it inherits.
func (a Actor) AccountEffectivePrefs(ctx context.Context, n Name) (dataformat.Dict, error) {
	return a.accountDict(ctx, "GETACCOUNTEFFECTIVEPREFS", n, a.admin.acc.AccountEffectivePrefs)
}

// UpdateAccountPrefs merges preferences into the explicit ones of an account.
func (a Actor) UpdateAccountPrefs(ctx context.Context, n Name, given dataformat.Dict) error {
	return do(ctx, a, "UPDATEACCOUNTPREFS", account(n), func(o *operation) error {
		return o.put(accounts.AccountSettingNames(), given, o.admin.acc.AccountPrefs(o.domain, o.object), accounts.Layer.Update)
	})
}

// SetAccountPrefs replaces the explicit preferences of an account.
func (a Actor) SetAccountPrefs(ctx context.Context, n Name, given dataformat.Dict) error {
	return do(ctx, a, "SETACCOUNTPREFS", account(n), func(o *operation) error {
		return o.put(accounts.AccountSettingNames(), given, o.admin.acc.AccountPrefs(o.domain, o.object), accounts.Layer.Set)
	})
}

// AdminPrefs are what the actor has chosen for the administrators' pages, or inherits.
func (a Actor) AdminPrefs(ctx context.Context) (dataformat.Dict, error) {
	return look(ctx, a, "GETADMINPREFS", self, func(o *operation) (dataformat.Dict, error) {
		acct, err := o.admin.acc.Account(o, o.domain, o.object)
		if err != nil {
			return nil, err
		}
		d, _ := acct.Setting(accounts.KeyAdminPrefs).(dataformat.Dict)
		return d, nil
	})
}

// UpdateAdminPrefs merges choices into those of the actor for the administrators' pages.
func (a Actor) UpdateAdminPrefs(ctx context.Context, given dataformat.Dict) error {
	return do(ctx, a, "UPDATEADMINPREFS", self, func(o *operation) error {
		layer := o.admin.acc.AccountSettings(o.domain, o.object)
		before, err := layer.Get(o)
		if err != nil {
			return err
		}
		own, _ := before[accounts.KeyAdminPrefs].(dataformat.Dict)
		return o.put(accounts.AccountSettingNames(), dataformat.Dict{accounts.KeyAdminPrefs: settings.Merge(own, given)}, layer, accounts.Layer.Update)
	})
}

// AccountAliases lists the aliases of an account.
func (a Actor) AccountAliases(ctx context.Context, n Name) ([]string, error) {
	return look(ctx, a, "GETACCOUNTALIASES", account(n), func(o *operation) ([]string, error) {
		return o.admin.acc.AccountAliases(o, o.domain, o.object)
	})
}

// SetAccountAliases replaces the aliases of an account, names in its domain.
func (a Actor) SetAccountAliases(ctx context.Context, n Name, aliases []string) error {
	return do(ctx, a, "SETACCOUNTALIASES", account(n), func(o *operation) error {
		list := make([]string, len(aliases))
		for i, alias := range aliases {
			var err error
			if list[i], err = o.local(alias, "aliases are names in the domain of the account"); err != nil {
				return err
			}
		}
		before, err := o.admin.acc.AccountAliases(o, o.domain, o.object)
		if err != nil {
			return err
		}
		o.old, o.new = texts(before), texts(list)
		return o.admin.acc.SetAccountAliases(o, o.domain, o.object, list)
	})
}

// AccountRights lists the rights of an account.
func (a Actor) AccountRights(ctx context.Context, n Name) ([]string, error) {
	return look(ctx, a, "GETACCOUNTRIGHTS", account(n), func(o *operation) ([]string, error) {
		return o.admin.acc.AccountRights(o, o.domain, o.object)
	})
}

// Administrators lists the accounts of a domain that have rights, with their codes.
func (a Actor) Administrators(ctx context.Context, name string) (map[string][]string, error) {
	return look(ctx, a, "LISTADMINISTRATORS", domain(name), func(o *operation) (map[string][]string, error) {
		return o.admin.acc.Administrators(o.domain)
	})
}

// SetAccountRights replaces the rights of an account. In the Main Domain, whose accounts can
// have server rights, that needs Master.
func (a Actor) SetAccountRights(ctx context.Context, n Name, rights []string) error {
	return do(ctx, a, "SETACCOUNTRIGHTS", account(n), func(o *operation) error {
		if o.domain == o.admin.acc.MainDomain() && !o.rights.Server(accounts.RightMaster) {
			return denied()
		}
		before, err := o.admin.acc.AccountRights(o, o.domain, o.object)
		if err != nil {
			return err
		}
		o.old, o.new = texts(before), texts(rights)
		return o.admin.acc.SetAccountRights(o, o.domain, o.object, rights)
	})
}

// AccountInfo tells what an account has used and when it was used.
func (a Actor) AccountInfo(ctx context.Context, n Name) (dataformat.Dict, error) {
	return a.accountDict(ctx, "GETACCOUNTINFO", n, a.admin.acc.AccountInfo)
}

// RPOPs are the remote accounts of an account, without their passwords.
func (a Actor) RPOPs(ctx context.Context, n Name) (dataformat.Dict, error) {
	return look(ctx, a, "GETACCOUNTRPOPS", account(n), func(o *operation) (dataformat.Dict, error) {
		return o.admin.acc.RPOPs(o, o.domain, o.object)
	})
}

// SetRPOPs replaces the remote accounts of an account. The account itself may do so if its
// setting RPOPAllowed says so, and may not distribute mail to others by the setting special.
func (a Actor) SetRPOPs(ctx context.Context, n Name, given dataformat.Dict) error {
	return do(ctx, a, "SETACCOUNTRPOPS", account(n), func(o *operation) error {
		before, err := o.admin.acc.RPOPs(o, o.domain, o.object)
		if err != nil {
			return err
		}
		if !o.rights.Domain(o.domain, "CanModifyRPOP") {
			acct, err := o.admin.acc.Account(o, o.domain, o.object)
			if err != nil {
				return err
			}
			if !bool(acct.Settings().RPOPAllowed) || addsSpecial(before, given) {
				return denied()
			}
		}
		read := func() (dataformat.Dict, error) { return o.admin.acc.RPOPs(o, o.domain, o.object) }
		return o.settings(accounts.RemoteNames(), given, read, func() error {
			return o.admin.acc.SetRPOPs(o, o.domain, o.object, given)
		})
	})
}

// addsSpecial reports whether a record distributes mail and is not as it was before.
func addsSpecial(before, given dataformat.Dict) bool {
	shown := func(v dataformat.Value) dataformat.Dict {
		d, _ := v.(dataformat.Dict)
		d, _ = accounts.RemoteNames().Respell(d)
		delete(d, "password")
		return d
	}
	for name, v := range given {
		now := shown(v)
		if now.String("special") != "" && dataformat.Compact(now) != dataformat.Compact(shown(before[name])) {
			return true
		}
	}
	return false
}

// KillSessions ends the sessions of an account on all wires; the one that asks stays.
func (a Actor) KillSessions(ctx context.Context, n Name) error {
	return do(ctx, a, "KILLACCOUNTSESSIONS", account(n), func(o *operation) error {
		return o.admin.acc.Sessions().Kill(o, o.domain, o.object)
	})
}

// AccountLocation is the directory of an account, below the base directory.
func (a Actor) AccountLocation(ctx context.Context, n Name) (string, error) {
	return look(ctx, a, "GETACCOUNTLOCATION", account(n), func(o *operation) (string, error) {
		return o.admin.acc.AccountLocation(o, o.domain, o.object)
	})
}

// Forwarders lists the names of a domain's forwarders.
func (a Actor) Forwarders(ctx context.Context, name string) ([]string, error) {
	return look(ctx, a, "LISTFORWARDERS", domain(name), func(o *operation) ([]string, error) {
		return o.admin.acc.Forwarders().List(o, o.domain)
	})
}

// CreateForwarder makes a name that stands for an address.
func (a Actor) CreateForwarder(ctx context.Context, n Name, address string) error {
	return do(ctx, a, "CREATEFORWARDER", object(n), func(o *operation) error {
		o.new = dataformat.String(address)
		return o.admin.acc.Forwarders().Create(o, o.domain, o.object, address)
	})
}

// RenameForwarder gives a forwarder another name in its domain.
func (a Actor) RenameForwarder(ctx context.Context, n Name, newName string) error {
	return do(ctx, a, "RENAMEFORWARDER", object(n), func(o *operation) error {
		local, err := o.local(newName, "a forwarder cannot move to another domain")
		if err != nil {
			return err
		}
		o.old, o.new = dataformat.String(o.object), dataformat.String(local)
		return o.admin.acc.Forwarders().Rename(o, o.domain, o.object, local)
	})
}

// DeleteForwarder removes a forwarder.
func (a Actor) DeleteForwarder(ctx context.Context, n Name) error {
	return do(ctx, a, "DELETEFORWARDER", object(n), func(o *operation) error {
		address, err := o.admin.acc.Forwarders().Target(o, o.domain, o.object)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		o.old = dataformat.String(address)
		return o.admin.acc.Forwarders().Delete(o, o.domain, o.object)
	})
}

// Forwarder is the address that a forwarder stands for.
func (a Actor) Forwarder(ctx context.Context, n Name) (string, error) {
	return look(ctx, a, "GETFORWARDER", object(n), func(o *operation) (string, error) {
		return o.admin.acc.Forwarders().Target(o, o.domain, o.object)
	})
}

// FindForwarders lists the forwarders of a domain that stand for an address.
func (a Actor) FindForwarders(ctx context.Context, name, address string) ([]string, error) {
	return look(ctx, a, "FINDFORWARDERS", domain(name), func(o *operation) ([]string, error) {
		return o.admin.acc.Forwarders().To(o, o.domain, address)
	})
}
