package scheduling

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatepost/accounts/contentline"
	"gatepost/accounts/icalendar"
	"gatepost/server/fault"
)

// node is a component that can be changed. Lines that nobody changes keep their bytes.
type node struct {
	name  string
	lines []line
	inner []*node
}

// line is a property with its text.
type line struct {
	icalendar.Property
	raw string
}

// newLine makes a property. Params are names and values in turn.
func newLine(name, value string, params ...string) line {
	p := icalendar.Property{Name: name, Value: value}
	for i := 0; i+1 < len(params); i += 2 {
		p.Params = append(p.Params, contentline.Param{Name: params[i], Values: []string{params[i+1]}})
	}
	return line{p, string(p.Append(nil))}
}

func nodeOf(text string, c *icalendar.Component) *node {
	n := &node{name: c.Name, lines: make([]line, len(c.Properties))}
	for i, p := range c.Properties {
		n.lines[i] = line{p, text[p.Start:p.End]}
	}
	for _, inner := range c.Components {
		n.inner = append(n.inner, nodeOf(text, inner))
	}
	return n
}

func (n *node) append(b []byte) []byte {
	b = append(append(append(b, "BEGIN:"...), n.name...), "\r\n"...)
	for i := range n.lines {
		b = append(b, n.lines[i].raw...)
	}
	for _, inner := range n.inner {
		b = inner.append(b)
	}
	return append(append(append(b, "END:"...), n.name...), "\r\n"...)
}

func (n *node) clone() *node {
	c := &node{name: n.name, lines: slices.Clone(n.lines)}
	for _, inner := range n.inner {
		c.inner = append(c.inner, inner.clone())
	}
	return c
}

// line returns the first property of a name, nil without one.
func (n *node) line(name string) *line {
	for i := range n.lines {
		if n.lines[i].Name == name {
			return &n.lines[i]
		}
	}
	return nil
}

func (n *node) value(name string) string {
	if l := n.line(name); l != nil {
		return l.Value
	}
	return ""
}

func (n *node) text(name string) string { return contentline.UnescapeText(n.value(name)) }

// set puts a property in the place of the first of its name, or at the end.
func (n *node) set(l line) {
	if old := n.line(l.Name); old != nil {
		*old = l
		return
	}
	n.lines = append(n.lines, l)
}

// remove takes out the properties that match.
func (n *node) remove(match func(*line) bool) {
	n.lines = slices.DeleteFunc(n.lines, func(l line) bool { return match(&l) })
}

func (n *node) removeNamed(names ...string) {
	n.remove(func(l *line) bool { return slices.Contains(names, l.Name) })
}

// number returns an INTEGER property, 0 without one.
func (n *node) number(name string) int {
	i, err := strconv.Atoi(strings.TrimSpace(n.value(name)))
	if err != nil || i < 0 {
		return 0
	}
	return i
}

// param returns the first value of a parameter.
func (l *line) param(name string) string {
	v, _ := l.Param(name)
	return v
}

// setParam sets a parameter to one value; "" removes it.
func (l *line) setParam(name, value string) {
	params := slices.DeleteFunc(slices.Clone(l.Params), func(p contentline.Param) bool { return p.Name == name })
	if value != "" {
		params = append(params, contentline.Param{Name: name, Values: []string{value}})
	}
	l.Params = params
	l.raw = string(l.Append(nil))
}

// addressOf returns the mail address of a calendar user address, in lower case; "" if it has none.
func addressOf(value string) string {
	value = strings.TrimSpace(value)
	switch {
	case len(value) > 7 && strings.EqualFold(value[:7], "mailto:"):
		value, _, _ = strings.Cut(value[7:], "?")
	case strings.Contains(value, "/UserDAV/"):
		_, value, _ = strings.Cut(value, "/UserDAV/")
		value = strings.TrimSuffix(value, "/")
	default:
		return ""
	}
	if plain, err := url.PathUnescape(value); err == nil {
		value = plain
	}
	return strings.ToLower(strings.TrimSpace(value))
}

// address returns the mail address of ORGANIZER or ATTENDEE.
func (l *line) address() string {
	if a := addressOf(l.Value); a != "" {
		return a
	}
	return strings.ToLower(strings.TrimPrefix(l.param("EMAIL"), "mailto:"))
}

// agent returns the SCHEDULE-AGENT (RFC 6638 section 7.1): SERVER, CLIENT or NONE.
func (l *line) agent() string {
	switch v := strings.ToUpper(l.param("SCHEDULE-AGENT")); v {
	case "", "SERVER":
		return "SERVER"
	case "CLIENT":
		return v
	}
	return "NONE" // what is not known (RFC 6638 section 7.1)
}

// partstat returns the PARTSTAT of an attendee.
func (l *line) partstat() string {
	if v := strings.ToUpper(l.param("PARTSTAT")); v != "" {
		return v
	}
	return needsAction
}

