package groupware

import (
	"context"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
)

// mostAddresses bounds the addresses of an account that clients are told.
const mostAddresses = 200

// AccountNames lists the names of the accounts of a domain, sorted. Errors: NoDomain.
func (s *Store) AccountNames(ctx context.Context, domain string) ([]string, error) {
	return s.accounts.Accounts(ctx, domain)
}

// Account returns an account. Errors: NoDomain, NotFound.
func (s *Store) Account(ctx context.Context, domain, name string) (*accounts.Account, error) {
	return s.accounts.Account(ctx, domain, name)
}

// Addresses returns the addresses under which an account gets mail: its own first, then those of its aliases, then the same under
// the other names of its domain. Errors: NotFound, NoDomain.
func (s *Store) Addresses(ctx context.Context, a *accounts.Account) ([]string, error) {
	aliases, err := s.accounts.AccountAliases(ctx, a.Domain, a.Name)
	if err != nil {
		return nil, err
	}
	others, err := s.accounts.DomainAliases(a.Domain)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, domain := range append([]string{a.Domain}, others...) {
		for _, name := range append([]string{a.Name}, aliases...) {
			if len(list) == mostAddresses {
				return list, nil
			}
			list = append(list, name+"@"+domain)
		}
	}
	return list, nil
}

// ACL returns who else may do what with the collection. Errors: Denied without the right to administer it, NoMailbox.
func (c *Collection) ACL(ctx context.Context) (mailbox.ACL, error) {
	if err := c.require(access.Administer); err != nil {
		return nil, err
	}
	return c.Owner.Mail().ACL(ctx, c.Name)
}

// ChangeACL replaces the ACL by what change makes of it, see mailbox.Account.ChangeACL. Errors: those, and Denied without the right to administer.
func (c *Collection) ChangeACL(ctx context.Context, change func(mailbox.ACL) (mailbox.ACL, error)) error {
	if err := c.requireNow(ctx, access.Administer); err != nil {
		return err
	}
	return c.Owner.Mail().ChangeACL(ctx, c.Name, change)
}
