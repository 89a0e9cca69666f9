package icalendar

import (
	"errors"
	"strings"

	"gatepost/accounts/contentline"
	"gatepost/server/fault"
)

// CompFilter is the comp-filter of a calendar-query (RFC 4791 section 9.7.1). The outer one is of VCALENDAR.
type CompFilter struct {
	Name         string // in upper case
	IsNotDefined bool
	TimeRange    *Range
	Props        []PropFilter
	Comps        []CompFilter
}

// PropFilter is a prop-filter (section 9.7.2).
type PropFilter struct {
	Name         string
	IsNotDefined bool
	TimeRange    *Range
	Text         *contentline.TextMatch
	Params       []ParamFilter
}

// ParamFilter is a param-filter (section 9.7.3).
type ParamFilter struct {
	Name         string
	IsNotDefined bool
	Text         *contentline.TextMatch
}

// ParseRange reads the attributes of a time-range: dates with time in UTC, of which one may be "" (section 9.9).
func ParseRange(start, end string) (Range, error) {
	r := Always
	for _, a := range []struct {
		value string
		to    *int64
	}{{start, &r.Start}, {end, &r.End}} {
		if a.value == "" {
			continue
		}
		m, err := parseMoment(a.value)
		if err != nil || m.Kind != UTC {
			return r, fault.Newf("icalendar", fault.Invalid, "a time range has %.40q where a date with time in UTC must be", a.value)
		}
		*a.to = m.Civil
	}
	if start == "" && end == "" {
		return r, fault.New("icalendar", fault.Invalid, "a time range has neither start nor end")
	}
	if r.Start >= r.End {
		return r, fault.New("icalendar", fault.Invalid, "a time range ends before it starts")
	}
	return r, nil
}

// Match reports whether the object passes a filter, which begins with VCALENDAR. Floating times and days are those
// of the zone local; nil is UTC. A component whose rule needs too much work passes: its reader sees it and decides.
func (o *Object) Match(f *CompFilter, local *Zone) (bool, error) {
	return o.match(f, local, &budget{DefaultBudget})
}

func (o *Object) match(f *CompFilter, local *Zone, b *budget) (bool, error) {
	if f.Name != o.Root.Name {
		return f.IsNotDefined, nil
	}
	if f.IsNotDefined {
		return false, nil
	}
	m := &matcher{o: o, local: local, budget: b}
	return m.component(o.Root, nil, f)
}

// matcher evaluates one filter on one object.
type matcher struct {
	o      *Object
	local  *Zone
	budget *budget
	kind   string
	uid    string
	s      *series // of kind and uid
}

func (m *matcher) series(kind, uid string) (*series, error) {
	if m.s == nil || m.kind != kind || m.uid != uid {
		s, err := m.o.series(kind, uid, m.local)
		if err != nil {
			return nil, err
		}
		m.s, m.kind, m.uid = s, kind, uid
	}
	return m.s, nil
}

func (m *matcher) component(c, parent *Component, f *CompFilter) (bool, error) {
	if !m.budget.spend(int64(1 + len(c.Properties)*len(f.Props)/16)) {
		return true, nil // its reader sees it and decides
	}
	for i := range f.Props {
		if ok, err := m.property(c, &f.Props[i]); !ok || err != nil {
			return false, err
		}
	}
	if f.TimeRange != nil {
		ok, err := m.takesPlace(c, parent, *f.TimeRange)
		if errors.Is(err, ErrTooMuchWork) {
			ok, err = true, nil
		}
		if !ok || err != nil {
			return false, err
		}
	}
	for i := range f.Comps {
		inner := &f.Comps[i]
		found := false
		for _, child := range c.Components {
			if child.Name != inner.Name {
				continue
			}
			if inner.IsNotDefined {
				found = true
				break
			}
			ok, err := m.component(child, c, inner)
			if err != nil {
				return false, err
			}
			if ok {
				found = true
				break
			}
		}
		if found == inner.IsNotDefined {
			return false, nil
		}
	}
	return true, nil
}

func (m *matcher) property(c *Component, f *PropFilter) (bool, error) {
	for i := range c.Properties {
		p := &c.Properties[i]
		if p.Name != f.Name {
			continue
		}
		if f.IsNotDefined {
			return false, nil
		}
		if f.TimeRange != nil && !m.valueIn(p, *f.TimeRange) {
			continue
		}
		if f.Text != nil && f.Text.Found(contentline.UnescapeText(p.Value)) == f.Text.Negate {
			continue
		}
		if paramsMatch(p, f.Params) {
			return true, nil
		}
	}
	return f.IsNotDefined, nil
}

func paramsMatch(p *Property, filters []ParamFilter) bool {
	for i := range filters {
		f := &filters[i]
		defined, found := false, false
		for _, q := range p.Params {
			if q.Name != f.Name {
				continue
			}
			defined = true
			if f.Text == nil {
				continue
			}
			for _, v := range q.Values {
				found = found || f.Text.Found(v)
			}
		}
		switch {
		case f.IsNotDefined:
			if defined {
				return false
			}
		case !defined, f.Text != nil && found == f.Text.Negate:
			return false
		}
	}
	return true
}

