package accounts

import (
	"context"
	"strings"

	"gatepost/accounts/mailbox"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// A mailbox alias is a name among the mailboxes of an account that stands for a mailbox of another account: with group1 = ~postmaster/group1,
// programs that know nothing of other accounts use group1. Package access follows it; the rights are those to the other mailbox.

const (
	keyMailboxAliases = "#MailboxAliases"

	maxMailboxAliases = 200
)

// MailboxAliases returns the account's mailbox aliases with what they stand for.
func (a *Account) MailboxAliases() map[string]string {
	all := nested(a.explicit, keyMailboxAliases)
	if len(all) == 0 {
		return nil
	}
	out := make(map[string]string, len(all))
	for alias, v := range all {
		if target, ok := dataformat.Text(v); ok {
			out[alias] = target
		}
	}
	return out
}

// AliasedMailbox returns what a name stands for that is a mailbox alias, or that lies below one: of group1/x with the alias above it is
// ~postmaster/group1/x.
func (a *Account) AliasedMailbox(name string) (target string, ok bool) {
	all := nested(a.explicit, keyMailboxAliases)
	if len(all) == 0 {
		return "", false
	}
	for up := name; up != ""; up = up[:max(0, strings.LastIndexByte(up, '/'))] {
		if target, ok := dataformat.Text(all[up]); ok {
			return target + name[len(up):], true
		}
	}
	return "", false
}

// SetMailboxAliases replaces the mailbox aliases of an account. Errors: NoDomain, NotFound; Invalid (a name that no mailbox can have, a
// target that is not of the form ~account/Box); Exists (a mailbox has the name of an alias); TooMany.
func (s *Store) SetMailboxAliases(ctx context.Context, domain, name string, aliases dataformat.Dict) error {
	const op = "accounts.SetMailboxAliases"
	a, err := s.Account(ctx, domain, name)
	if err != nil {
		return err
	}
	if len(aliases) > maxMailboxAliases {
		return fault.Newf(op, fault.TooMany, "an account has %d mailbox aliases at most", maxMailboxAliases)
	}
	kept := make(dataformat.Dict, len(aliases))
	for alias, v := range aliases {
		clean, err := mailbox.CleanName(alias)
		if err != nil || clean == "INBOX" || strings.HasPrefix(clean, "INBOX/") {
			return fault.Newf(op, fault.Invalid, "%q cannot be the name of a mailbox alias", alias)
		}
		target, _ := dataformat.Text(v)
		if !foreignName(target) {
			return fault.Newf(op, fault.Invalid, "%s: a name like ~account/Mailbox is expected", alias)
		}
		switch _, err := a.mail.Status(ctx, clean); {
		case err == nil:
			return fault.Newf(op, fault.Exists, "there is a mailbox %s", clean)
		case !fault.Is(err, fault.NoMailbox):
			return err
		}
		kept[clean] = dataformat.String(target)
	}
	return s.editAccount(op, a, func(d dataformat.Dict) error {
		if d[keyMailboxAliases] = kept; len(kept) == 0 {
			delete(d, keyMailboxAliases)
		}
		return nil
	})
}

// foreignName reports whether a name is of the form ~account/Box.
func foreignName(name string) bool {
	account, box, _ := strings.Cut(name, "/")
	clean, err := mailbox.CleanName(box)
	return len(account) > 1 && len(account) <= 512 && account[0] == '~' && !strings.ContainsFunc(account, func(r rune) bool { return r <= ' ' || r == 0x7f }) &&
		err == nil && clean == box
}
