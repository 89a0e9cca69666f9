package icalendar

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"gatepost/server/fault"
)

// MinTime and MaxTime are the ends of a Range that has none, in Unix seconds.
const (
	MinTime = minTime
	MaxTime = maxTime
)

// Range is a time from Start to before End, in Unix seconds.
type Range struct{ Start, End int64 }

// Always is the range that holds everything.
var Always = Range{MinTime, MaxTime}

// Instance is one time at which a component takes place: a component that does not repeat has one.
type Instance struct {
	// Start and End are Unix seconds. They are equal for what has no length.
	Start, End int64
	// ID is the start that the rule gave, which RECURRENCE-ID names; it differs from Start if an override moved the
	// instance.
	ID int64
	// Component is what describes the instance: the component that repeats, or the override.
	Component *Component

	civil int64 // start on the clock of the component's zone
	at    *timing
}

// ErrTooMuchWork is the cause of a failure to expand a rule that has too many instances, or too few for its
// length, before the asked time. Its kind is fault.TooMany.
var ErrTooMuchWork = errors.New("the recurrence rule needs too much work")

func tooMuchWork(c *Component) error {
	return fault.Wrap("icalendar", fault.TooMany, &workError{c.Line})
}

type workError struct{ line int }

func (e *workError) Error() string { return "the recurrence rule needs too much work" }
func (e *workError) Unwrap() error { return ErrTooMuchWork }

// maxDates is how many dates of RDATE and EXDATE one component has at most.
const maxDates = 20_000

// timing is what a component says about its times.
type timing struct {
	component *Component
	start     Moment // DTSTART, or DUE of a VTODO without DTSTART
	zone      *Zone  // whose clock start.Civil is read on
	startUTC  int64
	hasStart  bool // DTSTART is there
	hasEnd    bool // DTEND, DUE or DURATION is there
	days      int64
	seconds   int64 // with days the length

	rules, exceptionRules []Rule
	dates                 []addedDate // RDATE
	without               []int64     // EXDATE as UTC, sorted
	withoutDays           []int64     // EXDATE;VALUE=DATE of a component with time: civil days, sorted

	override bool
	id       int64 // RECURRENCE-ID as UTC
	idDay    int64 // its civil day, if it is a date and the series has times
	byDay    bool
	idCivil  int64
	future   bool // RANGE=THISANDFUTURE
	shift    int64
}

type addedDate struct {
	civil, utc int64
	end        int64 // UTC, if length is given
	given      bool
}

func (t *timing) repeats() bool { return len(t.rules) > 0 || len(t.dates) > 0 }

func (t *timing) endOf(civil, utc int64) int64 {
	if t.days == 0 {
		return utc + t.seconds
	}
	return t.zone.UTC(civil+t.days*day) + t.seconds
}

// length is an upper bound of the length of an instance in seconds.
func (t *timing) length() int64 {
	if t.days == 0 {
		return max(t.seconds, 0)
	}
	return max(0, (t.days+1)*day+t.seconds)
}

// timing reads the times of a component. A component without a start has none: hasStart and hasEnd are false.
func (o *Object) timing(c *Component, local *Zone) (*timing, error) {
	t := &timing{component: c}
	start, due := c.Property("DTSTART"), c.Property("DUE")
	end := c.Property("DTEND")
	if c.Name == "VTODO" {
		end = due
	}
	t.hasStart = start != nil
	if start == nil {
		start = end
		if start == nil {
			return t, nil
		}
	}
	var err error
	if t.start, err = o.moment(start); err != nil {
		return nil, err
	}
	t.zone = o.zoneFor(t.start, local)
	t.startUTC = t.zone.UTC(t.start.Civil)
	switch length := c.Property("DURATION"); {
	case end != nil:
		t.hasEnd = true
		e, err := o.moment(end)
		if err != nil {
			return nil, err
		}
		if t.start.Kind == Date && e.Kind == Date {
			t.days = (e.Civil - t.start.Civil) / day
		} else {
			t.seconds = o.utc(e, local) - t.startUTC
		}
		if t.days < 0 || t.seconds < 0 {
			t.days, t.seconds = 0, 0
		}
		if t.days*day+t.seconds > maxDuration {
			return nil, invalid(end.Number, "%s is more than 100,000 days after DTSTART", end.Name)
		}
	case length != nil:
		t.hasEnd = true
		d, err := parseDuration(length.Value)
		if err != nil {
			return nil, invalid(length.Number, "DURATION: %v", err)
		}
		t.days, t.seconds = max(d.days, 0), max(d.seconds, 0)
	case t.start.Kind == Date:
		t.days = 1
	}
	return t, o.recurrences(t, local)
}

