package icalendar

import (
	"strings"

	"gatepost/accounts/contentline"
)

// Retrieval says what of an object a report returns (RFC 4791 section 9.6). The zero value is all of it.
type Retrieval struct {
	// Comp is the part to return, nil for all.
	Comp *CompData
	// Expand asks for the instances that overlap a range, without rules. Times with a zone are in UTC then.
	Expand *Range
	// LimitRecurrence leaves out the overrides that do not touch a range.
	LimitRecurrence *Range
	// LimitFreeBusy leaves out the FREEBUSY periods outside of a range.
	LimitFreeBusy *Range
}

// CompData is the comp of calendar-data (section 9.6.1).
type CompData struct {
	Name     string
	AllProps bool
	AllComps bool
	Props    []PropData
	Comps    []CompData
}

// PropData is the prop of calendar-data (section 9.6.4).
type PropData struct {
	Name    string
	NoValue bool
}

// MaxInstances is how many instances Retrieve expands.
const MaxInstances = 10_000

// Retrieve returns the text of the object as asked for. Floating times and days are those of the zone local; nil is UTC.
// What is returned as it was stored keeps its bytes. The error is that of Instances.
func (o *Object) Retrieve(ask *Retrieval, local *Zone) ([]byte, error) {
	w := writer{o: o, ask: ask, local: local}
	if ask.Expand != nil {
		text, err := o.expand(*ask.Expand, local)
		if err != nil {
			return nil, err
		}
		if ask.Comp == nil {
			return text, nil
		}
		if w.o, err = Parse(text); err != nil {
			return nil, err
		}
	} else if ask.LimitRecurrence != nil {
		var err error
		if w.leftOut, err = o.outside(*ask.LimitRecurrence, local); err != nil {
			return nil, err
		}
	}
	root := w.o.Root
	if ask.Comp == nil && w.leftOut == nil && ask.LimitFreeBusy == nil {
		return []byte(o.Text), nil
	}
	if ask.Comp != nil && ask.Comp.Name != root.Name {
		return nil, nil
	}
	return w.component(nil, root, ask.Comp), nil
}

type writer struct {
	o       *Object
	ask     *Retrieval
	local   *Zone
	leftOut map[*Component]bool
}

// component appends a component, or the part of it that is asked for.
func (w *writer) component(b []byte, c *Component, ask *CompData) []byte {
	b = append(b, w.o.Text[c.start:c.beginEnd]...)
	for i := range c.Properties {
		p := &c.Properties[i]
		if ask == nil || ask.AllProps {
			b = w.property(b, p)
			continue
		}
		for _, q := range ask.Props {
			if q.Name != p.Name {
				continue
			}
			if q.NoValue {
				b = contentline.Fold(b, string(p.AppendHead(nil)))
			} else {
				b = w.property(b, p)
			}
			break
		}
	}
	for _, inner := range c.Components {
		if w.leftOut[inner] {
			continue
		}
		if ask == nil || ask.AllComps {
			b = w.component(b, inner, nil)
			continue
		}
		for i := range ask.Comps {
			if ask.Comps[i].Name == inner.Name {
				b = w.component(b, inner, &ask.Comps[i])
				break
			}
		}
	}
	return append(b, w.o.Text[c.bodyEnd:c.end]...)
}

func (w *writer) property(b []byte, p *Property) []byte {
	if w.ask.LimitFreeBusy != nil && p.Name == "FREEBUSY" {
		m := matcher{o: w.o, local: w.local}
		var keep []string
		values := strings.Split(p.Value, ",")
		for _, v := range values {
			one := *p
			one.Value = v
			if m.valueIn(&one, *w.ask.LimitFreeBusy) {
				keep = append(keep, v)
			}
		}
		if len(keep) == 0 {
			return b
		}
		if len(keep) < len(values) {
			limited := *p
			limited.Value = strings.Join(keep, ",")
			return limited.Append(b)
		}
	}
	return append(b, w.o.Text[p.Start:p.End]...)
}

