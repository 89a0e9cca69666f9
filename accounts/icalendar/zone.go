package icalendar

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the same zones on every machine
)

// Zone is a time zone: a known one of the IANA database, or what a VTIMEZONE defines. It does not change.
type Zone struct {
	// Name is the IANA name of a known zone; the TZID of a defined one.
	Name string

	loc         *time.Location
	table       sync.Once // works out transitions, if loc is set
	from, until int64     // of a zone with loc: between which times the transitions are all there
	first       int64     // offset before the first transition
	transitions []transition
}

type transition struct {
	at     int64 // UTC
	offset int64 // from then on, seconds east of UTC
}

// UTCZone is UTC.
var UTCZone = &Zone{Name: "UTC", loc: time.UTC}

// localZone is made once: its table of transitions is kept with it.
var localZone = sync.OnceValue(func() *Zone { return &Zone{Name: time.Local.String(), loc: time.Local} })

// LocalZone is the time zone of the machine.
func LocalZone() *Zone { return localZone() }

// DefinedZone returns the time zone of a calendar text with a VTIMEZONE, such as the value of calendar-timezone (RFC 4791
// section 5.2.2): the first one. It is nil for any other text.
func DefinedZone(text []byte) *Zone {
	o, err := Parse(text)
	if err != nil {
		return nil
	}
	for _, c := range o.Root.Components {
		if c.Name == "VTIMEZONE" {
			return o.Zone(c.Text("TZID"))
		}
	}
	return nil
}

const (
	minTime = math.MinInt64 / 4
	maxTime = math.MaxInt64 / 4
)

// lookup returns the offset at an instant and for how long it holds.
func (z *Zone) lookup(utc int64) (offset, from, until int64) {
	if z.loc == time.UTC {
		return 0, minTime, maxTime
	}
	if z.loc != nil {
		z.table.Do(z.tabulate)
		if utc < z.from || utc >= z.until {
			return z.ask(utc)
		}
	}
	i, found := slices.BinarySearchFunc(z.transitions, utc, func(t transition, utc int64) int {
		switch {
		case t.at < utc:
			return -1
		case t.at > utc:
			return 1
		}
		return 0
	})
	if found {
		i++
	}
	offset, from, until = z.first, minTime, maxTime
	if i > 0 {
		offset, from = z.transitions[i-1].offset, z.transitions[i-1].at
	}
	if i < len(z.transitions) {
		until = z.transitions[i].at
	}
	if z.loc != nil {
		from, until = max(from, z.from), min(until, z.until)
	}
	return offset, from, until
}

// ask takes the answer of lookup from the IANA database. For times that a rule of the zone gives, that is slow.
func (z *Zone) ask(utc int64) (offset, from, until int64) {
	t := time.Unix(utc, 0).In(z.loc)
	_, off := t.Zone()
	start, end := t.ZoneBounds()
	from, until = minTime, maxTime
	if !start.IsZero() {
		from = start.Unix()
	}
	if !end.IsZero() {
		until = end.Unix()
	}
	return int64(off), from, until
}

// The years between which the transitions of a zone of the IANA database are kept.
var (
	tableFrom  = dayNumber(1900, 1, 1) * day
	tableUntil = dayNumber(2100, 1, 1) * day
)

// tabulate works out the transitions of a zone of the IANA database.
func (z *Zone) tabulate() {
	var end int64
	z.first, _, end = z.ask(tableFrom)
	z.from, z.until = tableFrom, tableFrom
	for end < tableUntil && len(z.transitions) < maxTransitions {
		if end <= z.until { // the database does not go on
			return
		}
		at := end
		var offset int64
		offset, _, end = z.ask(at)
		z.transitions = append(z.transitions, transition{at, offset})
		z.until = at
	}
	if end > z.until {
		z.until = min(end, tableUntil)
	}
}

// clock converts between civil time and UTC in one zone, and remembers the last offset. It belongs to one
// goroutine.
type clock struct {
	zone                *Zone
	offset, from, until int64
}

func newClock(z *Zone) clock {
	if z == nil {
		z = UTCZone
	}
	return clock{zone: z, from: 1, until: 0}
}

func (c *clock) at(utc int64) int64 {
	if utc < c.from || utc >= c.until {
		c.offset, c.from, c.until = c.zone.lookup(utc)
	}
	return c.offset
}

// utc returns the instant of a civil time (RFC 5545 section 3.3.5): a time that occurs twice is the first of the
// two; one that does not occur is counted with the offset before the gap.
func (c *clock) utc(civil int64) int64 {
	if u := civil - c.offset; u >= c.from+2*day && u < c.until-2*day {
		return u
	}
	before := c.at(civil - day)
	after := c.at(civil + day)
	u := civil - before
	if before == after || c.at(u) == before {
		return u
	}
	if v := civil - after; c.at(v) == after {
		return v
	}
	return u
}

// civil returns what the clock of the zone shows at an instant.
func (c *clock) civil(utc int64) int64 { return utc + c.at(utc) }

