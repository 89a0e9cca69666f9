package accounts

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file reads and changes settings and preferences where they are set. What follows from
// them for those that inherit them is in inherit.go.

// keyPrefs is where account.settings keeps an account's preferences, and
// domain.settings the domain's default preferences.
const keyPrefs = "WebUserPrefs"

// KeyPrefs is the setting of an account that is the dictionary of its preferences.
const KeyPrefs = keyPrefs

// KeyAdminPrefs is the setting with what an administrator has chosen for the administrators'
// pages: language, time zone, how much is shown.
const KeyAdminPrefs = "WebAdminPrefs"

// Layer is one set of explicit settings, or preferences, of an account, a domain, or the server.
type Layer struct {
	op       string
	get      func(context.Context) (dataformat.Dict, error)
	validate func(op string, given dataformat.Dict) (dataformat.Dict, error)
	change   func(ctx context.Context, given dataformat.Dict, replace bool) error
}

// Get returns the values. Errors: NoDomain, NotFound.
func (l Layer) Get(ctx context.Context) (dataformat.Dict, error) { return l.get(ctx) }

// Update merges values into the layer: keys that are not given stay, the value "default"
// removes a key. Errors: NoDomain, NotFound, Invalid, Exists (an IP address of another domain).
func (l Layer) Update(ctx context.Context, given dataformat.Dict) error {
	return l.put(ctx, given, false)
}

// Set replaces the values of the layer. Errors: as Update.
func (l Layer) Set(ctx context.Context, given dataformat.Dict) error { return l.put(ctx, given, true) }

func (l Layer) put(ctx context.Context, given dataformat.Dict, replace bool) error {
	given, err := l.validate(l.op, given)
	if err != nil {
		return err
	}
	return fault.Wrap(l.op, fault.Internal, l.change(ctx, given, replace))
}

// merging changes the dictionary under a key of a file. Without a key it changes the file itself,
// in which replace leaves the server's own keys and those to be kept.
func merging(key string, given dataformat.Dict, replace bool, keep ...string) func(dataformat.Dict) error {
	return func(e dataformat.Dict) error {
		before := e
		if key != "" {
			before = nested(e, key)
		}
		if replace {
			before = maps.Clone(before)
			maps.DeleteFunc(before, func(k string, _ dataformat.Value) bool { return key != "" || !reserved(k) && !slices.Contains(keep, k) })
		}
		after := settings.Merge(before, given)
		switch {
		case key == "":
			clear(e)
			maps.Copy(e, after)
		case len(after) == 0:
			delete(e, key)
		default:
			e[key] = after
		}
		return nil
	}
}

func (s *Store) serverLayer(op, file, key string, validate func(string, dataformat.Dict) (dataformat.Dict, error), values func(*serverState) dataformat.Dict) Layer {
	return Layer{
		op:       op,
		get:      func(context.Context) (dataformat.Dict, error) { return clone(values(s.state.Load())), nil },
		validate: validate,
		change: func(_ context.Context, given dataformat.Dict, replace bool) error {
			return s.editState(file, merging(key, given, replace, keyAccountDefaults))
		},
	}
}

// DomainDefaults are the settings that domains inherit.
func (s *Store) DomainDefaults() Layer {
	return s.serverLayer("accounts.DomainDefaults", domainDefaultFile, "", validateDomain, func(st *serverState) dataformat.Dict { return st.domainDefaults })
}

// ServerAccountDefaults are the settings that accounts of all domains inherit.
func (s *Store) ServerAccountDefaults() Layer {
	return s.serverLayer("accounts.ServerAccountDefaults", domainDefaultFile, keyAccountDefaults, validateDefaults,
		func(st *serverState) dataformat.Dict { return st.accountDefaults })
}

// ServerAccountPrefs are the preferences that accounts of all domains inherit.
func (s *Store) ServerAccountPrefs() Layer {
	return s.serverLayer("accounts.ServerAccountPrefs", prefsFile, "", validatePrefs, func(st *serverState) dataformat.Dict { return st.prefs })
}

