package accounts

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"gatepost/accounts/mailbox"
	"gatepost/accounts/password"
	"gatepost/rules"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/settings"
)

// Account is an immutable snapshot of one account: what its files said when it
// was read. A session may keep it; limits that are changed meanwhile hold for
// its mailboxes all the same.
type Account struct {
	// Name and Domain are the real names, in lower case.
	Name, Domain string
	// ID is the account's number in the message store. It never changes, not
	// even when the account is renamed.
	ID uint64

	dir      string
	explicit dataformat.Dict // account.settings, with the reserved keys
	bare     bool            // there is no account.settings
	layers   layers
	settings AccountSettings
	password password.Stored
	domain   *domain
	mail     *mailbox.Account

	mailRules *rules.Set // effective

	devices []device
	device  *device // the one that has logged in, see Account.as
	voucher voucher // what has logged in instead of a password, see vouched.go

	scram *[password.Digests]derivedSCRAM // of a reversible password
}

// Address returns name@domain.
func (a *Account) Address() string { return a.Name + "@" + a.Domain }

// Mail returns the account's mailboxes.
func (a *Account) Mail() *mailbox.Account { return a.mail }

// Dir returns the absolute path of the account's directory.
func (a *Account) Dir() string { return a.dir }

// DomainFile returns the absolute path of a file among the settings of the account's domain.
func (a *Account) DomainFile(name string) string { return a.domain.file(name) }

// Settings returns the effective settings. They are shared and must not be changed.
func (a *Account) Settings() *AccountSettings { return &a.settings }

// DomainSettings returns the effective settings of the account's domain. They
// are shared and must not be changed.
func (a *Account) DomainSettings() *DomainSettings { return &a.domain.settings }

// Enabled reports whether the account may use a service, as objects are named
// in AccessModes: Mail, Relay, POP, IMAP, PWD ... Both the account and its
// domain have to allow it, and the domain must not be suspended.
func (a *Account) Enabled(service string) bool {
	return !a.domain.suspended && a.settings.AccessModes.Has(service) && a.domain.settings.DomainAccessModes.Has(service)
}

// Setting returns the effective value of any account setting, whose name may be in any
// case, or nil when nobody sets it and it has no default: what AccountEffectiveSettings
// has.
func (a *Account) Setting(key string) dataformat.Value {
	v, _ := a.Inherited(key)
	return v
}

// AcceptsSize returns nil unless a message of a size can never be delivered to the account: it is
// larger than the account accepts (fault.TooLarge), or than all its mail may be (fault.OverQuota).
func (a *Account) AcceptsSize(size int64) error {
	const op = "accounts.AcceptsSize"
	switch {
	case a.settings.MaxMessageSize.Exceeds(size):
		return fault.New(op, fault.TooLarge, "message is too large for the account")
	case a.settings.MaxAccountSize.Exceeds(size):
		return fault.New(op, fault.OverQuota, "account is full (quota exceeded)")
	}
	return nil
}

// HasPassword reports whether there is a password that could be used.
func (a *Account) HasPassword() bool { return a.password != nil }

// Account returns the account with a name in a domain, which may be given by an
// alias of the domain; an empty domain is the Main Domain. The name is the
// account's own: aliases of accounts are resolved by the router. Errors:
// NoDomain, NotFound, Corrupt.
func (s *directory) Account(ctx context.Context, domain, name string) (*Account, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap("accounts.Account", fault.Canceled, err)
	}
	return s.account(accountKey{s.realDomain(domain), fold(name)})
}

func (s *directory) account(k accountKey) (*Account, error) {
	return s.accounts.Get(k, func() (*Account, error) { return s.loadAccount(k) })
}

// Current returns the present snapshot of the account that an older one is of, and
// not of another account that has got its name. An account of the Main Domain is
// found under the domain's new name. Errors: NotFound, NoDomain, Corrupt.
func (s *directory) Current(ctx context.Context, a *Account) (*Account, error) {
	now, err := s.Account(ctx, a.Domain, a.Name)
	if err == nil && now.ID == a.ID {
		return now, nil
	}
	if err != nil && !fault.Is(err, fault.NoDomain) {
		return nil, err
	}
	if err != nil {
		if now, mainErr := s.Account(ctx, "", a.Name); mainErr == nil && now.ID == a.ID {
			return now, nil
		}
		return nil, err
	}
	return nil, fault.New("accounts.Current", fault.NotFound, "unknown user account")
}

// OnChange names what is told of accounts that may have changed: their settings,
// limits, or what they inherit. match says which. tell may only touch memory.
func (s *directory) OnChange(tell func(match func(domain, name string) bool)) {
	s.onChange.Store(&tell)
}

// OnFiled names what is told of messages that clients have moved, copied or marked; nil for nothing. It may not wait.
func (s *directory) OnFiled(tell func(domain, name string, f mailbox.Filing)) {
	if tell == nil {
		s.onFiled.Store(nil)
		return
	}
	s.onFiled.Store(&tell)
}

