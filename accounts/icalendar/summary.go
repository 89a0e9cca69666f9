package icalendar

import (
	"encoding/binary"
	"slices"
	"strings"

	"gatepost/accounts/contentline"
)

// MaxSummary is the length of a summary in bytes.
const MaxSummary = 32 << 10

// A summary is:
//
//	version, kind, flags, busy   one byte each
//	span start, span end         8 bytes each, Unix seconds, little endian
//	properties left out          4 bytes, bit n is summaryNames[n]
//	the component VCALENDAR      unless flags has summaryHead
//
// A component is its name, the number of its properties and they, the number of its components and they. A
// property is its name, the number of its parameters and they, and its value. A parameter is its name, the
// number of its values and they. Numbers are uvarints, a text is its length and its bytes; a name
// is its place in summaryNames plus one, or 0 and a text.
const (
	summaryVersion = 1
	summarySize    = 4 + 8 + 8 + 4 // of what stands before the component
)

// Flags of a summary.
const (
	summaryHead = 1 << iota // there is no component: it did not fit
	summaryOnce             // it takes place once, and the span is just that time
)

// What a summary says of busy time.
const (
	summaryNotBusy = iota // never
	summaryLook           // the components say it
	summaryBusy           // with summaryOnce: the BusyType is added
)

// summaryKinds are the types of which a summary answers by its first bytes alone.
var summaryKinds = [...]string{"", "VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY"}

// summaryNames are the properties that a summary keeps, and names that often occur. New names come at the end, with another
// version.
var summaryNames = [...]string{
	// These may be left out when they are long; they are as many as optionalNames.
	"SUMMARY", "LOCATION", "CATEGORIES",
	// These are always there.
	"UID", "STATUS", "TRANSP", "CLASS", "PRIORITY", "PERCENT-COMPLETE", "SEQUENCE", "COMPLETED", "CREATED", "LAST-MODIFIED",
	"DTSTART", "DTEND", "DUE", "DURATION", "RRULE", "EXRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "FREEBUSY",
	"X-MICROSOFT-CDO-BUSYSTATUS", "TRIGGER", "REPEAT", "ACTION",
	// The rest are no properties of events, tasks and alarms that filters ask for.
	"TZID", "X-LIC-LOCATION", "TZOFFSETFROM", "TZOFFSETTO",
	"VCALENDAR", "VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VALARM", "VTIMEZONE", "STANDARD", "DAYLIGHT",
	"VALUE", "RANGE", "FBTYPE", "RELATED",
}

const (
	optionalNames = 3  // of summaryNames, from the first
	keptNames     = 27 // that filters may ask for
	// maxOptional is the length of the value of an optional property in bytes.
	maxOptional = 1000
)

var summaryCodes = func() map[string]int {
	m := map[string]int{}
	for i, name := range summaryNames {
		m[name] = i
	}
	return m
}()

// Summary returns what Report needs to answer queries without the object's text, in MaxSummary bytes at most:
// component types, UID, times, rules, exceptions, overrides, the definitions of zones that are not known, and the short
// properties that filters ask for. What does not fit is left out, and the summary says so.
func (o *Object) Summary() []byte {
	h := head{span: Always, busy: summaryLook}
	if !o.regular() {
		h.flags = summaryHead
		return h.marshal(nil)
	}
	h.kind = byte(max(0, slices.Index(summaryKinds[:], o.Type())))
	span, err := o.Span()
	if err != nil {
		// Whoever reads the object gets the error.
		h.kind, h.flags = 0, summaryHead
		return h.marshal(nil)
	}
	if h.kind != 0 {
		h.span = span
	}
	h.once(o)
	for _, longest := range []int{maxOptional, -1} {
		h.leftOut = o.tooLong(longest)
		e := encoder{o: o, leftOut: h.leftOut}
		e.component(o.Root)
		if len(e.b) <= MaxSummary-summarySize {
			return h.marshal(e.b)
		}
	}
	h.flags |= summaryHead
	return h.marshal(nil)
}