func (s *Store) domainLayer(op, name, file, key string, validate func(string, dataformat.Dict) (dataformat.Dict, error), values func(*domain) (dataformat.Dict, error)) Layer {
	return Layer{
		op: op,
		get: func(context.Context) (dataformat.Dict, error) {
			d, err := s.domain(s.realDomain(name))
			if err != nil {
				return nil, err
			}
			return values(d)
		},
		validate: validate,
		change: func(_ context.Context, given dataformat.Dict, replace bool) error {
			d, leave, err := s.stayInDomain(name)
			if err != nil {
				return err
			}
			defer leave()
			return s.editDomain(d, file, merging(key, given, replace))
		},
	}
}

// AccountDefaults are the settings that accounts of a domain inherit.
func (s *Store) AccountDefaults(domainName string) Layer {
	return s.domainLayer("accounts.AccountDefaults", domainName, domainFile, keyAccountDefaults, validateDefaults,
		func(d *domain) (dataformat.Dict, error) { return clone(d.defaults), nil })
}

// AccountDefaultPrefs are the preferences that accounts of a domain inherit.
func (s *Store) AccountDefaultPrefs(domainName string) Layer {
	return s.domainLayer("accounts.AccountDefaultPrefs", domainName, domainFile, keyPrefs, validatePrefs,
		func(d *domain) (dataformat.Dict, error) { return clone(nested(d.explicit, keyPrefs)), nil })
}

// AccountTemplate is what new accounts of a domain start with.
func (s *Store) AccountTemplate(domainName string) Layer {
	const op = "accounts.AccountTemplate"
	return s.domainLayer(op, domainName, templateFile, "", validateDefaults, func(d *domain) (dataformat.Dict, error) {
		t, err := dataformat.ReadDict(d.file(templateFile))
		delete(t, keyPassword) // a file that was edited by hand
		return t, dataformat.Unreadable(op, err)
	})
}

// DomainSettings are the settings of a domain. Its account defaults and preferences, which are
// in the same file, are layers of their own; Update and Set take them too.
func (s *Store) DomainSettings(name string) Layer {
	const op = "accounts.DomainSettings"
	l := s.domainLayer(op, name, domainFile, "", validateDomain, func(d *domain) (dataformat.Dict, error) {
		out := maps.Clone(d.explicit)
		delete(out, keyPrefs)
		return out, nil
	})
	l.change = func(_ context.Context, given dataformat.Dict, replace bool) error {
		d, unlock, err := s.holdDomain(op, name)
		if err != nil {
			return err
		}
		defer unlock()
		var after dataformat.Dict
		err = s.editDomain(d, domainFile, func(e dataformat.Dict) error {
			before := maps.Clone(e)
			_ = merging("", given, replace, keyAccountDefaults, keyPrefs)(e) // never fails
			after = maps.Clone(e)
			if err := checkCertificate(op, before, after); err != nil {
				return err
			}
			return s.freeAddresses(op, d.name, after)
		})
		if err != nil {
			return err
		}
		return errors.Join(s.assignAddresses(d.name, after), s.noteIssuer(d.name, after))
	}
	return l
}

