package admin

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

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

// MayList reports whether the actor may make a call about a mailing list. It writes no record.
func (a Actor) MayList(ctx context.Context, call string, n Name) bool {
	r, known := rules[call]
	o := &operation{Actor: a, Context: ctx, call: call, rule: r}
	return known && o.authorize(list(n)) == nil
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

// SubscriberFilter says which subscribers are listed. The zero value wants all.
type SubscriberFilter struct {
	Text   string           // in the address or the name, in any case
	Mode   subscribers.Mode // None: any
	Paused bool             // those who get nothing after bounces
}

func (f SubscriberFilter) wants(s *subscribers.Subscriber) bool {
	return (f.Mode == subscribers.None || s.Mode == f.Mode) && (!f.Paused || s.Paused(time.Now())) &&
		(f.Text == "" || strings.Contains(strings.ToLower(s.Address), f.Text) || strings.Contains(strings.ToLower(s.RealName), f.Text))
}

// Subscribers returns up to limit subscribers of a mailing list in the order of their addresses, those behind after
// that the filter wants. Their secrets, with which one acts in their name, are left out.
func (a Actor) Subscribers(ctx context.Context, n Name, f SubscriberFilter, after string, limit int) (subscribers.Page, error) {
	return look(ctx, a, "LISTSUBSCRIBERS", list(n), func(o *operation) (subscribers.Page, error) {
		l, err := o.theList()
		if err != nil {
			return subscribers.Page{}, err
		}
		f.Text = strings.ToLower(f.Text)
		p, err := l.Subscribers().Page(o, after, limit, f.wants)
		for i := range p.Subscribers {
			p.Subscribers[i].Secret = ""
		}
		return p, err
	})
}

// Subscriber returns what is known of a subscriber but the secret; the Mode of one that is not known is None.
func (a Actor) Subscriber(ctx context.Context, n Name, address string) (subscribers.Subscriber, error) {
	return look(ctx, a, "GETSUBSCRIBERINFO", list(n), func(o *operation) (subscribers.Subscriber, error) {
		l, err := o.theList()
		if err != nil {
			return subscribers.Subscriber{}, err
		}
		s, err := l.Subscribers().Get(address)
		s.Secret = ""
		return s, err
	})
}

// SetPostingMode says how many postings of subscribers are still to be approved; see subscribers.Subscriber. It is done for all of
// them or, with an error, for none; subscribers.MaxChange at most.
func (a Actor) SetPostingMode(ctx context.Context, n Name, addresses []string, moderated int) error {
	return do(ctx, a, "SETPOSTINGMODE", list(n), func(o *operation) error {
		l, err := o.theList()
		if err != nil {
			return err
		}
		if moderated < 0 || moderated > subscribers.Special {
			return fault.Newf("admin.SetPostingMode", fault.Invalid, "%d is no number of postings", moderated)
		}
		o.new = dataformat.String(strings.Join(addresses, " ") + " " + strconv.Itoa(moderated))
		return l.Subscribers().ChangeAll(o, addresses, func(s *subscribers.Subscriber) error {
			if s.Mode == subscribers.None {
				return unknownSubscriber(s.Address)
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

// ChangeSubscriptions gives addresses the modes and names that all has; the mode None ends a subscription. The
// error of each is at its index.
func (a Actor) ChangeSubscriptions(ctx context.Context, n Name, all []subscribers.Subscriber, how subscribers.How) (failed []error, err error) {
	err = do(ctx, a, "CHANGESUBSCRIPTIONS", list(n), func(o *operation) error {
		l, err := o.theList()
		if err != nil {
			return err
		}
		o.new = dataformat.String(changesText(all))
		failed, err = o.admin.server.ChangeSubscriptions(o, l, all, how)
		return err
	})
	return failed, err
}

// changesText is what the record says of many subscribers: how many get a mode, and who, if they are few.
func changesText(all []subscribers.Subscriber) string {
	var modes, few []string
	number := map[subscribers.Mode]int{}
	for i := range all {
		number[all[i].Mode]++
		if len(all) <= 20 {
			few = append(few, all[i].Address)
		}
	}
	for m := subscribers.None; m <= subscribers.Banned; m++ {
		if number[m] > 0 {
			modes = append(modes, m.String()+" "+strconv.Itoa(number[m]))
		}
	}
	return strings.Join(append(modes, few...), " ")
}

// Waiting is a posting or a subscription that waits for the owner of a mailing list.
type Waiting struct {
	Token string
	// Posting says that it is a posting; else Author asks for a subscription with Mode.
	Posting                   bool
	Author, RealName, Subject string
	Mode                      subscribers.Mode
	Since                     time.Time
}

// Waiting lists what waits for the owner of a mailing list, the oldest first, limit at most.
func (a Actor) Waiting(ctx context.Context, n Name, limit int) ([]Waiting, error) {
	return look(ctx, a, "LISTWAITING", list(n), func(o *operation) ([]Waiting, error) {
		l, err := o.theList()
		if err != nil {
			return nil, err
		}
		postings, subscriptions, err := o.admin.server.Waiting(o, l, limit)
		var out []Waiting
		for _, q := range postings {
			out = append(out, Waiting{Token: q.Token, Posting: true, Author: q.Address, RealName: q.RealName, Subject: q.Value, Since: q.Asked})
		}
		for _, q := range subscriptions {
			out = append(out, Waiting{Token: q.Token, Author: q.Address, RealName: q.RealName, Mode: q.Mode, Since: q.Asked})
		}
		return out, err
	})
}

// OpenWaiting opens a posting that waits for the owner of a mailing list. The caller closes it. Errors: NotFound.
func (a Actor) OpenWaiting(ctx context.Context, n Name, token string) (io.ReadCloser, error) {
	return look(ctx, a, "READWAITING", list(n), func(o *operation) (io.ReadCloser, error) {
		l, err := o.theList()
		if err != nil {
			return nil, err
		}
		return o.admin.server.OpenWaiting(o, l, token)
	})
}

// Approve lets what waits for the owner of a mailing list pass: the posting is sent, the address subscribed. Errors: NotFound.
func (a Actor) Approve(ctx context.Context, n Name, token string) error {
	return do(ctx, a, "APPROVEWAITING", list(n), func(o *operation) error {
		l, err := o.theList()
		if err != nil {
			return err
		}
		return o.admin.server.Approve(o, l, token)
	})
}

// Reject refuses what waits for the owner of a mailing list; who sent it is told the reason. Errors: NotFound.
func (a Actor) Reject(ctx context.Context, n Name, token, reason string) error {
	return do(ctx, a, "REJECTWAITING", list(n), func(o *operation) error {
		l, err := o.theList()
		if err != nil {
			return err
		}
		o.new = dataformat.String(reason)
		return o.admin.server.Reject(o, l, token, reason)
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