// regular reports whether the object is what Validate asks for, as far as its components go.
func (o *Object) regular() bool {
	kind, uid := o.Type(), o.UID()
	masters := 0
	for _, c := range o.Root.Components {
		if c.Name == "VTIMEZONE" {
			continue
		}
		if c.Property("RECURRENCE-ID") == nil {
			masters++
		}
		if c.Name != kind || c.Text("UID") != uid || masters > 1 {
			return false
		}
	}
	return kind != ""
}

// head is what stands at the start of a summary.
type head struct {
	kind, flags, busy byte
	span              Range
	leftOut           uint32
	rest              []byte
}

func (h *head) marshal(component []byte) []byte {
	b := make([]byte, 0, summarySize+len(component))
	b = append(b, summaryVersion, h.kind, h.flags, h.busy)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.span.Start))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.span.End))
	b = binary.LittleEndian.AppendUint32(b, h.leftOut)
	return append(b, component...)
}

// readHead reads the start of a summary. It is false for what is none, or one of another version.
func readHead(b []byte) (h head, ok bool) {
	if len(b) < summarySize || b[0] != summaryVersion || int(b[1]) >= len(summaryKinds) || b[3] > summaryBusy+byte(BusyUnavailable) {
		return h, false
	}
	h.kind, h.flags, h.busy = b[1], b[2], b[3]
	h.span = Range{int64(binary.LittleEndian.Uint64(b[4:])), int64(binary.LittleEndian.Uint64(b[12:]))}
	h.leftOut = binary.LittleEndian.Uint32(b[20:])
	h.rest = b[summarySize:]
	if h.busy == summaryLook && h.flags&summaryOnce != 0 {
		return h, false
	}
	return h, true
}

// SummaryType returns the component type of the object that a summary is of, "" if it does not say it.
func SummaryType(summary []byte) string {
	h, _ := readHead(summary)
	return summaryKinds[h.kind]
}

// once sets what can be said of an object with one component and one instance, and of what is never busy.
func (h *head) once(o *Object) {
	busy := false
	var only *Component
	count := 0
	for _, c := range o.Root.Components {
		switch c.Name {
		case "VTIMEZONE":
			continue
		case "VFREEBUSY":
			busy = busy || c.Property("FREEBUSY") != nil
		case "VEVENT":
			_, is := busyType(c)
			busy = busy || is
		}
		count++
		only = c
	}
	if !busy {
		h.busy = summaryNotBusy
	}
	if count != 1 || only.Name != "VEVENT" && only.Name != "VJOURNAL" || !o.bound(only, "DTSTART") || !o.bound(only, "DTEND") {
		return
	}
	t, err := o.timing(only, nil)
	if err != nil || !t.hasStart || t.repeats() || t.override || len(t.exceptionRules)+len(t.without)+len(t.withoutDays) > 0 {
		return
	}
	h.flags |= summaryOnce
	h.span = Range{t.startUTC, t.endOf(t.start.Civil, t.startUTC)}
	if busy {
		of, _ := busyType(only)
		h.busy = summaryBusy + byte(of)
	}
}

// bound reports whether a property says the same instant for everybody, or is not there.
func (o *Object) bound(c *Component, name string) bool {
	p := c.Property(name)
	if p == nil {
		return true
	}
	m, err := o.moment(p)
	return err == nil && (m.Kind == UTC || m.Kind == Zoned && o.Zone(m.Zone) != nil)
}

// tooLong returns which optional properties have a value longer than a length.
func (o *Object) tooLong(length int) (set uint32) {
	var look func(c *Component)
	look = func(c *Component) {
		for i := range c.Properties {
			p := &c.Properties[i]
			if n, ok := summaryCodes[p.Name]; ok && n < optionalNames && len(p.Value) > length {
				set |= 1 << n
			}
		}
		for _, inner := range c.Components {
			look(inner)
		}
	}
	look(o.Root)
	return set
}

// answers reports whether a summary without some properties has what filters of components ask for.
func answers(comps []CompFilter, leftOut uint32) bool {
	for i := range comps {
		c := &comps[i]
		if c.Name == "VTIMEZONE" || !answers(c.Comps, leftOut) {
			return false
		}
		for j := range c.Props {
			n, ok := summaryCodes[c.Props[j].Name]
			if !ok || n >= keptNames || leftOut&(1<<n) != 0 {
				return false
			}
		}
	}
	return true
}

type encoder struct {
	o       *Object
	b       []byte
	leftOut uint32
}

