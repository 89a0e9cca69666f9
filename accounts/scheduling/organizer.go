package scheduling

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatepost/server/fault"
)

// The limits of what is scheduled.
const (
	maxAttendees = 1000
	maxCalendar  = 1 << 20
	maxParts     = 500
	maxDates     = 1500 // exceptions and added dates
)

// bounded says why an object is too large to be scheduled, or nil: what is compared for each attendee grows with all of these.
func (o *object) bounded() error {
	dates := 0
	for _, n := range o.parts {
		for i := range n.lines {
			if l := &n.lines[i]; l.Name == "EXDATE" || l.Name == "RDATE" {
				dates += 1 + strings.Count(l.Value, ",")
			}
		}
	}
	const op = "scheduling.bounded"
	switch {
	case len(o.cal.Text) > maxCalendar:
		return fault.Newf(op, fault.TooLarge, "An event with attendees has %d bytes at most.", maxCalendar)
	case len(o.parts) > maxParts:
		return fault.Newf(op, fault.TooMany, "An event with attendees has %d changed instances at most.", maxParts)
	case dates > maxDates:
		return fault.Newf(op, fault.TooMany, "An event with attendees has %d exceptions and added dates at most.", maxDates)
	case len(o.attendees()) > maxAttendees:
		return fault.Newf(op, fault.TooMany, "An event has %d attendees at most.", maxAttendees)
	}
	return nil
}

// notice is what an attendee or an organizer is told.
type notice struct {
	method string // REQUEST, CANCEL, REPLY, REFRESH
	parts  []*node
	from   *object // has the time zones of the parts
	to     []string
	raise  int // what is added to SEQUENCE: the object is gone, and cannot have it itself
}

// organizerChange is what the organizer has done to an object; old is nil for a new one, next for one that is deleted.
type organizerChange struct {
	old, next *object
	own       func(address string) bool
	now       time.Time
	// merge says that the client may not have seen the last replies: those that are stored stay.
	merge bool

	signatures map[*node]string // of what attendees are told
}

// told returns the signature of a component.
func (c *organizerChange) told(n *node) string {
	s, known := c.signatures[n]
	if !known {
		if c.signatures == nil {
			c.signatures = make(map[*node]string)
		}
		s = n.signature(told)
		c.signatures[n] = s
	}
	return s
}

// prepare makes next what is to be stored: SEQUENCE rises with a change of times, answers to other times are taken back, and the
// replies of attendees are kept.
func (c *organizerChange) prepare() error {
	for _, n := range c.next.parts {
		was := (*node)(nil)
		if c.old != nil {
			if was = c.old.part(c.next.key(n)); was == nil && n.line("RECURRENCE-ID") != nil {
				was = c.inherited(n)
			}
		}
		if was == nil {
			continue
		}
		moved := !sameTimes(was, n)
		if what := named(sequenceProperties); was.signature(what) != n.signature(what) && n.number("SEQUENCE") <= was.number("SEQUENCE") {
			n.set(newLine("SEQUENCE", strconv.Itoa(was.number("SEQUENCE")+1)))
		} else if n.number("SEQUENCE") < was.number("SEQUENCE") {
			n.set(newLine("SEQUENCE", strconv.Itoa(was.number("SEQUENCE"))))
		}
		for i := range n.lines {
			l := &n.lines[i]
			if l.Name != "ATTENDEE" || c.own(l.address()) {
				continue
			}
			before := was.attendee(l.address())
			switch {
			case before == nil:
			case moved && l.agent() == "SERVER":
				if l.partstat() != needsAction && l.partstat() == before.partstat() {
					l.setParam("PARTSTAT", needsAction)
					l.setParam("RSVP", "TRUE")
				}
			case before.partstat() != l.partstat() && before.partstat() != needsAction && (c.merge || l.partstat() == needsAction):
				// A reply came that the client had not seen.
				l.setParam("PARTSTAT", before.partstat())
			}
			if before != nil && l.param("SCHEDULE-STATUS") == "" && before.param("SCHEDULE-STATUS") != "" {
				l.setParam("SCHEDULE-STATUS", before.param("SCHEDULE-STATUS"))
			}
			if before != nil && !moved && before.param(paramReplied) != "" {
				l.setParam(paramReplied, before.param(paramReplied))
			}
		}
	}
	return nil
}

// inherited is what an override that is new replaces: the instance as the main component describes it.
func (c *organizerChange) inherited(n *node) *node {
	main := c.old.part(mainKey)
	if main == nil {
		return nil
	}
	made, ok := c.old.instance(main, n.line("RECURRENCE-ID"))
	if !ok {
		return nil
	}
	return made
}

