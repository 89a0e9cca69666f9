package accounts

import (
	"context"
	"slices"
	"strings"

	"gatepost/router/names"
	"gatepost/server/fault"
)

// maxNestedGroups bounds the groups that are looked through for a member.
const maxNestedGroups = 200

// Includes reports whether an account is a member of a group: under its name or one of its aliases, directly or
// through groups that are members. A group that does not exist includes nobody. Errors: TooMany (groups are nested
// in the group without end), Corrupt, Canceled.
func (g Groups) Includes(ctx context.Context, in, name string, a *Account) (bool, error) {
	const op = "accounts.Includes"
	own, err := g.store.namesOf(ctx, a)
	if err != nil {
		return false, err
	}
	todo := []accountKey{{g.store.realDomain(in), fold(name)}}
	for i := 0; i < len(todo); i++ {
		if i == maxNestedGroups {
			return false, fault.New(op, fault.TooMany, "too many groups are nested in the group "+todo[0].String())
		}
		if err := ctx.Err(); err != nil {
			return false, fault.Wrap(op, fault.Canceled, err)
		}
		group, err := g.store.group(todo[i])
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
			continue
		}
		if err != nil {
			return false, err
		}
		for _, m := range group.settings.Members {
			local, domain, full := strings.Cut(m, "@")
			if !full {
				domain = group.Domain
			}
			if own.has(local, domain) {
				return true, nil
			}
		}
		nested, err := g.nestedGroups(group)
		if err != nil {
			return false, err
		}
		for _, k := range nested {
			if !slices.Contains(todo, k) {
				todo = append(todo, k)
			}
		}
	}
	return false, nil
}

// nestedGroups returns the members of a group that are groups. The snapshot remembers them; it is dropped when
// any group changes.
func (g Groups) nestedGroups(group *Group) ([]accountKey, error) {
	if known := group.nested.Load(); known != nil {
		return *known, nil
	}
	list := []accountKey{}
	for _, m := range group.settings.Members {
		local, domain, full := strings.Cut(m, "@")
		if !full {
			domain = group.Domain
		}
		real, ours := g.store.DomainName(domain)
		if !ours {
			continue
		}
		d, err := g.store.domain(real)
		if fault.Is(err, fault.NoDomain) {
			continue
		}
		if err != nil {
			return nil, err
		}
		o, err := g.store.object(d, fold(local))
		if err != nil {
			return nil, err
		}
		if o.Kind == names.Group {
			list = append(list, accountKey{real, o.Name})
		}
	}
	group.nested.Store(&list)
	return list, nil
}

// ownNames are the names of an account and of its domain.
type ownNames struct{ names, domains []string }

func (s *directory) namesOf(ctx context.Context, a *Account) (ownNames, error) {
	aliases, err := s.AccountAliases(ctx, a.Domain, a.Name)
	if err != nil {
		return ownNames{}, err
	}
	domains := s.state.Load().domainAliases.Of(a.Domain)
	return ownNames{append([]string{a.Name}, aliases...), append([]string{a.Domain}, domains...)}, nil
}

func (n ownNames) has(local, domain string) bool {
	is := func(text string) func(string) bool {
		return func(name string) bool { return strings.EqualFold(text, name) }
	}
	return slices.ContainsFunc(n.names, is(local)) && slices.ContainsFunc(n.domains, is(domain))
}

// IsNamed reports whether a name in a domain is the account's: its own or an alias, in its domain or an alias of that.
func (s *directory) IsNamed(ctx context.Context, a *Account, local, domain string) (bool, error) {
	if strings.EqualFold(local, a.Name) && strings.EqualFold(domain, a.Domain) {
		return true, nil
	}
	if s.realDomain(domain) != a.Domain {
		return false, nil
	}
	own, err := s.namesOf(ctx, a)
	return err == nil && own.has(local, domain), err
}
