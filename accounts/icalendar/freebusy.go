package icalendar

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"gatepost/accounts/contentline"
)

// BusyType is an FBTYPE (RFC 5545 section 3.2.9).
type BusyType uint8

// The types of busy time. What is free is not listed.
const (
	Busy BusyType = iota
	BusyTentative
	BusyUnavailable
)

var busyNames = [...]string{"BUSY", "BUSY-TENTATIVE", "BUSY-UNAVAILABLE"}

func (t BusyType) String() string { return busyNames[t] }

// Period is a busy time.
type Period struct {
	Range
	Type BusyType
}

// Busy returns when the object makes its owner busy within a range (RFC 4791 section 7.10): opaque events that are not
// cancelled, and the periods of VFREEBUSY. Events with STATUS:TENTATIVE are BusyTentative. The
// periods are cut to the range and not merged. A rule that needs too much work is busy for the whole range.
func (o *Object) Busy(r Range, local *Zone) ([]Period, error) {
	return o.busy(r, local, &budget{DefaultBudget}, nil)
}

// answer returns what the answer of an attendee makes of a busy time: what is declined is free, what is not accepted yet is tentative.
func answer(c *Component, own func(*Property) bool, t BusyType) (BusyType, bool) {
	for i := range c.Properties {
		p := &c.Properties[i]
		if p.Name != "ATTENDEE" || strings.EqualFold(p.Value, c.Value("ORGANIZER")) || !own(p) {
			continue
		}
		status, given := p.Param("PARTSTAT")
		switch strings.ToUpper(status) {
		case "DECLINED", "DELEGATED":
			return 0, false
		case "ACCEPTED":
		case "TENTATIVE", "NEEDS-ACTION":
			return BusyTentative, true
		default:
			if !given {
				return BusyTentative, true
			}
		}
	}
	return t, true
}

func (o *Object) busy(r Range, local *Zone, b *budget, own func(*Property) bool) ([]Period, error) {
	var out []Period
	add := func(start, end int64, t BusyType) {
		start, end = max(start, r.Start), min(end, r.End)
		if start < end {
			out = append(out, Period{Range{start, end}, t})
		}
	}
	switch o.Type() {
	case "VEVENT":
		s, err := o.series("VEVENT", o.UID(), local)
		if err != nil {
			return nil, err
		}
		err = s.each(r, b, func(i Instance) bool {
			t, ok := busyType(i.Component)
			if ok && own != nil {
				t, ok = answer(i.Component, own, t)
			}
			if ok {
				add(i.Start, i.End, t)
			}
			return true
		})
		if errors.Is(err, ErrTooMuchWork) {
			out = nil
			add(r.Start, r.End, Busy)
			err = nil
		}
		return out, err
	case "VFREEBUSY":
		for _, c := range o.Root.Components {
			if c.Name != "VFREEBUSY" {
				continue
			}
			for i := range c.Properties {
				if p := &c.Properties[i]; p.Name == "FREEBUSY" {
					o.busyPeriods(p, local, add)
				}
			}
		}
	}
	return out, nil
}

func busyType(c *Component) (BusyType, bool) {
	if strings.EqualFold(c.Value("TRANSP"), "TRANSPARENT") {
		return 0, false
	}
	switch strings.ToUpper(c.Value("STATUS")) {
	case "CANCELLED":
		return 0, false
	case "TENTATIVE":
		return BusyTentative, true
	}
	switch strings.ToUpper(c.Value("X-MICROSOFT-CDO-BUSYSTATUS")) {
	case "FREE":
		return 0, false
	case "OOF":
		return BusyUnavailable, true
	}
	return Busy, true
}

func (o *Object) busyPeriods(p *Property, local *Zone, add func(int64, int64, BusyType)) {
	t := Busy
	name, _ := p.Param("FBTYPE")
	switch strings.ToUpper(name) {
	case "FREE":
		return
	case "BUSY-TENTATIVE":
		t = BusyTentative
	case "BUSY-UNAVAILABLE":
		t = BusyUnavailable
	}
	for v := range strings.SplitSeq(p.Value, ",") {
		m, s, err := o.period(p, v)
		if err != nil || !s.given {
			continue
		}
		start := o.utc(m, local)
		end := start + s.duration.days*day + s.duration.seconds
		if s.byEnd {
			end = o.utc(s.end, local)
		}
		add(start, end, t)
	}
}

// busySpan is the Span of VFREEBUSY components: the time that they are about, and all their periods.
func (o *Object) busySpan() Range {
	const margin = 14 * 3600
	out := Range{MaxTime, MinTime}
	add := func(start, end int64, _ BusyType) {
		out.Start, out.End = min(out.Start, start-margin), max(out.End, end+margin)
	}
	for _, c := range o.Root.Components {
		for i := range c.Properties {
			switch p := &c.Properties[i]; p.Name {
			case "DTSTART", "DTEND":
				if m, err := o.moment(p); err == nil {
					at := o.utc(m, nil)
					add(at, at, Busy)
				}
			case "FREEBUSY":
				o.busyPeriods(p, nil, add)
			}
		}
	}
	if out.Start > out.End {
		return Always
	}
	return out
}

// MergeBusy sorts periods and joins those of one type that touch or overlap.
func MergeBusy(periods []Period) []Period {
	sorted := slices.Clone(periods)
	slices.SortFunc(sorted, func(a, b Period) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End))
	})
	out := sorted[:0]
	for _, p := range sorted {
		if n := len(out); n > 0 && out[n-1].Type == p.Type && p.Start <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, p.End)
			continue
		}
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b Period) int { return cmp.Compare(a.Start, b.Start) })
	return out
}

// FreeBusyText writes a VCALENDAR with one VFREEBUSY of merged periods. Both ends of the range must be given. Extra
// lines, such as ORGANIZER and ATTENDEE, stand before the periods; method may be "". Now is Unix seconds.
func FreeBusyText(r Range, periods []Period, product, uid, method string, now int64, extra ...Property) []byte {
	at := func(t int64) string { return Moment{Civil: t, Kind: UTC}.String() }
	b := []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
	line := func(name, value string) { b = contentline.Fold(b, name+":"+value) }
	line("PRODID", product)
	if method != "" {
		line("METHOD", method)
	}
	b = append(b, "BEGIN:VFREEBUSY\r\n"...)
	line("UID", contentline.EscapeText(uid))
	line("DTSTAMP", at(now))
	line("DTSTART", at(r.Start))
	line("DTEND", at(r.End))
	for i := range extra {
		b = extra[i].Append(b)
	}
	for _, p := range periods {
		name := "FREEBUSY"
		if p.Type != Busy {
			name += ";FBTYPE=" + p.Type.String()
		}
		line(name, at(p.Start)+"/"+at(p.End))
	}
	return append(b, "END:VFREEBUSY\r\nEND:VCALENDAR\r\n"...)
}
