package accounts

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"gatepost/router/address"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// Forwarders are the forwarders of all domains.
type Forwarders struct{ store *Store }

// Forwarders returns the forwarders of all domains.
func (s *Store) Forwarders() Forwarders { return Forwarders{s} }

// find returns a forwarder's domain and target.
func (f Forwarders) find(op, domain, name string) (*domain, string, error) {
	d, err := f.store.domain(f.store.realDomain(domain))
	if err != nil {
		return nil, "", err
	}
	o, ok := d.names.Get(fold(name))
	if !ok || o.target == "" {
		return nil, "", fault.New(op, fault.NotFound, "unknown forwarder")
	}
	return d, o.target, nil
}

// Target returns the address that a forwarder stands for. Errors: NoDomain, NotFound.
func (f Forwarders) Target(ctx context.Context, domain, name string) (string, error) {
	_, target, err := f.find("accounts.Forwarder", domain, name)
	return target, err
}

// List lists the forwarders of a domain, sorted. Errors: NoDomain.
func (f Forwarders) List(ctx context.Context, domain string) ([]string, error) {
	return f.matching(domain, func(string) bool { return true })
}

// To lists the forwarders of a domain that stand for an address.
func (f Forwarders) To(ctx context.Context, domain, target string) ([]string, error) {
	want, err := address.Parse(target)
	if err != nil {
		return nil, fault.Wrap("accounts.FindForwarders", fault.Invalid, err)
	}
	real := f.store.realDomain(domain)
	same := func(t string) bool {
		have, err := address.Parse(t)
		if err != nil {
			return t == target
		}
		return strings.EqualFold(have.Local, want.Local) && f.store.realDomain(cmp.Or(have.Domain, real)) == f.store.realDomain(cmp.Or(want.Domain, real))
	}
	return f.matching(domain, same)
}

func (f Forwarders) matching(domain string, match func(target string) bool) ([]string, error) {
	d, err := f.store.domain(f.store.realDomain(domain))
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

// Create makes a forwarder. Errors: NoDomain, Exists, Invalid.
func (f Forwarders) Create(ctx context.Context, domain, name, target string) error {
	const op = "accounts.CreateForwarder"
	name, err := validateName(op, name)
	if err != nil {
		return err
	}
	if a, err := address.Parse(target); err != nil || a.IsNull() {
		return fault.Newf(op, fault.Invalid, "%q is not an address", target)
	}
	real := f.store.realDomain(domain)
	unlock, err := f.store.renames.lockNames(op, real)
	if err != nil {
		return err
	}
	defer unlock()
	d, err := f.store.domain(real)
	if err != nil {
		return err
	}
	if err := f.store.free(op, d, name); err != nil {
		return err
	}
	return f.store.editNames(d, dataformat.Dict{name: object{target: target}.dataValue()})
}

// Rename gives a forwarder another name in its domain. Errors: NoDomain,
// NotFound, Exists, Invalid.
func (f Forwarders) Rename(ctx context.Context, domain, name, newName string) error {
	const op = "accounts.RenameForwarder"
	newName, err := validateName(op, newName)
	if err != nil {
		return err
	}
	unlock, err := f.store.renames.lockNames(op, f.store.realDomain(domain))
	if err != nil {
		return err
	}
	defer unlock()
	d, target, err := f.find(op, domain, name)
	if err != nil {
		return err
	}
	if err := f.store.free(op, d, newName); err != nil {
		return err
	}
	return f.store.editNames(d, dataformat.Dict{fold(name): dataformat.Null{}, newName: object{target: target}.dataValue()})
}

// Delete removes a forwarder. Errors: NoDomain, NotFound.
func (f Forwarders) Delete(ctx context.Context, domain, name string) error {
	const op = "accounts.DeleteForwarder"
	unlock, err := f.store.renames.lockNames(op, f.store.realDomain(domain))
	if err != nil {
		return err
	}
	defer unlock()
	d, _, err := f.find(op, domain, name)
	if err != nil {
		return err
	}
	return f.store.editNames(d, dataformat.Dict{fold(name): dataformat.Null{}})
}