// outside returns the overrides that touch a range neither where they are nor where they were (section 9.6.6).
func (o *Object) outside(r Range, local *Zone) (map[*Component]bool, error) {
	s, err := o.series(o.Type(), o.UID(), local)
	if err != nil {
		return nil, err
	}
	out := map[*Component]bool{}
	for _, t := range s.overrides {
		if !t.hasStart && !t.hasEnd || r.overlaps(t.startUTC, t.endOf(t.start.Civil, t.startUTC)) {
			continue
		}
		if t.future && t.id < r.End {
			continue
		}
		if m := s.master; m != nil && (m.hasStart || m.hasEnd) && r.overlaps(t.id, m.endOf(m.zone.Civil(t.id), t.id)) {
			continue
		}
		out[t.component] = true
	}
	return out, nil
}

// expand returns the instances that overlap a range as components of their own (section 9.6.5).
func (o *Object) expand(r Range, local *Zone) ([]byte, error) {
	instances, err := o.Instances(r, local, MaxInstances)
	if err != nil {
		return nil, err
	}
	b := append([]byte(nil), o.Text[o.Root.start:o.Root.beginEnd]...)
	for i := range o.Root.Properties {
		p := &o.Root.Properties[i]
		b = append(b, o.Text[p.Start:p.End]...)
	}
	repeats := false
	for _, c := range o.Root.Components {
		if c.Property("RRULE") != nil || c.Property("RDATE") != nil || c.Property("RECURRENCE-ID") != nil {
			repeats = true
		}
	}
	if len(instances) == 0 && !repeats {
		// What has no time, such as a task without dates, is there once.
		for _, c := range o.Root.Components {
			if c.Name != "VTIMEZONE" && c.Property("DTSTART") == nil && c.Property("DUE") == nil {
				b = append(b, o.Text[c.start:c.end]...)
			}
		}
	}
	master := Kind(UTC)
	for _, c := range o.Root.Components {
		if p := c.Property("DTSTART"); p != nil && c.Property("RECURRENCE-ID") == nil && c.Name != "VTIMEZONE" {
			if m, err := o.moment(p); err == nil {
				master = m.Kind
			}
		}
	}
	for _, i := range instances {
		b = o.appendInstance(b, i, repeats, master, local)
	}
	return append(b, o.Text[o.Root.bodyEnd:o.Root.end]...), nil
}

func (o *Object) appendInstance(b []byte, i Instance, repeats bool, master Kind, local *Zone) []byte {
	c := i.Component
	b = append(b, o.Text[c.start:c.beginEnd]...)
	// Times with a zone become UTC; days and floating times have none and stay what they are (section 9.6.5).
	write := func(name string, utc int64, kind Kind) {
		l := Property{Name: name, Value: Moment{Civil: utc, Kind: UTC}.String()}
		switch kind {
		case Date:
			l.Params = []contentline.Param{{Name: "VALUE", Values: []string{"DATE"}}}
			l.Value = Moment{Civil: local.Civil(utc), Kind: Date}.String()
		case Floating:
			l.Value = Moment{Civil: local.Civil(utc), Kind: Floating}.String()
		}
		b = l.Append(b)
	}
	for n := range c.Properties {
		p := &c.Properties[n]
		switch p.Name {
		case "RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID":
		case "DTSTART":
			write(p.Name, i.Start, i.at.start.Kind)
		case "DTEND", "DUE":
			end := i.End
			if !i.at.hasStart {
				end = i.Start
			}
			write(p.Name, end, i.at.start.Kind)
		default:
			b = append(b, o.Text[p.Start:p.End]...)
		}
	}
	if repeats {
		write("RECURRENCE-ID", i.ID, master)
	}
	for _, inner := range c.Components {
		b = append(b, o.Text[inner.start:inner.end]...)
	}
	return append(b, o.Text[c.bodyEnd:c.end]...)
}
