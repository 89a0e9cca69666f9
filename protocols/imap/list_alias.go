package imap

import (
	"maps"
	"slices"
	"strings"

	"gatepost/accounts/access"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// Mailbox aliases of the account are listed like mailboxes, so that programs that know no other accounts show what others share. Those that lead
// nowhere, or to what may not be looked up, are not. An alias is subscribed like any name.

// withAliases returns names with those that mailbox aliases give to mailboxes of others.
func (l *listing) withAliases(names []listed) ([]listed, error) {
	account, err := l.srv.acc.Current(l.ctx, l.account)
	if err != nil {
		return nil, err
	}
	aliases := account.MailboxAliases()
	if len(aliases) == 0 {
		return names, nil
	}
	list, err := l.mail.Subscriptions(l.ctx)
	if err != nil {
		return nil, err
	}
	subscribed := make(map[string]bool, len(list))
	for _, name := range list {
		subscribed[name] = true
	}
	at := make(map[string]int, len(names))
	for i := range names {
		at[names[i].Name] = i
	}
	add := func(n listed) {
		n.Subscribed = subscribed[n.Name]
		i, there := at[n.Name]
		switch {
		case !there:
			at[n.Name] = len(names)
			names = append(names, n)
		case names[i].missing: // it is subscribed
			names[i] = n
		default:
			return // a mailbox comes before an alias
		}
		for up := parentName(n.Name); up != ""; up = parentName(up) {
			if i, there := at[up]; there {
				names[i].hasChildren = true
				continue
			}
			at[up] = len(names)
			names = append(names, listed{Info: mailbox.Info{Name: up}, hasChildren: true})
		}
	}
	of := map[uint64][]listed{} // by account
	for _, alias := range slices.Sorted(maps.Keys(aliases)) {
		if err := l.ctx.Err(); err != nil {
			return nil, fault.Wrap("imap.List", fault.Canceled, err)
		}
		prefix, target := access.SplitName(aliases[alias])
		owner, err := l.srv.access.Owner(l.ctx, l.account, prefix)
		if fault.Is(err, fault.NoMailbox) {
			continue
		}
		if err != nil {
			return nil, err
		}
		owner.Prefix = "" // names of the account itself
		theirs, known := of[owner.Account.ID]
		if !known {
			if theirs, err = l.names(&owner); err != nil && !fault.Is(err, fault.NoMailbox) {
				return nil, err
			}
			of[owner.Account.ID] = theirs
		}
		for _, n := range theirs {
			if rest, ok := strings.CutPrefix(n.Name, target); ok && (rest == "" || rest[0] == '/') {
				n.Name, n.uses = alias+rest, nil
				add(n)
			}
		}
	}
	return names, nil
}
