package accounts

import (
	"context"
	"slices"
	"strings"

	"gatepost/router/names"
)

// This file lists the objects of domains.

// ListOptions say what ListObjects lists.
type ListOptions struct {
	Filter                                       string // a part of the name; empty for all
	Limit                                        int    // objects to list at most
	After                                        string // names after this one; empty for the first
	Accounts, Aliases, Forwarders, Groups, Lists bool
}

// ObjectList is a page of a domain's objects.
type ObjectList struct {
	Accounts, Aliases, Forwarders, Groups, Lists int // how many there are in all
	Names                                        []string
	Objects                                      map[string]names.Object
	More                                         bool // there are names after the last one
}

// ListObjects lists objects of a domain in the order of their names. Errors: NoDomain.
func (s *directory) ListObjects(ctx context.Context, domain string, o ListOptions) (*ObjectList, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, err
	}
	have, err := s.objectNames(d.name)
	if err != nil {
		return nil, err
	}
	lists, err := d.listNames()
	if err != nil {
		return nil, err
	}
	list := &ObjectList{Accounts: len(have.accounts), Groups: len(have.groups), Lists: len(lists), Objects: map[string]names.Object{}}
	filter := fold(o.Filter)
	var all []string
	// Of names in order, those of one page and one more are enough.
	addSorted := func(wanted bool, sorted []string) {
		first, after := slices.BinarySearch(sorted, o.After)
		if after {
			first++
		}
		found := 0
		for _, name := range sorted[first:] {
			if !wanted || o.Limit >= 0 && found > o.Limit {
				return
			}
			if strings.Contains(name, filter) {
				all, found = append(all, name), found+1
			}
		}
	}
	addSorted(o.Accounts, have.accounts)
	addSorted(o.Groups, have.groups)
	addSorted(o.Lists, lists)
	for name, entry := range d.names.All() {
		wanted := o.Forwarders
		if entry.account != "" {
			list.Aliases++
			wanted = o.Aliases
		} else {
			list.Forwarders++
		}
		if wanted && name > o.After && strings.Contains(name, filter) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	if o.Limit >= 0 && len(all) > o.Limit {
		all, list.More = all[:o.Limit], true
	}
	list.Names = all
	for _, name := range all {
		if list.Objects[name], err = s.object(d, name); err != nil {
			return nil, err
		}
	}
	return list, nil
}
