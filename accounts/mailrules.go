package accounts

import (
	"context"
	"fmt"

	"gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file reads and changes the rules of accounts and domains. They are settings, under the keys
// below, and are inherited like others: an account without rules of its own has those of its
// account defaults.

const (
	keyRules       = "Rules"
	keySignalRules = "SignalRules"
)

// MailRules are the rules of the account, its own or inherited ones; nil if there are none.
func (a *Account) MailRules() *rules.Set { return a.mailRules }

// DomainMailRules are the rules of the account's domain; nil if there are none.
func (a *Account) DomainMailRules() *rules.Set { return a.domain.mailRules }

// RulesAllowed is what the owner of the account may put into rules.
func (a *Account) RulesAllowed() rules.Allowed {
	allowed, _ := rules.ParseAllowed(a.settings.RulesAllowed)
	return allowed
}

// loadRules reads the rules of a chain of settings. Those that cannot be understood are reported, and
// not applied.
func loadRules(l layers, level rules.Level, bad func(string, error)) *rules.Set {
	v, _ := l.lookup(keyRules)
	set, errs := rules.Load(v, level)
	for _, err := range errs {
		bad(keyRules, err)
	}
	return set
}

// givenRules checks rules among given settings, and puts them into the form that is stored.
func givenRules(op string, given dataformat.Dict, level rules.Level) error {
	if v, ok := given[keyRules]; ok && !settings.IsDefault(v) {
		set, err := rules.Parse(v, level)
		if err != nil {
			return fault.Newf(op, fault.Invalid, "%s: %s", keyRules, fault.Text(err))
		}
		given[keyRules] = set.Value()
	}
	if v, ok := given[keySignalRules]; ok && !settings.IsDefault(v) {
		kept, err := rules.ParseSignal(v)
		if err != nil {
			return fault.Newf(op, fault.Invalid, "%s: %s", keySignalRules, fault.Text(err))
		}
		given[keySignalRules] = kept
	}
	return nil
}

// DomainMailRules returns the rules of a domain. Errors: NoDomain.
func (s *Store) DomainMailRules(domain string) (*rules.Set, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, err
	}
	return d.mailRules, nil
}

// SetDomainMailRules replaces the rules of a domain; nil removes them, so that the domain has those
// of the domain defaults. Errors: NoDomain.
func (s *Store) SetDomainMailRules(ctx context.Context, domain string, set *rules.Set) error {
	return s.DomainSettings(domain).Update(ctx, dataformat.Dict{keyRules: rulesValue(set)})
}

// rulesValue is a set as a setting.
func rulesValue(set *rules.Set) dataformat.Value {
	if set == nil {
		return dataformat.String("default")
	}
	return set.Value()
}

// AccountMailRules returns the rules of an account, its own or inherited ones. Errors: NoDomain,
// NotFound.
func (s *Store) AccountMailRules(ctx context.Context, domain, name string) (*rules.Set, error) {
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	return a.mailRules, nil
}

// ChangeAccountMailRules replaces the rules of an account by what change makes of them; nil removes
// its own. Another change of the account's settings meanwhile is not lost. Errors: NoDomain, NotFound, and
// those of change, after which nothing is written.
func (s *Store) ChangeAccountMailRules(ctx context.Context, domain, name string, change func(old *rules.Set) (*rules.Set, error)) error {
	const op = "accounts.ChangeAccountMailRules"
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return err
	}
	return s.editAccount(op, a, func(d dataformat.Dict) error {
		set, err := change(loadRules(accountLayers(d, a.domain), rules.Account, func(string, error) {}))
		if err != nil {
			return err
		}
		if delete(d, keyRules); set != nil {
			d[keyRules] = set.Value()
		}
		return nil
	})
}

// SignalRules returns the call rules of an account, or of a domain if name is empty: they are kept,
// and nothing applies them. Errors: NoDomain, NotFound.
func (s *Store) SignalRules(ctx context.Context, domain, name string) (dataformat.Array, error) {
	v := dataformat.Value(nil)
	if name == "" {
		d, err := s.domain(s.realDomain(domain))
		if err != nil {
			return nil, err
		}
		v, _ = d.layers().lookup(keySignalRules)
	} else {
		a, err := s.Account(ctx, domain, name)
		if err != nil {
			return nil, err
		}
		v, _ = a.layers.lookup(keySignalRules)
	}
	list, _ := v.(dataformat.Array)
	return list, nil
}

// SetSignalRules replaces the call rules of an account, or of a domain if name is empty; the word
// Default removes them. Errors: Invalid, NoDomain, NotFound.
func (s *Store) SetSignalRules(ctx context.Context, domain, name string, v dataformat.Value) error {
	given := dataformat.Dict{keySignalRules: v}
	if name == "" {
		return s.DomainSettings(domain).Update(ctx, given)
	}
	return s.AccountSettings(domain, name).Update(ctx, given)
}

// UpdateSignalRule puts one call rule into those of an account, in the place of the one with its name.
// Of less than four parts, only the priority is taken. Errors: Invalid, NoDomain, NotFound.
func (s *Store) UpdateSignalRule(ctx context.Context, domain, name string, rule dataformat.Value) error {
	const op = "accounts.UpdateSignalRule"
	list, err := s.SignalRules(ctx, domain, name)
	if err != nil {
		return err
	}
	parts, ok := rule.(dataformat.Array)
	if !ok || len(parts) < 2 {
		return fault.New(op, fault.Invalid, "a rule is an array: (priority, name, (conditions), (actions))")
	}
	title, _ := dataformat.Text(parts[1])
	at := signalRule(list, title)
	list = append(dataformat.Array{}, list...)
	switch {
	case len(parts) < 4 && at < 0:
		return fault.New(op, fault.NotFound, fmt.Sprintf("there is no rule %q", title))
	case len(parts) < 4:
		changed := append(dataformat.Array{}, list[at].(dataformat.Array)...)
		changed[0] = parts[0]
		list[at] = changed
	case at < 0:
		list = append(list, rule)
	default:
		list[at] = rule
	}
	return s.SetSignalRules(ctx, domain, name, list)
}

// DeleteSignalRule removes a call rule of an account, if there is one with the name.
func (s *Store) DeleteSignalRule(ctx context.Context, domain, name, rule string) error {
	list, err := s.SignalRules(ctx, domain, name)
	at := signalRule(list, rule)
	if err != nil || at < 0 {
		return err
	}
	list = append(append(dataformat.Array{}, list[:at]...), list[at+1:]...)
	return s.SetSignalRules(ctx, domain, name, list)
}

// signalRule is the place of the rule with a name, or -1.
func signalRule(list dataformat.Array, name string) int {
	for i, v := range list {
		if parts, ok := v.(dataformat.Array); ok && len(parts) > 1 {
			if text, _ := dataformat.Text(parts[1]); text == name {
				return i
			}
		}
	}
	return -1
}