// notices returns what attendees are to be told.
func (c *organizerChange) notices() []notice {
	var all []string
	agents := map[string]string{}
	force := map[string]bool{}
	for _, o := range []*object{c.next, c.old} {
		if o == nil {
			continue
		}
		for _, n := range o.parts {
			for i := range n.lines {
				l := &n.lines[i]
				if l.Name != "ATTENDEE" {
					continue
				}
				a := l.address()
				if a == "" || c.own(a) {
					continue
				}
				if _, seen := agents[a]; !seen {
					agents[a] = l.agent()
					all = append(all, a)
				}
				if o == c.next && strings.EqualFold(l.param("SCHEDULE-FORCE-SEND"), "REQUEST") {
					force[a] = true
				}
			}
		}
	}
	var list []notice
	groups := map[string]int{}
	for _, a := range all {
		if agents[a] != "SERVER" {
			continue
		}
		for _, n := range c.noticesFor(a, force[a]) {
			var b []byte
			for _, p := range n.parts {
				if n.method == "CANCEL" {
					p = p.clone()
					p.removeNamed("ATTENDEE")
				}
				b = p.append(b)
			}
			id := n.method + "\n" + string(b)
			at, known := groups[id]
			if !known {
				at = len(list)
				groups[id] = at
				list = append(list, n)
			}
			list[at].to = append(list[at].to, a)
		}
	}
	return list
}

// noticesFor compares what an attendee knew with what he is to know.
func (c *organizerChange) noticesFor(address string, force bool) []notice {
	old, next := viewOf(c.old, address), viewOf(c.next, address)
	request := func(keys []string) notice { return notice{method: "REQUEST", parts: next.nodes(keys), from: c.next} }
	cancel := func(from *object, parts ...*node) notice {
		n := notice{method: "CANCEL", parts: parts, from: from}
		if c.next == nil {
			n.raise = 1
		}
		return n
	}
	before, after := old[mainKey], next[mainKey]
	live := slices.ContainsFunc(slices.Collect(maps.Values(old)), func(n *node) bool { return !cancelled(n) })
	switch {
	case len(next) == 0 && !live:
		return nil
	case len(next) == 0 && before != nil:
		return []notice{cancel(c.old, before)}
	case len(next) == 0:
		return []notice{cancel(c.old, old.nodes(old.keys())...)}
	case after != nil && cancelled(after):
		if before == nil || cancelled(before) && !force {
			return nil
		}
		return []notice{cancel(c.next, after)}
	case len(old) == 0 || force, before == nil && after != nil:
		return []notice{request(next.keys())}
	case before != nil && after == nil:
		return []notice{cancel(c.old, before), request(next.keys())}
	}
	var gone []*node
	var now map[string]line
	if before != nil {
		if before.signature(toldButExceptions) != after.signature(toldButExceptions) {
			return []notice{request(next.keys())}
		}
		was := c.old.dates(before, "EXDATE")
		now = c.next.dates(after, "EXDATE")
		for _, key := range slices.Sorted(maps.Keys(now)) {
			if _, known := was[key]; known {
				continue
			}
			n := old[key]
			if n == nil {
				l := now[key]
				l.Name = "RECURRENCE-ID"
				made, ok := c.old.instance(before, &l)
				if !ok {
					continue // there was no such instance
				}
				n = made
			} else {
				n = n.clone()
			}
			n.set(newLine("SEQUENCE", strconv.Itoa(max(after.number("SEQUENCE"), n.number("SEQUENCE")))))
			gone = append(gone, n)
		}
		for key := range was {
			if _, still := now[key]; !still {
				return []notice{request(next.keys())}
			}
		}
	}
	var changed []string
	for _, key := range old.keys() {
		if next[key] != nil || key == mainKey {
			continue
		}
		if after != nil {
			if _, excepted := now[key]; !excepted {
				return []notice{request(next.keys())} // it is as the others again
			}
			continue // it is in gone
		}
		if !cancelled(old[key]) {
			gone = append(gone, old[key])
		}
	}
	for _, key := range next.keys() {
		n := next[key]
		switch {
		case key == mainKey, old[key] != nil && c.told(old[key]) == c.told(n):
		case cancelled(n):
			if old[key] == nil || !cancelled(old[key]) {
				gone = append(gone, n)
			}
		case old[key] == nil && before != nil && c.asBefore(before, n):
		default:
			changed = append(changed, key)
		}
	}
	var list []notice
	if len(gone) > 0 {
		list = append(list, cancel(c.old, gone...))
	}
	if len(changed) > 0 {
		list = append(list, request(changed))
	}
	return list
}

// asBefore reports whether a new override says nothing new: it has a reply, or alarms.
func (c *organizerChange) asBefore(main, n *node) bool {
	made, ok := c.old.instance(main, n.line("RECURRENCE-ID"))
	return ok && made.signature(told) == n.signature(told)
}

func cancelled(n *node) bool { return strings.EqualFold(n.value("STATUS"), "CANCELLED") }

// mark writes into what is stored how the messages went (RFC 6638 section 7.3), and takes away what was asked for once.
func (o *object) mark(status map[string]string) {
	for _, n := range o.parts {
		for i := range n.lines {
			l := &n.lines[i]
			if l.Name != "ATTENDEE" && l.Name != "ORGANIZER" {
				continue
			}
			if l.param("SCHEDULE-FORCE-SEND") != "" {
				l.setParam("SCHEDULE-FORCE-SEND", "")
			}
			if s := status[l.address()]; s != "" && l.param("SCHEDULE-STATUS") != s {
				l.setParam("SCHEDULE-STATUS", s)
			}
		}
	}
}
