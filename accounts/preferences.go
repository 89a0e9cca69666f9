package accounts

import (
	"context"
	"maps"
	"slices"
	"sync"

	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// This file reads and changes preferences, which follow the chain of the
// settings: account, domain, server, built in.

// keyPrefs is where account.settings keeps an account's preferences, and
// domain.settings the domain's default preferences.
const keyPrefs = "WebUserPrefs"

// ServerAccountPrefs returns the server's account preferences.
func (s *Store) ServerAccountPrefs() dataformat.Dict { return clone(s.state.Load().prefs) }

// UpdateServerAccountPrefs merges preferences into the server's.
func (s *Store) UpdateServerAccountPrefs(ctx context.Context, update dataformat.Dict) error {
	return s.changeServerPrefs("accounts.UpdateServerAccountPrefs", update, false)
}

// SetServerAccountPrefs replaces the server's account preferences.
func (s *Store) SetServerAccountPrefs(ctx context.Context, given dataformat.Dict) error {
	return s.changeServerPrefs("accounts.SetServerAccountPrefs", given, true)
}

func (s *Store) changeServerPrefs(op string, given dataformat.Dict, replace bool) error {
	given, err := givenPrefs(op, given)
	if err != nil {
		return err
	}
	return fault.Wrap(op, fault.Internal, s.editState(prefsFile, func(e dataformat.Dict) error {
		before := maps.Clone(e)
		if replace {
			before = nil
		}
		clear(e)
		maps.Copy(e, settings.Merge(before, given))
		return nil
	}))
}

// AccountDefaultPrefs returns the default preferences of a domain. Errors: NoDomain.
func (s *Store) AccountDefaultPrefs(domain string) (dataformat.Dict, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return nil, err
	}
	return clone(nested(d.explicit, keyPrefs)), nil
}

// UpdateAccountDefaultPrefs merges preferences into a domain's default ones.
func (s *Store) UpdateAccountDefaultPrefs(ctx context.Context, domain string, update dataformat.Dict) error {
	return s.changeInDomain("accounts.UpdateAccountDefaultPrefs", domain, keyPrefs, update, false)
}

// SetAccountDefaultPrefs replaces a domain's default preferences.
func (s *Store) SetAccountDefaultPrefs(ctx context.Context, domain string, given dataformat.Dict) error {
	return s.changeInDomain("accounts.SetAccountDefaultPrefs", domain, keyPrefs, given, true)
}

// AccountPrefs returns the explicit preferences of an account. Errors: NoDomain, NotFound.
func (s *Store) AccountPrefs(ctx context.Context, domain, name string) (dataformat.Dict, error) {
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return nil, err
	}
	return clone(nested(a.explicit, keyPrefs)), nil
}

// AccountEffectivePrefs returns the preferences of an account with what it inherits.
func (s *Store) AccountEffectivePrefs(ctx context.Context, domain, name string) (dataformat.Dict, error) {
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

// UpdateAccountPrefs merges preferences into an account's own.
func (s *Store) UpdateAccountPrefs(ctx context.Context, domain, name string, update dataformat.Dict) error {
	return s.changePrefs(ctx, "accounts.UpdateAccountPrefs", domain, name, update, false)
}

// SetAccountPrefs replaces an account's own preferences.
func (s *Store) SetAccountPrefs(ctx context.Context, domain, name string, given dataformat.Dict) error {
	return s.changePrefs(ctx, "accounts.SetAccountPrefs", domain, name, given, true)
}

func (s *Store) changePrefs(ctx context.Context, op, domain, name string, given dataformat.Dict, replace bool) error {
	given, err := givenPrefs(op, given)
	if err != nil {
		return err
	}
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return err
	}
	return s.editAccount(op, a, func(d dataformat.Dict) dataformat.Dict {
		before := nested(d, keyPrefs)
		if replace {
			before = nil
		}
		d[keyPrefs] = settings.Merge(before, given)
		return d
	})
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
		"Charset": dataformat.String("utf-8"), "WeekStart": dataformat.String("Mon"),
	}
})
