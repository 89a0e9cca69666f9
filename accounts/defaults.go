package accounts

import (
	"context"
	"maps"
	"net/netip"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file reads and changes what accounts and domains inherit: the settings of
// domains, the account defaults of domains and of the server, and templates.

// DomainSettings returns the explicit settings of a domain. Errors: NoDomain.
func (s *Store) DomainSettings(name string) (dataformat.Dict, error) {
	d, err := s.domain(s.realDomain(name))
	if err != nil {
		return nil, err
	}
	out := maps.Clone(d.explicit)
	delete(out, keyPrefs)
	return out, nil
}

// DomainEffectiveSettings returns the settings of a domain with what it inherits.
func (s *Store) DomainEffectiveSettings(name string) (dataformat.Dict, error) {
	d, err := s.domain(s.realDomain(name))
	if err != nil {
		return nil, err
	}
	out := domainDefaults()
	maps.Copy(out, d.state.domainDefaults)
	maps.Copy(out, d.explicit)
	delete(out, keyPrefs)
	return out, nil
}

// UpdateDomainSettings merges settings into a domain's explicit ones. Errors:
// NoDomain, Invalid.
func (s *Store) UpdateDomainSettings(ctx context.Context, name string, update dataformat.Dict) error {
	return s.changeDomain("accounts.UpdateDomainSettings", name, update, false)
}

// SetDomainSettings replaces a domain's explicit settings; its account defaults
// and preferences stay.
func (s *Store) SetDomainSettings(ctx context.Context, name string, given dataformat.Dict) error {
	return s.changeDomain("accounts.SetDomainSettings", name, given, true)
}

func (s *Store) changeDomain(op, name string, given dataformat.Dict, replace bool) error {
	given, err := givenDomain(op, given)
	if err != nil {
		return err
	}
	unlock, err := s.renames.lockRealms(op)
	if err != nil {
		return err
	}
	defer unlock()
	d, err := s.domain(s.realDomain(name))
	if err != nil {
		return err
	}
	var after dataformat.Dict
	err = s.editDomain(d, domainFile, func(e dataformat.Dict) error {
		if replace {
			maps.DeleteFunc(e, func(k string, _ dataformat.Value) bool {
				return !reserved(k) && k != keyAccountDefaults && k != keyPrefs
			})
		}
		after = settings.Merge(e, given)
		if err := s.freeAddresses(op, d.name, after); err != nil {
			return err
		}
		clear(e)
		maps.Copy(e, after)
		return nil
	})
	if err != nil {
		return fault.Wrap(op, fault.Internal, err)
	}
	return s.assignAddresses(d.name, after)
}

// addressesOf reads IPAddresses.
func addressesOf(op string, d dataformat.Dict) ([]netip.Addr, error) {
	if settings.IsDefault(d["IPAddresses"]) {
		return nil, nil
	}
	var out []netip.Addr
	for _, text := range d.Strings("IPAddresses") {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fault.Newf(op, fault.Invalid, "IPAddresses: %q is not an IP address", text)
		}
		out = append(out, ip.Unmap())
	}
	return out, nil
}

// DomainDefaults returns the server's domain defaults.
func (s *Store) DomainDefaults() dataformat.Dict { return maps.Clone(s.state.Load().domainDefaults) }

// UpdateDomainDefaults merges settings into the server's domain defaults.
func (s *Store) UpdateDomainDefaults(ctx context.Context, update dataformat.Dict) error {
	return s.changeDomainDefaults("accounts.UpdateDomainDefaults", update, false)
}

// SetDomainDefaults replaces the server's domain defaults.
func (s *Store) SetDomainDefaults(ctx context.Context, given dataformat.Dict) error {
	return s.changeDomainDefaults("accounts.SetDomainDefaults", given, true)
}

func (s *Store) changeDomainDefaults(op string, given dataformat.Dict, replace bool) error {
	given, err := givenDomain(op, given)
	if err != nil {
		return err
	}
	return fault.Wrap(op, fault.Internal, s.editState(domainDefaultFile, func(e dataformat.Dict) error {
		if replace {
			maps.DeleteFunc(e, func(k string, _ dataformat.Value) bool { return !reserved(k) && k != keyAccountDefaults })
		}
		after := settings.Merge(e, given)
		clear(e)
		maps.Copy(e, after)
		return nil
	}))
}