const needsAction = "NEEDS-ACTION"

// attendee returns the ATTENDEE with an address, nil without one.
func (n *node) attendee(address string) *line {
	for i := range n.lines {
		if n.lines[i].Name == "ATTENDEE" && n.lines[i].address() == address {
			return &n.lines[i]
		}
	}
	return nil
}

// organizer returns the address of the ORGANIZER.
func (n *node) organizer() string {
	if l := n.line("ORGANIZER"); l != nil {
		return l.address()
	}
	return ""
}

// object is a calendar object that can be changed.
type object struct {
	root  *node
	parts []*node // events, tasks or journals
	cal   *icalendar.Object
	// report bounds the work for the instances that are asked for, one by one.
	report *icalendar.Report
}

// parseObject reads a calendar text.
func parseObject(text []byte) (*object, error) {
	cal, err := icalendar.Parse(text)
	if err != nil {
		return nil, err
	}
	o := &object{root: nodeOf(cal.Text, cal.Root), cal: cal, report: icalendar.NewReport(nil)}
	for _, n := range o.root.inner {
		if n.name != "VTIMEZONE" {
			o.parts = append(o.parts, n)
		}
	}
	if len(o.parts) == 0 {
		return nil, fault.New("scheduling.parse", fault.Invalid, "there is no component in the calendar")
	}
	return o, nil
}

func (o *object) bytes() []byte { return o.root.append(nil) }
func (o *object) uid() string   { return o.cal.UID() }
func (o *object) kind() string  { return o.cal.Type() }

// add adds a component.
func (o *object) add(n *node) {
	o.root.inner = append(o.root.inner, n)
	o.parts = append(o.parts, n)
}

// drop takes a component out.
func (o *object) drop(n *node) {
	is := func(other *node) bool { return other == n }
	o.root.inner = slices.DeleteFunc(o.root.inner, is)
	o.parts = slices.DeleteFunc(o.parts, is)
}

// instant returns the time of a DATE or DATE-TIME as Unix seconds, days and floating times in UTC.
func (o *object) instant(l *line, value string) (int64, bool) {
	p := l.Property
	p.Value = value
	at, err := o.cal.Instant(&p, nil)
	return at, err == nil
}

// mainKey is the key of the component without RECURRENCE-ID.
const mainKey = ""

// key names a component within its object: by the instant of its RECURRENCE-ID.
func (o *object) key(n *node) string {
	l := n.line("RECURRENCE-ID")
	if l == nil {
		return mainKey
	}
	if at, ok := o.instant(l, l.Value); ok {
		return strconv.FormatInt(at, 10)
	}
	return "?" + l.Value
}

// part returns the component of a key, nil without one.
func (o *object) part(key string) *node {
	for _, n := range o.parts {
		if o.key(n) == key {
			return n
		}
	}
	return nil
}

// organizer returns the address of the organizer, "" if there is none; ok is false if components name different ones.
func (o *object) organizer() (address string, ok bool) {
	for i, n := range o.parts {
		a := n.organizer()
		if i > 0 && a != address {
			return address, false
		}
		address = a
	}
	return address, true
}

// attendees returns the addresses of all attendees in their order.
func (o *object) attendees() []string {
	var list []string
	seen := map[string]bool{}
	for _, n := range o.parts {
		for i := range n.lines {
			if l := &n.lines[i]; l.Name == "ATTENDEE" {
				if a := l.address(); a != "" && !seen[a] {
					seen[a] = true
					list = append(list, a)
				}
			}
		}
	}
	return list
}

// dates returns the values of EXDATE or RDATE of a component, by their instants.
func (o *object) dates(n *node, name string) map[string]line {
	out := map[string]line{}
	for i := range n.lines {
		l := &n.lines[i]
		if l.Name != name {
			continue
		}
		for v := range strings.SplitSeq(l.Value, ",") {
			if at, ok := o.instant(l, v); ok {
				one := line{Property: l.Property}
				one.Value = v
				one.raw = string(one.Append(nil))
				out[strconv.FormatInt(at, 10)] = one
			}
		}
	}
	return out
}

// zonesOf returns the VTIMEZONE components that some components use.
func (o *object) zonesOf(parts []*node) []*node {
	used := map[string]bool{}
	var look func(n *node)
	look = func(n *node) {
		for i := range n.lines {
			if id := n.lines[i].param("TZID"); id != "" {
				used[id] = true
			}
		}
		for _, inner := range n.inner {
			look(inner)
		}
	}
	for _, n := range parts {
		look(n)
	}
	var out []*node
	for _, n := range o.root.inner {
		if n.name == "VTIMEZONE" && used[n.value("TZID")] {
			out = append(out, n)
		}
	}
	return out
}
