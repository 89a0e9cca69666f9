package scheduling

import (
	"context"
	"slices"
	"strings"

	"gatepost/accounts/delivery"
)

// The values of the preference AddInvitations.
const (
	addNever  = "never"
	addAlways = "always"
)

// request takes over an invitation, or a change of one.
func (in *incoming) request(ctx context.Context) ([]delivery.Action, error) {
	organizer, same := in.object.organizer()
	switch {
	case organizer == "" || !same:
		return nil, refused("it has no organizer, or several")
	case in.own(organizer):
		return nil, refused("the account is its organizer")
	case !in.invites():
		return nil, refused("the account is not among its attendees")
	}
	at, old, err := in.load(ctx)
	if err != nil {
		return nil, err
	}
	if old == nil {
		return in.invitation(ctx, organizer)
	}
	was, _ := old.organizer()
	switch {
	case was != organizer:
		return nil, refused("an event with its UID is of another organizer")
	case !in.from.proved:
		return nil, refused("who has sent it is not proved")
	case in.from.address != organizer:
		return nil, refused("it does not come from the organizer of the event")
	}
	next := in.merge(old)
	if next == nil {
		return nil, refused("it is older than the event in the calendar")
	}
	return in.take(ctx, at, old, next)
}

// invitation takes over what is new to the account.
func (in *incoming) invitation(ctx context.Context, organizer string) ([]delivery.Action, error) {
	if in.from.quiet {
		return nil, refused("the account has deleted the event")
	}
	always := false
	if !in.wish.Request && !in.room() {
		switch strings.ToLower(in.m.Account.Preference("AddInvitations")) {
		case addNever:
			return nil, refused("the account does not want invitations in its calendar")
		case addAlways:
			always = true
		}
	}
	from := in.from.address == organizer
	for _, n := range in.object.parts {
		if l := self(n, in.own); l != nil && hasAddress(l, "DELEGATED-FROM", in.from.address) && n.attendee(in.from.address) != nil {
			from = true // an attendee sends somebody in his place
		}
	}
	if in.m.Envelope.Junk {
		return nil, refused("the message is junk")
	}
	switch {
	case always:
	case !in.from.proved || !from:
		// An answer to it could go to somebody who has sent nothing.
		return nil, refused("who has sent it is not proved, or not its organizer")
	case !in.wish.Request && !in.room():
		known, err := in.knows(ctx)
		if err != nil {
			return nil, err
		}
		if !known {
			return nil, refused("its organizer is not known")
		}
	}
	next := in.merge(nil)
	return in.take(ctx, nil, nil, next)
}

// take stores what a REQUEST comes to, and answers for a room.
func (in *incoming) take(ctx context.Context, at *stored, old, next *object) ([]delivery.Action, error) {
	var answers []notice
	if (in.wish.Request || in.room()) && !in.from.quiet {
		var err error
		if answers, err = in.answer(ctx, at, old, next); err != nil {
			return nil, err
		}
	}
	c, err := in.calendarFor(ctx)
	if err != nil {
		return nil, err
	}
	if err := in.store(ctx, at, c, next); err != nil {
		return nil, err
	}
	var actions []delivery.Action
	for _, n := range answers {
		actions = append(actions, in.send(ctx, n, false)...)
	}
	return actions, nil
}

// merge makes what is stored of a REQUEST: the organizer's event, with what the account has said and added. It returns nil if all of
// it is older than what is stored.
func (in *incoming) merge(old *object) *object {
	whole := in.object.part(mainKey) != nil || old == nil
	next := &object{root: &node{name: "VCALENDAR"}, cal: in.object.cal, report: in.object.report}
	if old != nil && !whole {
		next.root = old.root.clone()
		next.cal, next.report = old.cal, old.report
		for _, n := range next.root.inner {
			if n.name != "VTIMEZONE" {
				next.parts = append(next.parts, n)
			}
		}
		for _, z := range in.object.root.inner {
			if z.name == "VTIMEZONE" && !slices.ContainsFunc(next.root.inner, func(n *node) bool { return n.name == z.name && n.value("TZID") == z.value("TZID") }) {
				next.root.inner = append([]*node{z}, next.root.inner...)
			}
		}
	} else {
		for _, l := range in.object.root.lines {
			if l.Name != "METHOD" {
				next.root.lines = append(next.root.lines, l)
			}
		}
		for _, n := range in.object.root.inner {
			if n.name == "VTIMEZONE" {
				next.root.inner = append(next.root.inner, n)
			}
		}
	}
	fresh := false
	for _, n := range in.object.parts {
		key := in.object.key(n)
		var was *node
		if old != nil {
			if was = old.part(key); was == nil && key != mainKey {
				if main := old.part(mainKey); main != nil {
					if made, ok := old.instance(main, n.line("RECURRENCE-ID")); ok {
						was = made
					}
				}
			}
		}
		if was != nil && older(n, was) {
			if whole {
				return nil
			}
			continue
		}
		fresh = true
		n = n.clone()
		in.keep(was, n)
		if present := next.part(key); present != nil {
			next.drop(present)
		}
		next.add(n)
	}
	if !fresh {
		return nil
	}
	return next
}

// keep puts into a component of a REQUEST what is the attendee's: his answer unless the times have changed, his alarms, and whether he is busy.
func (in *incoming) keep(was, n *node) {
	n.inner = slices.DeleteFunc(n.inner, func(i *node) bool { return i.name == "VALARM" })
	n.removeNamed("METHOD", "REQUEST-STATUS")
	for i := range n.lines {
		for _, name := range ownParams {
			if _, there := n.lines[i].Param(name); there && (n.lines[i].Name == "ATTENDEE" || n.lines[i].Name == "ORGANIZER") {
				n.lines[i].setParam(name, "")
			}
		}
	}
	if was == nil {
		return
	}
	for _, i := range was.inner {
		if i.name == "VALARM" {
			n.inner = append(n.inner, i)
		}
	}
	if l := was.line("TRANSP"); l != nil {
		n.set(*l)
	}
	for _, l := range was.lines {
		if strings.HasPrefix(l.Name, "X-MOZ-") || strings.HasPrefix(l.Name, "X-APPLE-") {
			n.set(l)
		}
	}
	before, now := self(was, in.own), self(n, in.own)
	if before != nil && now != nil && before.partstat() != now.partstat() && sameTimes(was, n) {
		now.setParam("PARTSTAT", before.partstat())
	}
}

// addition answers ADD with the wish for the whole event (RFC 5546 section 3.2.6): that says what the new instance is an instance of.
func (in *incoming) addition(ctx context.Context) ([]delivery.Action, error) {
	_, old, err := in.load(ctx)
	if err != nil {
		return nil, err
	}
	if old == nil {
		return nil, refused("the event is not in the calendar")
	}
	organizer, _ := old.organizer()
	if !in.from.proved || in.from.address != organizer || in.own(organizer) {
		return nil, refused("it does not come from the organizer of the event")
	}
	n := old.parts[0].clone()
	n.inner = nil
	n.remove(func(l *line) bool {
		return l.Name == "ATTENDEE" && !in.own(l.address()) || l.Name != "UID" && l.Name != "ORGANIZER" && l.Name != "ATTENDEE"
	})
	return in.send(ctx, notice{method: "REFRESH", parts: []*node{n}, from: old, to: []string{organizer}}, false), nil
}
