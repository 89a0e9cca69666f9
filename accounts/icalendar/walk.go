package icalendar

import (
	"math/bits"
	"slices"
)

// DefaultBudget is the work that one expansion may cost, in steps of some tens of nanoseconds: one for each
// period of a rule that is looked at and one for each instance.
const DefaultBudget = 200_000

// budget is work that is left.
type budget struct{ left int64 }

func (b *budget) spend(n int64) bool {
	b.left -= n
	return b.left >= 0
}

// lastCivil is the end of the year 9999.
var lastCivil = dayNumber(10000, 1, 1)*day - 1

// walk goes through the instances of one rule in the order of civil time. Rules of days and longer are worked
// out in civil time; rules of hours and shorter go on in real time, so that each hour of a day of 25 hours has its
// instance and the missing one of a day of 23 has none.
type walk struct {
	rule   *Rule
	clock  clock
	budget *budget
	// exhausted is set when next ended because the budget was spent.
	exhausted bool

	start     int64 // civil
	until     int64 // civil, inclusive
	remaining int64 // of COUNT; -1 without
	started   bool  // DTSTART was given out

	// the current period
	period    int64
	days      []int64 // its days, for rules of days and longer
	picked    []int64 // positions in the set of the period that BYSETPOS names, ascending
	item      int64   // next position
	items     int64   // size of the set, or of picked
	loaded    bool
	base      int64 // civil or UTC of period 0
	local     int64 // civil start of the current period, for rules of hours and shorter
	instant   int64 // UTC start of it
	perDay    int64 // times of a day
	h, m, s   [60]uint8
	nh, nm    int64
	ns        int64
	daysArray [8]int64

	cost                int64  // of one period, in steps
	months              uint16 // with what is taken from DTSTART
	monthDays           uint32
	weekdays            uint8
	year0, month0, day0 int
}

// newWalk begins a walk at DTSTART in civil time. The zone is for UNTIL in UTC and for rules of hours and shorter; nil
// is UTC.
func newWalk(r *Rule, start int64, zone *Zone) *walk {
	w := &walk{}
	w.init(r, start, zone, false)
	return w
}

func (w *walk) init(r *Rule, start int64, zone *Zone, dateOnly bool) {
	w.rule, w.start, w.clock = r, start, newClock(zone)
	w.until, w.remaining = lastCivil, -1
	if r.count > 0 {
		w.remaining = r.count
	}
	if r.hasUntil {
		w.until = r.until.Civil
		if r.until.Kind == UTC && !dateOnly {
			w.until = w.clock.civil(r.until.Civil)
		}
		if r.until.Kind == Date && !dateOnly {
			w.until += day - 1
		}
		w.until = min(w.until, lastCivil)
	}
	dayN := floorDiv(start, day)
	w.year0, w.month0, w.day0 = dateOf(dayN)
	w.months, w.monthDays, w.weekdays = r.months, r.monthDays, r.weekdays
	if r.monthDays|r.monthDaysFromEnd == 0 && r.weekdays == 0 && len(r.ordinals) == 0 && len(r.yearDays) == 0 {
		if r.weekNumbers|r.weekNumbersFromEnd != 0 {
			if r.frequency == Yearly {
				w.weekdays = 1 << weekday(dayN)
			}
		} else {
			switch r.frequency {
			case Yearly:
				if r.months == 0 {
					w.months = 1 << w.month0
				}
				w.monthDays = 1 << w.day0
			case Monthly:
				w.monthDays = 1 << w.day0
			case Weekly:
				w.weekdays = 1 << weekday(dayN)
			}
		}
	}
	w.cost = r.cost()
	tod := floorMod(start, day)
	hours, minutes, seconds := uint64(r.hours), r.minutes, r.seconds
	if dateOnly {
		hours, minutes, seconds = 0, 0, 0
	}
	w.nh = list(&w.h, hours, tod/3600)
	w.nm = list(&w.m, minutes, tod/60%60)
	w.ns = list(&w.s, seconds, tod%60)
	w.perDay = w.nh * w.nm * w.ns
	switch r.frequency {
	case Yearly, Monthly, Daily:
		w.base = dayN
	case Weekly:
		w.base = dayN - floorMod(int64(weekday(dayN))-int64(r.weekStart), 7)
	case Hourly:
		w.base = w.clock.utc(start) - tod%3600
	case Minutely:
		w.base = w.clock.utc(start) - tod%60
	case Secondly:
		w.base = w.clock.utc(start)
	}
	w.days = w.daysArray[:0]
}

