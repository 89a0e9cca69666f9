package dav

import (
	"encoding/xml"
	"net/http"
	"strings"

	"gatepost/accounts/icalendar"
	"gatepost/server/fault"
)

// keyOf is the name under which a property is kept.
func keyOf(n xml.Name) string { return n.Space + " " + n.Local }

// componentsProperty is where the types of components of a calendar are kept.
var componentsProperty = keyOf(cal("supported-calendar-component-set"))

var allComponents = []string{"VEVENT", "VTODO", "VJOURNAL"}

// maxKept is the largest value of a property that a client may keep.
const maxKept = 64 << 10

// protected returns an error if the server alone decides about a property.
func (s *Server) protected(n xml.Name) error {
	if known, ok := s.properties[n]; !ok || known.kept {
		return nil
	}
	return &precondition{status: http.StatusForbidden, name: d("cannot-modify-protected-property"), text: "The property " + n.Local + " cannot be changed."}
}

// settable returns the value to be kept of a property: text as XML. At the making of a collection, that of components too.
func (s *Server) settable(p *element, making bool) (string, error) {
	if p.name == cal("supported-calendar-component-set") && making {
		var list []string
		for _, c := range p.children {
			if c.name != cal("comp") {
				continue
			}
			name := strings.ToUpper(c.attr("name"))
			known := false
			for _, k := range allComponents {
				known = known || k == name
			}
			if !known {
				return "", &precondition{status: http.StatusForbidden, name: cal("supported-calendar-component"), text: "The server keeps no " + name + "."}
			}
			list = append(list, name)
		}
		return strings.Join(list, " "), nil
	}
	if err := s.protected(p.name); err != nil {
		return "", err
	}
	switch p.name {
	case cal("schedule-calendar-transp"):
		if p.child(cal("opaque")) == nil && p.child(cal("transparent")) == nil {
			return "", fault.New("dav.proppatch", fault.Denied, "The schedule-calendar-transp is opaque or transparent.")
		}
	case cal("calendar-timezone"):
		if icalendar.DefinedZone([]byte(strings.TrimSpace(p.text)+"\r\n")) == nil {
			return "", &precondition{status: http.StatusForbidden, name: cal("valid-calendar-data"), text: "The calendar-timezone is not a calendar with one VTIMEZONE."}
		}
	case cal("calendar-timezone-id"):
		if icalendar.KnownZone(strings.TrimSpace(p.text)) == nil {
			return "", &precondition{status: http.StatusForbidden, name: cal("valid-timezone"), text: "The time zone is not known."}
		}
	}
	v := p.source()
	if len(v) > maxKept {
		return "", fault.New("dav.proppatch", fault.TooLarge, "The property is too large.")
	}
	return v, nil
}

// changes are what a client wants of the properties of a collection.
type changes struct {
	values map[string]*string // to be kept, nil to be removed
	names  []xml.Name         // in the order of the request
	failed map[xml.Name]error
}

// add notes a property that shall be set or removed.
func (c *changes) add(s *Server, p *element, remove, making bool) {
	c.names = append(c.names, p.name)
	var value *string
	err := s.protected(p.name)
	if !remove {
		var v string
		v, err = s.settable(p, making)
		value = &v
	}
	if err != nil {
		c.failed[p.name] = err
		return
	}
	c.values[keyOf(p.name)] = value
}

// fail notes that none of the changes can be made.
func (c *changes) fail(err error) {
	for _, n := range c.names {
		c.failed[n] = err
	}
}

// write writes the propstats of the changes.
func (c *changes) write(x *xmlWriter) {
	for _, n := range c.names {
		status := http.StatusOK
		err := c.failed[n]
		if err == nil && len(c.failed) > 0 {
			status = http.StatusFailedDependency
		}
		p := asPrecondition(err, false)
		switch {
		case p != nil:
			status = p.status
		case err != nil && fault.KindOf(err) == fault.Denied:
			status = http.StatusForbidden
		case err != nil:
			status = http.StatusInsufficientStorage
		}
		x.raw("<D:propstat><D:prop>")
		x.empty(n)
		x.raw("</D:prop><D:status>" + statusLine(status) + "</D:status>")
		if p != nil {
			x.raw("<D:error>")
			x.empty(p.name)
			x.raw("</D:error>")
		}
		x.raw("</D:propstat>")
	}
}

// proppatch answers PROPPATCH: all changes are made or none (RFC 4918 section 9.2).
func (e *exchange) proppatch() error {
	ctx := e.r.Context()
	body, err := readXML(e.r.Body)
	if err != nil {
		return err
	}
	if body == nil || body.name != d("propertyupdate") {
		return fault.New("dav.proppatch", fault.Invalid, "The body is not a propertyupdate.")
	}
	if e.at.kind == itemKind && e.at.item == nil {
		return fault.New("dav.proppatch", fault.NotFound, "")
	}
	if err := e.ifCollection(); err != nil {
		return err
	}
	c := changes{values: make(map[string]*string), failed: make(map[xml.Name]error)}
	for _, part := range body.children {
		if part.name == d("set") || part.name == d("remove") {
			for _, p := range part.child(d("prop")).all() {
				if p.name == cal("schedule-default-calendar-URL") {
					e.setDefaultCalendar(&c, p, part.name == d("remove"))
					continue
				}
				c.add(e.s, p, part.name == d("remove"), false)
			}
		}
	}
	if e.at.kind != collectionKind {
		c.fail(fault.New("dav.proppatch", fault.Denied, ""))
	}
	if len(c.failed) == 0 && len(c.values) > 0 {
		err := e.at.coll.SetProperties(ctx, c.values)
		switch fault.KindOf(err) {
		case fault.TooLarge, fault.TooMany:
			c.fail(err)
		default:
			if err != nil {
				return err
			}
		}
	}
	if e.prefer.minimal && len(c.failed) == 0 {
		e.applied("return=minimal")
		e.w.WriteHeader(http.StatusOK)
		return nil
	}
	m := e.newMultistatus()
	m.raw("<D:response>")
	m.href(e.at.href())
	c.write(&m.xmlWriter)
	m.raw("</D:response>\n")
	return m.end()
}
