package admin

import (
	"context"
	"strconv"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/subscribers"
	"gatepost/server/dataformat"
	"gatepost/server/fault"
)

// This file has the calls about mailing lists. Their owner may make most of them.

// list finds a mailing list and its owner, of whom "own" in a rule speaks. If there is none, the operation itself
// reports that.
func list(n Name) finder {
	return func(o *operation) error {
		if err := object(n)(o); err != nil {
			return err
		}
		l, err := o.admin.acc.Lists().Get(o, o.domain, o.object)
		switch {
		case err == nil:
			o.listOwner = l.Settings().Owner
		case !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Corrupt):
			return err
		}
		return nil
	}
}

// theList returns the mailing list that the operation is about.
func (o *operation) theList() (*accounts.MailingList, error) {
	return o.admin.acc.Lists().Get(o, o.domain, o.object)
}

// Lists lists the names of a domain's mailing lists.
func (a Actor) Lists(ctx context.Context, name string) ([]string, error) {
	return look(ctx, a, "LISTLISTS", domain(name), func(o *operation) ([]string, error) {
		return o.admin.acc.Lists().Names(o, o.domain)
	})
}

// DomainLists returns the number of subscribers of each mailing list of a domain, -1 where it is not known.
func (a Actor) DomainLists(ctx context.Context, name string) (dataformat.Dict, error) {
	return look(ctx, a, "GETDOMAINLISTS", domain(name), func(o *operation) (dataformat.Dict, error) {
		names, err := o.admin.acc.Lists().Names(o, o.domain)
		if err != nil {
			return nil, err
		}
		out := make(dataformat.Dict, len(names))
		for _, name := range names {
			out[name] = dataformat.String("-1")
			if l, err := o.admin.acc.Lists().Get(o, o.domain, name); err == nil {
				out[name] = countOf(l)
			}
		}
		return out, nil
	})
}

// AccountLists returns the number of subscribers of each mailing list that an account owns.
func (a Actor) AccountLists(ctx context.Context, n Name) (dataformat.Dict, error) {
	return look(ctx, a, "GETACCOUNTLISTS", account(n), func(o *operation) (dataformat.Dict, error) {
		if _, err := o.admin.acc.Account(o, o.domain, o.object); err != nil {
			return nil, err
		}
		owned, err := o.admin.acc.Lists().OwnedBy(o, o.domain, o.object)
		out := make(dataformat.Dict, len(owned))
		for _, l := range owned {
			out[l.Name] = countOf(l)
		}
		return out, err
	})
}

func countOf(l *accounts.MailingList) dataformat.Value {
	c, err := l.Subscribers().Counts()
	if err != nil {
		return dataformat.String("-1")
	}
	return dataformat.String(strconv.Itoa(c.Subscribers()))
}

// CreateList makes a mailing list that belongs to an account of the same domain.
func (a Actor) CreateList(ctx context.Context, n Name, owner string, given dataformat.Dict) error {
	return do(ctx, a, "CREATELIST", object(n), func(o *operation) error {
		local, err := o.local(owner, "the owner must be an account of the domain of the list")
		if err != nil {
			return err
		}
		if err := o.admin.acc.Lists().Create(o, o.domain, o.object, local, given); err != nil {
			return err
		}
		o.new = withHidden(accounts.ListSettingNames(), given)
		o.tellKept(accounts.ListSettingNames(), given)
		return nil
	})
}

// RenameList gives a mailing list, and its archive, another name in its domain.
func (a Actor) RenameList(ctx context.Context, n Name, newName string) error {
	return do(ctx, a, "RENAMELIST", object(n), func(o *operation) error {
		local, err := o.local(newName, "a mailing list cannot move to another domain")
		if err != nil {
			return err
		}
		// Rights belong to names: a file may give some to one that nobody has yet.
		if err := o.covers(o.domain, local); err != nil {
			return err
		}
		o.old, o.new = dataformat.String(o.object), dataformat.String(local)
		return o.admin.acc.Lists().Rename(o, o.domain, o.object, local)
	})
}

// DeleteList removes a mailing list with its subscribers. Its archive stays with its owner.
func (a Actor) DeleteList(ctx context.Context, n Name) error {
	return do(ctx, a, "DELETELIST", object(n), func(o *operation) error {
		was, err := o.admin.acc.Lists().Settings(o, o.domain, o.object)
		if err != nil && !fault.Is(err, fault.Corrupt) {
			return err
		}
		o.old = withHidden(accounts.ListSettingNames(), was)
		return o.admin.acc.Lists().Delete(o, o.domain, o.object)
	})
}

// List returns the settings of a mailing list.
func (a Actor) List(ctx context.Context, n Name) (dataformat.Dict, error) {
	return look(ctx, a, "GETLIST", list(n), func(o *operation) (dataformat.Dict, error) {
		return o.admin.acc.Lists().Settings(o, o.domain, o.object)
	})
}