func (o *Object) recurrences(t *timing, local *Zone) error {
	for i := range t.component.Properties {
		p := &t.component.Properties[i]
		switch p.Name {
		case "RRULE", "EXRULE":
			r, err := ParseRule(p.Value)
			if err != nil {
				return invalid(p.Number, "%s: %v", p.Name, err)
			}
			if p.Name == "RRULE" {
				t.rules = append(t.rules, r)
			} else {
				t.exceptionRules = append(t.exceptionRules, r)
			}
		case "RDATE", "EXDATE":
			for rest := p.Value; rest != ""; {
				var v string
				v, rest, _ = strings.Cut(rest, ",")
				m, s, err := o.period(p, v)
				if err != nil {
					return err
				}
				if len(t.dates)+len(t.without)+len(t.withoutDays) >= maxDates {
					return tooMany(p.Number, "there are more than %d dates", maxDates)
				}
				if p.Name == "EXDATE" {
					if m.Kind == Date && t.start.Kind != Date {
						t.withoutDays = append(t.withoutDays, floorDiv(m.Civil, day))
					} else {
						t.without = append(t.without, o.key(m, t.start.Kind, local))
					}
					continue
				}
				utc := o.key(m, t.start.Kind, local)
				d := addedDate{civil: t.zone.Civil(utc), utc: utc, given: s.given}
				if m.Kind == Date && t.start.Kind != Date {
					// A date without time takes the time of DTSTART.
					d.civil = floorDiv(m.Civil, day)*day + floorMod(t.start.Civil, day)
					d.utc = t.zone.UTC(d.civil)
				}
				switch {
				case s.byEnd:
					d.end = max(o.utc(s.end, local), d.utc)
				case s.given:
					d.end = t.zone.UTC(d.civil+s.duration.days*day) + s.duration.seconds
				}
				t.dates = append(t.dates, d)
			}
		case "RECURRENCE-ID":
			m, err := o.moment(p)
			if err != nil {
				return err
			}
			t.override = true
			t.id, t.idCivil = o.utc(m, local), m.Civil
			t.byDay, t.idDay = m.Kind == Date, floorDiv(m.Civil, day)
			t.future = p.ParamIs("RANGE", "THISANDFUTURE")
		}
	}
	slices.Sort(t.without)
	slices.Sort(t.withoutDays)
	return nil
}

// key returns the instant by which an instance of a series is found: of a series of days, the start of the day.
func (o *Object) key(m Moment, series Kind, local *Zone) int64 {
	if series == Date {
		return local.UTC(floorDiv(m.Civil, day) * day)
	}
	return o.utc(m, local)
}

func (o *Object) zoneFor(m Moment, local *Zone) *Zone {
	switch m.Kind {
	case UTC:
		return UTCZone
	case Zoned:
		if z := o.Zone(m.Zone); z != nil {
			return z
		}
	}
	if local == nil {
		return UTCZone
	}
	return local
}

// series is the components of one UID: one that may repeat, and its overrides.
type series struct {
	master    *timing
	overrides []*timing // by id
	futures   []*timing // those of overrides with THISANDFUTURE, by id
	single    map[*Component]*timing
}

