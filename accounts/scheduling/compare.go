package scheduling

import (
	"slices"
	"strings"
)

// The properties that are not part of what attendees are told: they are of one copy, or change by themselves.
var ownProperties = map[string]bool{"DTSTAMP": true, "LAST-MODIFIED": true, "CREATED": true, "SEQUENCE": true, "TRANSP": true,
	"PRODID": true, "ACKNOWLEDGED": true, "COMPLETED": true, "PERCENT-COMPLETE": true, "REQUEST-STATUS": true}

// The properties that say when something takes place: after a change of one, attendees are asked again.
var timeProperties = []string{"DTSTART", "DTEND", "DURATION", "DUE", "RRULE", "RDATE"}

// The properties whose change is a new SEQUENCE (RFC 5546 section 2.1.4).
var sequenceProperties = append([]string{"EXDATE", "STATUS"}, timeProperties...)

// signature is what a component tells attendees, in an order that does not depend on its text. what chooses among its lines.
func (n *node) signature(what func(*line) bool) string {
	var list []string
	for i := range n.lines {
		l := &n.lines[i]
		if !what(l) {
			continue
		}
		switch l.Name {
		case "ATTENDEE":
			list = append(list, "ATTENDEE "+l.address()+" "+strings.ToUpper(l.param("ROLE")))
		case "ORGANIZER":
			list = append(list, "ORGANIZER "+l.address())
		case "EXDATE", "RDATE":
			for v := range strings.SplitSeq(l.Value, ",") {
				list = append(list, l.Name+" "+l.param("TZID")+" "+v)
			}
		default:
			list = append(list, l.Name+" "+l.param("TZID")+" "+l.Value)
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// told chooses the lines that attendees are told of.
func told(l *line) bool {
	return !ownProperties[l.Name] && !strings.HasPrefix(l.Name, "X-")
}

func toldButExceptions(l *line) bool { return told(l) && l.Name != "EXDATE" }

func named(names []string) func(*line) bool {
	return func(l *line) bool { return slices.Contains(names, l.Name) }
}

// sameTimes reports whether two components take place at the same times.
func sameTimes(a, b *node) bool {
	what := named(timeProperties)
	return a.signature(what) == b.signature(what)
}

// view is what one attendee knows of an object: the components that name him, by key.
type view map[string]*node

// viewOf returns the view of an attendee; o may be nil. Instances that he is not invited to are exceptions of the main component.
func viewOf(o *object, address string) view {
	v := view{}
	if o == nil {
		return v
	}
	var without []*node
	for _, n := range o.parts {
		if n.attendee(address) != nil {
			v[o.key(n)] = n
		} else if n.line("RECURRENCE-ID") != nil {
			without = append(without, n)
		}
	}
	if main := v[mainKey]; main != nil && len(without) > 0 {
		known := o.dates(main, "EXDATE")
		main = main.clone()
		for _, n := range without {
			if _, excepted := known[o.key(n)]; !excepted {
				main.except(n.line("RECURRENCE-ID"))
			}
		}
		v[mainKey] = main
	}
	return v
}

// except adds an EXDATE for the instance that a RECURRENCE-ID names.
func (n *node) except(id *line) {
	l := line{Property: id.Property}
	l.Name = "EXDATE"
	l.setParam("RANGE", "")
	n.lines = append(n.lines, l)
}

// keys returns the keys of a view, the main component first.
func (v view) keys() []string {
	list := make([]string, 0, len(v))
	for k := range v {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func (v view) nodes(keys []string) []*node {
	list := make([]*node, len(keys))
	for i, k := range keys {
		list[i] = v[k]
	}
	return list
}