// UTC returns the instant of a civil time, in Unix seconds; see Moment.Civil.
func (z *Zone) UTC(civil int64) int64 {
	c := newClock(z)
	return c.utc(civil)
}

// Civil returns what the clock of the zone shows at an instant.
func (z *Zone) Civil(utc int64) int64 {
	c := newClock(z)
	return c.civil(utc)
}

// names remembers what the names of zones mean, so that a name costs its look-up once.
var names struct {
	sync.RWMutex
	iana map[string]*Zone // zones of the IANA database; it has some 600 names
	all  map[string]*Zone // what KnownZone found for any name, nil for nothing
}

// maxNames is how many names are remembered before all are forgotten, maxZoneName how long each is in bytes.
const (
	maxNames    = 4096
	maxZoneName = 200
)

// KnownZone returns the zone of an IANA name, of a Windows name, or of one of the forms in which programs write
// them: with a prefix (/mozilla.org/20050126_1/Europe/Berlin), in quotes, as an offset (GMT+0200). It returns nil
// for a name that it does not know.
func KnownZone(id string) *Zone {
	if len(id) > maxZoneName {
		return nil
	}
	names.RLock()
	z, ok := names.all[id]
	names.RUnlock()
	if ok {
		return z
	}
	z = findZone(id)
	names.Lock()
	defer names.Unlock()
	if names.all == nil || len(names.all) >= maxNames {
		names.all = map[string]*Zone{}
	}
	names.all[strings.Clone(id)] = z
	return z
}

func findZone(id string) *Zone {
	id = strings.Trim(strings.TrimSpace(id), `"'`)
	if z := ianaZone(id); z != nil {
		return z
	}
	if name, ok := windowsZones[id]; ok {
		return ianaZone(name)
	}
	if name, ok := otherZones[strings.ToLower(id)]; ok {
		return ianaZone(name)
	}
	// The names of the database have one to three parts.
	if strings.Contains(id, "/") {
		parts := strings.Split(strings.Trim(id, "/"), "/")
		for n := min(3, len(parts)-1); n > 0; n-- {
			if z := ianaZone(strings.Join(parts[len(parts)-n:], "/")); z != nil {
				return z
			}
		}
	}
	return offsetZone(id)
}

func ianaZone(name string) *Zone {
	names.RLock()
	z := names.iana[name]
	names.RUnlock()
	if z != nil {
		return z
	}
	if len(name) < 3 || len(name) > 40 || name == "Local" || name[0] < 'A' || name[0] > 'Z' {
		return nil
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '/' || c == '_' || c == '-' || c == '+') {
			return nil
		}
	}
	if name == "UTC" {
		return UTCZone
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	names.Lock()
	defer names.Unlock()
	if z := names.iana[name]; z != nil {
		return z
	}
	if names.iana == nil {
		names.iana = map[string]*Zone{}
	}
	name = strings.Clone(name)
	z = &Zone{Name: name, loc: loc}
	names.iana[name] = z
	return z
}

// offsetZone reads GMT+0200, UTC-05:30, (UTC+01:00) Somewhere, GMT+01.00/02.00.
func offsetZone(id string) *Zone {
	s := strings.TrimPrefix(strings.ToUpper(id), "(")
	if !strings.HasPrefix(s, "GMT") && !strings.HasPrefix(s, "UTC") {
		return nil
	}
	s = s[3:]
	if s == "" || strings.HasPrefix(s, ")") {
		return UTCZone
	}
	sign := int64(1)
	switch s[0] {
	case '-':
		sign = -1
	case '+':
	default:
		return nil
	}
	s = s[1:]
	n := 0
	var d []byte
	for n < len(s) && len(d) < 4 && (s[n] >= '0' && s[n] <= '9' || n > 0 && (s[n] == ':' || s[n] == '.')) {
		if s[n] >= '0' && s[n] <= '9' {
			d = append(d, s[n])
		}
		n++
	}
	if n < len(s) && s[n] >= '0' && s[n] <= '9' {
		return nil
	}
	v, ok := digits(string(d))
	if !ok {
		return nil
	}
	if len(d) <= 2 {
		v *= 100
	}
	if v/100 > 15 || v%100 > 59 {
		return nil
	}
	return &Zone{Name: id, first: sign * int64(v/100*3600+v%100*60)}
}

// zoneSet is the zones of one object, by TZID. VTIMEZONE is read when its zone is asked for.
type zoneSet struct {
	mu      sync.Mutex
	seen    map[string]*Zone
	defined map[string]*Component // VTIMEZONE by TZID without quotes
	work    budget                // what all of them may cost
}

// limit lowers what the zones may still cost, and returns what that is then.
func (s *zoneSet) limit(most int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work.left = min(s.work.left, most)
	return max(s.work.left, 0)
}

// nameWork is what the look-up of a name costs, in the steps of DefaultBudget: an object uses 400 zones at most.
const nameWork = DefaultBudget / 400

