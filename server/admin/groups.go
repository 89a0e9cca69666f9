package admin

import (
	"context"

	"gatepost/accounts"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about groups.

// Groups lists the names of a domain's groups.
func (a Actor) Groups(ctx context.Context, name string) ([]string, error) {
	return look(ctx, a, "LISTGROUPS", domain(name), func(o *operation) ([]string, error) {
		return o.admin.acc.Groups().List(o, o.domain)
	})
}

// CreateGroup makes a name that stands for many members.
func (a Actor) CreateGroup(ctx context.Context, n Name, given dataformat.Dict) error {
	return do(ctx, a, "CREATEGROUP", object(n), func(o *operation) error {
		if err := o.admin.acc.Groups().Create(o, o.domain, o.object, given); err != nil {
			return err
		}
		o.new = withHidden(accounts.GroupSettingNames(), given)
		o.tellKept(accounts.GroupSettingNames(), given)
		return nil
	})
}

// RenameGroup gives a group another name in its domain.
func (a Actor) RenameGroup(ctx context.Context, n Name, newName string) error {
	return do(ctx, a, "RENAMEGROUP", object(n), func(o *operation) error {
		local, err := o.local(newName, "a group cannot move to another domain")
		if err != nil {
			return err
		}
		// Rights belong to names: a file may give some to one that nobody has yet.
		if err := o.covers(o.domain, local); err != nil {
			return err
		}
		o.old, o.new = dataformat.String(o.object), dataformat.String(local)
		return o.admin.acc.Groups().Rename(o, o.domain, o.object, local)
	})
}

// DeleteGroup removes a group.
func (a Actor) DeleteGroup(ctx context.Context, n Name) error {
	return do(ctx, a, "DELETEGROUP", object(n), func(o *operation) error {
		was, err := o.admin.acc.Groups().Settings(o, o.domain, o.object)
		if err != nil && !fault.Is(err, fault.Corrupt) {
			return err
		}
		o.old = withHidden(accounts.GroupSettingNames(), was)
		return o.admin.acc.Groups().Delete(o, o.domain, o.object)
	})
}

// Group returns the settings of a group, with its members.
func (a Actor) Group(ctx context.Context, n Name) (dataformat.Dict, error) {
	return look(ctx, a, "GETGROUP", object(n), func(o *operation) (dataformat.Dict, error) {
		return o.admin.acc.Groups().Settings(o, o.domain, o.object)
	})
}

// SetGroup replaces the settings of a group.
func (a Actor) SetGroup(ctx context.Context, n Name, given dataformat.Dict) error {
	return do(ctx, a, "SETGROUP", object(n), func(o *operation) error {
		groups := o.admin.acc.Groups()
		read := func() (dataformat.Dict, error) { return groups.Settings(o, o.domain, o.object) }
		return o.settings(accounts.GroupSettingNames(), given, read, func() error { return groups.Set(o, o.domain, o.object, given) })
	})
}
