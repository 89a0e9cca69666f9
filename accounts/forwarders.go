package accounts

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file makes and lists forwarders and lists the objects of domains.

// forwarder returns a forwarder's domain and target.
func (s *Store) forwarder(op, domain, name string) (*domain, string, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, "", err
	}
	o, ok := d.names.Get(fold(name))
	if !ok || o.target == "" {
		return nil, "", fault.New(op, fault.NotFound, "unknown forwarder")
	}
	return d, o.target, nil
}

// Forwarder returns the address that a forwarder stands for. Errors: NoDomain, NotFound.
func (s *Store) Forwarder(ctx context.Context, domain, name string) (string, error) {
	_, target, err := s.forwarder("accounts.Forwarder", domain, name)
	return target, err
}

// Forwarders lists the forwarders of a domain, sorted. Errors: NoDomain.
func (s *Store) Forwarders(ctx context.Context, domain string) ([]string, error) {
	return s.findForwarders(domain, func(string) bool { return true })
}

// FindForwarders lists the forwarders of a domain that stand for an address.
func (s *Store) FindForwarders(ctx context.Context, domain, target string) ([]string, error) {
	want, err := address.Parse(target)
	if err != nil {
		return nil, fault.Wrap("accounts.FindForwarders", fault.Invalid, err)
	}
	real := s.realDomain(domain)
	same := func(t string) bool {
		have, err := address.Parse(t)
		if err != nil {
			return t == target
		}
		return strings.EqualFold(have.Local, want.Local) && s.realDomain(cmp.Or(have.Domain, real)) == s.realDomain(cmp.Or(want.Domain, real))
	}
	return s.findForwarders(domain, same)
}

func (s *Store) findForwarders(domain string, match func(target string) bool) ([]string, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, err
	}
	targets := map[string]string{} // look-ups of the router wait while all are visited
	for name, o := range d.names.All() {
		if o.target != "" {
			targets[name] = o.target
		}
	}
	var out []string
	for name, target := range targets {
		if match(target) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// CreateForwarder makes a forwarder. Errors: NoDomain, Exists, Invalid.
func (s *Store) CreateForwarder(ctx context.Context, domain, name, target string) error {
	const op = "accounts.CreateForwarder"
	name, err := checkName(op, name)
	if err != nil {
		return err
	}
	if a, err := address.Parse(target); err != nil || a.IsNull() {
		return fault.Newf(op, fault.Invalid, "%q is not an address", target)
	}
	real := s.realDomain(domain)
	unlock, err := s.lockNames(op, real)
	if err != nil {
		return err
	}
	defer unlock()
	d, err := s.domain(real)
	if err != nil {
		return err
	}
	if err := s.free(op, d, name); err != nil {
		return err
	}
	return s.editNames(d, dataformat.Dict{name: object{target: target}.dataValue()})
}

// RenameForwarder gives a forwarder another name in its domain. Errors: NoDomain,
// NotFound, Exists, Invalid.
func (s *Store) RenameForwarder(ctx context.Context, domain, name, newName string) error {
	const op = "accounts.RenameForwarder"
	newName, err := checkName(op, newName)
	if err != nil {
		return err
	}
	unlock, err := s.lockNames(op, s.realDomain(domain))
	if err != nil {
		return err
	}
	defer unlock()
	d, target, err := s.forwarder(op, domain, name)
	if err != nil {
		return err
	}
	if err := s.free(op, d, newName); err != nil {
		return err
	}
	return s.editNames(d, dataformat.Dict{fold(name): dataformat.Null{}, newName: object{target: target}.dataValue()})
}

// DeleteForwarder removes a forwarder. Errors: NoDomain, NotFound.
func (s *Store) DeleteForwarder(ctx context.Context, domain, name string) error {
	const op = "accounts.DeleteForwarder"
	unlock, err := s.lockNames(op, s.realDomain(domain))
	if err != nil {
		return err
	}
	defer unlock()
	d, _, err := s.forwarder(op, domain, name)
	if err != nil {
		return err
	}
	return s.editNames(d, dataformat.Dict{fold(name): dataformat.Null{}})
}

// ListOptions say what ListObjects lists.
type ListOptions struct {
	Filter                        string // a part of the name; empty for all
	Limit                         int    // objects to list at most
	After                         string // names after this one; empty for the first
	Accounts, Aliases, Forwarders bool
}

// ObjectList is a page of a domain's objects.
type ObjectList struct {
	Accounts, Aliases, Forwarders int // how many there are in all
	Names                         []string
	Objects                       map[string]names.Object
	More                          bool // there are names after the last one
}

// ListObjects lists objects of a domain in the order of their names. Errors: NoDomain.
func (s *Store) ListObjects(ctx context.Context, domain string, o ListOptions) (*ObjectList, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, err
	}
	have, err := s.accountNames(d.name)
	if err != nil {
		return nil, err
	}
	list := &ObjectList{Accounts: len(have), Objects: map[string]names.Object{}}
	filter := fold(o.Filter)
	var all []string
	add := func(wanted bool, name string) {
		if wanted && name > o.After && strings.Contains(name, filter) {
			all = append(all, name)
		}
	}
	for _, name := range have {
		add(o.Accounts, name)
	}
	for name, entry := range d.names.All() {
		if entry.account != "" {
			list.Aliases++
			add(o.Aliases, name)
		} else {
			list.Forwarders++
			add(o.Forwarders, name)
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
