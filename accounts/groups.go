package accounts

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// groupSuffix is that of a group's file, beside the directories of the accounts.
const groupSuffix = ".group"

// maxGroups bounds the groups in memory.
const maxGroups = 200

// GroupSettings are the settings of a group. It inherits none.
type GroupSettings struct {
	RealName        string        `key:"RealName" help:"the name of the group; the comment of its address" since:"0.1"`
	Members         []string      `key:"Members" help:"who gets mail to the group: names of objects of the same domain, or addresses" since:"0.1"`
	Expand          settings.Flag `key:"Expand" default:"NO" help:"members that are groups of the same domain stand for their members; nobody gets a second copy" since:"0.1"`
	FinalDelivery   settings.Flag `key:"FinalDelivery" default:"NO" help:"the sender is told that the group has the message, and of no member; if off, the sender hears of each member as asked for" since:"0.1"`
	SetReplyTo      settings.Flag `key:"SetReplyTo" default:"NO" help:"answers go to the group: Reply-To has its address" since:"0.1"`
	RemoveToAndCc   settings.Flag `key:"RemoveToAndCc" default:"NO" help:"members that To or Cc name get no copy from the group" since:"0.1"`
	RemoveAuthor    settings.Flag `key:"RemoveAuthor" default:"NO" help:"a member gets no copy of the own message" since:"0.1"`
	RejectAutomatic settings.Flag `key:"RejectAutomatic" default:"NO" help:"automatic replies and reports are refused" since:"0.1"`
	EmailDisabled   settings.Flag `key:"EmailDisabled" default:"NO" help:"mail to the group is refused" since:"0.1"`
}

// keptGroupSettings are kept and do nothing yet, see kept.go.
type keptGroupSettings struct {
	SignalDisabled settings.Flag `key:"SignalDisabled" default:"NO" feature:"calls" help:"calls to the group are refused"`
}

var groupNames = sync.OnceValue(func() *settings.Names {
	return settings.NamesOf(settings.Describe(new(GroupSettings)), settings.Describe(new(keptGroupSettings)))
})

// GroupSettingNames are the names of the settings of groups.
func GroupSettingNames() *settings.Names { return groupNames() }

// Group is an immutable snapshot of one group.
type Group struct {
	// Name and Domain are the real names, in lower case.
	Name, Domain string

	explicit dataformat.Dict
	settings GroupSettings
	nested   atomic.Pointer[[]accountKey] // see nestedGroups
}

// Settings returns the settings. They are shared and must not be changed.
func (g *Group) Settings() *GroupSettings { return &g.settings }

// Address returns the address of the group.
func (g *Group) Address() address.Address { return address.Address{Local: g.Name, Domain: g.Domain} }

// validateGroup checks settings of a group.
func validateGroup(op string, given dataformat.Dict) (dataformat.Dict, error) {
	given, err := respell(op, groupNames(), given)
	if err != nil {
		return nil, err
	}
	declared := new(GroupSettings)
	if err := check(op, given, declared, new(keptGroupSettings)); err != nil {
		return nil, err
	}
	for _, m := range declared.Members {
		if err := validateMember(op, m); err != nil {
			return nil, err
		}
	}
	return settings.Merge(nil, given), nil
}

// validateMember refuses what is neither the name of an object nor an address.
func validateMember(op, member string) error {
	if !strings.Contains(member, "@") {
		if _, err := validateName(op, member); err != nil {
			return fault.Newf(op, fault.Invalid, "Members: %q is neither the name of an object nor an address", member)
		}
		return nil
	}
	if a, err := address.Parse(member); err != nil || a.IsNull() {
		return fault.Newf(op, fault.Invalid, "Members: %q is not an address", member)
	}
	return nil
}

// groupFile is the path of a group's file.
func (d *domain) groupFile(name string) string { return filepath.Join(d.dir, name+groupSuffix) }

// group returns the snapshot of a group. Errors: NoDomain, NotFound, Corrupt.
func (s *directory) group(k accountKey) (*Group, error) {
	return s.groups.Get(k, func() (*Group, error) {
		const op = "accounts.Group"
		d, err := s.domain(k.domain)
		if err != nil {
			return nil, err
		}
		unknown := fault.New(op, fault.NotFound, "unknown group")
		if !validObject(k.name) {
			return nil, unknown
		}
		v, err := dataformat.ReadFile(d.groupFile(k.name))
		if err != nil {
			return nil, dataformat.Unreadable(op, err)
		}
		if v == nil {
			return nil, unknown
		}
		explicit, ok := v.(dataformat.Dict)
		if !ok {
			return nil, fault.Wrap(op, fault.Corrupt, errors.New("the file of the group "+k.String()+" is not a dictionary"))
		}
		g := &Group{Name: k.name, Domain: k.domain, explicit: explicit}
		settings.LoadLayers(&g.settings, []dataformat.Dict{explicit}, s.badSetting(k.String(), k.name+groupSuffix))
		return g, nil
	})
}

