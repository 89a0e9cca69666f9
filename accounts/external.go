package accounts

import (
	"context"

	"gatepost/router/names"
	"gatepost/server/fault"
)

// External knows passwords and accounts outside of this server: a program that asks an LDAP server, or the
// server that accounts are moved from. It may change the directory before it answers; nothing is locked while it
// is asked. Its methods fail with fault.Disabled if there is none, and with fault.Unavailable if it cannot tell.
type External interface {
	// Verify reports a wrong password as fault.BadCredentials.
	Verify(ctx context.Context, service, name, domain, password string) error
	// Provision returns nil if there may be an account with that name now. fault.NotFound: there is none.
	Provision(ctx context.Context, name, domain string) error
	// SetPassword changes the password there. fault.Denied: it is refused.
	SetPassword(ctx context.Context, name, domain, password string) error
}

// none is the External of a server without one.
type none struct{}

func absent() error { return fault.New("accounts.External", fault.Disabled, "") }

func (none) Verify(context.Context, string, string, string, string) error { return absent() }
func (none) Provision(context.Context, string, string) error              { return absent() }
func (none) SetPassword(context.Context, string, string, string) error    { return absent() }

// provision asks about a name that nobody has, if the domain wants that, and looks once more.
func (s *directory) provision(ctx context.Context, d *domain, name string) (names.Object, error) {
	if !bool(d.settings.ExternalOnUnknown) || !validObject(name) {
		return names.Object{}, nil
	}
	cannot := s.findLDAP(ctx, d, name)
	if cannot == nil {
		return s.again(d, name)
	}
	if fault.Is(cannot, fault.NotFound) {
		cannot = nil
	}
	switch err := s.external.Provision(ctx, name, d.name); {
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Disabled):
		return names.Object{}, cannot
	case err != nil:
		return names.Object{}, fault.Wrap("accounts.Object", fault.Internal, err)
	}
	return s.again(d, name)
}

// verifyOutside asks whether a password is right that this server does not know: the operating system, the directory servers of the domain,
// the program, as the account wants. One that says yes is enough; that one cannot tell counts unless the other does. It returns the account as it
// is afterwards: the program may have changed it. Without an error and an account the password is wrong. An empty
// one always is: for a directory server it means that nobody logs in (RFC 4513 section 5.1.2).
func (l *Logins) verifyOutside(ctx context.Context, a *Account, service, password string) (*Account, error) {
	if password == "" {
		return nil, nil
	}
	right, cannot := l.verifySystem(ctx, a, password)
	if !right && bool(a.settings.UseExtPassword) {
		var err error
		if right, err = l.verifyLDAP(ctx, a, password); err != nil {
			cannot = err
		}
	}
	switch {
	case right:
		return l.store.Account(ctx, a.Domain, a.Name)
	case !bool(a.settings.UseExtPassword):
		return nil, cannot
	}
	switch err := l.store.external.Verify(ctx, service, a.Name, a.Domain, password); {
	case err == nil:
		return l.store.Account(ctx, a.Domain, a.Name)
	case fault.Is(err, fault.BadCredentials), fault.Is(err, fault.Disabled):
		return nil, cannot
	default:
		return nil, err
	}
}

// setOutside changes a password that is kept elsewhere. It reports whether the account has one here too.
func (s *directory) setOutside(ctx context.Context, a *Account, password string) (here bool, err error) {
	if !bool(a.settings.UseExtPassword) {
		if bool(a.settings.UseSysPassword) && !bool(a.settings.UseAppPassword) {
			return false, fault.New("accounts.SetPassword", fault.Denied, "the password is that of the operating system, and changed there")
		}
		return true, nil
	}
	err = s.external.SetPassword(ctx, a.Name, a.Domain, password)
	if fault.Is(err, fault.Disabled) {
		if a.domain.settings.LDAPSettings.asked() && !bool(a.settings.UseAppPassword) {
			return false, fault.New("accounts.SetPassword", fault.Denied, "the password is kept by a directory server, and changed there")
		}
		return true, nil
	}
	return bool(a.settings.UseAppPassword), err
}