// series reads the times of the components of a type. Objects of a whole calendar have many UIDs: uid says which.
func (o *Object) series(kind, uid string, local *Zone) (*series, error) {
	s := &series{}
	for _, c := range o.Root.Components {
		if c.Name != kind || c.Text("UID") != uid {
			continue
		}
		t, err := o.timing(c, local)
		if err != nil {
			return nil, err
		}
		if t.override {
			s.overrides = append(s.overrides, t)
		} else if s.master == nil {
			s.master = t
		}
	}
	if len(s.overrides) > 0 {
		s.link(local)
	}
	return s, nil
}

func (s *series) link(local *Zone) {
	for _, t := range s.overrides {
		if m := s.master; m != nil && (m.hasStart || m.hasEnd) {
			if m.start.Kind == Date {
				// A moment of a series of days means the day.
				t.id, t.byDay = local.UTC(t.idDay*day), false
			} else if t.byDay {
				t.id = m.zone.UTC(t.idDay*day + floorMod(m.start.Civil, day))
			}
			if t.future && (t.hasStart || t.hasEnd) {
				t.shift = t.start.Civil - m.zone.Civil(t.id)
				if t.zone != m.zone {
					t.shift = t.startUTC - t.id
				}
			}
		}
		if t.future {
			s.futures = append(s.futures, t)
		}
	}
	byID := func(a, b *timing) int { return cmp.Compare(a.id, b.id) }
	slices.SortStableFunc(s.overrides, byID)
	slices.SortStableFunc(s.futures, byID)
}

// overridden reports whether an instance has an override of its own.
func (s *series) overridden(id int64) bool {
	_, found := slices.BinarySearchFunc(s.overrides, id, func(t *timing, id int64) int { return cmp.Compare(t.id, id) })
	return found
}

// futureAt returns the override with THISANDFUTURE that holds for an instance, nil without one.
func (s *series) futureAt(id int64) *timing {
	n, _ := slices.BinarySearchFunc(s.futures, id+1, func(t *timing, id int64) int { return cmp.Compare(t.id, id) })
	if n == 0 {
		return nil
	}
	return s.futures[n-1]
}

// override calls do with the instance that an override describes by itself.
func (s *series) override(t *timing, do func(Instance) bool) bool {
	return do(Instance{Start: t.startUTC, End: t.endOf(t.start.Civil, t.startUTC), ID: t.id, Component: t.component, civil: t.start.Civil, at: t})
}

// alone returns the timing of a component that describes one instance and no other, nil for any other component.
func (s *series) alone(c *Component) *timing {
	if s.single == nil {
		s.single = map[*Component]*timing{}
		for _, t := range s.overrides {
			if !t.future {
				s.single[t.component] = t
			}
		}
	}
	return s.single[c]
}

