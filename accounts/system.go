package accounts

import (
	"context"
	"strings"

	"gatepost/server/fault"
)

// SystemPasswords asks the operating system. Nothing is locked while it is asked.
type SystemPasswords interface {
	// Verify returns nil if a password is that of a user of this machine. Errors: fault.BadCredentials if it is not;
	// fault.Unavailable if nobody can tell, with the reason.
	Verify(ctx context.Context, user, password string) error
}

// noSystem is the SystemPasswords of a server without one.
type noSystem struct{}

func (noSystem) Verify(context.Context, string, string) error {
	return fault.New("accounts.System", fault.Unavailable, "passwords of the operating system are not asked about here")
}

// systemUser is the user of the operating system whose password is the account's.
func (a *Account) systemUser() string {
	return strings.ReplaceAll(a.settings.OSUserName, "*", a.Name)
}

// asksOutside reports whether passwords of the account are accepted that are not stored here.
func (a *Account) asksOutside() bool {
	return bool(a.settings.UseExtPassword) || bool(a.settings.UseSysPassword)
}

// verifySystem asks the operating system, if the account wants that. It reports a wrong password as false.
func (l *Logins) verifySystem(ctx context.Context, a *Account, password string) (bool, error) {
	if !bool(a.settings.UseSysPassword) {
		return false, nil
	}
	err := l.store.system.Verify(ctx, a.systemUser(), password)
	if fault.Is(err, fault.BadCredentials) {
		return false, nil
	}
	if err == nil {
		l.rememberOutside(a, theSystem, password)
	}
	return err == nil, err
}
