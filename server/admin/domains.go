package admin

import (
	"context"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about domains and about what their accounts inherit.

// Storage is how a new object is to be stored, as scripts ask for it. There is one form, which
// has what each of the others has.
type Storage struct {
	Path    string // refused: objects have their places
	Shared  bool   // refused: there is no cluster
	Special bool   // one mailbox in a file of its own
}

func (s Storage) validate() error {
	const op = "admin.Storage"
	switch {
	case s.Shared:
		return fault.New(op, fault.Unsupported, "not a cluster member")
	case s.Path != "":
		return fault.New(op, fault.Unsupported, "storage paths are not supported")
	}
	return nil
}

// Domains lists the real names of all domains, the Main Domain first.
func (a Actor) Domains(ctx context.Context) ([]string, error) {
	return look(ctx, a, "LISTDOMAINS", server, func(o *operation) ([]string, error) { return o.admin.acc.Domains(o) })
}

// MainDomain is the name of the Main Domain.
func (a Actor) MainDomain(ctx context.Context) (string, error) {
	return look(ctx, a, "MAINDOMAINNAME", server, func(o *operation) (string, error) { return o.admin.acc.MainDomain(), nil })
}

// CreateDomain makes a secondary domain.
func (a Actor) CreateDomain(ctx context.Context, name string, given dataformat.Dict, s Storage) error {
	return do(ctx, a, "CREATEDOMAIN", named(name), func(o *operation) error {
		if err := s.validate(); err != nil {
			return err
		}
		if err := o.admin.acc.CreateDomain(o, name, given); err != nil {
			return err
		}
		o.new = withHidden(accounts.DomainSettingNames(), given)
		o.tellKept(accounts.DomainSettingNames(), given)
		return nil
	})
}

// RenameDomain gives a secondary domain another name. The Main Domain is renamed in the
// settings of the server.
func (a Actor) RenameDomain(ctx context.Context, name, newName string, s Storage) error {
	return do(ctx, a, "RENAMEDOMAIN", domain(name), func(o *operation) error {
		if o.domain == o.admin.acc.MainDomain() {
			return fault.New("admin.RenameDomain", fault.Denied, "this is the main domain; UPDATESERVERSETTINGS {DomainName=...;} renames it")
		}
		if err := s.validate(); err != nil {
			return err
		}
		o.old, o.new = dataformat.String(o.domain), dataformat.String(newName)
		return o.admin.acc.RenameDomain(o, o.domain, newName)
	})
}

// DeleteDomain removes a secondary domain, with all that is in it only when it is forced to.
func (a Actor) DeleteDomain(ctx context.Context, name string, force bool) error {
	return do(ctx, a, "DELETEDOMAIN", domain(name), func(o *operation) error {
		return o.admin.acc.DeleteDomain(o, o.domain, force)
	})
}

// SuspendDomain stops all services of a domain.
func (a Actor) SuspendDomain(ctx context.Context, name string) error {
	return do(ctx, a, "SUSPENDDOMAIN", domain(name), func(o *operation) error {
		return o.admin.acc.SuspendDomain(o, o.domain, true)
	})
}

// ResumeDomain undoes SuspendDomain.
func (a Actor) ResumeDomain(ctx context.Context, name string) error {
	return do(ctx, a, "RESUMEDOMAIN", domain(name), func(o *operation) error {
		return o.admin.acc.SuspendDomain(o, o.domain, false)
	})
}

// DomainSettings are the explicit settings of a domain.
func (a Actor) DomainSettings(ctx context.Context, name string) (dataformat.Dict, error) {
	return a.domainDict(ctx, "GETDOMAINSETTINGS", name, accounts.DomainSettingNames(), a.admin.acc.DomainSettings)
}

// DomainEffectiveSettings are the settings of a domain with what it inherits.
func (a Actor) DomainEffectiveSettings(ctx context.Context, name string) (dataformat.Dict, error) {
	return look(ctx, a, "GETDOMAINEFFECTIVESETTINGS", domain(name), func(o *operation) (dataformat.Dict, error) {
		d, err := o.admin.acc.DomainEffectiveSettings(o.domain)
		return o.shown(accounts.DomainSettingNames(), d, err)
	})
}

// UpdateDomainSettings merges settings into the explicit ones of a domain. Settings that the
// actor may not change are left out.
func (a Actor) UpdateDomainSettings(ctx context.Context, name string, given dataformat.Dict) error {
	return do(ctx, a, "UPDATEDOMAINSETTINGS", domain(name), func(o *operation) error {
		allowed, err := o.allowedDomain(given)
		if err != nil {
			return err
		}
		return o.setDomain(allowed, accounts.Layer.Update)
	})
}

// SetDomainSettings replaces the explicit settings of a domain.
func (a Actor) SetDomainSettings(ctx context.Context, name string, given dataformat.Dict) error {
	return do(ctx, a, "SETDOMAINSETTINGS", domain(name), func(o *operation) error {
		return o.setDomain(given, accounts.Layer.Set)
	})
}

// setDomain writes settings of the domain.
func (o *operation) setDomain(given dataformat.Dict, w write) error {
	return o.putWithDefaults(given, o.admin.acc.DomainSettings(o.domain), o.admin.acc.AccountDefaults(o.domain), w)
}

// DomainAliases lists the other names of a domain.
func (a Actor) DomainAliases(ctx context.Context, name string) ([]string, error) {
	return look(ctx, a, "GETDOMAINALIASES", domain(name), func(o *operation) ([]string, error) {
		return o.admin.acc.DomainAliases(o.domain)
	})
}

// SetDomainAliases replaces the other names of a domain.
func (a Actor) SetDomainAliases(ctx context.Context, name string, aliases []string) error {
	return do(ctx, a, "SETDOMAINALIASES", domain(name), func(o *operation) error {
		before, err := o.admin.acc.DomainAliases(o.domain)
		if err != nil {
			return err
		}
		o.old, o.new = texts(before), texts(aliases)
		return o.admin.acc.SetDomainAliases(o, o.domain, aliases)
	})
}

// DomainLocation is the directory of a domain, below the base directory.
func (a Actor) DomainLocation(ctx context.Context, name string) (string, error) {
	return look(ctx, a, "GETDOMAINLOCATION", domain(name), func(o *operation) (string, error) {
		return o.admin.acc.DomainLocation(o.domain)
	})
}

// AdminDomains lists the domains that administrators of a domain may administer too.
func (a Actor) AdminDomains(ctx context.Context, name string) ([]string, error) {
	return look(ctx, a, "LISTADMINDOMAINS", domain(name), func(o *operation) ([]string, error) {
		return o.admin.acc.AdminDomains(o, o.domain)
	})
}

// Accounts lists the names of a domain's accounts.
func (a Actor) Accounts(ctx context.Context, name string) ([]string, error) {
	return look(ctx, a, "LISTACCOUNTS", domain(name), func(o *operation) ([]string, error) {
		return o.admin.acc.Accounts(o, o.domain)
	})
}

// ListObjects lists a page of a domain's objects.
func (a Actor) ListObjects(ctx context.Context, name string, which accounts.ListOptions) (*accounts.ObjectList, error) {
	return look(ctx, a, "LISTDOMAINOBJECTS", domain(name), func(o *operation) (*accounts.ObjectList, error) {
		return o.admin.acc.ListObjects(o, o.domain, which)
	})
}