// list writes the numbers of a set, or the one of DTSTART for an empty set.
func list(to *[60]uint8, set uint64, otherwise int64) int64 {
	if set == 0 {
		to[0] = uint8(otherwise)
		return 1
	}
	n := int64(0)
	for ; set != 0; set &= set - 1 {
		to[n] = uint8(bits.TrailingZeros64(set))
		n++
	}
	return n
}

// step is the length of a period of hours and shorter in seconds.
func (w *walk) step() int64 {
	switch w.rule.frequency {
	case Hourly:
		return 3600 * w.rule.interval
	case Minutely:
		return 60 * w.rule.interval
	}
	return w.rule.interval
}

// skipTo goes ahead to the period that has a civil time, without looking at those before it. Instances somewhat
// before the time may still be given out. With COUNT it goes ahead only where the number of instances
// of a period is known.
func (w *walk) skipTo(civil int64) {
	civil = min(civil, lastCivil)
	if civil <= w.start {
		return
	}
	var k int64
	switch r := w.rule; r.frequency {
	case Yearly:
		y, _, _ := dateOf(floorDiv(civil, day))
		k = int64(y-w.year0) / r.interval
	case Monthly:
		y, m, _ := dateOf(floorDiv(civil, day))
		k = int64((y-w.year0)*12+m-w.month0) / r.interval
	case Weekly:
		k = (floorDiv(civil, day) - w.base) / (7 * r.interval)
	case Daily:
		k = (floorDiv(civil, day) - w.base) / r.interval
	default:
		k = (w.clock.utc(civil) - day - w.base) / w.step()
	}
	if k <= 1 {
		return
	}
	if w.remaining > 0 {
		n := w.rule.uniform()
		if n == 0 {
			return
		}
		// The first period has those from DTSTART on.
		for w.period == 0 {
			if _, _, ok := w.next(lastCivil); !ok {
				return
			}
			if w.loaded && w.item >= w.items {
				break
			}
		}
		if w.period > 0 { // DTSTART was alone in its period
			w.remaining += w.item
		}
		if k-1 > (w.remaining)/n {
			w.remaining = 0
			return
		}
		w.remaining -= (k - 1) * n
	}
	w.started = true
	w.period, w.loaded = k, false
}

// next returns the next instance in civil time and in UTC. There is none after the civil time limit, the end of the
// rule or that of the budget.
func (w *walk) next(limit int64) (civil, utc int64, ok bool) {
	if w.remaining == 0 {
		return 0, 0, false
	}
	if !w.started {
		if w.start > limit || w.start > w.until {
			return 0, 0, false
		}
		w.started = true
		w.counted()
		return w.start, w.clock.utc(w.start), true
	}
	for {
		if !w.loaded && !w.load(limit) {
			return 0, 0, false
		}
		for w.item < w.items {
			if w.budget != nil && !w.budget.spend(1) {
				w.exhausted = true
				return 0, 0, false
			}
			at := w.item
			w.item++
			if len(w.rule.positions) > 0 {
				at = w.picked[at]
			}
			if w.rule.frequency >= Hourly {
				offset := w.offsetInPeriod(at)
				civil, utc = w.local+offset, w.instant+offset
			} else {
				t := at % w.perDay
				civil = w.days[at/w.perDay]*day + int64(w.h[t/(w.nm*w.ns)])*3600 + int64(w.m[t/w.ns%w.nm])*60 + int64(w.s[t%w.ns])
			}
			if civil <= w.start && (w.rule.frequency < Hourly || utc <= w.clock.utc(w.start)) {
				continue
			}
			if civil > w.until || civil > limit {
				w.item--
				return 0, 0, false
			}
			if w.rule.frequency < Hourly {
				utc = w.clock.utc(civil)
			}
			w.counted()
			return civil, utc, true
		}
		w.period++
		w.loaded = false
	}
}

func (w *walk) counted() {
	if w.remaining > 0 {
		w.remaining--
	}
}

// offsetInPeriod returns the seconds from the start of a period of an hour or shorter to one of its times.
func (w *walk) offsetInPeriod(at int64) int64 {
	switch w.rule.frequency {
	case Hourly:
		return int64(w.m[at/w.ns])*60 + int64(w.s[at%w.ns])
	case Minutely:
		return int64(w.s[at])
	}
	return 0
}