// ServerAccountDefaults returns the server's account defaults.
func (s *Store) ServerAccountDefaults() dataformat.Dict {
	return clone(s.state.Load().accountDefaults)
}

// UpdateServerAccountDefaults merges settings into the server's account defaults.
func (s *Store) UpdateServerAccountDefaults(ctx context.Context, update dataformat.Dict) error {
	return s.editState(domainDefaultFile, changeNested("accounts.UpdateServerAccountDefaults", keyAccountDefaults, update, false))
}

// SetServerAccountDefaults replaces the server's account defaults.
func (s *Store) SetServerAccountDefaults(ctx context.Context, given dataformat.Dict) error {
	return s.editState(domainDefaultFile, changeNested("accounts.SetServerAccountDefaults", keyAccountDefaults, given, true))
}

// AccountDefaults returns the account defaults of a domain. Errors: NoDomain.
func (s *Store) AccountDefaults(domain string) (dataformat.Dict, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, err
	}
	return clone(d.defaults), nil
}

// UpdateAccountDefaults merges settings into the account defaults of a domain.
func (s *Store) UpdateAccountDefaults(ctx context.Context, domain string, update dataformat.Dict) error {
	return s.changeInDomain("accounts.UpdateAccountDefaults", domain, keyAccountDefaults, update, false)
}

// SetAccountDefaults replaces the account defaults of a domain.
func (s *Store) SetAccountDefaults(ctx context.Context, domain string, given dataformat.Dict) error {
	return s.changeInDomain("accounts.SetAccountDefaults", domain, keyAccountDefaults, given, true)
}

func (s *Store) changeInDomain(op, domain, key string, given dataformat.Dict, replace bool) error {
	d, leave, err := s.stayInDomain(domain)
	if err != nil {
		return err
	}
	defer leave()
	return s.editDomain(d, domainFile, changeNested(op, key, given, replace))
}

// changeNested changes the dictionary under a key, account defaults or
// preferences.
func changeNested(op, key string, given dataformat.Dict, replace bool) func(dataformat.Dict) error {
	check := givenPrefs
	if key == keyAccountDefaults {
		check = givenDefaults
	}
	return func(e dataformat.Dict) error {
		given, err := check(op, given)
		if err != nil {
			return err
		}
		before, _ := e[key].(dataformat.Dict)
		if replace {
			before = nil
		}
		if e[key] = settings.Merge(before, given); len(e[key].(dataformat.Dict)) == 0 {
			delete(e, key)
		}
		return nil
	}
}

// AccountTemplate returns the template of a domain's new accounts. Errors: NoDomain.
func (s *Store) AccountTemplate(domain string) (dataformat.Dict, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, err
	}
	t, err := dataformat.ReadDict(d.file(templateFile))
	delete(t, keyPassword) // a file that was edited by hand
	return t, dataformat.Unreadable("accounts.AccountTemplate", err)
}

// UpdateAccountTemplate merges settings into a domain's template.
func (s *Store) UpdateAccountTemplate(ctx context.Context, domain string, update dataformat.Dict) error {
	return s.changeTemplate("accounts.UpdateAccountTemplate", domain, update, false)
}

// SetAccountTemplate replaces a domain's template.
func (s *Store) SetAccountTemplate(ctx context.Context, domain string, given dataformat.Dict) error {
	return s.changeTemplate("accounts.SetAccountTemplate", domain, given, true)
}

func (s *Store) changeTemplate(op, domain string, given dataformat.Dict, replace bool) error {
	given, err := givenDefaults(op, given)
	if err != nil {
		return err
	}
	d, leave, err := s.stayInDomain(domain)
	if err != nil {
		return err
	}
	defer leave()
	return s.editDomain(d, templateFile, func(e dataformat.Dict) error {
		before := maps.Clone(e)
		if replace {
			before = nil
		}
		clear(e)
		maps.Copy(e, settings.Merge(before, given))
		return nil
	})
}

func nested(d dataformat.Dict, key string) dataformat.Dict {
	n, _ := d[key].(dataformat.Dict)
	return n
}

// clone copies a dictionary; the copy of none is an empty one.
func clone(d dataformat.Dict) dataformat.Dict {
	if d == nil {
		return dataformat.Dict{}
	}
	return maps.Clone(d)
}
