package scheduling

import (
	"slices"
	"strings"
)

// NotAllowed is the failure of a change that an attendee, or an organizer, may not make (RFC 6638 sections 3.2.4.3 and 3.2.4.4).
type NotAllowed struct {
	// Rule is the precondition in RFC 6638.
	Rule string
	Text string
	// Other is the name of the item that has the UID, in the collection Collection.
	Other, Collection string
}

func (e *NotAllowed) Error() string { return e.Rule + ": " + e.Text }

func notAllowed(text string) error {
	return &NotAllowed{Rule: "allowed-attendee-scheduling-object-change", Text: text}
}

// attendeeChange is what an attendee has done to his copy of an object; old is nil for a new one, next for one that is deleted.
type attendeeChange struct {
	old, next *object
	own       func(address string) bool
}

// self returns the attendee that is the owner of the calendar.
func (c *attendeeChange) self(n *node) *line {
	for i := range n.lines {
		if l := &n.lines[i]; l.Name == "ATTENDEE" && c.own(l.address()) {
			return l
		}
	}
	return nil
}

// before returns what a component of next was: itself, the instance that it overrides, or nil.
func (c *attendeeChange) before(n *node) *node {
	if c.old == nil {
		return nil
	}
	key := c.next.key(n)
	if was := c.old.part(key); was != nil || key == mainKey {
		return was
	}
	main := c.old.part(mainKey)
	if main == nil {
		return nil
	}
	if made, ok := c.old.instance(main, n.line("RECURRENCE-ID")); ok {
		return made
	}
	return nil
}

// prepare refuses what an attendee may not change, and puts back what he does not decide: the organizer, the other attendees
// and their answers.
func (c *attendeeChange) prepare() error {
	if c.old == nil {
		return nil
	}
	was, _ := c.old.organizer()
	if now, ok := c.next.organizer(); !ok || now != was {
		return notAllowed("The organizer of an event that others see cannot be changed.")
	}
	for _, n := range c.next.parts {
		before := c.before(n)
		if before == nil {
			return notAllowed("Only the organizer can add an event or an instance.")
		}
		if !sameTimes(before, n) {
			return notAllowed("Only the organizer can change when the event takes place.")
		}
		c.restore(before, n)
	}
	main := c.next.part(mainKey)
	var exceptions map[string]line
	if main != nil {
		exceptions = c.next.dates(main, "EXDATE")
	}
	for _, n := range slices.Clone(c.old.parts) {
		key := c.old.key(n)
		if c.next.part(key) != nil {
			continue
		}
		if key == mainKey {
			return notAllowed("Only the organizer can remove the event and leave instances of it.")
		}
		if _, excepted := exceptions[key]; excepted {
			continue
		}
		c.next.add(n.clone())
	}
	return nil
}

// restore puts the lines of others back.
func (c *attendeeChange) restore(before, n *node) {
	own := c.self(n)
	delegates := map[string]bool{}
	if own != nil && own.partstat() == "DELEGATED" {
		for _, p := range own.Params {
			if p.Name == "DELEGATED-TO" {
				for _, v := range p.Values {
					delegates[addressOf(v)] = true
				}
			}
		}
	}
	var lines []line
	for _, l := range before.lines {
		switch {
		case l.Name == "ORGANIZER", l.Name == "SEQUENCE", l.Name == "DTSTAMP":
			lines = append(lines, l)
		case l.Name == "ATTENDEE" && !c.own(l.address()):
			lines = append(lines, l)
			delete(delegates, l.address())
		case l.Name == "ATTENDEE" && own == nil: // he has left out himself
			l.setParam("PARTSTAT", "DECLINED")
			lines = append(lines, l)
		}
	}
	// The client may say of the organizer that it sends its answer itself, or want one sent again.
	if now := n.line("ORGANIZER"); now != nil {
		for i := range lines {
			if lines[i].Name == "ORGANIZER" && (now.agent() != lines[i].agent() || now.param("SCHEDULE-FORCE-SEND") != "") {
				lines[i].setParam("SCHEDULE-AGENT", now.param("SCHEDULE-AGENT"))
				lines[i].setParam("SCHEDULE-FORCE-SEND", now.param("SCHEDULE-FORCE-SEND"))
			}
		}
	}
	n.remove(func(l *line) bool {
		switch l.Name {
		case "ORGANIZER", "SEQUENCE", "DTSTAMP": // these are the organizer's: what is older than what he has sent is known by them
			return true
		case "ATTENDEE":
			return !c.own(l.address()) && !delegates[l.address()]
		}
		return false
	})
	n.lines = append(n.lines, lines...)
}

