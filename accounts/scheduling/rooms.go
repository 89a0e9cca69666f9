package scheduling

import (
	"context"
	"slices"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/icalendar"
	"gatepost/server/fault"
)

// room reports whether the account answers invitations by itself: it is a room or a resource.
func (in *incoming) room() bool { return in.m.Account.Settings().Answers() }

// maxConflictChecks bounds the instances of an invitation that are looked at.
const maxConflictChecks = 1000

// answer puts the answer of a room into what is stored, and returns what is sent. A message that comes again gets the answer that is stored.
func (in *incoming) answer(ctx context.Context, at *stored, old, next *object) ([]notice, error) {
	// What is stored must be read again for its instances.
	parsed, err := parseObject(next.bytes())
	if err != nil {
		return nil, err
	}
	*next = *parsed
	set := in.m.Account.Settings()
	if in.room() && set.BookingPolicy == accounts.BookingAsk {
		return nil, nil // who looks after it answers in its calendar
	}
	status, why := "ACCEPTED", ""
	if in.room() {
		if why = in.mayBook(set); why != "" {
			status = "DECLINED"
		}
	}
	var refusedParts map[string]string
	if why == "" {
		if refusedParts, err = in.conflicts(ctx, next, set); err != nil {
			return nil, err
		}
		if text, all := refusedParts[allInstances]; all {
			status, why = "DECLINED", text
		}
	}
	organizer, _ := next.organizer()
	c := attendeeChange{next: next, own: in.own}
	var parts []*node
	for _, n := range slices.Clone(next.parts) {
		own := self(n, in.own)
		if own == nil || cancelled(n) {
			continue
		}
		say, comment := status, why
		if text, no := refusedParts[next.key(n)]; no && status == "ACCEPTED" {
			say, comment = "DECLINED", text
		}
		own.setParam("PARTSTAT", say)
		own.setParam("RSVP", "")
		if say == "DECLINED" {
			n.set(newLine("TRANSP", "TRANSPARENT"))
		} else {
			n.removeNamed("TRANSP")
		}
		a := c.answer(n)
		if comment != "" {
			a.set(newLine("COMMENT", escape(comment)))
		}
		parts = append(parts, a)
	}
	if main := next.part(mainKey); main != nil && status == "ACCEPTED" {
		// Instances of the series at which the time is taken.
		for _, key := range sortedKeys(refusedParts) {
			if next.part(key) != nil || key == allInstances {
				continue
			}
			id, ok := next.idOf(main, key)
			if !ok {
				continue
			}
			n, ok := next.instance(main, &id)
			if !ok {
				continue
			}
			self(n, in.own).setParam("PARTSTAT", "DECLINED")
			n.set(newLine("TRANSP", "TRANSPARENT"))
			next.add(n)
			a := c.answer(n)
			a.set(newLine("COMMENT", escape(refusedParts[key])))
			parts = append(parts, a)
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	list := []notice{{method: "REPLY", parts: parts, from: next, to: []string{organizer}}}
	return list, nil
}

// allInstances is the key of conflicts for an object as a whole.
const allInstances = "*"

// mayBook says why the sender may not book the room; "" if he may.
func (in *incoming) mayBook(set *accounts.AccountSettings) string {
	switch set.BookedBy {
	case accounts.BookedByEverybody:
		return ""
	case accounts.BookedByServer:
		if in.from.local {
			return ""
		}
	case accounts.BookedByList:
	default:
		if _, domain, _ := strings.Cut(in.from.address, "@"); in.from.local {
			if real, ok := in.s.Accounts.DomainName(domain); ok && real == in.m.Account.Domain {
				return ""
			}
		}
	}
	for _, who := range set.Bookers {
		if strings.EqualFold(strings.TrimSpace(who), in.from.address) && in.from.proved {
			return ""
		}
	}
	return in.words().stranger
}

func (in *incoming) words() *roomWords { return roomWordsFor(in.m.Account) }

// conflicts returns why instances cannot take place, by their keys; allInstances is the whole. Few conflicts of a series are declined alone.
func (in *incoming) conflicts(ctx context.Context, o *object, set *accounts.AccountSettings) (map[string]string, error) {
	const year = 365 * 24 * time.Hour
	horizon := set.BookingHorizon.Duration()
	if horizon <= 0 {
		horizon = year
	}
	w := in.words()
	when := icalendar.Range{Start: in.now.Unix(), End: in.now.Add(horizon).Unix()}
	span, err := o.cal.Span()
	if err != nil {
		return nil, err
	}
	if !in.room() { // a person has no horizon: a year from the first instance on is looked at
		when.Start = min(max(when.Start, span.Start), icalendar.MaxTime-int64(year/time.Second))
		when.End = when.Start + int64(year/time.Second)
	}
	zone, err := in.zone(ctx)
	if err != nil {
		return nil, err
	}
	all, err := o.cal.Instances(when, zone, maxConflictChecks)
	if fault.Is(err, fault.TooMany) {
		return map[string]string{allInstances: w.tooMany}, nil
	}
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		if span.Start >= when.End {
			return map[string]string{allInstances: w.tooFar}, nil
		}
		return nil, nil // it is over
	}
	busy, err := in.s.busyBut(ctx, in.m.Account, when, o.uid())
	if err != nil {
		return nil, err
	}
	longest := int64(set.BookingMaxLength.Duration() / time.Second)
	no := map[string]string{}
	for _, i := range all {
		key := instanceKey(o, i, zone)
		switch {
		case in.room() && longest > 0 && i.End-i.Start > longest:
			no[key] = w.tooLong
		case slices.ContainsFunc(busy, func(p icalendar.Period) bool { return p.Start < i.End && i.Start < p.End }):
			no[key] = w.busy
		}
	}
	switch {
	case len(no) == 0:
		return nil, nil
	case len(no)*2 > len(all) || o.part(mainKey) != nil && len(all) == 1:
		for _, text := range no {
			return map[string]string{allInstances: text}, nil
		}
	}
	return no, nil
}

// zone is that of days and floating times in the account's main calendar.
func (in *incoming) zone(ctx context.Context) (*icalendar.Zone, error) {
	c, err := in.calendarFor(ctx)
	if err != nil {
		return nil, err
	}
	return c.Zone(ctx)
}