func (e *encoder) number(n int) { e.b = binary.AppendUvarint(e.b, uint64(n)) }

func (e *encoder) text(s string) {
	e.number(len(s))
	e.b = append(e.b, s...)
}

func (e *encoder) name(s string) {
	if n, ok := summaryCodes[s]; ok {
		e.number(n + 1)
		return
	}
	e.number(0)
	e.text(s)
}

func (e *encoder) keeps(c *Component, p *Property) bool {
	n, ok := summaryCodes[p.Name]
	switch {
	case c == e.o.Root || !ok || e.leftOut&(1<<n) != 0:
		return false
	case c.Name == "VTIMEZONE", c.Name == "STANDARD", c.Name == "DAYLIGHT":
		return true
	}
	return n < keptNames
}

func (e *encoder) component(c *Component) {
	if len(e.b) > MaxSummary {
		return // it is too long already
	}
	e.name(c.Name)
	count := 0
	for i := range c.Properties {
		if e.keeps(c, &c.Properties[i]) {
			count++
		}
	}
	e.number(count)
	for i := range c.Properties {
		p := &c.Properties[i]
		if !e.keeps(c, p) {
			continue
		}
		e.name(p.Name)
		e.number(len(p.Params))
		for _, q := range p.Params {
			e.name(q.Name)
			e.number(len(q.Values))
			for _, v := range q.Values {
				e.text(v)
			}
		}
		e.text(p.Value)
	}
	inner := c.Components
	if c == e.o.Root {
		inner = slices.DeleteFunc(slices.Clone(inner), func(z *Component) bool { return z.Name == "VTIMEZONE" && !e.needs(z) })
	}
	e.number(len(inner))
	for _, i := range inner {
		e.component(i)
	}
}

// needs reports whether a VTIMEZONE defines a zone that the IANA database does not have.
func (e *encoder) needs(z *Component) bool {
	known := KnownZone(strings.Trim(z.Text("TZID"), `"`))
	return known == nil || known.loc == nil
}

// object returns the object of a summary: without text, and with what the summary keeps.
func (h *head) object() (*Object, error) {
	d := decoder{s: string(h.rest)}
	root := d.component(1)
	if d.bad || root == nil || d.s != "" || root.Name != "VCALENDAR" {
		return nil, errSummary
	}
	return newObject("", root), nil
}

type decoder struct {
	s   string
	bad bool
}

// number reads a number of things that have a byte each at least.
func (d *decoder) number() int {
	var n uint64
	for i := 0; i < len(d.s) && i < 5; i++ {
		c := d.s[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.s = d.s[i+1:]
			if n > uint64(len(d.s)) {
				break
			}
			return int(n)
		}
	}
	d.bad = true
	d.s = ""
	return 0
}

func (d *decoder) text() string {
	n := d.number()
	v := d.s[:n]
	d.s = d.s[n:]
	return v
}

func (d *decoder) name() string {
	// A code may be greater than the number of bytes that follow.
	if d.s == "" || d.s[0] > byte(len(summaryNames)) {
		d.bad, d.s = true, ""
		return ""
	}
	n := d.s[0]
	d.s = d.s[1:]
	if n == 0 {
		return d.text()
	}
	return summaryNames[n-1]
}

func (d *decoder) component(depth int) *Component {
	if depth > MaxDepth {
		d.bad, d.s = true, ""
		return nil
	}
	c := &Component{Name: d.name()}
	if n := d.number(); n > 0 {
		c.Properties = make([]Property, 0, min(n, 64))
		for ; n > 0 && !d.bad; n-- {
			p := Property{Name: d.name()}
			if params := d.number(); params > 0 {
				p.Params = make([]contentline.Param, 0, min(params, 8))
				for ; params > 0 && !d.bad; params-- {
					q := contentline.Param{Name: d.name()}
					for values := d.number(); values > 0 && !d.bad; values-- {
						q.Values = append(q.Values, d.text())
					}
					p.Params = append(p.Params, q)
				}
			}
			p.Value = d.text()
			c.Properties = append(c.Properties, p)
		}
	}
	for n := d.number(); n > 0 && !d.bad; n-- {
		c.Components = append(c.Components, d.component(depth+1))
	}
	return c
}
