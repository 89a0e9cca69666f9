package accounts

import (
	"context"
	"log/slog"
	"sync"

	"gatepost/accounts/password"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// derivedSCRAM are the credentials of a reversible password, made once per snapshot.
type derivedSCRAM struct {
	once sync.Once
	of   password.SCRAM
	err  error
}

// credentials returns the SCRAM credentials of the account's password; false when it is
// stored in a form that has none.
func (a *Account) credentials(digest password.Digest, salt []byte) (password.SCRAM, bool, error) {
	switch p := a.password.(type) {
	case *password.Hash:
		c, ok := p.SCRAM(digest)
		return c, ok, nil
	case password.Reversible:
		d := &a.scram[digest]
		d.once.Do(func() {
			var plain string
			if plain, d.err = p.Reveal(); d.err == nil {
				d.of, d.err = password.DeriveSCRAM(digest, password.Prepare(plain), salt)
			}
		})
		return d.of, d.err == nil, d.err
	}
	return password.SCRAM{}, false, nil
}

// SCRAM returns the credentials for a SCRAM login. A name that does not
// exist or cannot log in gets credentials that look real, are the same each time
// and match no password.
func (l *Login) SCRAM(digest password.Digest) (password.SCRAM, error) {
	c := l.logins.store.keys.FakeSCRAM(digest, l.key.String())
	if a := l.account; a != nil {
		real, ok, err := a.credentials(digest, c.Salt)
		if err != nil {
			return c, fault.Wrap("accounts.SCRAM", fault.Internal, err)
		}
		if ok {
			if l.refusal == "" {
				return real, nil
			}
			c.Salt, c.Iterations = real.Salt, real.Iterations
		}
	}
	return c, nil
}

// NoSCRAM reports whether the account keeps its password in a form without credentials for a SCRAM mechanism, which
// then always fails.
func (l *Login) NoSCRAM(digest password.Digest) bool {
	if l.account == nil || l.account.password == nil {
		return false
	}
	switch p := l.account.password.(type) {
	case *password.Hash:
		_, ok := p.SCRAM(digest)
		return !ok
	case password.Reversible:
		return false
	}
	return true
}

// complete adds to the account's password hash the verifiers that it lacks, now that somebody has given the password. It returns the
// account as it is then. The password is the same, so that no session ends.
func (l *Logins) complete(ctx context.Context, a *Account, given string) *Account {
	h, ok := a.password.(*password.Hash)
	if !ok {
		return a
	}
	now, err := h.Complete(password.Prepare(given))
	if err == nil && now == h {
		return a
	}
	if err == nil {
		err = l.store.editAccount("accounts.CheckPassword", a, func(d dataformat.Dict) error {
			if d.String(keyPassword) == a.settings.Password { // and not another one meanwhile
				d[keyPassword] = dataformat.String(now.String())
			}
			return nil
		})
	}
	if err != nil { // the login is right all the same
		l.store.log.LogAttrs(ctx, logs.LevelProblem, "the password hash could not be completed", slog.String(logs.AttrAccount, a.Address()), slog.Any(logs.AttrError, err))
		return a
	}
	if newer, err := l.store.Account(ctx, a.Domain, a.Name); err == nil && newer.ID == a.ID && password.Same(newer.settings.Password, a.settings.Password) {
		return newer
	}
	return a
}
