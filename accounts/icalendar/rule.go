package icalendar

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Frequency is the FREQ of a rule.
type Frequency uint8

// The frequencies, from long to short.
const (
	Yearly Frequency = iota
	Monthly
	Weekly
	Daily
	Hourly
	Minutely
	Secondly
)

var frequencies = [...]string{"YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"}

// Rule is a recurrence rule (RFC 5545 section 3.3.10). Sets of numbers are bits.
type Rule struct {
	frequency Frequency
	weekStart uint8 // 0 is Monday
	hasUntil  bool
	interval  int64
	count     int64 // 0 is without
	until     Moment

	seconds, minutes   uint64
	hours              uint32
	months             uint16
	monthDays          uint32 // bit n is day n
	monthDaysFromEnd   uint32 // bit n is day -n
	weekNumbers        uint64
	weekNumbersFromEnd uint64
	weekdays           uint8     // those without a number; bit 0 is Monday
	ordinals           []ordinal // those with one
	yearDays           []int16
	positions          []int16
}

type ordinal struct{ weekday, n int8 }

var weekdayNames = [...]string{"MO", "TU", "WE", "TH", "FR", "SA", "SU"}

func parseWeekday(s string) (int, bool) {
	for i, n := range weekdayNames {
		if s == n {
			return i, true
		}
	}
	return 0, false
}

// maxList is how many numbers a BY part has at most: every day of a year from both ends.
const maxList = 732

// ParseRule reads the value of RRULE. A part that RFC 5545 does not allow with the frequency limits the set, as
// it does in other programs. A calendar other than the Gregorian (RFC 7529) is an error.
func ParseRule(value string) (Rule, error) {
	r := Rule{interval: 1}
	hasFrequency := false
	var seen uint32
	for rest := strings.TrimSpace(value); rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, ";")
		if part == "" {
			continue
		}
		name, v, ok := strings.Cut(part, "=")
		if !ok || v == "" {
			return r, fmt.Errorf("the part %.40q of the rule has no value", part)
		}
		name, v = strings.ToUpper(strings.TrimSpace(name)), strings.ToUpper(strings.TrimSpace(v))
		n := -1
		for i, known := range ruleParts {
			if known == name {
				n = i
			}
		}
		if n < 0 {
			if strings.HasPrefix(name, "X-") {
				continue
			}
			return r, fmt.Errorf("the rule has an unknown part %.40q", name)
		}
		if seen&(1<<n) != 0 {
			return r, fmt.Errorf("the rule has %s twice", name)
		}
		seen |= 1 << n
		err := error(nil)
		switch name {
		case "FREQ":
			for i, f := range frequencies {
				if f == v {
					r.frequency, hasFrequency = Frequency(i), true
				}
			}
			if !hasFrequency {
				return r, fmt.Errorf("the frequency %.40q is not known", v)
			}
		case "INTERVAL", "COUNT":
			n, ok := digits(v)
			if !ok || n < 1 {
				return r, fmt.Errorf("%s is %.40q where a number from 1 must be", name, v)
			}
			if name == "COUNT" {
				r.count = int64(n)
			} else {
				r.interval = int64(n)
			}
		case "UNTIL":
			r.until, err = parseMoment(v)
			r.hasUntil = true
		case "WKST":
			n, ok := parseWeekday(v)
			if !ok {
				return r, fmt.Errorf("WKST is %.40q where a weekday must be", v)
			}
			r.weekStart = uint8(n)
		case "BYSECOND":
			err = numbers(v, 0, 60, false, func(n int) { r.seconds |= 1 << min(n, 59) })
		case "BYMINUTE":
			err = numbers(v, 0, 59, false, func(n int) { r.minutes |= 1 << n })
		case "BYHOUR":
			err = numbers(v, 0, 23, false, func(n int) { r.hours |= 1 << n })
		case "BYMONTH":
			err = numbers(v, 1, 12, false, func(n int) { r.months |= 1 << n })
		case "BYMONTHDAY":
			err = numbers(v, 1, 31, true, func(n int) {
				if n < 0 {
					r.monthDaysFromEnd |= 1 << -n
				} else {
					r.monthDays |= 1 << n
				}
			})
		case "BYWEEKNO":
			err = numbers(v, 1, 53, true, func(n int) {
				if n < 0 {
					r.weekNumbersFromEnd |= 1 << -n
				} else {
					r.weekNumbers |= 1 << n
				}
			})
		case "BYYEARDAY":
			err = numbers(v, 1, 366, true, func(n int) { r.yearDays = append(r.yearDays, int16(n)) })
		case "BYSETPOS":
			err = numbers(v, 1, 366, true, func(n int) { r.positions = append(r.positions, int16(n)) })
		case "BYDAY":
			err = r.parseDays(v)
		case "RSCALE":
			if v != "GREGORIAN" {
				return r, fmt.Errorf("the calendar %.40q is not supported", v)
			}
		case "SKIP":
			if v != "OMIT" {
				return r, fmt.Errorf("SKIP=%.40s is not supported", v)
			}
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
	}
	if !hasFrequency {
		return r, errors.New("the rule has no FREQ")
	}
	if r.count > 0 && r.hasUntil {
		return r, errors.New("the rule has COUNT and UNTIL")
	}
	if r.frequency > Monthly || r.frequency == Yearly && r.weekNumbers|r.weekNumbersFromEnd != 0 {
		// A number before a weekday has a meaning in a month or a year only; elsewhere programs pass over it.
		for _, o := range r.ordinals {
			r.weekdays |= 1 << o.weekday
		}
		r.ordinals = nil
	}
	return r, nil
}

