package accounts

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"gatepost/accounts/cache"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/password"
	"gatepost/accounts/subscribers"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// directory is what is read of domains and accounts.
type directory struct {
	serverFiles
	readOnly bool // see OpenReadOnly
	nextID   func() (uint64, error)
	external External
	ldap     LDAP
	system   SystemPasswords
	create   func(ctx context.Context, domain, name string, given dataformat.Dict) error // makes an account that is known elsewhere
	tokens   Tokens
	mail     *mailbox.Store
	keys     password.Keys

	subscribers *subscribers.Store // of mailing lists

	domains  *cache.Cache[string, *domain]
	foreign  *cache.Cache[string, struct{}] // names that are no domain of ours
	accounts *cache.Cache[accountKey, *Account]
	groups   *cache.Cache[accountKey, *Group]
	mailing  *cache.Cache[accountKey, *MailingList]
	lists    nameLists
	still    sync.RWMutex // held while a backup is taken, and shared while a directory moves, see freeze.go
	moving   sync.RWMutex // held while the directory of accounts moves, and shared while an account is read and told to the message store
	renames  renames      // holds names
	ids      identities
	sessions *Sessions
	onChange atomic.Pointer[func(match func(domain, name string) bool)]
	onFiled  atomic.Pointer[func(domain, name string, f mailbox.Filing)]

	life context.Context // ends with Close
}

// DomainName resolves the name or an alias of a domain to its real name; ok is
// false when it is not one of ours. A domain whose files cannot be read now is
// ours: what is asked of it next fails, instead of its mail going elsewhere.
func (s *directory) DomainName(name string) (real string, ok bool) {
	name = s.realDomain(name)
	if name == s.MainDomain() {
		return name, true
	}
	_, ok = s.domains.Find(name)
	if ok {
		return name, true
	}
	// Most names that mail brings are not ours, and come again: they don't cost
	// a look at the disk each time.
	_, foreign := s.foreign.Get(name, func() (struct{}, error) {
		_, err := s.domain(name)
		if fault.Is(err, fault.NoDomain) {
			return struct{}{}, nil
		}
		return struct{}{}, errNotForeign
	})
	if foreign == nil {
		return "", false
	}
	return name, true
}

// errNotForeign keeps a name out of the cache of foreign ones.
var errNotForeign = errors.New("not a foreign domain")

// PublicName returns the host that the mail programs of a domain connect to: its setting
// PublicServerName, else its first alias that begins with mail., else the Main Domain's
// name. Errors: NoDomain.
func (s *directory) PublicName(domain string) (string, error) {
	d, err := s.domain(s.realDomain(domain))
	if err != nil {
		return "", err
	}
	if name := d.settings.PublicServerName; name != "" {
		return string(name), nil
	}
	for _, alias := range s.state.Load().domainAliases.Of(d.name) {
		if strings.HasPrefix(alias, "mail.") {
			return alias, nil
		}
	}
	return s.MainDomain(), nil
}

// Offers reports whether accounts of a domain, whose real name is given, may use a service at all.
func (s *directory) Offers(domain, service string) bool {
	d, err := s.domain(domain)
	return err == nil && !d.suspended && d.settings.DomainAccessModes.Has(service)
}

// RedirectsToHTTPS tells whether a domain, whose real name is given, sends clients from http to https.
func (s *directory) RedirectsToHTTPS(domain string) bool {
	d, err := s.domain(domain)
	return err == nil && bool(d.settings.RedirectToHTTPS)
}

// Object looks a name up among the objects of a domain, whose real name is
// given. A name that nobody has is Kind None without an error.
func (s *directory) Object(ctx context.Context, domain, name string) (names.Object, error) {
	if err := ctx.Err(); err != nil {
		return names.Object{}, fault.Wrap("accounts.Object", fault.Canceled, err)
	}
	d, err := s.domain(domain)
	if err != nil {
		return names.Object{}, err
	}
	o, err := s.object(d, fold(name))
	if err == nil && o.Kind == names.None {
		return s.provision(ctx, d, fold(name))
	}
	return o, err
}

func (s *directory) object(d *domain, name string) (names.Object, error) {
	if o, ok := d.names.Get(name); ok {
		if o.account != "" {
			return names.Object{Kind: names.Alias, Name: o.account}, nil
		}
		return names.Object{Kind: names.Forwarder, Name: name, Target: o.target}, nil
	}
	if !validObject(name) {
		return names.Object{}, nil
	}
	if _, ok := s.accounts.Peek(accountKey{d.name, name}); ok {
		return names.Object{Kind: names.Account, Name: name}, nil
	}
	_, err := os.Lstat(filepath.Join(d.dir, name+accountSuffix))
	switch {
	case err == nil:
		return names.Object{Kind: names.Account, Name: name}, nil
	case !os.IsNotExist(err):
		return names.Object{}, fault.Wrap("accounts.Object", fault.Internal, err)
	}
	g, err := s.group(accountKey{d.name, name})
	switch {
	case err == nil:
		return names.Object{Kind: names.Group, Name: name, Disabled: bool(g.settings.EmailDisabled)}, nil
	case !fault.Is(err, fault.NotFound):
		return names.Object{}, err
	}
	l, err := s.listOf(d, name)
	switch {
	case err == nil:
		return names.Object{Kind: names.List, Name: l.Name}, nil
	case fault.Is(err, fault.NotFound):
		return names.Object{}, nil
	}
	return names.Object{}, err
}

// UnknownPolicy returns what a domain does with names that it does not have.
func (s *directory) UnknownPolicy(domain string, op names.Operation) (names.Policy, error) {
	d, err := s.domain(domain)
	if err != nil {
		return names.Policy{}, err
	}
	action, target := d.settings.MailToUnknown, d.settings.MailRerouteAddress
	switch op {
	case names.Access:
		action, target = d.settings.AccessToUnknown, d.settings.AccessRerouteAddress
	case names.Signal:
		action, target = d.settings.SignalToUnknown, d.settings.SignalRerouteAddress
	}
	p := names.Policy{Address: target}
	p.Action, _ = names.ParseAction(action)
	return p, nil
}

// maxHops bounds the forwarders that OwnsAddress follows.
const maxHops = 8

// OwnsAddress reports whether an address is the account's own: its name or one
// of its aliases, in its domain or an alias of it, with or without a detail
// after +, or a forwarder that leads to one of them. A local part that is an address
// itself (user+x%elsewhere@domain) leads on, and is nobody's.
func (s *directory) OwnsAddress(ctx context.Context, a *Account, addr address.Address) (bool, error) {
	for range maxHops {
		if err := ctx.Err(); err != nil {
			return false, fault.Wrap("accounts.OwnsAddress", fault.Canceled, err)
		}
		if _, complex := addr.Inner(); complex {
			return false, nil
		}
		domain := s.realDomain(addr.Domain)
		d, err := s.domain(domain)
		if fault.Is(err, fault.NoDomain) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		o, err := s.object(d, fold(addr.Local))
		if err != nil {
			return false, err
		}
		if o.Kind == names.None {
			base, _, found := strings.Cut(addr.Local, "+")
			if !found {
				return false, nil
			}
			addr.Local = base
			continue
		}
		if o.Kind != names.Forwarder {
			return domain == a.Domain && o.Name == a.Name, nil
		}
		if addr, err = address.Parse(o.Target); err != nil {
			return false, nil // a target that is no address is nobody's
		}
		if addr.Domain == "" {
			addr.Domain = domain
		}
	}
	return false, nil
}
