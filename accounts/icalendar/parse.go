package icalendar

import (
	"fmt"
	"io"
	"strings"

	"gatepost/accounts/contentline"
	"gatepost/server/fault"
)

// Limits of what Parse reads. RFC 5545 sets none.
const (
	// MaxDepth is how deep components may lie in one another, VCALENDAR being 1.
	MaxDepth = 16
	// MaxComponents and MaxProperties are those of one calendar object.
	MaxComponents = 10_000
	MaxProperties = 100_000
	// MaxStreamComponents and MaxStreamProperties are those of ParseStream: a whole calendar.
	MaxStreamComponents = 1_000_000
	MaxStreamProperties = 10_000_000
)

// Property is a property as it was written; Value still has its escapes.
type Property = contentline.Line

// Component is a BEGIN ... END block.
type Component struct {
	// Name is in upper case: VCALENDAR, VEVENT ...
	Name       string
	Properties []Property
	Components []*Component
	// Line is the number of the BEGIN line, from 1.
	Line int

	start, end     int // bytes of the block in the text
	bodyEnd        int // where END: begins
	beginEnd       int // where the line after BEGIN: begins
	headProperties int // how many properties stand before the first inner component
}

// Property returns the first property of a name, nil without one. The name is in upper case.
func (c *Component) Property(name string) *Property {
	for i := range c.Properties {
		if c.Properties[i].Name == name {
			return &c.Properties[i]
		}
	}
	return nil
}

// Value returns the value of the first property of a name as it was written, "" without one.
func (c *Component) Value(name string) string {
	if p := c.Property(name); p != nil {
		return p.Value
	}
	return ""
}

// Text returns the value of the first property of a name without its escapes, "" without one.
func (c *Component) Text(name string) string { return contentline.UnescapeText(c.Value(name)) }

// Object is a calendar: its text as it was read, and the tree of its components. It does not change.
type Object struct {
	// Text is what was parsed, byte for byte.
	Text string
	// Root is the VCALENDAR component.
	Root *Component

	zones zoneSet
}

// Parse reads one VCALENDAR. What it does not know it keeps. An error is of kind fault.Invalid, or
// fault.TooMany for a limit, and says the line and the reason. Parse asks for the syntax only; Validate
// says whether the object may be stored.
func Parse(text []byte) (*Object, error) {
	roots, s, err := parse(string(text), MaxComponents, MaxProperties)
	if err != nil {
		return nil, err
	}
	if len(roots) != 1 {
		return nil, invalid(roots[1].Line, "a second VCALENDAR begins")
	}
	return newObject(s, roots[0]), nil
}

// ParseStream reads what was exported: one or more VCALENDAR one after another, with the limits of a whole
// calendar (RFC 5545 section 3.4).
func ParseStream(text []byte) ([]*Object, error) {
	roots, s, err := parse(string(text), MaxStreamComponents, MaxStreamProperties)
	if err != nil {
		return nil, err
	}
	objects := make([]*Object, len(roots))
	for i, r := range roots {
		objects[i] = newObject(s, r)
	}
	return objects, nil
}

func newObject(text string, root *Component) *Object {
	o := &Object{Text: text, Root: root}
	o.zones.work.left = DefaultBudget
	return o
}

func invalid(line int, format string, args ...any) error {
	return fault.Wrap("icalendar", fault.Invalid, &contentline.SyntaxError{Line: line, Reason: fmt.Sprintf(format, args...)})
}

func tooMany(line int, format string, args ...any) error {
	return fault.Wrap("icalendar", fault.TooMany, &contentline.SyntaxError{Line: line, Reason: fmt.Sprintf(format, args...)})
}