// Zone returns the time zone of a TZID of the object, nil if nobody knows it. A known zone is taken from the
// IANA database even if the object defines it: what programs write into VTIMEZONE is often one year's rule. Any
// other is what its VTIMEZONE says.
func (o *Object) Zone(id string) *Zone {
	o.zones.mu.Lock()
	defer o.zones.mu.Unlock()
	if z, ok := o.zones.seen[id]; ok {
		return z
	}
	if o.zones.seen == nil {
		o.zones.seen = map[string]*Zone{}
	}
	if !o.zones.work.spend(nameWork) {
		return nil
	}
	z := o.findZone(id)
	o.zones.seen[id] = z
	return z
}

func (o *Object) findZone(id string) *Zone {
	defined := o.definition(id)
	// A name that gives only an offset of today says less than a definition.
	if z := KnownZone(id); z != nil && (z.loc != nil || defined == nil) {
		return z
	}
	if defined == nil {
		return nil
	}
	if z := KnownZone(defined.Value("X-LIC-LOCATION")); z != nil && z.loc != nil {
		return z
	}
	return zoneOf(defined, &o.zones.work)
}

// definition returns the VTIMEZONE of a TZID, nil without one.
func (o *Object) definition(id string) *Component {
	if o.zones.defined == nil {
		o.zones.defined = map[string]*Component{}
		for _, c := range o.Root.Components {
			if c.Name != "VTIMEZONE" {
				continue
			}
			if name := strings.Trim(c.Text("TZID"), `"`); o.zones.defined[name] == nil {
				o.zones.defined[name] = c
			}
		}
	}
	return o.zones.defined[strings.Trim(id, `"`)]
}

// Transitions of a defined zone are worked out from zoneFrom to zoneUntil; after that the last one holds.
var (
	zoneFrom  = dayNumber(1900, 1, 1) * day
	zoneUntil = dayNumber(2200, 1, 1) * day
)

// maxTransitions is how many transitions a defined zone has at most.
const maxTransitions = 4000

// zoneOf works out a VTIMEZONE (RFC 5545 section 3.6.5). Observances that cannot be read are left out, and those for which
// no work is left end early; nil is returned if none can be read.
func zoneOf(c *Component, work *budget) *Zone {
	z := &Zone{Name: c.Text("TZID")}
	earliest := int64(math.MaxInt64)
	for _, ob := range c.Components {
		if ob.Name != "STANDARD" && ob.Name != "DAYLIGHT" {
			continue
		}
		start, err := parseMoment(ob.Value("DTSTART"))
		from, ok1 := parseOffset(ob.Value("TZOFFSETFROM"))
		to, ok2 := parseOffset(ob.Value("TZOFFSETTO"))
		if err != nil || !ok1 || !ok2 {
			continue
		}
		add := func(civil int64) {
			if len(z.transitions) < maxTransitions {
				z.transitions = append(z.transitions, transition{civil - from, to})
			}
		}
		if start.Civil-from < earliest {
			earliest = start.Civil - from
			z.first = from
		}
		add(start.Civil)
		for i := range ob.Properties {
			p := &ob.Properties[i]
			switch p.Name {
			case "RDATE":
				for _, v := range strings.Split(p.Value, ",") {
					if m, err := parseMoment(v); err == nil {
						add(m.Civil)
					}
				}
			case "RRULE":
				r, err := ParseRule(p.Value)
				if err != nil {
					continue
				}
				end := zoneUntil
				if r.until.Kind == UTC {
					r.until.Civil += from
				}
				w := newWalk(&r, start.Civil, nil)
				w.skipTo(zoneFrom)
				w.budget = work
				for n := 0; n < maxTransitions/4; n++ {
					civil, _, ok := w.next(end)
					if !ok {
						break
					}
					add(civil)
				}
			}
		}
	}
	if len(z.transitions) == 0 {
		return nil
	}
	slices.SortStableFunc(z.transitions, func(a, b transition) int { return int(max(-1, min(1, a.at-b.at))) })
	return z
}

// parseOffset reads a UTC-OFFSET in seconds.
func parseOffset(v string) (int64, bool) {
	v = strings.TrimSpace(v)
	if len(v) != 5 && len(v) != 7 {
		return 0, false
	}
	n, ok := digits(v[1:])
	if !ok {
		return 0, false
	}
	if len(v) == 5 {
		n *= 100
	}
	off := int64(n/10000*3600 + n/100%100*60 + n%100)
	switch {
	case n/10000 > 23:
		return 0, false
	case v[0] == '-':
		return -off, true
	case v[0] == '+':
		return off, true
	}
	return 0, false
}

// utc returns the instant of a moment. Dates and floating times are in the zone of who looks; nil is UTC.
func (o *Object) utc(m Moment, local *Zone) int64 {
	switch m.Kind {
	case UTC:
		return m.Civil
	case Zoned:
		if z := o.Zone(m.Zone); z != nil {
			return z.UTC(m.Civil)
		}
	}
	return local.UTC(m.Civil)
}