// load works out the set of the current period, or of the first later one that has any. It returns false if that
// lies after the limit.
func (w *walk) load(limit int64) bool {
	limit = min(limit, w.until)
	for {
		var n int64
		if w.rule.frequency >= Hourly {
			var jump int64
			if w.period > (lastCivil+day-w.base)/w.step() {
				return false
			}
			w.instant = w.base + w.period*w.step()
			w.local = w.clock.civil(w.instant)
			if w.local > limit {
				return false
			}
			jump, n = w.limits()
			if n == 0 {
				if w.budget != nil && !w.budget.spend(w.cost) {
					w.exhausted = true
					return false
				}
				w.period += max(1, jump)
				continue
			}
		} else {
			first, ok := w.loadDays()
			if !ok || first*day > limit {
				return false
			}
			n = int64(len(w.days)) * w.perDay
		}
		if w.budget != nil && !w.budget.spend(w.cost) {
			w.exhausted = true
			return false
		}
		w.item, w.items = 0, n
		if len(w.rule.positions) > 0 {
			w.picked = w.picked[:0]
			for _, p := range w.rule.positions {
				at := int64(p) - 1
				if p < 0 {
					at = n + int64(p)
				}
				if at >= 0 && at < n {
					w.picked = append(w.picked, at)
				}
			}
			slices.Sort(w.picked)
			w.picked = slices.Compact(w.picked)
			w.items = int64(len(w.picked))
		}
		if w.items > 0 {
			w.loaded = true
			return true
		}
		w.period++
	}
}

// limits applies the BY parts to a period of an hour or shorter. It returns the size of the set of the period; if
// that is 0, how many periods to go on so that none that may have a set is passed over.
func (w *walk) limits() (jump, size int64) {
	r := w.rule
	tod := floorMod(w.local, day)
	to := func(civil int64) int64 { // periods until the first one that does not begin before a civil time
		step := w.step()
		return (w.clock.utc(civil) - w.instant + step - 1) / step
	}
	dayN := floorDiv(w.local, day)
	y, m, d := dateOf(dayN)
	if r.months != 0 && r.months&(1<<m) == 0 {
		if m++; m > 12 {
			y, m = y+1, 1
		}
		return to(dayNumber(y, m, 1) * day), 0
	}
	if !w.dayFits(y, m, d, dayN) {
		return to((dayN + 1) * day), 0
	}
	inHour := func() int64 { return (3600 - tod%3600 + w.step() - 1) / w.step() }
	if r.hours != 0 && r.hours&(1<<(tod/3600)) == 0 {
		return inHour(), 0
	}
	switch r.frequency {
	case Hourly:
		return 0, w.nm * w.ns
	case Minutely:
		if r.minutes != 0 && r.minutes&(1<<(tod/60%60)) == 0 {
			return 1, 0
		}
		return 0, w.ns
	}
	if r.minutes != 0 && r.minutes&(1<<(tod/60%60)) == 0 {
		return (60 - tod%60 + w.step() - 1) / w.step(), 0
	}
	if r.seconds != 0 && r.seconds&(1<<(tod%60)) == 0 {
		return 1, 0
	}
	return 0, 1
}

// loadDays fills days for the current period, and returns its first day. It returns false after the year 9999.
func (w *walk) loadDays() (first int64, ok bool) {
	r := w.rule
	w.days = w.days[:0]
	if w.period > 0 && r.interval > 4_000_000/w.period {
		return 0, false // more than 9999 years in the shortest of these periods
	}
	switch r.frequency {
	case Daily:
		n := w.base + w.period*r.interval
		if n*day > lastCivil {
			return 0, false
		}
		if w.months|uint16(w.weekdays) != 0 || w.monthDays|r.monthDaysFromEnd != 0 || len(r.yearDays) > 0 ||
			r.weekNumbers|r.weekNumbersFromEnd != 0 {
			y, m, d := dateOf(n)
			if !w.dayFits(y, m, d, n) {
				return n, true
			}
		}
		w.days = append(w.days, n)
		return n, true
	case Weekly:
		n := w.base + w.period*r.interval*7
		if n*day > lastCivil {
			return 0, false
		}
		for i := range int64(7) {
			if w.weekdays&(1<<weekday(n+i)) == 0 && w.weekdays != 0 {
				continue
			}
			if w.months != 0 || w.monthDays|r.monthDaysFromEnd != 0 || len(r.yearDays) > 0 ||
				r.weekNumbers|r.weekNumbersFromEnd != 0 {
				y, m, d := dateOf(n + i)
				if !w.dayFits(y, m, d, n+i) {
					continue
				}
			}
			w.days = append(w.days, n+i)
		}
		return n, true
	case Monthly:
		i := int64(w.year0)*12 + int64(w.month0-1) + w.period*r.interval
		y, m := int(i/12), int(i%12)+1
		if y > 9999 {
			return 0, false
		}
		n := dayNumber(y, m, 1)
		w.addMonth(y, m, n)
		return n, true
	}
	y := w.year0 + int(w.period*r.interval)
	if y > 9999 {
		return 0, false
	}
	n := dayNumber(y, 1, 1)
	first = n
	for m := 1; m <= 12; m++ {
		w.addMonth(y, m, n)
		n += int64(monthDays(y, m))
	}
	return first, true
}

