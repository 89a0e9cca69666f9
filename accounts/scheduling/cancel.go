package scheduling

import (
	"context"

	"gatepost/accounts/delivery"
)

// cancel takes over that an event, or instances of it, do not take place or no longer concern the account. They stay in the calendar as
// cancelled.
func (in *incoming) cancel(ctx context.Context) ([]delivery.Action, error) {
	at, old, err := in.load(ctx)
	if err != nil {
		return nil, err
	}
	if old == nil {
		return nil, refused("the event is not in the calendar")
	}
	organizer, _ := old.organizer()
	switch {
	case in.own(organizer):
		return nil, refused("the account is its organizer")
	case !in.from.proved:
		return nil, refused("who has sent it is not proved")
	case organizer == "" || in.from.address != organizer:
		return nil, refused("it does not come from the organizer of the event")
	case len(in.object.attendees()) > 0 && !in.invites():
		return nil, refused("it is about other attendees")
	}
	changed := false
	mark := func(n, by *node) {
		n.set(newLine("STATUS", "CANCELLED"))
		for _, name := range []string{"SEQUENCE", "DTSTAMP"} {
			if l := by.line(name); l != nil {
				n.set(*l)
			}
		}
		changed = true
	}
	for _, by := range in.object.parts {
		key := in.object.key(by)
		if key == mainKey {
			for _, n := range old.parts {
				if !older(by, n) {
					mark(n, by)
				}
			}
			continue
		}
		n := old.part(key)
		if n == nil {
			main := old.part(mainKey)
			if main == nil {
				continue
			}
			made, ok := old.instance(main, by.line("RECURRENCE-ID"))
			if !ok {
				continue
			}
			n = made
			if older(by, n) {
				continue
			}
			old.add(n)
		} else if older(by, n) {
			continue
		}
		mark(n, by)
	}
	if !changed {
		return nil, refused("it is older than the event in the calendar, or about no instance of it")
	}
	return nil, in.store(ctx, at, nil, old)
}
