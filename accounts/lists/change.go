package lists

import (
	"cmp"
	"context"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/subscribers"
	"gatepost/server/fault"
)

// This file has what administrators and owners do with subscribers.

// Change is what an administrator or the owner does with an address: any mode, None to end the subscription. confirm has the
// address asked first; silently sends it no word. Errors: Invalid, Denied, NotFound.
func (m *Manager) Change(ctx context.Context, l *accounts.MailingList, r Request, silently, confirm bool) (Outcome, error) {
	if r.Mode == subscribers.None {
		s, err := l.Subscribers().Get(r.Address)
		if err != nil {
			return 0, err
		}
		if s.Mode == subscribers.None {
			return 0, notSubscribed(r.Address)
		}
		if confirm && s.Mode != subscribers.Banned {
			return m.ask(ctx, l, subscribers.Question{Address: s.Address, RealName: s.RealName, Kind: KindLeave})
		}
		return m.remove(ctx, l, s.Address, silently)
	}
	r, err := m.wanted(ctx, l, r)
	if err != nil {
		return 0, err
	}
	if confirm && r.Mode != subscribers.Banned {
		return m.ask(ctx, l, subscribers.Question{Address: r.Address, RealName: r.RealName, Mode: r.Mode, Kind: KindSubscribe})
	}
	s, err := l.Subscribers().Get(r.Address)
	if err != nil {
		return 0, err
	}
	outcome, err := m.set(ctx, l, r, true)
	if err != nil || silently || s.Mode != subscribers.None || r.Mode == subscribers.Banned {
		return outcome, err
	}
	if s, err = l.Subscribers().Get(r.Address); err != nil {
		return outcome, err
	}
	return outcome, m.notify(ctx, l, notice{to: r.Address, text: textPolicy, mode: r.Mode, name: s.RealName, secret: s.Secret})
}

// wanted checks a request for a mode, and gives its address the normal form.
func (m *Manager) wanted(ctx context.Context, l *accounts.MailingList, r Request) (Request, error) {
	a, _, err := m.checkAddress(ctx, l, r.Address)
	if err != nil && r.Mode != subscribers.Banned { // whoever is banned need not be reachable
		return r, err
	}
	if !a.IsNull() {
		r.Address = a.String()
	}
	return r, archived(l, r.Mode)
}

// Operate carries out an operation as the command line names it: subscribe, unsubscribe or a mode. The subscriber may be written
// with a name: Name <address>. See Change.
func (m *Manager) Operate(ctx context.Context, l *accounts.MailingList, operation, subscriber string, silently, confirm bool) error {
	const op = "lists.Operate"
	var mode subscribers.Mode
	switch {
	case strings.EqualFold(operation, "subscribe"):
		mode, _ = subscribers.ParseMode(l.Settings().Distribution)
	default:
		var ok bool
		if mode, ok = subscribers.ParseMode(operation); !ok {
			return fault.Newf(op, fault.Invalid, "%q is no operation on a subscriber", operation)
		}
	}
	name, addr := subscribers.SplitName(subscriber)
	if addr == "" {
		return fault.New(op, fault.Invalid, "the address of the subscriber is missing")
	}
	_, err := m.Change(ctx, l, Request{Address: addr, RealName: name, Mode: mode}, silently, confirm)
	return err
}

// maxBatch bounds the subscribers of one commit of ChangeAll.
const maxBatch = 500

// ChangeAll is Change with many addresses. The error of each is at its index, nil where all went well. Those that get a mode silently and
// without confirmation are committed together, many at a time. An error beside them ends it: what is done until then stays done.
func (m *Manager) ChangeAll(ctx context.Context, l *accounts.MailingList, all []Request, how subscribers.How) ([]error, error) {
	failed := make([]error, len(all))
	var batch []int
	for i := range all {
		if err := ctx.Err(); err != nil {
			return failed, fault.Wrap("lists.ChangeAll", fault.Canceled, err)
		}
		if !how.Silently || how.Confirm || all[i].Mode == subscribers.None {
			failed[i] = m.changeOne(ctx, l, all[i], how)
			continue
		}
		r, err := m.wanted(ctx, l, all[i])
		if err != nil {
			failed[i] = err
			continue
		}
		all[i] = r
		if batch = append(batch, i); len(batch) == maxBatch {
			if err := m.setAll(ctx, l, all, batch, failed, how); err != nil {
				return failed, err
			}
			batch = batch[:0]
		}
	}
	if len(batch) == 0 {
		return failed, nil
	}
	return failed, m.setAll(ctx, l, all, batch, failed, how)
}

func (m *Manager) changeOne(ctx context.Context, l *accounts.MailingList, r Request, how subscribers.How) error {
	if how.NewOnly {
		if s, err := l.Subscribers().Get(r.Address); err != nil || s.Mode != subscribers.None {
			return cmp.Or(err, known(&s))
		}
	}
	_, err := m.Change(ctx, l, r, how.Silently, how.Confirm)
	return err
}

func known(s *subscribers.Subscriber) error {
	return fault.Newf("lists.ChangeAll", fault.Exists, "%s is known already: %s", s.Address, s.Mode)
}

// setAll gives a batch of addresses their modes in one commit. Of an address that comes twice the last request holds.
func (m *Manager) setAll(ctx context.Context, l *accounts.MailingList, all []Request, batch []int, failed []error, how subscribers.How) error {
	addresses := make([]string, len(batch))
	by := make(map[string]int, len(batch))
	for i, n := range batch {
		addresses[i] = all[n].Address
		by[strings.ToLower(all[n].Address)] = n
	}
	first := l.Settings().FirstModerated
	err := l.Subscribers().ChangeAll(ctx, addresses, func(s *subscribers.Subscriber) error {
		n := by[strings.ToLower(s.Address)]
		if failed[n] = nil; how.NewOnly && s.Mode != subscribers.None {
			failed[n] = known(s)
			return nil
		}
		apply(s, &all[n], first)
		return nil
	})
	if err != nil {
		return err
	}
	m.touch(l)
	for _, n := range batch {
		if failed[n] == nil {
			m.logAbout(ctx, l, "mode of a subscriber: "+all[n].Mode.String(), all[n].Address)
		}
	}
	return nil
}
