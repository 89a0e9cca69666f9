package accounts

import (
	"context"
	"slices"
	"strings"

	"gatepost/accounts/password"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the rules for passwords that users choose: their length, what they are made of, and that they are neither
// common, nor the account's name, nor one that the account had before. Administrators go without these rules unless
// they ask for them.

// keyFormer holds the former passwords of an account, the latest first, as one-way hashes: ("hash", ...).
const keyFormer = "#FormerPasswords"

// maxHistory is the most former passwords that are kept: each is a memory-hard hash when the next one is chosen.
const maxHistory = 24

// history is how many former passwords the account may not have again.
func (a *Account) history() int { return min(max(a.settings.PasswordHistory, 0), maxHistory) }

// rejects says what is wrong with a password that a user has chosen, as fault.Invalid.
func (s *Store) rejects(ctx context.Context, a *Account, chosen string) error {
	const op = "accounts.SetPassword"
	bad := func(format string, args ...any) error { return fault.Newf(op, fault.Invalid, format, args...) }
	rules := &a.settings
	n := len([]rune(chosen))
	if n == 0 {
		return bad("the password is empty")
	}
	if n < rules.MinPasswordLength {
		return bad("the password is too short: %d characters are needed", rules.MinPasswordLength)
	}
	if lacks := password.Complexity(rules.PasswordComplexity).Lacks(chosen); lacks != "" {
		return bad("the password is too simple, it lacks: %s", lacks)
	}
	if bool(rules.RefuseCommonPasswords) {
		for _, name := range a.guessable() {
			if password.Resembles(chosen, name) {
				return bad("the password is made of the name of the account")
			}
		}
		if password.Common(chosen) {
			return bad("the password is one of those that are guessed first")
		}
	}
	return s.usedBefore(ctx, a, chosen)
}

// guessable are the names that a password of the account may not be made of.
func (a *Account) guessable() []string {
	label, _, _ := strings.Cut(a.Domain, ".")
	return append([]string{a.Address(), a.Name, a.Domain, label}, strings.Fields(a.settings.RealName)...)
}

// usedBefore refuses the present password and former ones.
func (s *Store) usedBefore(ctx context.Context, a *Account, chosen string) error {
	n := a.history()
	if n == 0 {
		return nil
	}
	prepared := password.Prepare(chosen)
	wait, cancel := s.logins.inTime(ctx)
	defer cancel()
	former := append([]string{a.settings.Password}, a.explicit.Strings(keyFormer)...)
	for _, stored := range former[:min(len(former), n+1)] {
		p, err := s.keys.Parse(stored)
		if err != nil || stored == "" {
			continue // nobody could log in with it
		}
		used := false
		if err := s.logins.hash(wait, func() { used, _ = p.Verify(prepared) }); err != nil {
			return err
		}
		if used {
			return fault.New("accounts.SetPassword", fault.Invalid, "the password was used before")
		}
	}
	return nil
}

// former returns what is stored of an account's former passwords once it has another one. What can be turned back into
// the password is hashed: a former password may be one that is used elsewhere.
func (s *Store) former(a *Account) (dataformat.Array, error) {
	n := a.history()
	if n == 0 {
		return nil, nil
	}
	list := slices.DeleteFunc(a.explicit.Strings(keyFormer), func(stored string) bool { return stored == "" })
	if r, ok := a.password.(password.Reversible); ok {
		plain, err := r.Reveal()
		if err == nil {
			plain, err = s.keys.New(plain, "")
		}
		if err != nil {
			return nil, fault.Wrap("accounts.SetPassword", fault.Internal, err)
		}
		list = slices.Insert(list, 0, plain)
	} else if a.password != nil {
		list = slices.Insert(list, 0, a.settings.Password)
	}
	var out dataformat.Array
	for _, stored := range list[:min(len(list), n)] {
		out = append(out, dataformat.String(stored))
	}
	return out, nil
}

// putFormer stores the former passwords beside a new one.
func putFormer(d dataformat.Dict, former dataformat.Array) {
	if delete(d, keyFormer); len(former) > 0 {
		d[keyFormer] = former
	}
}
