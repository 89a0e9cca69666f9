package dav

import (
	"maps"
	"slices"

	"gatepost/accounts"
	"gatepost/accounts/access"
	"gatepost/server/fault"
)

// A user finds the calendars and address books of others as further homes (RFC 4791 section 6.2.1, RFC 6352 section 7.1.1): those of the accounts
// that the mailbox aliases of the user name, if they show something. The user's own home is the first, for programs that look at one alone.

// maxAliasedHomes bounds how many accounts are looked at for one answer.
const maxAliasedHomes = 50

func foreignHome(rl realm, a *accounts.Account) string {
	return hrefOf(roots[rl], "~"+a.Address()) + "/"
}

// aliasedHomes returns the owners of the homes that mailbox aliases of the user lead to.
func (e *exchange) aliasedHomes(rl realm) (owners []*accounts.Account, err error) {
	prefixes := map[string]bool{}
	for _, target := range e.q.Account.MailboxAliases() {
		prefix, _ := access.SplitName(target)
		prefixes[prefix] = true
	}
	seen := map[uint64]bool{}
	for i, prefix := range slices.Sorted(maps.Keys(prefixes)) {
		if i == maxAliasedHomes {
			break
		}
		o, err := e.s.store.Owner(e.r.Context(), e.q.Account, prefix)
		if fault.Is(err, fault.NoMailbox) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !o.Foreign() || seen[o.Account.ID] {
			continue
		}
		seen[o.Account.ID] = true
		shown, err := e.s.store.Collections(e.r.Context(), e.q.Account, o, kindsOf(rl)...)
		if fault.Is(err, fault.NoMailbox) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		if len(shown) > 0 {
			owners = append(owners, o.Account)
		}
	}
	return owners, nil
}
