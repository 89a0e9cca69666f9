package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatepost/server/settings"
)

const day = 24 * time.Hour

// timeOfDay compares the time since midnight. A range goes from its first time up to and without
// its second; 22:00-6:00 goes over midnight.
type timeOfDay struct {
	op     Operation
	ranges []timeRange
}

type timeRange struct{ from, to time.Duration }

func newTimeOfDay(op Operation, param string) (check, error) {
	c := &timeOfDay{op: op}
	list := []string{param}
	if op.list() {
		list = items(param)
	}
	for _, item := range list {
		start, end, isRange := strings.Cut(item, "-")
		if isRange && !op.list() {
			return nil, fmt.Errorf("%q is not a time of day, hh:mm or hh:mm:ss", item)
		}
		from, unit, err := parseTimeOfDay(start)
		if err != nil {
			return nil, err
		}
		to := from + unit
		if isRange {
			if to, _, err = parseTimeOfDay(end); err != nil {
				return nil, err
			}
		}
		c.ranges = append(c.ranges, timeRange{from, to})
	}
	return c, nil
}

// parseTimeOfDay reads h:mm or h:mm:ss, and returns how long the time that is named lasts.
func parseTimeOfDay(s string) (at, unit time.Duration, err error) {
	parts := strings.Split(strings.TrimSpace(s), ":")
	unit = time.Minute
	if len(parts) == 3 {
		unit = time.Second
	}
	bad := len(parts) < 2 || len(parts) > 3
	for i := 0; i < 3 && !bad; i++ {
		n := 0
		if i < len(parts) {
			n, err = strconv.Atoi(parts[i])
			bad = err != nil || len(parts[i]) > 2 || parts[i][0] < '0' || n > 59
		}
		at = at*60 + time.Duration(n)
	}
	if at *= time.Second; bad || at > day {
		return 0, 0, fmt.Errorf("%q is not a time of day, hh:mm or hh:mm:ss", s)
	}
	return at, unit, nil
}

func (c *timeOfDay) holds(r *Run) bool {
	now := sinceMidnight(r.in.Now)
	switch c.op {
	case LessThan:
		return now < c.ranges[0].from
	case GreaterThan:
		return now > c.ranges[0].from
	}
	within := false
	for _, rg := range c.ranges {
		if rg.from <= rg.to {
			within = within || rg.from <= now && now < rg.to
		} else {
			within = within || rg.from <= now || now < rg.to
		}
	}
	return within != c.op.negative()
}

func sinceMidnight(t time.Time) time.Duration {
	h, m, s := t.Clock()
	return time.Duration(h*3600+m*60+s) * time.Second
}

func (c *timeOfDay) saw(r *Run) string { return "it is " + r.in.Now.Format("15:04:05 MST") }

// currentDate compares the moment.
type currentDate struct {
	op   Operation
	text string // in one of dateLayouts
	form string
	zone bool // the text names its zone
	day  bool // the text names a day without a time
}

// dateLayouts are the forms of a date.
var dateLayouts = [...]struct {
	form      string
	day, zone bool
}{
	{form: "2 Jan 2006 15:04:05"}, {form: "2 Jan 2006 15:04"}, {form: "2 Jan 2006", day: true},
	{form: "2 Jan 2006 15:04:05 -0700", zone: true},
	{form: "Mon, 2 Jan 2006 15:04:05 -0700", zone: true}, {form: "Mon, 2 Jan 2006 15:04:05"},
}

func newCurrentDate(op Operation, param string) (check, error) {
	text := strings.Join(strings.Fields(param), " ")
	for _, l := range dateLayouts {
		if _, err := time.Parse(l.form, text); err == nil {
			return &currentDate{op: op, text: text, form: l.form, zone: l.zone, day: l.day}, nil
		}
	}
	return nil, fmt.Errorf("%q is not a date, DD Mon YYYY or DD Mon YYYY hh:mm:ss", param)
}

func (c *currentDate) holds(r *Run) bool {
	now := r.in.Now
	at, _ := time.ParseInLocation(c.form, c.text, now.Location()) // newCurrentDate has parsed it
	switch c.op {
	case LessThan:
		return now.Before(at)
	case GreaterThan:
		return now.After(at)
	}
	same := now.Unix() == at.Unix()
	if c.day {
		y, m, d := now.Date()
		same = y == at.Year() && m == at.Month() && d == at.Day()
	}
	return same != (c.op == IsNot)
}

func (c *currentDate) saw(r *Run) string {
	return "it is " + r.in.Now.Format("02 Jan 2006 15:04:05 MST")
}

// currentDay compares the day of the week.
type currentDay struct {
	op   Operation
	days [7]bool
}

func newCurrentDay(op Operation, param string) (check, error) {
	c := &currentDay{op: op}
	list := []string{param}
	if op.list() {
		list = items(param)
	}
	for _, item := range list {
		d, ok := parseDay(strings.TrimSpace(item))
		if !ok {
			return nil, fmt.Errorf("%q is not a day, Sun to Sat or 0 to 6", item)
		}
		c.days[d] = true
	}
	return c, nil
}

func parseDay(s string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		name := d.String()
		if strings.EqualFold(s, name) || strings.EqualFold(s, name[:3]) || s == strconv.Itoa(int(d)) {
			return d, true
		}
	}
	return 0, false
}

func (c *currentDay) holds(r *Run) bool { return c.days[r.in.Now.Weekday()] != c.op.negative() }
func (c *currentDay) saw(r *Run) string { return "it is " + r.in.Now.Weekday().String() }

// messageSize compares the number of bytes.
type messageSize struct {
	op   Operation
	size int64
}

func newMessageSize(op Operation, param string) (check, error) {
	size, err := settings.ParseSize(strings.TrimSpace(param))
	if err != nil || size == settings.Unlimited {
		return nil, fmt.Errorf("%q is not a size, a number of bytes or one with K, M or G", param)
	}
	return &messageSize{op, int64(size)}, nil
}

func (c *messageSize) holds(r *Run) bool {
	n := r.in.Message.Size()
	switch c.op {
	case LessThan:
		return n < c.size
	case GreaterThan:
		return n > c.size
	}
	return (n == c.size) != (c.op == IsNot)
}

func (c *messageSize) saw(r *Run) string { return fmt.Sprintf("it has %d bytes", r.in.Message.Size()) }
