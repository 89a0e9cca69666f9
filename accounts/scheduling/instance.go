package scheduling

import (
	"strings"

	"gatepost/accounts/icalendar"
)

// instance makes the override that describes an instance as its main component does; false if there is no such instance.
func (o *object) instance(main *node, id *line) (*node, bool) {
	at, ok := o.instant(id, id.Value)
	if !ok {
		return nil, false
	}
	start := main.line("DTSTART")
	if start == nil || main.line("RRULE") == nil && main.line("RDATE") == nil {
		return nil, false
	}
	found, err := o.report.Instances(o.cal, icalendar.Range{Start: at, End: at + 1}, 1000)
	if err != nil {
		return nil, false
	}
	there := false
	for _, i := range found {
		there = there || i.ID == at
	}
	if !there {
		return nil, false
	}
	first, ok := o.instant(start, start.Value)
	if !ok {
		return nil, false
	}
	n := main.clone()
	n.removeNamed("RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID")
	moved, ok := o.moved(start, at, first)
	if !ok {
		return nil, false
	}
	for _, name := range []string{"DTEND", "DUE"} {
		l := n.line(name)
		if l == nil {
			continue
		}
		end, ok := o.instant(l, l.Value)
		if !ok {
			return nil, false
		}
		shifted, ok := o.shifted(start, l, moved)
		if !ok {
			if shifted, ok = o.moved(l, at+end-first, end); !ok {
				return nil, false
			}
		}
		n.set(shifted)
	}
	n.set(moved)
	same := moved
	same.Name = "RECURRENCE-ID"
	same.raw = string(same.Append(nil))
	n.lines = append(n.lines, same)
	return n, true
}

// moved returns a DATE or DATE-TIME property at another instant, in the form that it has.
func (o *object) moved(l *line, at, was int64) (line, bool) {
	m, err := o.cal.Moment(&l.Property)
	if err != nil {
		return line{}, false
	}
	switch m.Kind {
	case icalendar.Zoned:
		zone := o.cal.Zone(m.Zone)
		if zone == nil {
			return line{}, false
		}
		m.Civil = zone.Civil(at)
	default:
		m.Civil += at - was
	}
	out := line{Property: l.Property}
	out.Value = m.String()
	out.raw = string(out.Append(nil))
	return out, true
}

// shifted returns the end that is as far from a new start, on the clock, as the end was from the start.
func (o *object) shifted(start, end *line, moved line) (line, bool) {
	s, err := o.cal.Moment(&start.Property)
	if err != nil {
		return line{}, false
	}
	e, err := o.cal.Moment(&end.Property)
	if err != nil || e.Kind != s.Kind || !strings.EqualFold(e.Zone, s.Zone) {
		return line{}, false
	}
	to, err := o.cal.Moment(&moved.Property)
	if err != nil {
		return line{}, false
	}
	e.Civil = to.Civil + e.Civil - s.Civil
	out := line{Property: end.Property}
	out.Value = e.String()
	out.raw = string(out.Append(nil))
	return out, true
}