// UpdateList changes settings of a mailing list. Another owner is given by administrators only.
func (a Actor) UpdateList(ctx context.Context, n Name, given dataformat.Dict) error {
	return do(ctx, a, "UPDATELIST", list(n), func(o *operation) error {
		lists := o.admin.acc.Lists()
		l, err := o.theList()
		if err != nil {
			return err
		}
		given, err := accounts.ListSettingNames().Respell(given)
		if err != nil {
			return err
		}
		if owner, ok := dataformat.Text(given["Owner"]); ok && !strings.EqualFold(owner, l.Settings().Owner) && !rules["CREATELIST"].allows(o) {
			return denied()
		}
		read := func() (dataformat.Dict, error) { return lists.Settings(o, o.domain, o.object) }
		return o.settings(accounts.ListSettingNames(), given, read, func() error { return lists.Update(o, o.domain, o.object, given) })
	})
}

// ListSheet has the settings of a mailing list.
func (a Actor) ListSheet(ctx context.Context, n Name) (*Sheet, error) {
	return look(ctx, a, "GETLIST", list(n), func(o *operation) (*Sheet, error) {
		own, err := o.admin.acc.Lists().Settings(o, o.domain, o.object)
		if err != nil {
			return nil, err
		}
		s := moduleSheet(accounts.ListSettingNames(), own)
		for _, one := range s.Settings {
			if !rules["UPDATELIST"].allows(o) || one.Key == "Owner" && !rules["CREATELIST"].allows(o) {
				s.Fixed[one.Key] = true
			}
		}
		return s, nil
	})
}

// SubscriberCounts returns how many subscribers a mailing list has in each mode.
func (a Actor) SubscriberCounts(ctx context.Context, n Name) (subscribers.Counts, error) {
	return look(ctx, a, "READSUBSCRIBERS", list(n), func(o *operation) (subscribers.Counts, error) {
		l, err := o.theList()
		if err != nil {
			return subscribers.Counts{}, err
		}
		return l.Subscribers().Counts()
	})
}

// Subscribers returns up to limit subscribers of a mailing list in the order of their addresses, those behind after
// whose address or name has the text filter in it, in any case.
func (a Actor) Subscribers(ctx context.Context, n Name, filter, after string, limit int) (subscribers.Page, error) {
	return look(ctx, a, "LISTSUBSCRIBERS", list(n), func(o *operation) (subscribers.Page, error) {
		l, err := o.theList()
		if err != nil {
			return subscribers.Page{}, err
		}
		filter = strings.ToLower(filter)
		return l.Subscribers().Page(o, after, limit, func(s *subscribers.Subscriber) bool {
			return filter == "" || strings.Contains(strings.ToLower(s.Address), filter) || strings.Contains(strings.ToLower(s.RealName), filter)
		})
	})
}

// Subscriber returns what is known of a subscriber; the Mode of one that is not known is None.
func (a Actor) Subscriber(ctx context.Context, n Name, address string) (subscribers.Subscriber, error) {
	return look(ctx, a, "GETSUBSCRIBERINFO", list(n), func(o *operation) (subscribers.Subscriber, error) {
		l, err := o.theList()
		if err != nil {
			return subscribers.Subscriber{}, err
		}
		return l.Subscribers().Get(address)
	})
}

// SetPostingMode says how many postings of a subscriber are still to be approved; see subscribers.Subscriber.
func (a Actor) SetPostingMode(ctx context.Context, n Name, address string, moderated int) error {
	return do(ctx, a, "SETPOSTINGMODE", list(n), func(o *operation) error {
		l, err := o.theList()
		if err != nil {
			return err
		}
		if moderated < 0 || moderated > subscribers.Special {
			return fault.Newf("admin.SetPostingMode", fault.Invalid, "%d is no number of postings", moderated)
		}
		o.new = dataformat.String(address + " " + strconv.Itoa(moderated))
		return l.Subscribers().Change(o, address, func(s *subscribers.Subscriber) error {
			if s.Mode == subscribers.None {
				return unknownSubscriber(address)
			}
			s.Moderated = moderated
			return nil
		})
	})
}

func unknownSubscriber(address string) error {
	return fault.Newf("admin.Subscriber", fault.NotFound, "%s is not a subscriber", address)
}

// ChangeSubscription subscribes an address in a mode, or ends its subscription (unsubscribe). The subscriber may be written with
// a name: Name <address>. silently sends no word about it; confirm asks the address first.
func (a Actor) ChangeSubscription(ctx context.Context, n Name, what, subscriber string, silently, confirm bool) error {
	return do(ctx, a, "LIST", list(n), func(o *operation) error {
		l, err := o.theList()
		if err != nil {
			return err
		}
		o.new = dataformat.String(strings.ToLower(what) + " " + subscriber)
		return o.admin.server.ChangeSubscription(o, l, what, subscriber, silently, confirm)
	})
}

// ProcessBounce takes note that mail to a subscriber came back; fatal says that the address does not exist.
func (a Actor) ProcessBounce(ctx context.Context, n Name, address string, fatal bool) error {
	return do(ctx, a, "PROCESSBOUNCE", list(n), func(o *operation) error {
		l, err := o.theList()
		if err != nil {
			return err
		}
		s, err := l.Subscribers().Get(address)
		if err != nil {
			return err
		}
		if s.Mode == subscribers.None {
			return unknownSubscriber(address)
		}
		o.new = dataformat.String(address)
		return o.admin.server.ProcessBounce(o, l, address, fatal)
	})
}