func parse(text string, maxComponents, maxProperties int) ([]*Component, string, error) {
	var (
		roots []*Component
		open  []*Component
		s     = contentline.NewScanner(text)
		last  int
	)
	components, properties := 0, 0
	for {
		l, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, "", fault.Wrap("icalendar", fault.Invalid, err)
		}
		last = l.Number
		switch l.Name {
		case "BEGIN":
			name := strings.ToUpper(strings.TrimSpace(l.Value))
			switch {
			case name == "":
				return nil, "", invalid(l.Number, "BEGIN names no component")
			case len(open) == 0 && name != "VCALENDAR":
				return nil, "", invalid(l.Number, "the text begins with %.40q where VCALENDAR must be", name)
			case len(open) >= MaxDepth:
				return nil, "", tooMany(l.Number, "components lie more than %d deep", MaxDepth)
			}
			if components++; components > maxComponents {
				return nil, "", tooMany(l.Number, "there are more than %d components", maxComponents)
			}
			c := &Component{Name: name, Line: l.Number, start: l.Start, beginEnd: l.End}
			if len(open) == 0 {
				roots = append(roots, c)
			} else {
				parent := open[len(open)-1]
				if len(parent.Components) == 0 {
					parent.headProperties = len(parent.Properties)
				}
				parent.Components = append(parent.Components, c)
			}
			open = append(open, c)
		case "END":
			name := strings.ToUpper(strings.TrimSpace(l.Value))
			if len(open) == 0 || open[len(open)-1].Name != name {
				return nil, "", invalid(l.Number, "END:%.40s has no BEGIN", name)
			}
			c := open[len(open)-1]
			c.bodyEnd, c.end = l.Start, l.End
			open = open[:len(open)-1]
		default:
			if len(open) == 0 {
				return nil, "", invalid(l.Number, "%.40s stands outside of VCALENDAR", l.Name)
			}
			if properties++; properties > maxProperties {
				return nil, "", tooMany(l.Number, "there are more than %d properties", maxProperties)
			}
			c := open[len(open)-1]
			c.Properties = append(c.Properties, l)
		}
	}
	if len(open) > 0 {
		return nil, "", invalid(last, "%s of line %d has no END", open[len(open)-1].Name, open[len(open)-1].Line)
	}
	if len(roots) == 0 {
		return nil, "", invalid(0, "there is no VCALENDAR")
	}
	return roots, text, nil
}

// Type returns the name of the component that the object is about: VEVENT, VTODO, VJOURNAL, VFREEBUSY,
// VAVAILABILITY, VPOLL or another; "" for an object of time zones only.
func (o *Object) Type() string {
	for _, c := range o.Root.Components {
		if c.Name != "VTIMEZONE" {
			return c.Name
		}
	}
	return ""
}

// UID returns the identity of the object: the UID of its components, "" without one.
func (o *Object) UID() string {
	for _, c := range o.Root.Components {
		if c.Name != "VTIMEZONE" {
			return c.Text("UID")
		}
	}
	return ""
}

// Validate says why an object may not be stored as a calendar object resource (RFC 4791 section 4.1), or nil:
// it is iCalendar 2.0 in UTF-8 without METHOD, with components of one type that is known and one UID, dates
// and rules that can be read, at most one component without RECURRENCE-ID and one for each RECURRENCE-ID, and
// a definition for each time zone that is not a known one (RFC 7809 section 3.1.1). Errors are of kind
// fault.Invalid, or fault.Unsupported for a component of another type; they say the line and the reason.
func (o *Object) Validate() error {
	root := o.Root
	if err := contentline.ValidateText(o.Text[root.start:root.end], root.Line); err != nil {
		return fault.Wrap("icalendar", fault.Invalid, err)
	}
	if v := strings.TrimSpace(root.Value("VERSION")); v != "2.0" {
		return invalid(root.Line, "VERSION is %.20q where 2.0 must be", v)
	}
	if p := root.Property("METHOD"); p != nil {
		return invalid(p.Number, "METHOD may not be stored in a calendar")
	}
	kind, uid := o.Type(), o.UID()
	switch kind {
	case "VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VAVAILABILITY":
	case "":
		return invalid(root.Line, "there is no event, task or journal in the calendar")
	default:
		return fault.Wrap("icalendar", fault.Unsupported, &contentline.SyntaxError{Line: root.Line,
			Reason: fmt.Sprintf("components of type %.40q are not stored", kind)})
	}
	seen := map[string]bool{}
	for _, c := range root.Components {
		if c.Name == "VTIMEZONE" {
			if c.Value("TZID") == "" {
				return invalid(c.Line, "VTIMEZONE has no TZID")
			}
			continue
		}
		p := c.Property("UID")
		switch {
		case c.Name != kind:
			return invalid(c.Line, "a %.40s lies beside a %s: one object has components of one type", c.Name, kind)
		case p == nil || p.Value == "":
			return invalid(c.Line, "%s has no UID", c.Name)
		case contentline.UnescapeText(p.Value) != uid:
			return invalid(p.Number, "the UID differs from that of the first %s: one object has one UID", kind)
		case len(uid) > MaxUID:
			return invalid(p.Number, "the UID is longer than %d bytes", MaxUID)
		}
		id := ""
		if r := c.Property("RECURRENCE-ID"); r != nil {
			m, err := o.moment(r)
			if err != nil {
				return err
			}
			id = fmt.Sprint(m)
		}
		if seen[id] {
			if id == "" {
				return invalid(c.Line, "there is a second %s without RECURRENCE-ID", kind)
			}
			return invalid(c.Line, "there is a second %s with the RECURRENCE-ID %s", kind, c.Value("RECURRENCE-ID"))
		}
		seen[id] = true
		if err := o.validComponent(c); err != nil {
			return err
		}
	}
	return nil
}