// forget drops the snapshot of an account that has changed.
func (s *directory) forget(k accountKey) {
	s.accounts.Drop(k)
	s.announce(func(w accountKey) bool { return w == k })
}

// forgetIf drops the snapshots of the accounts that match.
func (s *directory) forgetIf(match func(accountKey) bool) {
	s.accounts.DropIf(match)
	s.announce(match)
}

// announce tells sessions and others of accounts that may have changed.
func (s *directory) announce(match func(accountKey) bool) {
	s.sessions.mark(match)
	if tell := s.onChange.Load(); tell != nil {
		(*tell)(func(domain, name string) bool { return match(accountKey{domain, name}) })
	}
}

// loadAccount reads an account and finds its number.
func (s *directory) loadAccount(k accountKey) (*Account, error) {
	s.moving.RLock()
	defer s.moving.RUnlock()
	a, err := s.readAccount(k)
	if err != nil {
		return nil, err
	}
	if err := s.ids.identify(a); err != nil {
		return nil, err
	}
	s.resolve(a)
	return a, nil
}

// accountDir returns the directory of an account by its name.
func (s *directory) accountDir(k accountKey) string {
	return filepath.Join(s.base, s.state.Load().domainDir(k.domain), k.name+accountSuffix)
}

// readAccount reads the settings file of an account.
func (s *directory) readAccount(k accountKey) (*Account, error) {
	const op = "accounts.Account"
	d, err := s.domain(k.domain)
	if err != nil {
		return nil, err
	}
	a := &Account{Name: k.name, Domain: k.domain, domain: d, dir: filepath.Join(d.dir, k.name+accountSuffix)}
	if !validObject(k.name) {
		return nil, fault.New(op, fault.NotFound, "unknown user account")
	}
	v, err := dataformat.ReadFile(filepath.Join(a.dir, accountFile))
	if err != nil {
		return nil, dataformat.Unreadable(op, err)
	}
	if v == nil {
		if _, err := os.Stat(a.dir); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fault.New(op, fault.NotFound, "unknown user account")
			}
			return nil, fault.Wrap(op, fault.Internal, err)
		}
		v, a.bare = dataformat.Dict{}, true
	}
	var ok bool
	if a.explicit, ok = v.(dataformat.Dict); !ok {
		return nil, fault.Wrap(op, fault.Corrupt, errors.New(accountFile+" of "+k.String()+" is not a dictionary"))
	}
	return a, nil
}

// resolve fills what follows from the explicit settings.
func (s *directory) resolve(a *Account) {
	bad := s.badSetting(a.Address(), accountFile)
	a.layers = accountLayers(a.explicit, a.domain)
	settings.LoadLayers(&a.settings, a.layers.dicts(), bad)
	a.mailRules = loadRules(a.layers, rules.Account, bad)
	if a.settings.Password != "" {
		p, err := s.keys.Parse(a.settings.Password)
		if err != nil {
			bad(keyPassword, err)
		} else {
			a.password = p
		}
	}
	a.devices, a.scram = readDevices(a.explicit, bad), new([password.Digests]derivedSCRAM)
	a.mail = s.mail.Account(s.owner(a))
}

// owner tells the message store of an account.
func (s *directory) owner(a *Account) mailbox.Owner {
	limits := mailbox.Limits{
		MaxSize:        int64(a.settings.MaxAccountSize),
		MaxMailboxes:   a.settings.MaxMailboxes,
		SuspendPercent: a.settings.QuotaSuspend,
	}
	domain, name := a.Domain, a.Name
	filed := func(f mailbox.Filing) {
		if tell := s.onFiled.Load(); tell != nil {
			(*tell)(domain, name, f)
		}
	}
	return mailbox.Owner{ID: a.ID, Dir: a.dir, Limits: func() mailbox.Limits { return limits }, Filed: filed, Unindexed: !bool(a.settings.SearchIndex)}
}

// badSetting reports values that cannot be read in a file of an object.
func (s *directory) badSetting(object, file string) func(string, error) {
	return func(key string, reason error) {
		s.log.Warn("bad setting ignored", "object", object, "file", file, "key", key, "error", reason)
	}
}

// explicitSettings are the settings that the account itself sets, without the
// server's own keys.
func (a *Account) explicitSettings() dataformat.Dict {
	out := visible(a.explicit)
	delete(out, keyPrefs)
	return out
}

// effectiveSettings merges what the account has and inherits.
func (a *Account) effectiveSettings() dataformat.Dict {
	out := accountDefaults()
	for i := len(a.layers) - 1; i >= 0; i-- {
		maps.Copy(out, visible(a.layers[i].values))
	}
	delete(out, keyServiceClasses)
	delete(out, keyPrefs)
	for k, v := range out {
		if s, ok := v.(dataformat.String); ok && s == "" {
			delete(out, k)
		}
	}
	return out
}

// validObject reports whether a folded name may name an object: it is checked
// before a name becomes part of a path.
func validObject(name string) bool {
	_, err := validateName("", name)
	return err == nil && !strings.ContainsAny(name, "/\\\x00")
}
