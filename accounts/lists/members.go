package lists

import (
	"context"
	"log/slog"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/message"
	"gatepost/router"
	"gatepost/router/address"
	"gatepost/router/names"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// maxNamed bounds the addresses of From, To and Cc that are compared with the members.
const maxNamed = 1000

// distribution finds the members of a group for one message.
type distribution struct {
	t     *Transport
	group *accounts.Group

	to     []address.Address
	seen   map[string]bool // where members lead
	groups map[string]bool // that are expanded
	but    map[string]bool // people who get no copy
}

// members returns the addresses of those who get a copy. An error is temporary.
func (t *Transport) members(ctx context.Context, g *accounts.Group, h *header) ([]address.Address, error) {
	d := &distribution{t: t, group: g, seen: map[string]bool{}, groups: map[string]bool{g.Name: true}, but: map[string]bool{}}
	set := g.Settings()
	var fields []string
	if set.RemoveAuthor {
		fields = append(fields, "from")
	}
	if set.RemoveToAndCc {
		fields = append(fields, "to", "cc")
	}
	for _, name := range fields {
		if err := d.leaveOut(ctx, h.values(name)); err != nil {
			return nil, err
		}
	}
	err := d.add(ctx, g)
	return d.to, err
}

// leaveOut notes whom fields name.
func (d *distribution) leaveOut(ctx context.Context, values [][]byte) error {
	n := 0
	for _, value := range values {
		for a := range message.Addresses(value) {
			if a.Kind != message.Mailbox || len(a.Local) == 0 {
				continue
			}
			if n++; n > maxNamed {
				return nil
			}
			addr, err := address.Parse(address.QuoteLocal(string(a.Local)) + "@" + string(a.Domain))
			if err != nil || len(a.Domain) == 0 {
				continue // nobody's
			}
			p, err := d.find(ctx, addr)
			if err != nil {
				return err
			}
			d.but[p.person] = true
		}
	}
	return nil
}

// add adds the members of a group.
func (d *distribution) add(ctx context.Context, g *accounts.Group) error {
	for _, m := range g.Settings().Members {
		addr, err := memberAddress(m, g.Domain)
		if err != nil {
			d.log(ctx, "a member of a group is no address and gets no copy", m)
			continue
		}
		p, err := d.find(ctx, addr)
		if err != nil {
			return err
		}
		nested := p.route.Module == router.LIST && p.route.Domain == g.Domain
		if nested && d.groups[p.route.Name] {
			continue
		}
		if nested && bool(g.Settings().Expand) {
			done, err := d.expand(ctx, p.route)
			if err != nil {
				return err
			}
			if done {
				continue
			}
		}
		switch {
		case p.route.Module == router.PIPE && p.route.Direct:
			d.log(ctx, "a member of a group is a program that no record of the Router Table names, and gets no copy", m)
		case !d.seen[p.key] && !d.but[p.person]:
			d.seen[p.key] = true
			d.to = append(d.to, addr)
		}
	}
	return nil
}

// expand puts the members of a group in its place; done is false if there is none.
func (d *distribution) expand(ctx context.Context, r router.Route) (done bool, err error) {
	g, err := d.t.groups.Get(ctx, r.Domain, r.Name)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.NoDomain) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	d.groups[g.Name] = true
	return true, d.add(ctx, g)
}

// target is where an address leads: key is equal for addresses of which one gets a copy, person for those of
// one mail owner.
type target struct {
	route       router.Route
	key, person string
}

// find routes an address. One that leads nowhere stands for itself: the sender is told of it. An error is
// temporary.
func (d *distribution) find(ctx context.Context, addr address.Address) (target, error) {
	r, err := d.t.router.Route(ctx, names.Mail, addr)
	if err != nil && (fault.KindOf(err).Temporary() || ctx.Err() != nil) {
		return target{}, err
	}
	if err != nil {
		text := strings.ToLower(addr.String())
		return target{key: text, person: text}, nil
	}
	t := target{route: r, person: string(r.Module) + " " + r.Queue}
	if r.Module == router.LOCAL {
		t.key = t.person + " " + r.Mailbox + "#" + r.Detail
		return t, nil
	}
	if r.Module != router.LIST {
		t.person += " " + strings.ToLower(r.Address.String())
	}
	t.key = t.person
	return t, nil
}

func (d *distribution) log(ctx context.Context, text, member string) {
	d.t.log.LogAttrs(ctx, logs.LevelProblem, text, slog.String("group", d.group.Address().String()), slog.String("member", member))
}

// memberAddress is the address of a member: a name without a domain is in that of the group.
func memberAddress(member, domain string) (address.Address, error) {
	if !strings.Contains(member, "@") {
		return address.Address{Local: strings.ToLower(member), Domain: domain}, nil
	}
	return address.Parse(member)
}