// each calls do with the instances that may touch a range: with all that do, and perhaps some near it. Those of one
// rule come in order, all together do not. It stops when do returns false.
func (s *series) each(r Range, b *budget, do func(Instance) bool) error {
	for _, t := range s.overrides {
		if !t.hasStart && !t.hasEnd {
			continue
		}
		if !b.spend(1) {
			return tooMuchWork(t.component)
		}
		if !s.override(t, do) {
			return nil
		}
	}
	m := s.master
	if m == nil || !m.hasStart && !m.hasEnd {
		return nil
	}
	emit := func(civil, utc, end int64) bool {
		if len(s.overrides) > 0 {
			if s.overridden(utc) {
				return true
			}
			if f := s.futureAt(utc); f != nil {
				i := Instance{ID: utc, Component: f.component, at: f}
				if f.zone == m.zone {
					i.civil = civil + f.shift
					i.Start = f.zone.UTC(i.civil)
				} else {
					i.Start = utc + f.shift
					i.civil = f.zone.Civil(i.Start)
				}
				i.End = f.endOf(i.civil, i.Start)
				return do(i)
			}
		}
		return do(Instance{Start: utc, End: end, ID: utc, Component: m.component, civil: civil, at: m})
	}
	if !m.repeats() {
		emit(m.start.Civil, m.startUTC, m.endOf(m.start.Civil, m.startUTC))
		return nil
	}
	// What starts before the range may end in it, and what an override with THISANDFUTURE moves may come from far.
	before, after := m.length(), int64(0)
	for _, f := range s.futures {
		before = max(before, f.length()+max(f.shift, 0))
		after = max(after, -f.shift)
	}
	from, until := r.Start-before-2*day, r.End+after+2*day
	excluded, err := m.exclusions(from, until, b)
	if err != nil {
		return err
	}
	more := true
	given := map[int64]bool(nil) // RDATE may name what a rule gives too, or DTSTART
	if len(m.rules) > 1 || len(m.dates) > 0 {
		given = map[int64]bool{}
	}
	one := func(civil, utc, end int64) bool {
		if given != nil {
			if given[utc] {
				return true
			}
			given[utc] = true
		}
		if excluded(civil, utc) {
			return true
		}
		more = emit(civil, utc, end)
		return more
	}
	for _, d := range m.dates {
		if !b.spend(1) {
			return tooMuchWork(m.component)
		}
		end := d.end
		if !d.given {
			end = m.endOf(d.civil, d.utc)
		}
		if end < from || d.utc > until {
			continue
		}
		if !one(d.civil, d.utc, end) {
			return nil
		}
	}
	if len(m.rules) == 0 {
		one(m.start.Civil, m.startUTC, m.endOf(m.start.Civil, m.startUTC))
		return nil
	}
	for i := range m.rules {
		var w walk
		w.init(&m.rules[i], m.start.Civil, m.zone, m.start.Kind == Date)
		w.budget = b
		if from > MinTime {
			w.skipTo(from)
		}
		last := int64(MinTime)
		for more {
			civil, utc, ok := w.next(until)
			if !ok {
				if w.exhausted {
					return tooMuchWork(m.component)
				}
				break
			}
			if utc == last { // two times of the clock in the gap before summer
				continue
			}
			last = utc
			if civil < from {
				continue
			}
			one(civil, utc, m.endOf(civil, utc))
		}
	}
	return nil
}

// exclusions returns what EXDATE and EXRULE exclude.
func (t *timing) exclusions(from, until int64, b *budget) (func(civil, utc int64) bool, error) {
	var byRule map[int64]bool
	for i := range t.exceptionRules {
		if byRule == nil {
			byRule = map[int64]bool{}
		}
		var w walk
		w.init(&t.exceptionRules[i], t.start.Civil, t.zone, t.start.Kind == Date)
		w.budget = b
		if from > MinTime {
			w.skipTo(from)
		}
		if until > lastCivil {
			until = min(until, from+100*366*day)
		}
		for {
			_, utc, ok := w.next(until)
			if !ok {
				break
			}
			byRule[utc] = true
		}
		if w.exhausted {
			return nil, tooMuchWork(t.component)
		}
	}
	return func(civil, utc int64) bool {
		if _, found := slices.BinarySearch(t.without, utc); found {
			return true
		}
		if _, found := slices.BinarySearch(t.withoutDays, floorDiv(civil, day)); found {
			return true
		}
		return byRule[utc]
	}, nil
}

// overlaps is the rule of RFC 4791 section 9.9 for what has a start and an end.
func (r Range) overlaps(start, end int64) bool {
	if end <= start {
		return r.Start <= start && r.End > start
	}
	return r.Start < end && r.End > start
}

// Instances returns the instances of the object that overlap a range, by start; no more than limit. Floating times
// and days are those of the zone local, nil is UTC. The error is of kind fault.TooMany if there are more, or if a
// rule needs too much work.
func (o *Object) Instances(r Range, local *Zone, limit int) ([]Instance, error) {
	return o.instances(r, local, limit, &budget{DefaultBudget})
}

