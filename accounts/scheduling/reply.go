package scheduling

import (
	"context"
	"slices"
	"strings"

	"gatepost/accounts/delivery"
	"gatepost/router"
	"gatepost/router/address"
)

// maxOverrides bounds the overrides that replies make in one object.
const maxOverrides = 400

// maxTold bounds the attendees of an event whose copies follow the answers of others.
const maxTold = 100

// reply takes over the answer of an attendee into the organizer's object.
func (in *incoming) reply(ctx context.Context) ([]delivery.Action, error) {
	at, old, err := in.load(ctx)
	if err != nil {
		return nil, err
	}
	if old == nil {
		return nil, refused("the event is not in the calendar")
	}
	if organizer, _ := old.organizer(); !in.own(organizer) {
		return nil, refused("the account is not the organizer of the event")
	}
	if !in.from.proved {
		return nil, refused("who has sent it is not proved")
	}
	why := refused("it says nothing new")
	changed, news := false, false
	for _, n := range in.object.parts {
		new, no := in.answered(old, n)
		if no != "" {
			why = no
			continue
		}
		changed, news = true, news || new
	}
	if !changed {
		return nil, why
	}
	if err := in.store(ctx, at, nil, old); err != nil {
		return nil, err
	}
	if !news {
		return nil, nil
	}
	// It is parsed again: instances of what is stored now are asked for.
	next, err := parseObject(old.bytes())
	if err != nil {
		return nil, err
	}
	return in.tell(ctx, next), nil
}

// answered puts one component of a reply into an object. news says that the others do not know it; no is why it is not put there.
func (in *incoming) answered(o *object, reply *node) (news bool, no refused) {
	said := reply.attendee(in.from.address)
	if said == nil {
		return false, refused("its sender is not the attendee that it is about")
	}
	key := in.object.key(reply)
	n := o.part(key)
	made := false
	if n == nil {
		main := o.part(mainKey)
		if key == mainKey || main == nil || len(o.parts) > maxOverrides {
			return false, refused("there is no such instance")
		}
		if n, made = o.instance(main, reply.line("RECURRENCE-ID")); !made {
			return false, refused("there is no such instance")
		}
	}
	l := n.attendee(in.from.address)
	if l == nil {
		by := ""
		for _, p := range said.Params {
			if p.Name == "DELEGATED-FROM" && len(p.Values) > 0 {
				by = addressOf(p.Values[0])
			}
		}
		delegator := n.attendee(by)
		if by == "" || delegator == nil || !hasAddress(delegator, "DELEGATED-TO", in.from.address) {
			return false, refused("its sender is not an attendee of the event")
		}
		n.lines = append(n.lines, newLine("ATTENDEE", "mailto:"+in.from.address, "DELEGATED-FROM", "mailto:"+by))
		l = &n.lines[len(n.lines)-1]
	}
	stamp := reply.value("DTSTAMP")
	switch {
	case reply.number("SEQUENCE") < n.number("SEQUENCE") && !in.sameStart(reply, o, n):
		// An attendee who answers for the time that holds has seen what matters.
		return false, refused("it answers an older state of the event")
	case stamp < l.param(paramReplied):
		return false, refused("it is older than the last answer")
	}
	status := said.partstat()
	news = made || l.partstat() != status
	l.setParam("PARTSTAT", status)
	l.setParam("RSVP", "")
	l.setParam("SCHEDULE-STATUS", "2.0")
	l.setParam(paramReplied, stamp)
	if status == "DELEGATED" {
		to := addressOf(said.param("DELEGATED-TO"))
		if a, err := address.Parse(to); err == nil && a.Domain != "" && len(o.attendees()) < maxAttendees {
			l.setParam("DELEGATED-TO", "mailto:"+to)
			if n.attendee(to) == nil {
				delegate := newLine("ATTENDEE", "mailto:"+to, "DELEGATED-FROM", "mailto:"+in.from.address, "PARTSTAT", needsAction, "RSVP", "TRUE")
				n.lines = append(n.lines, delegate)
			}
		}
	}
	if made {
		o.add(n)
	}
	return news, ""
}

// sameStart reports whether a component of the message begins when one that is stored does.
func (in *incoming) sameStart(reply *node, o *object, n *node) bool {
	said, is := reply.line("DTSTART"), n.line("DTSTART")
	if said == nil || is == nil {
		return false
	}
	a, ok := in.object.instant(said, said.Value)
	b, ok2 := o.instant(is, is.Value)
	return ok && ok2 && a == b
}

// tell brings the copies of the other attendees on this server up to date.
func (in *incoming) tell(ctx context.Context, o *object) (actions []delivery.Action) {
	if len(o.attendees()) > maxTold {
		return nil
	}
	change := organizerChange{next: o, own: in.own, now: in.now}
	for _, n := range change.notices() {
		n.to = slices.DeleteFunc(n.to, func(to string) bool {
			a, err := address.Parse(to)
			if err != nil || to == in.from.address {
				return true
			}
			route, err := in.s.Router.Route(ctx, router.Mail, a)
			return err != nil || route.Module != router.LOCAL
		})
		if len(n.to) > 0 {
			actions = append(actions, in.send(ctx, n, true)...)
		}
	}
	return actions
}

// refresh sends the event to an attendee who asks for it (RFC 5546 section 3.2.6).
func (in *incoming) refresh(ctx context.Context) ([]delivery.Action, error) {
	_, old, err := in.load(ctx)
	if err != nil {
		return nil, err
	}
	if old == nil {
		return nil, refused("the event is not in the calendar")
	}
	if organizer, _ := old.organizer(); !in.own(organizer) {
		return nil, refused("the account is not the organizer of the event")
	}
	if !in.from.proved || !slices.Contains(old.attendees(), in.from.address) {
		return nil, refused("its sender is not an attendee of the event, or not proved")
	}
	v := viewOf(old, in.from.address)
	if main := v[mainKey]; main != nil && strings.EqualFold(main.value("STATUS"), "CANCELLED") {
		return nil, refused("the event is cancelled")
	}
	return in.send(ctx, notice{method: "REQUEST", parts: v.nodes(v.keys()), from: old, to: []string{in.from.address}}, false), nil
}