// MaxUID is the length of a UID in bytes. RFC 5545 sets no bound, RFC 7986 section 5.3 asks for 255 at most.
const MaxUID = 1024

// validComponent reads all dates and rules of a component and of those inside.
func (o *Object) validComponent(c *Component) error {
	once := map[string]bool{}
	for i := range c.Properties {
		p := &c.Properties[i]
		switch p.Name {
		case "DTSTART", "DTEND", "DUE", "RECURRENCE-ID", "COMPLETED", "CREATED", "LAST-MODIFIED", "DTSTAMP":
			if once[p.Name] {
				return invalid(p.Number, "there is a second %s", p.Name)
			}
			once[p.Name] = true
			if _, err := o.moment(p); err != nil {
				return err
			}
			if id, ok := p.Param("TZID"); ok && !strings.HasSuffix(p.Value, "Z") && len(p.Value) > 8 && o.Zone(id) == nil {
				return invalid(p.Number, "the time zone %.60q is not known, and there is no VTIMEZONE for it", id)
			}
		case "DURATION":
			if once[p.Name] {
				return invalid(p.Number, "there is a second %s", p.Name)
			}
			once[p.Name] = true
			if _, err := parseDuration(p.Value); err != nil {
				return invalid(p.Number, "DURATION: %v", err)
			}
		case "RRULE", "EXRULE":
			if _, err := ParseRule(p.Value); err != nil {
				return invalid(p.Number, "%s: %v", p.Name, err)
			}
		case "RDATE", "EXDATE":
			for _, v := range strings.Split(p.Value, ",") {
				if _, _, err := o.period(p, v); err != nil {
					return err
				}
			}
		case "TRIGGER":
			if _, err := parseDuration(p.Value); err != nil {
				if _, err := parseMoment(p.Value); err != nil {
					return invalid(p.Number, "TRIGGER %.40q is neither a duration nor a date with time", p.Value)
				}
			}
		}
	}
	switch c.Name {
	case "VEVENT":
		start := c.Property("DTSTART")
		if start == nil {
			return invalid(c.Line, "VEVENT has no DTSTART")
		}
		end := c.Property("DTEND")
		if end != nil && c.Property("DURATION") != nil {
			return invalid(end.Number, "VEVENT has DTEND and DURATION")
		}
		if end != nil {
			s, _ := o.moment(start)
			e, _ := o.moment(end)
			if (s.Kind == Date) != (e.Kind == Date) {
				return invalid(end.Number, "DTSTART and DTEND are not both a date or both a date with time")
			}
			if o.utc(e, nil) < o.utc(s, nil) {
				return invalid(end.Number, "DTEND is before DTSTART")
			}
		}
	case "VTODO":
		if c.Property("RRULE") != nil && c.Property("DTSTART") == nil && c.Property("DUE") == nil {
			return invalid(c.Line, "VTODO repeats and has neither DTSTART nor DUE")
		}
	}
	for _, inner := range c.Components {
		if err := o.validComponent(inner); err != nil {
			return err
		}
	}
	return nil
}