func (o *Object) instances(r Range, local *Zone, limit int, b *budget) ([]Instance, error) {
	s, err := o.series(o.Type(), o.UID(), local)
	if err != nil {
		return nil, err
	}
	var out []Instance
	full := false
	err = s.each(r, b, func(i Instance) bool {
		if r.overlaps(i.Start, i.End) {
			if len(out) >= limit {
				full = true
				return false
			}
			out = append(out, i)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if full {
		return nil, fault.Newf("icalendar", fault.TooMany, "there are more than %d instances", limit)
	}
	slices.SortStableFunc(out, func(a, b Instance) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// Span returns the time from the start of the first to the end of the last instance; nothing of the object takes place
// outside. It is Always for what has no time, such as a task without dates; its End is MaxTime for what repeats
// without end, and for a rule whose end needs too much work to find. Floating times and days are counted for every
// zone of the earth, so that they may reach 14 hours further on each side.
func (o *Object) Span() (Range, error) {
	if o.Type() == "VFREEBUSY" {
		return o.busySpan(), nil
	}
	s, err := o.series(o.Type(), o.UID(), UTCZone)
	if err != nil {
		return Range{}, err
	}
	return s.span()
}

func (s *series) span() (Range, error) {
	out := Range{MaxTime, MinTime}
	add := func(t *timing, start, end int64) {
		margin := int64(0)
		if t.start.Kind == Date || t.start.Kind == Floating || t.start.Kind == Zoned && t.zone == UTCZone {
			margin = 14 * 3600
		}
		out.Start, out.End = min(out.Start, start-margin), max(out.End, end+margin)
	}
	if s.master == nil && len(s.overrides) == 0 {
		return Always, nil
	}
	for _, t := range s.overrides {
		if !t.hasStart && !t.hasEnd {
			return Always, nil
		}
		add(t, t.startUTC, t.endOf(t.start.Civil, t.startUTC))
	}
	m := s.master
	if m == nil {
		return out, nil
	}
	if !m.hasStart && !m.hasEnd {
		return Always, nil
	}
	first, last, lastEnd := m.startUTC, m.startUTC, m.endOf(m.start.Civil, m.startUTC)
	for _, d := range m.dates {
		first, last = min(first, d.utc), max(last, d.utc)
		if d.given {
			lastEnd = max(lastEnd, d.end)
		}
	}
	lastEnd = max(lastEnd, last+m.length())
	for i := range m.rules {
		utc, ok := m.lastOf(&m.rules[i])
		if !ok {
			lastEnd = MaxTime
			break
		}
		lastEnd = max(lastEnd, utc+m.length())
	}
	for _, f := range s.futures {
		first += min(f.shift, 0)
		if lastEnd < MaxTime {
			lastEnd += max(f.shift, 0) + f.length()
		}
	}
	add(m, first, min(lastEnd, MaxTime-day))
	if lastEnd >= MaxTime {
		out.End = MaxTime
	}
	return out, nil
}

// lastOf returns a time not before the last instance of a rule; false if there is none.
func (t *timing) lastOf(r *Rule) (int64, bool) {
	if r.endless() {
		return 0, false
	}
	if r.hasUntil {
		u := r.until.Civil
		if r.until.Kind != UTC {
			u = t.zone.UTC(u)
		}
		return max(t.startUTC, u+day), true
	}
	var w walk
	w.init(r, t.start.Civil, t.zone, t.start.Kind == Date)
	w.budget = &budget{DefaultBudget}
	last := t.startUTC
	if n := r.uniform(); n > 0 {
		w.skipToCount(n)
	}
	for {
		_, utc, ok := w.next(lastCivil)
		if !ok {
			return last, !w.exhausted
		}
		last = max(last, utc)
	}
}
