package icalendar

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says how a Moment is bound to the time line (RFC 5545 section 3.3.5).
type Kind uint8

// The kinds of a Moment.
const (
	Date     Kind = iota // a day, wherever one is
	Floating             // a date with time, wherever one is
	UTC                  // a date with time in UTC
	Zoned                // a date with time in a time zone
)

// Moment is a value of type DATE or DATE-TIME.
type Moment struct {
	// Civil is what the clock on the wall shows: seconds from 1970-01-01 00:00 of the same clock.
	Civil int64
	Kind  Kind
	// Zone is the TZID of a Zoned moment, as it was written.
	Zone string
}

// String returns the moment in the form of a DATE or DATE-TIME.
func (m Moment) String() string {
	y, mo, d := dateOf(floorDiv(m.Civil, day))
	s := fmt.Sprintf("%04d%02d%02d", y, mo, d)
	if m.Kind == Date {
		return s
	}
	t := floorMod(m.Civil, day)
	s += fmt.Sprintf("T%02d%02d%02d", t/3600, t/60%60, t%60)
	if m.Kind == UTC {
		s += "Z"
	}
	return s
}

const day = 24 * 60 * 60

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorMod(a, b int64) int64 {
	m := a % b
	if m < 0 {
		m += b
	}
	return m
}