// valueIn reports whether the time that a property has lies in a range.
func (m *matcher) valueIn(p *Property, r Range) bool {
	for v := range strings.SplitSeq(p.Value, ",") {
		at, s, err := m.o.period(p, v)
		if err != nil {
			continue
		}
		start := m.o.utc(at, m.local)
		end := start
		switch {
		case s.byEnd:
			end = m.o.utc(s.end, m.local)
		case s.given:
			end = start + s.duration.days*day + s.duration.seconds
		case at.Kind == Date:
			end = start + day
		}
		if r.overlaps(start, end) {
			return true
		}
	}
	return false
}

// takesPlace is the table of RFC 4791 section 9.9.
func (m *matcher) takesPlace(c, parent *Component, r Range) (bool, error) {
	switch c.Name {
	case "VEVENT", "VJOURNAL", "VTODO":
	case "VFREEBUSY":
		return m.freeBusyIn(c, r)
	case "VALARM":
		return m.alarmIn(c, parent, r)
	default:
		// No rule says when other components take place.
		return true, nil
	}
	if c.Name == "VTODO" && c.Property("DTSTART") == nil && c.Property("DUE") == nil {
		return m.undatedTask(c, r), nil
	}
	s, err := m.series(c.Name, c.Text("UID"))
	if err != nil {
		return false, err
	}
	found := false
	if t := s.alone(c); t != nil {
		if t.hasStart || t.hasEnd {
			s.override(t, func(i Instance) bool { found = m.instanceIn(i, r); return false })
		}
		return found, nil
	}
	err = s.each(r, m.budget, func(i Instance) bool {
		if i.Component != c {
			// Instances beyond the range come later in the same rule; those of other components do not count.
			return true
		}
		found = m.instanceIn(i, r)
		return !found
	})
	return found, err
}

func (m *matcher) instanceIn(i Instance, r Range) bool {
	if i.Component.Name == "VTODO" {
		return taskIn(i, r)
	}
	return r.overlaps(i.Start, i.End)
}

func taskIn(i Instance, r Range) bool {
	start, end := i.Start, i.End
	switch t := i.at; {
	case !t.hasStart: // DUE only
		return r.Start < end && r.End >= end
	case !t.hasEnd:
		return r.Start <= start && r.End > start
	case t.component.Property("DUE") != nil:
		return (r.Start < end || r.Start <= start) && (r.End > start || r.End >= end)
	}
	return r.Start <= end && (r.End > start || r.End >= end)
}

func (m *matcher) undatedTask(c *Component, r Range) bool {
	at := func(name string) (int64, bool) {
		p := c.Property(name)
		if p == nil {
			return 0, false
		}
		t, err := m.o.moment(p)
		return m.o.utc(t, m.local), err == nil
	}
	completed, hasCompleted := at("COMPLETED")
	created, hasCreated := at("CREATED")
	switch {
	case hasCompleted && hasCreated:
		return (r.Start <= created || r.Start <= completed) && (r.End >= created || r.End >= completed)
	case hasCompleted:
		return r.Start <= completed && r.End >= completed
	case hasCreated:
		return r.End > created
	}
	return true
}

func (m *matcher) freeBusyIn(c *Component, r Range) (bool, error) {
	start, end := c.Property("DTSTART"), c.Property("DTEND")
	if start != nil && end != nil {
		s, err := m.o.moment(start)
		if err != nil {
			return false, err
		}
		e, err := m.o.moment(end)
		if err != nil {
			return false, err
		}
		return r.Start <= m.o.utc(e, m.local) && r.End > m.o.utc(s, m.local), nil
	}
	for i := range c.Properties {
		if p := &c.Properties[i]; p.Name == "FREEBUSY" && m.valueIn(p, r) {
			return true, nil
		}
	}
	return false, nil
}

// maxRepeats is how many repetitions an alarm has at most.
const maxRepeats = 1000

func (m *matcher) alarmIn(c, parent *Component, r Range) (bool, error) {
	trigger := c.Property("TRIGGER")
	if trigger == nil || parent == nil {
		return false, nil
	}
	repeats, _ := digits(strings.TrimSpace(c.Value("REPEAT")))
	repeats = min(repeats, maxRepeats)
	every, err := parseDuration(c.Value("DURATION"))
	pause := every.days*day + every.seconds
	if err != nil || pause <= 0 {
		repeats, pause = 0, 0
	}
	rings := func(first int64) bool {
		if first < r.Start && pause > 0 {
			// The first repetition that is not before the range, or the last one.
			first += pause * min(int64(repeats), (r.Start-first+pause-1)/pause)
		}
		return r.Start <= first && r.End > first
	}
	before, err := parseDuration(trigger.Value)
	if err != nil {
		at, err := m.o.moment(trigger)
		if err != nil {
			return false, nil
		}
		return rings(m.o.utc(at, m.local)), nil
	}
	byEnd := trigger.ParamIs("RELATED", "END")
	s, err := m.series(parent.Name, parent.Text("UID"))
	if err != nil {
		return false, err
	}
	// The instances whose alarms may ring in the range.
	offset := before.days*day + before.seconds
	near := Range{r.Start - offset - int64(repeats)*pause - day, r.End - offset + day}
	found := false
	err = s.each(near, m.budget, func(i Instance) bool {
		if i.Component != parent {
			return true
		}
		at := i.Start
		if byEnd {
			at = i.End
		}
		found = rings(at + offset)
		return !found
	})
	return found, err
}