// addMonth adds the days of a month that fit.
func (w *walk) addMonth(y, m int, first int64) {
	if w.months != 0 && w.months&(1<<m) == 0 {
		return
	}
	length := monthDays(y, m)
	if w.monthDays != 0 && w.rule.monthDaysFromEnd == 0 {
		for set := w.monthDays; set != 0; set &= set - 1 {
			d := bits.TrailingZeros32(set)
			if d > length {
				return
			}
			if n := first + int64(d-1); w.dayFits(y, m, d, n) {
				w.days = append(w.days, n)
			}
		}
		return
	}
	for d := 1; d <= length; d++ {
		if n := first + int64(d-1); w.dayFits(y, m, d, n) {
			w.days = append(w.days, n)
		}
	}
}

// dayFits reports whether a day passes all BY parts that are about days.
func (w *walk) dayFits(y, m, d int, n int64) bool {
	r := w.rule
	if w.months != 0 && w.months&(1<<m) == 0 {
		return false
	}
	if w.monthDays|r.monthDaysFromEnd != 0 && w.monthDays&(1<<d) == 0 && r.monthDaysFromEnd&(1<<(monthDays(y, m)-d+1)) == 0 {
		return false
	}
	if w.weekdays != 0 || len(r.ordinals) > 0 {
		wd := weekday(n)
		if w.weekdays&(1<<wd) == 0 && !w.ordinalFits(y, m, d, n, wd) {
			return false
		}
	}
	if len(r.yearDays) > 0 {
		yd := int16(n - dayNumber(y, 1, 1) + 1)
		back := yd - int16(yearDays(y)) - 1
		if !slices.Contains(r.yearDays, yd) && !slices.Contains(r.yearDays, back) {
			return false
		}
	}
	if r.weekNumbers|r.weekNumbersFromEnd != 0 {
		number, count := weekNumber(n, int64(r.weekStart))
		if r.weekNumbers&(1<<number) == 0 && r.weekNumbersFromEnd&(1<<(count-number+1)) == 0 {
			return false
		}
	}
	return true
}

// ordinalFits reports whether a day is one of the numbered weekdays of its month, or of its year in a yearly rule
// without BYMONTH (RFC 5545 section 3.3.10, notes 1 and 2).
func (w *walk) ordinalFits(y, m, d int, n int64, wd int) bool {
	if len(w.rule.ordinals) == 0 {
		return false
	}
	length := monthDays(y, m)
	if w.rule.frequency == Yearly && w.rule.months == 0 {
		d, length = int(n-dayNumber(y, 1, 1))+1, yearDays(y)
	}
	forth, back := int8((d-1)/7+1), int8(-((length-d)/7 + 1))
	for _, o := range w.rule.ordinals {
		if int(o.weekday) == wd && (o.n == forth || o.n == back) {
			return true
		}
	}
	return false
}

// weekNumber returns the number of the week of a day in the year that has most of the week, and how many weeks that
// year has (RFC 5545 section 3.3.10, BYWEEKNO).
func weekNumber(n, weekStart int64) (number, count int) {
	middle := n - floorMod(int64(weekday(n))-weekStart, 7) + 3
	y, _, _ := dateOf(middle)
	yd := int(middle - dayNumber(y, 1, 1))
	return yd/7 + 1, (yearDays(y)-1-yd%7)/7 + 1
}

// skipToCount goes ahead to the end of a rule with COUNT of which each period has n instances.
func (w *walk) skipToCount(n int64) {
	k := w.remaining/n - 2
	if k < 2 {
		return
	}
	var civil int64
	switch w.rule.frequency {
	case Weekly:
		civil = w.base + k*7*w.rule.interval
	case Daily:
		civil = w.base + k*w.rule.interval
	default:
		if k > lastCivil/w.step() {
			return
		}
		w.skipTo(w.clock.civil(w.base + k*w.step()))
		return
	}
	if k > 4_000_000/w.rule.interval {
		return
	}
	w.skipTo(civil * day)
}