var ruleParts = [...]string{"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYSECOND", "BYMINUTE", "BYHOUR", "BYDAY", "BYMONTHDAY",
	"BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS", "RSCALE", "SKIP"}

// numbers reads a list of numbers from low to high, or from -high to -low if they may be negative.
func numbers(list string, low, high int, negative bool, add func(int)) error {
	for count := 0; ; count++ {
		v, rest, more := strings.Cut(list, ",")
		n, err := strconv.Atoi(strings.TrimSpace(v))
		abs := max(n, -n)
		if err != nil || abs < low || abs > high || n < 0 && !negative {
			return fmt.Errorf("%.40q is not a number from %d to %d", v, low, high)
		}
		if count >= maxList {
			return fmt.Errorf("there are more than %d numbers", maxList)
		}
		add(n)
		if !more {
			return nil
		}
		list = rest
	}
}

func (r *Rule) parseDays(list string) error {
	for {
		v, rest, more := strings.Cut(list, ",")
		v = strings.TrimSpace(v)
		if len(v) < 2 {
			return fmt.Errorf("%.40q is not a weekday", v)
		}
		wd, ok := parseWeekday(v[len(v)-2:])
		if !ok {
			return fmt.Errorf("%.40q is not a weekday", v)
		}
		if len(v) == 2 {
			r.weekdays |= 1 << wd
		} else {
			n, err := strconv.Atoi(v[:len(v)-2])
			if err != nil || n == 0 || n < -53 || n > 53 {
				return fmt.Errorf("%.40q has no number from 1 to 53, or from -53 to -1, before the weekday", v)
			}
			if len(r.ordinals) >= maxList {
				return fmt.Errorf("there are more than %d weekdays", maxList)
			}
			r.ordinals = append(r.ordinals, ordinal{int8(wd), int8(n)})
		}
		if !more {
			return nil
		}
		list = rest
	}
}

// endless reports whether the rule has neither COUNT nor UNTIL.
func (r *Rule) endless() bool { return r.count == 0 && !r.hasUntil }

// cost returns the work of one period in steps. A long list is gone through for each day of the period.
func (r *Rule) cost() int64 {
	days, fixed := int64(1), int64(1)
	switch r.frequency {
	case Yearly:
		days, fixed = 366, 8
	case Monthly:
		days = 31
	case Weekly:
		days = 7
	}
	return fixed + (days*int64(len(r.ordinals)+len(r.yearDays))+int64(len(r.positions)))/32
}

// uniform returns how many instances each period after the first has, 0 if that differs.
func (r *Rule) uniform() int64 {
	if r.months != 0 || r.monthDays|r.monthDaysFromEnd != 0 || len(r.yearDays) > 0 || len(r.positions) > 0 ||
		r.weekNumbers|r.weekNumbersFromEnd != 0 {
		return 0
	}
	n := int64(1)
	switch r.frequency {
	case Weekly:
		n = int64(max(1, bits.OnesCount8(r.weekdays)))
	case Daily:
		if r.weekdays != 0 {
			return 0
		}
	case Hourly:
		if r.weekdays != 0 || r.hours != 0 {
			return 0
		}
	case Minutely:
		if r.weekdays != 0 || r.hours != 0 || r.minutes != 0 {
			return 0
		}
	case Secondly:
		if r.weekdays != 0 || r.hours != 0 || r.minutes != 0 || r.seconds != 0 {
			return 0
		}
	default:
		return 0
	}
	if r.frequency < Hourly {
		n *= int64(max(1, bits.OnesCount32(r.hours)))
	}
	if r.frequency < Minutely {
		n *= int64(max(1, bits.OnesCount64(r.minutes)))
	}
	if r.frequency < Secondly {
		n *= int64(max(1, bits.OnesCount64(r.seconds)))
	}
	return n
}