// notices returns the answers to the organizer, and what a delegate is told.
func (c *attendeeChange) notices() []notice {
	from := c.next
	if from == nil {
		from = c.old
	}
	organizer, ok := from.organizer()
	first := from.parts[0].line("ORGANIZER")
	if !ok || organizer == "" || first.agent() != "SERVER" {
		return nil
	}
	var parts []*node
	var list []notice
	if c.next == nil {
		parts = c.declined()
	} else {
		force := strings.EqualFold(first.param("SCHEDULE-FORCE-SEND"), "REPLY")
		for _, n := range c.next.parts {
			own := c.self(n)
			if own == nil || cancelled(n) {
				continue
			}
			was := needsAction
			if before := c.before(n); before != nil {
				if l := c.self(before); l != nil {
					was = l.partstat()
				}
				if c.old.part(c.next.key(n)) == nil { // a new override: what counts is what the organizer knows of the instance
					was = c.knownOf(was)
				}
			}
			if own.partstat() != was || force || strings.EqualFold(own.param("SCHEDULE-FORCE-SEND"), "REPLY") {
				parts = append(parts, n)
			}
		}
		parts = append(parts, c.excepted()...)
		for _, n := range parts {
			if own := c.self(n); own.partstat() == "DELEGATED" {
				for i := range n.lines {
					l := &n.lines[i]
					if l.Name == "ATTENDEE" && hasAddress(l, "DELEGATED-FROM", own.address()) && addressOf(own.param("DELEGATED-TO")) == l.address() {
						list = append(list, notice{method: "REQUEST", parts: []*node{n}, from: c.next, to: []string{l.address()}})
					}
				}
			}
		}
	}
	if len(parts) == 0 {
		return nil
	}
	answers := make([]*node, len(parts))
	for i, n := range parts {
		answers[i] = c.answer(n)
	}
	return append([]notice{{method: "REPLY", parts: answers, from: from, to: []string{organizer}}}, list...)
}

// knownOf is the answer of which the organizer knows for an instance that had no override: that to the whole, also if it changes in the same
// change.
func (c *attendeeChange) knownOf(was string) string {
	if main := c.next.part(mainKey); main != nil {
		if l := c.self(main); l != nil {
			return l.partstat()
		}
	}
	return was
}

// hasAddress reports whether a parameter has an address.
func hasAddress(l *line, param, address string) bool {
	for _, p := range l.Params {
		if p.Name == param && slices.ContainsFunc(p.Values, func(v string) bool { return addressOf(v) == address }) {
			return true
		}
	}
	return false
}

// excepted returns the instances that the attendee has taken out of his copy: he declines them.
func (c *attendeeChange) excepted() (list []*node) {
	main := c.next.part(mainKey)
	if c.old == nil || main == nil {
		return nil
	}
	before := c.old.part(mainKey)
	if before == nil {
		return nil
	}
	known := c.old.dates(before, "EXDATE")
	now := c.next.dates(main, "EXDATE")
	keys := make([]string, 0, len(now))
	for key := range now {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if _, ok := known[key]; ok {
			continue
		}
		n := c.old.part(key)
		if n == nil {
			id := now[key]
			id.Name = "RECURRENCE-ID"
			made, ok := c.old.instance(before, &id)
			if !ok {
				continue
			}
			n = made
		}
		if n = c.decline(n); n != nil {
			list = append(list, n)
		}
	}
	return list
}

// declined returns what an attendee who deletes his copy declines.
func (c *attendeeChange) declined() (list []*node) {
	parts := c.old.parts
	if main := c.old.part(mainKey); main != nil {
		parts = []*node{main}
	}
	for _, n := range parts {
		if n = c.decline(n); n != nil {
			list = append(list, n)
		}
	}
	return list
}

// decline returns a component with the answer no; nil if that was the answer before, or there is nothing to decline.
func (c *attendeeChange) decline(n *node) *node {
	if cancelled(n) {
		return nil
	}
	n = n.clone()
	own := c.self(n)
	if own == nil || own.partstat() == "DECLINED" {
		return nil
	}
	own.setParam("PARTSTAT", "DECLINED")
	return n
}

// answer makes the component of a REPLY: what names the event, and the attendee with his delegates (RFC 5546 section 3.2.3).
func (c *attendeeChange) answer(n *node) *node {
	keep := []string{"UID", "DTSTAMP", "SEQUENCE", "RECURRENCE-ID", "DTSTART", "DTEND", "DUE", "DURATION", "SUMMARY", "LOCATION", "ORGANIZER", "COMMENT",
		"PERCENT-COMPLETE", "COMPLETED"}
	out := &node{name: n.name}
	own := c.self(n)
	for _, l := range n.lines {
		if slices.Contains(keep, l.Name) || l.Name == "ATTENDEE" && (l.address() == own.address() || hasAddress(&l, "DELEGATED-FROM", own.address())) {
			out.lines = append(out.lines, l)
		}
	}
	out.lines = append(out.lines, newLine("REQUEST-STATUS", "2.0;Success"))
	return out
}
