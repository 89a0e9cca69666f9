package queue

import (
	"context"
	"slices"
	"strings"

	"gatepost/queue/envelope"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
)

// Mail to all@domain is expanded when it arrives: Begin puts the addresses of
// the accounts into the envelope before the file is written. So all copies are
// one message with one queue ID, and an account that has it after a crash knows
// it again. The recipient all@domain stays in the envelope, marked as expanded:
// its delivery is that its addressees are there.

// textExpanded is what the sender is told who asked for success.
const textExpanded = "sent to all accounts"

// expand returns the envelope with the addressees of all@domain, and the queues
// of these addresses; it is the same envelope if there are none. The addressees
// get no reports: the sender would have one for every account. Routes are those that it has found
// on the way; they are nil if recipients were added.
func (q *Queue) expand(ctx context.Context, env *envelope.Envelope) (_ *envelope.Envelope, all []string, routes []router.Route, _ error) {
	routes = make([]router.Route, len(env.Recipients))
	var known map[address.Address]struct{}
	for i := 0; i < len(env.Recipients); i++ { // a forwarder among the addressees may lead to another domain's all@
		if env.Recipients[i].Expanded {
			continue
		}
		to := env.Recipients[i].Address
		route, err := q.o.Router.Route(ctx, names.Mail, to)
		if err != nil && fault.KindOf(err).Temporary() && strings.EqualFold(to.Local, names.All) {
			return nil, nil, nil, err // it cannot be expanded later
		}
		if err == nil && routes != nil {
			routes[i] = route
		}
		if err != nil || !route.All {
			continue // whoever routes the message tells
		}
		routes = nil
		if known == nil {
			own := *env
			own.Recipients = slices.Clone(env.Recipients)
			env, known = &own, make(map[address.Address]struct{}, len(own.Recipients))
			for _, r := range own.Recipients {
				known[r.Address] = struct{}{}
			}
		}
		if !slices.Contains(all, route.Queue) {
			list, err := q.allAccounts(ctx, env, route.Domain)
			if fault.Is(err, fault.Denied) {
				continue // as plan says to the sender
			}
			if err != nil {
				return nil, nil, nil, err
			}
			all = append(all, route.Queue)
			for _, a := range list {
				if _, there := known[a]; !there {
					known[a] = struct{}{}
					env.Recipients = append(env.Recipients, envelope.Recipient{Address: a, State: envelope.Waiting})
				}
			}
		}
		env.Recipients[i].Expanded = true
	}
	return env, all, routes, nil
}

// allAccounts asks who gets mail to all@domain.
func (q *Queue) allAccounts(ctx context.Context, env *envelope.Envelope, domain string) ([]address.Address, error) {
	if q.o.AllAccounts == nil {
		return nil, errNotToAll
	}
	return q.o.AllAccounts(ctx, &env.Source, domain)
}

// notExpanded says why an address leads to all@domain and is not expanded: its
// sender may not write to all, or it led there only after the message had arrived.
func (q *Queue) notExpanded(ctx context.Context, env *envelope.Envelope, domain string) error {
	if _, err := q.allAccounts(ctx, env, domain); err != nil {
		return err
	}
	return fault.New("queue.plan", fault.Denied, "the address did not lead to all accounts when the message came; send it again")
}

var errNotToAll = fault.New("queue.Begin", fault.Denied, "you may not write to all accounts")
