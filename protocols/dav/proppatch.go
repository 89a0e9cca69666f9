package dav

import (
	"encoding/xml"
	"net/http"
	"strings"

	"gatepost/server/fault"
)

// keyOf is the name under which a property is kept.
func keyOf(n xml.Name) string { return n.Space + " " + n.Local }

// componentsProperty is where the types of components of a calendar are kept.
var componentsProperty = keyOf(cal("supported-calendar-component-set"))

var allComponents = []string{"VEVENT", "VTODO", "VJOURNAL"}

// maxKept is the largest value of a property that a client may keep.
const maxKept = 64 << 10

// settable returns the value to be kept of a property: text as XML. At the making of a collection, that of components too.
func (s *Server) settable(p *element, making bool) (string, error) {
	protected := &precondition{status: http.StatusForbidden, name: d("cannot-modify-protected-property"), text: "The property " + p.name.Local + " cannot be changed."}
	if p.name == cal("supported-calendar-component-set") {
		if !making {
			return "", protected
		}
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
	if known, ok := s.properties[p.name]; ok && !known.kept {
		return "", protected
	}
	v := p.source()
	if len(v) > maxKept {
		return "", fault.New("dav.proppatch", fault.TooLarge, "The property is too large.")
	}
	return v, nil
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
	change := make(map[string]*string)
	var names []xml.Name
	failed := make(map[xml.Name]error)
	for _, part := range body.children {
		if part.name != d("set") && part.name != d("remove") {
			continue
		}
		for _, p := range part.child(d("prop")).all() {
			names = append(names, p.name)
			v, err := e.s.settable(p, false)
			switch {
			case err != nil:
				failed[p.name] = err
			case part.name == d("remove"):
				change[keyOf(p.name)] = nil
			default:
				change[keyOf(p.name)] = &v
			}
		}
	}
	if e.at.kind != collectionKind {
		for _, n := range names {
			failed[n] = fault.New("dav.proppatch", fault.Denied, "")
		}
	}
	if len(failed) == 0 && len(change) > 0 {
		err := e.at.coll.SetProperties(ctx, change)
		switch fault.KindOf(err) {
		case fault.TooLarge, fault.TooMany:
			for _, n := range names {
				failed[n] = err
			}
		default:
			if err != nil {
				return err
			}
		}
	}
	if e.prefer.minimal && len(failed) == 0 {
		e.applied("return=minimal")
		e.w.WriteHeader(http.StatusOK)
		return nil
	}
	m := e.newMultistatus()
	m.raw("<D:response>")
	m.href(e.at.href())
	for _, n := range names {
		status := http.StatusOK
		err := failed[n]
		if err == nil && len(failed) > 0 {
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
		m.raw("<D:propstat><D:prop>")
		m.empty(n)
		m.raw("</D:prop><D:status>" + statusLine(status) + "</D:status>")
		if p != nil {
			m.raw("<D:error>")
			m.empty(p.name)
			m.raw("</D:error>")
		}
		m.raw("</D:propstat>")
	}
	m.raw("</D:response>\n")
	return m.end()
}
