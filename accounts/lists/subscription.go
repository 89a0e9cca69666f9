package lists

import (
	"context"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/subscribers"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

// This file has how people subscribe, change their mode and leave.

// Request is what somebody wants of a list.
type Request struct {
	Address, RealName string
	// Mode is what is wished for; None is the mode that the list gives to new subscribers.
	Mode subscribers.Mode
	// Proven says that the request is known to come from the reader of the address, who need not confirm it.
	Proven bool
}

// Outcome is what has become of a request that was not refused.
type Outcome uint8

// The outcomes.
const (
	Done      Outcome = iota // it is carried out
	Unchanged                // it was so before
	Asked                    // a question was sent to the address, or was sent before
	Waits                    // for the owner
)

func (o Outcome) String() string {
	return [...]string{"done", "unchanged", "waits for confirmation", "waits for the owner"}[o]
}

// checkAddress returns the normal form of a subscriber's address, and its route if it can be found now.
func (m *Manager) checkAddress(ctx context.Context, l *accounts.MailingList, text string) (address.Address, *router.Route, error) {
	const op = "lists.Address"
	a, err := address.Parse(text)
	switch {
	case err != nil:
		return a, nil, fault.Newf(op, fault.Invalid, "%q is not a mail address", text)
	case a.Domain == "" || a.Local == "":
		return a, nil, fault.Newf(op, fault.Invalid, "%q has no domain", text)
	case ownAddress(l, a):
		return a, nil, fault.New(op, fault.Invalid, "a list cannot be subscribed to itself")
	}
	r, err := m.o.Router.Route(ctx, names.Mail, a)
	switch kind := fault.KindOf(err); {
	case err != nil && (kind.Temporary() || ctx.Err() != nil):
		return a, nil, err
	case err != nil:
		return a, nil, fault.Newf(op, fault.Invalid, "no mail can be sent to %s: %s", a, fault.Text(err))
	case r.All:
		return a, nil, fault.New(op, fault.Denied, "the address of all accounts cannot be subscribed")
	case r.Module == router.PIPE && r.Direct:
		return a, nil, fault.New(op, fault.Denied, "programs cannot be subscribed, unless a record of the Router Table leads to them")
	case r.Module == router.LIST && r.Name == l.Name && r.Domain == l.Domain:
		return a, nil, fault.New(op, fault.Invalid, "a list cannot be subscribed to itself")
	}
	return a, &r, nil
}

// SendLink sends a subscriber the link to the page of his options, once an hour however often somebody asks in his name. Errors: NotFound if
// nobody is subscribed with the address, or there are no pages.
func (m *Manager) SendLink(ctx context.Context, l *accounts.MailingList, to string) error {
	s, err := l.Subscribers().Get(to)
	if err != nil {
		return err
	}
	if s.Mode == subscribers.None || s.Mode == subscribers.Banned || m.page(l, "/") == "" {
		return notSubscribed(to)
	}
	now := time.Now()
	_, again, err := l.Subscribers().Ask(ctx, subscribers.Question{Address: s.Address, Kind: kindLink, Expire: now.Add(linkAgain)}, now)
	if err != nil || again {
		return err
	}
	return m.notify(ctx, l, notice{to: s.Address, text: textLink, secret: s.Secret})
}

// archived refuses modes that need an archive which the list does not have.
func archived(l *accounts.MailingList, mode subscribers.Mode) error {
	if (mode == subscribers.Digest || mode == subscribers.Index) && !bool(l.Settings().Store) {
		return fault.Newf("lists.Subscribe", fault.Invalid, "the list has no archive, and so no mode %s", mode)
	}
	return nil
}

// Subscribe subscribes an address, or changes the mode of a subscriber. What is not proven is asked for, if the list wants
// confirmation. Errors: Invalid, Denied, and temporary ones.
func (m *Manager) Subscribe(ctx context.Context, l *accounts.MailingList, r Request) (Outcome, error) {
	const op = "lists.Subscribe"
	set := l.Settings()
	a, route, err := m.checkAddress(ctx, l, r.Address)
	if err != nil {
		return 0, err
	}
	r.Address = a.String()
	if r.Mode == subscribers.None {
		r.Mode, _ = subscribers.ParseMode(set.Distribution)
	}
	if err := archived(l, r.Mode); err != nil {
		return 0, err
	}
	s, err := l.Subscribers().Get(r.Address)
	switch {
	case err != nil:
		return 0, err
	case s.Mode == subscribers.Banned:
		return 0, fault.New(op, fault.Denied, "the owner of the list does not want this address to be subscribed")
	case s.Mode == r.Mode && !s.Paused(time.Now()):
		return Unchanged, nil
	case s.Mode == subscribers.None && set.Subscribe == accounts.SubscribeNobody:
		return 0, fault.New(op, fault.Denied, "only the owner of the list subscribes people to it")
	case s.Mode == subscribers.None && set.Subscribe == accounts.SubscribeThisDomain && (route.Module != router.LOCAL || route.Domain != l.Domain):
		return 0, fault.Newf(op, fault.Denied, "only accounts of %s may subscribe", l.Domain)
	case s.Mode == subscribers.None && set.Subscribe == accounts.SubscribeLocals && route.Module != router.LOCAL:
		return 0, fault.New(op, fault.Denied, "only accounts of this server may subscribe")
	}
	if bool(set.Confirmation) && !r.Proven {
		return m.ask(ctx, l, subscribers.Question{Address: r.Address, RealName: r.RealName, Mode: r.Mode, Kind: KindSubscribe, Stranger: s.Mode == subscribers.None})
	}
	return m.admit(ctx, l, r)
}

// admit subscribes an address that wants it, or asks the owner.
func (m *Manager) admit(ctx context.Context, l *accounts.MailingList, r Request) (Outcome, error) {
	s, err := l.Subscribers().Get(r.Address)
	if err != nil {
		return 0, err
	}
	if l.Settings().Subscribe != accounts.SubscribeModerated || s.Mode != subscribers.None {
		return m.set(ctx, l, r, false)
	}
	now := time.Now()
	q, again, err := l.Subscribers().Ask(ctx, subscribers.Question{Address: r.Address, RealName: r.RealName, Mode: r.Mode, Kind: KindAdmit, Expire: now.Add(askOwner), Stranger: !r.Proven}, now)
	if err != nil || again {
		return Waits, err
	}
	return Waits, m.notify(ctx, l, notice{to: m.owner(l).String(), text: textAdmit, token: q.Token, mode: q.Mode, name: q.RealName, about: q.Address, approval: true})
}

// set gives an address a mode; that of a new subscriber is welcomed, unless it is silent.
func (m *Manager) set(ctx context.Context, l *accounts.MailingList, r Request, silent bool) (Outcome, error) {
	const op = "lists.SetMode"
	set := l.Settings()
	var before subscribers.Mode
	err := l.Subscribers().Change(ctx, r.Address, func(s *subscribers.Subscriber) error {
		if before = s.Mode; before == subscribers.Banned && !silent {
			return fault.New(op, fault.Denied, "the owner of the list does not want this address to be subscribed")
		}
		apply(s, &r, set.FirstModerated)
		return nil
	})
	if err != nil {
		return 0, err
	}
	m.logAbout(ctx, l, "mode of a subscriber: "+r.Mode.String(), r.Address)
	if before == r.Mode {
		return Unchanged, nil
	}
	if r.Mode == subscribers.Digest || r.Mode == subscribers.Index {
		m.touch(l) // the first digest may have become due
	}
	if before != subscribers.None || silent || r.Mode == subscribers.Banned {
		return Done, nil
	}
	s, err := l.Subscribers().Get(r.Address)
	if err != nil {
		return Done, err
	}
	return Done, m.notify(ctx, l, notice{to: r.Address, text: textPolicy, mode: r.Mode, name: s.RealName, secret: s.Secret})
}

// apply gives a subscriber the mode and the name of a request. Of a new one the first postings are moderated.
func apply(s *subscribers.Subscriber, r *Request, moderated int) {
	if s.Mode == subscribers.None {
		*s = subscribers.Subscriber{Address: r.Address, Since: time.Now().UTC(), Moderated: moderated}
	}
	s.Mode = r.Mode
	if r.RealName != "" {
		s.RealName = oneLine(r.RealName)
	}
	if r.Mode != subscribers.Banned {
		s.PausedUntil, s.Warned, s.Bounces = time.Time{}, time.Time{}, 0
	}
}

// SetMode changes the mode of a subscriber, who is known by a secret; None ends the subscription. Errors: NotFound, Invalid, Denied.
func (m *Manager) SetMode(ctx context.Context, l *accounts.MailingList, secret string, mode subscribers.Mode) (Outcome, error) {
	const op = "lists.SetMode"
	s, err := l.Subscribers().BySecret(secret)
	switch {
	case err != nil:
		return 0, err
	case s.Mode == subscribers.None:
		return 0, fault.New(op, fault.NotFound, "nobody is subscribed with this link; perhaps the subscription has ended already")
	case s.Mode == subscribers.Banned || mode == subscribers.Banned:
		return 0, fault.New(op, fault.Denied, "only the owner of the list may do that")
	case mode == subscribers.None:
		return m.remove(ctx, l, s.Address, false)
	}
	if err := archived(l, mode); err != nil {
		return 0, err
	}
	return m.set(ctx, l, Request{Address: s.Address, Mode: mode}, false)
}

// SetName changes the name of a subscriber, who is known by a secret; "" removes it. Errors: NotFound.
func (m *Manager) SetName(ctx context.Context, l *accounts.MailingList, secret, name string) error {
	s, err := l.Subscribers().BySecret(secret)
	if err != nil {
		return err
	}
	if name = oneLine(name); s.RealName == name && s.Mode != subscribers.None {
		return nil
	}
	return l.Subscribers().Change(ctx, s.Address, func(s *subscribers.Subscriber) error {
		if s.Mode == subscribers.None {
			return fault.New("lists.SetName", fault.NotFound, "nobody is subscribed with this link; perhaps the subscription has ended already")
		}
		s.RealName = name
		return nil
	})
}

// Unsubscribe ends a subscription. What is not proven is asked for, if the list wants confirmation. Errors: NotFound.
func (m *Manager) Unsubscribe(ctx context.Context, l *accounts.MailingList, r Request) (Outcome, error) {
	s, err := l.Subscribers().Get(r.Address)
	if err != nil {
		return 0, err
	}
	if s.Mode == subscribers.None || s.Mode == subscribers.Banned {
		return 0, notSubscribed(r.Address)
	}
	if bool(l.Settings().Confirmation) && !r.Proven {
		return m.ask(ctx, l, subscribers.Question{Address: s.Address, RealName: s.RealName, Kind: KindLeave})
	}
	return m.remove(ctx, l, s.Address, false)
}

func notSubscribed(address string) error {
	return fault.Newf("lists.Unsubscribe", fault.NotFound, "%s is not a subscriber of the list", oneLine(address))
}

// remove ends a subscription at once.
func (m *Manager) remove(ctx context.Context, l *accounts.MailingList, address string, silent bool) (Outcome, error) {
	var was subscribers.Subscriber
	err := l.Subscribers().Change(ctx, address, func(s *subscribers.Subscriber) error {
		was = *s
		s.Mode = subscribers.None
		return nil
	})
	if err != nil || was.Mode == subscribers.None {
		return Unchanged, err
	}
	m.logAbout(ctx, l, "a subscription has ended", address)
	if silent || was.Mode == subscribers.Banned {
		return Done, nil
	}
	return Done, m.notify(ctx, l, notice{to: was.Address, text: textBye, name: was.RealName})
}