// dayNumber returns the days from 1970-01-01 to a date of the Gregorian calendar.
func dayNumber(year, month, mday int) int64 {
	y := int64(year)
	if month <= 2 {
		y--
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	mp := int64((month + 9) % 12)
	doy := (153*mp+2)/5 + int64(mday) - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

// dateOf is the reverse of dayNumber.
func dateOf(n int64) (year, month, mday int) {
	n += 719468
	era := floorDiv(n, 146097)
	doe := n - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	mday = int(doy - (153*mp+2)/5 + 1)
	month = int(mp) + 3
	year = int(yoe + era*400)
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, mday
}

// weekday returns 0 for Monday to 6 for Sunday.
func weekday(n int64) int { return int(floorMod(n+3, 7)) }

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func yearDays(year int) int {
	if leap(year) {
		return 366
	}
	return 365
}

var monthLengths = [13]int{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func monthDays(year, month int) int {
	if month == 2 && leap(year) {
		return 29
	}
	return monthLengths[month]
}

func digits(s string) (n int, ok bool) {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, len(s) > 0 && len(s) < 10
}

// parseMoment reads a DATE or DATE-TIME. Its kind is Date, Floating or UTC.
func parseMoment(v string) (Moment, error) {
	bad := func() (Moment, error) {
		return Moment{}, fmt.Errorf("%.40q is neither a date (YYYYMMDD) nor a date with time (YYYYMMDDTHHMMSS)", v)
	}
	s := strings.TrimSpace(v)
	if len(s) < 8 {
		return bad()
	}
	n, ok := digits(s[:8])
	if !ok {
		return bad()
	}
	year, month, mday := n/10000, n/100%100, n%100
	if year < 1 || month < 1 || month > 12 || mday < 1 || mday > monthDays(year, month) {
		return Moment{}, fmt.Errorf("%.40q is not a day of the calendar", v)
	}
	m := Moment{Civil: dayNumber(year, month, mday) * day}
	if len(s) == 8 {
		return m, nil
	}
	m.Kind = Floating
	if strings.HasSuffix(s, "Z") || strings.HasSuffix(s, "z") {
		m.Kind = UTC
		s = s[:len(s)-1]
	}
	if len(s) != 15 || s[8] != 'T' && s[8] != 't' {
		return bad()
	}
	n, ok = digits(s[9:])
	hour, minute, second := n/10000, n/100%100, n%100
	if !ok || hour > 23 || minute > 59 || second > 60 {
		return bad()
	}
	// RFC 5545 section 3.3.12: a system without leap seconds takes second 60 for 59.
	m.Civil += int64(hour*3600 + minute*60 + min(second, 59))
	return m, nil
}

// duration is a DURATION: nominal days, and exact seconds (RFC 5545 section 3.3.6).
type duration struct {
	days    int64
	seconds int64
}

var errDuration = errors.New("it is not a duration such as P1D, PT15M or P2W")

// maxDuration bounds durations, in seconds: some 270 years.
const maxDuration = 100_000 * day

func parseDuration(v string) (duration, error) {
	s := strings.ToUpper(strings.TrimSpace(v))
	sign := int64(1)
	if strings.HasPrefix(s, "-") {
		sign = -1
		s = s[1:]
	} else {
		s = strings.TrimPrefix(s, "+")
	}
	if !strings.HasPrefix(s, "P") || len(s) < 2 {
		return duration{}, errDuration
	}
	s = s[1:]
	var d duration
	inTime := false
	for s != "" {
		if s[0] == 'T' {
			if inTime || len(s) == 1 {
				return duration{}, errDuration
			}
			inTime = true
			s = s[1:]
			continue
		}
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		count, ok := digits(s[:n])
		if !ok || n == len(s) {
			return duration{}, errDuration
		}
		unit := s[n]
		s = s[n+1:]
		switch {
		case unit == 'W' && !inTime:
			d.days += 7 * int64(count)
		case unit == 'D' && !inTime:
			d.days += int64(count)
		case unit == 'H' && inTime:
			d.seconds += 3600 * int64(count)
		case unit == 'M' && inTime:
			d.seconds += 60 * int64(count)
		case unit == 'S' && inTime:
			d.seconds += int64(count)
		default:
			return duration{}, errDuration
		}
	}
	if d.days*day+d.seconds > maxDuration {
		return duration{}, errors.New("the duration is longer than 100,000 days")
	}
	d.days *= sign
	d.seconds *= sign
	return d, nil
}

// moment reads the value of a property that is one DATE or DATE-TIME, with its TZID.
func (o *Object) moment(p *Property) (Moment, error) { return momentOf(p, p.Value) }

func momentOf(p *Property, value string) (Moment, error) {
	m, err := parseMoment(value)
	if err != nil {
		return m, invalid(p.Number, "%s: %v", p.Name, err)
	}
	if m.Kind == Floating {
		if id, ok := p.Param("TZID"); ok && id != "" {
			m.Kind, m.Zone = Zoned, id
		}
	}
	return m, nil
}

// span is what follows the start of a PERIOD: an end, a duration, or neither.
type span struct {
	end      Moment
	duration duration
	given    bool // end or duration
	byEnd    bool
}

// period reads one value of RDATE, EXDATE or FREEBUSY: a moment or a PERIOD.
func (o *Object) period(p *Property, value string) (Moment, span, error) {
	first, rest, isPeriod := strings.Cut(value, "/")
	m, err := momentOf(p, first)
	if err != nil || !isPeriod {
		return m, span{}, err
	}
	rest = strings.TrimSpace(rest)
	if d, err := parseDuration(rest); err == nil {
		if d.days < 0 || d.seconds < 0 {
			return m, span{}, invalid(p.Number, "%s: the period %.60q has a negative duration", p.Name, value)
		}
		return m, span{duration: d, given: true}, nil
	}
	end, err := momentOf(p, rest)
	if err != nil {
		return m, span{}, err
	}
	return m, span{end: end, given: true, byEnd: true}, nil
}

// Instant returns the instant of a property that is one DATE or DATE-TIME, in Unix seconds. Days and floating times are
// in the zone local; nil is UTC.
func (o *Object) Instant(p *Property, local *Zone) (int64, error) {
	m, err := o.moment(p)
	if err != nil {
		return 0, err
	}
	return o.utc(m, local), nil
}

// Moment returns the value of a property that is one DATE or DATE-TIME.
func (o *Object) Moment(p *Property) (Moment, error) { return o.moment(p) }