// DomainEffectiveSettings returns the settings of a domain with what it inherits.
func (s *directory) DomainEffectiveSettings(name string) (dataformat.Dict, error) {
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

func (s *Store) accountLayer(op, domainName, name string, validate func(string, dataformat.Dict) (dataformat.Dict, error),
	values func(*Account) dataformat.Dict, change func(ctx context.Context, a *Account, given dataformat.Dict, replace bool) error) Layer {
	return Layer{
		op: op,
		get: func(ctx context.Context) (dataformat.Dict, error) {
			a, err := s.Account(ctx, domainName, name)
			if err != nil {
				return nil, err
			}
			return values(a), nil
		},
		validate: validate,
		change: func(ctx context.Context, given dataformat.Dict, replace bool) error {
			a, err := s.Account(ctx, domainName, name)
			if err != nil {
				return err
			}
			return change(ctx, a, given, replace)
		},
	}
}

// AccountSettings are the settings of an account. A Password is stored as the account's
// PasswordEncryption asks.
func (s *Store) AccountSettings(domainName, name string) Layer {
	const op = "accounts.AccountSettings"
	change := func(ctx context.Context, a *Account, given dataformat.Dict, replace bool) error {
		before := a.explicitSettings()
		if replace {
			before = dataformat.Dict{}
		}
		// The password is hashed before anything is locked.
		after, err := s.changed(op, a.domain, before, given)
		if err != nil {
			return err
		}
		change := merging("", given, replace, keyPrefs, KeySecondFactor)
		if _, ok := given[keyPassword]; ok {
			given[keyPassword] = dataformat.String("default")
			if stored, ok := after[keyPassword]; ok {
				given[keyPassword] = stored
				s.sessions.acceptPassword(ctx, a, after.String(keyPassword))
			}
			if after.String(keyPassword) != a.settings.Password {
				former, err := s.former(a)
				if err != nil {
					return err
				}
				merge := change
				change = func(d dataformat.Dict) error {
					putFormer(d, former)
					return merge(d)
				}
			}
		}
		return s.editAccount(op, a, change)
	}
	return s.accountLayer(op, domainName, name, validateAccount, (*Account).explicitSettings, change)
}

// AccountEffectiveSettings returns the settings of an account with what it inherits.
func (s *directory) AccountEffectiveSettings(ctx context.Context, domain, name string) (dataformat.Dict, error) {
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	return a.effectiveSettings(), nil
}

// AccountPrefs are the preferences of an account.
func (s *Store) AccountPrefs(domainName, name string) Layer {
	const op = "accounts.AccountPrefs"
	return s.accountLayer(op, domainName, name, validatePrefs, func(a *Account) dataformat.Dict { return clone(nested(a.explicit, keyPrefs)) },
		func(_ context.Context, a *Account, given dataformat.Dict, replace bool) error {
			return s.editAccount(op, a, merging(keyPrefs, given, replace))
		})
}

// AccountEffectivePrefs returns the preferences of an account with what it inherits.
func (s *directory) AccountEffectivePrefs(ctx context.Context, domain, name string) (dataformat.Dict, error) {
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	out := dataformat.Dict{}
	for _, layer := range slices.Backward(a.prefLayers()) {
		maps.Copy(out, layer.values)
	}
	return out, nil
}

// prefLayers is the chain of inheritance of an account's preferences, the first that has
// a key wins; the first is what the explicit settings of the account have.
func prefLayers(explicit dataformat.Dict, d *domain) layers {
	return layers{{OfAccount, nested(explicit, keyPrefs)}, {OfDomain, nested(d.explicit, keyPrefs)},
		{OfServer, d.state.prefs}, {BuiltIn, builtInPrefs()}}
}

func (a *Account) prefLayers() layers { return prefLayers(a.explicit, a.domain) }

// Preference returns the effective value of a preference, whose name may be in any case, if it is a text;
// else "".
func (a *Account) Preference(key string) string {
	v, _ := a.prefLayers().lookup(prefNames().Spell(key))
	text, _ := dataformat.Text(v)
	return text
}

// builtInPrefs are the preferences that nobody has set; they are not to be changed.
var builtInPrefs = sync.OnceValue(func() dataformat.Dict {
	return dataformat.Dict{
		"SentBox": dataformat.String("Sent Items"), "DraftsBox": dataformat.String("Drafts"),
		"TrashBox": dataformat.String("Trash"), "JunkBox": dataformat.String("Junk"),
		"ArchiveBox": dataformat.String("Archive"), "CalendarBox": dataformat.String("Calendar"),
		"TasksBox": dataformat.String("Tasks"), "ContactsBox": dataformat.String("Contacts"),
		"NotesBox": dataformat.String("Notes"), "DeleteMode": dataformat.String("Move To Trash"),
		"Language": dataformat.String(""), "TimeZone": dataformat.String("HostOS"),
		"AddInvitations": dataformat.String("Known Senders"), "KeepInvitations": dataformat.String("YES"), "ShowFreeBusy": dataformat.String("Domain"), "PublishFreeBusy": dataformat.String("60"),
		"EmptyTrash": dataformat.String("15d"), "EmptyJunk": dataformat.String("7d"), "KeepTimeInTrash": dataformat.String("NO"),
		"Charset": dataformat.String("utf-8"), "WeekStart": dataformat.String("Mon"),
	}
})

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