// Groups are the groups of all domains: addresses that stand for many members.
type Groups struct{ store *Store }

// Groups returns the groups of all domains.
func (s *Store) Groups() Groups { return Groups{s} }

// Get returns a group. Errors: NoDomain, NotFound, Corrupt, Canceled.
func (g Groups) Get(ctx context.Context, in, name string) (*Group, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap("accounts.Group", fault.Canceled, err)
	}
	return g.store.group(accountKey{g.store.realDomain(in), fold(name)})
}

// Settings returns the explicit settings of a group. Errors: NoDomain, NotFound.
func (g Groups) Settings(ctx context.Context, in, name string) (dataformat.Dict, error) {
	group, err := g.Get(ctx, in, name)
	if err != nil {
		return nil, err
	}
	return visible(group.explicit), nil
}

// List lists the names of a domain's groups, sorted. Errors: NoDomain.
func (g Groups) List(ctx context.Context, in string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap("accounts.Groups", fault.Canceled, err)
	}
	list, err := g.store.objectNames(g.store.realDomain(in))
	if err != nil {
		return nil, err
	}
	return slices.Clone(list.groups), nil
}

// Create makes a group. Errors: NoDomain, Exists, Invalid.
func (g Groups) Create(ctx context.Context, in, name string, given dataformat.Dict) error {
	const op = "accounts.CreateGroup"
	name, err := validateName(op, name)
	if err != nil {
		return err
	}
	if given, err = validateGroup(op, given); err != nil {
		return err
	}
	return g.store.changeDomain(op, in, func(d *domain) error {
		if err := g.store.free(op, d, name); err != nil {
			return err
		}
		return g.write(d, name, given)
	})
}

// Set replaces the settings of a group. Errors: NoDomain, NotFound, Invalid.
func (g Groups) Set(ctx context.Context, in, name string, given dataformat.Dict) error {
	const op = "accounts.SetGroup"
	given, err := validateGroup(op, given)
	if err != nil {
		return err
	}
	return g.changeOne(op, in, name, func(d *domain, group *Group) error { return g.write(d, group.Name, given) })
}

// Rename gives a group another name in its domain. Errors: NoDomain, NotFound, Exists, Invalid.
func (g Groups) Rename(ctx context.Context, in, name, newName string) error {
	const op = "accounts.RenameGroup"
	newName, err := validateName(op, newName)
	if err != nil {
		return err
	}
	return g.changeOne(op, in, name, func(d *domain, group *Group) error {
		if err := g.store.free(op, d, newName); err != nil {
			return err
		}
		defer g.drop(d)
		if err := os.Rename(d.groupFile(group.Name), d.groupFile(newName)); err != nil {
			return err
		}
		return durable.SyncDir(d.dir)
	})
}

// Delete removes a group, also one whose file is damaged. Errors: NoDomain, NotFound.
func (g Groups) Delete(ctx context.Context, in, name string) error {
	const op = "accounts.DeleteGroup"
	name = fold(name)
	return g.store.changeDomain(op, in, func(d *domain) error {
		if _, err := g.store.group(accountKey{d.name, name}); err != nil && !fault.Is(err, fault.Corrupt) {
			return err
		}
		defer g.drop(d)
		if err := os.Remove(d.groupFile(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return durable.SyncDir(d.dir)
	})
}

func (g Groups) write(d *domain, name string, given dataformat.Dict) error {
	defer g.drop(d)
	return dataformat.WriteFile(d.groupFile(name), given, dataformat.StyleOld)
}

// drop evicts all groups when one has changed: they remember which of their members are groups.
func (g Groups) drop(d *domain) {
	g.store.lists.drop(d.dir)
	g.store.groups.DropIf(func(accountKey) bool { return true })
}

// changeDomain holds the name space of a domain.
func (s *Store) changeDomain(op, name string, do func(*domain) error) error {
	real := s.realDomain(name)
	unlock, err := s.renames.lockNames(op, real)
	if err != nil {
		return err
	}
	defer unlock()
	d, err := s.domain(real)
	if err != nil {
		return err
	}
	return fault.Wrap(op, fault.Internal, do(d))
}

// changeOne is changeDomain for a group that exists.
func (g Groups) changeOne(op, in, name string, do func(*domain, *Group) error) error {
	return g.store.changeDomain(op, in, func(d *domain) error {
		group, err := g.store.group(accountKey{d.name, fold(name)})
		if err != nil {
			return err
		}
		return do(d, group)
	})
}
