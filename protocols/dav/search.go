package dav

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"strings"

	"gatepost/server/fault"
)

// maxExpanded bounds the resources that one expand-property leads to.
const maxExpanded = 1000

// maxMatched bounds the properties that principal-match compares, of each member, and those of a principal-property-search.
const maxMatched = 20

// expandProperty answers expand-property (RFC 3253 section 3.8): properties that hold hrefs, with properties of what these lead to.
func (e *exchange) expandProperty(body *element) error {
	if !validNames(body) {
		return fault.New("dav.expand", fault.Invalid, "The name of a property is not valid.")
	}
	m := e.newMultistatus()
	left := maxExpanded
	if err := e.expanded(&m.xmlWriter, e.at, body, &left); err != nil {
		return err
	}
	return m.end()
}

// expanded writes the response for a resource with the properties that the children of an element name.
func (e *exchange) expanded(x *xmlWriter, r *resource, of *element, left *int) error {
	ctx := e.r.Context()
	if *left--; *left < 0 || ctx.Err() != nil {
		return &precondition{status: http.StatusForbidden, name: d("number-of-matches-within-limits"), text: "The properties lead to too many resources."}
	}
	x.raw("<D:response>")
	x.href(r.href())
	x.raw("<D:propstat><D:prop>")
	var missing []*element
	for _, p := range of.children {
		if p.name != d("property") {
			continue
		}
		var b bytes.Buffer
		err := e.writeProperty(ctx, &xmlWriter{w: &b}, r, expandedName(p), asked{})
		if err == errNoProperty || fault.Is(err, fault.Denied) {
			missing = append(missing, p)
			continue
		}
		if err != nil {
			return err
		}
		x.open(expandedName(p))
		if err := e.expand(x, p, b.Bytes(), left); err != nil {
			return err
		}
		x.close(expandedName(p))
	}
	x.raw("</D:prop><D:status>" + statusLine(http.StatusOK) + "</D:status></D:propstat>")
	if len(missing) > 0 {
		x.raw("<D:propstat><D:prop>")
		for _, p := range missing {
			x.empty(expandedName(p))
		}
		x.raw("</D:prop><D:status>" + statusLine(http.StatusNotFound) + "</D:status></D:propstat>")
	}
	x.raw("</D:response>")
	return x.err
}

// expand writes the content of a property, with responses in place of its hrefs if properties of these are asked for.
func (e *exchange) expand(x *xmlWriter, p *element, content []byte, left *int) error {
	var parsed *element
	if len(p.children) > 0 {
		var err error
		if parsed, err = readXML(io.MultiReader(strings.NewReader("<x"+declarations+">"), bytes.NewReader(content), strings.NewReader("</x>"))); err != nil {
			parsed = nil // a property that a client has set
		}
	}
	if parsed == nil {
		x.bytes(content)
		return x.err
	}
	for _, h := range parsed.children {
		if h.name != d("href") {
			continue
		}
		r, err := e.s.resolveHref(e.r.Context(), e.q.Account, h.text)
		if isGone(err) || fault.Is(err, fault.Invalid) {
			x.raw("<D:response>")
			x.href(h.text)
			x.raw("<D:status>" + statusLine(http.StatusNotFound) + "</D:status></D:response>")
			continue
		}
		if err != nil {
			return err
		}
		if err := e.expanded(x, r, p, left); err != nil {
			return err
		}
	}
	return x.err
}

// expandedName is the name of a property that an expand-property names by attributes.
func expandedName(p *element) xml.Name {
	space := p.attr("namespace")
	if space == "" {
		space = nsDAV
	}
	return xml.Name{Space: space, Local: p.attr("name")}
}

// validNames reports whether the names that expand-property has in attributes can be those of elements.
func validNames(e *element) bool {
	for _, c := range e.children {
		if c.name != d("property") {
			continue
		}
		name := c.attr("name")
		if name == "" || len(name) > 100 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" ||
			strings.Contains("0123456789-", name[:1]) || !validNames(c) {
			return false
		}
	}
	return true
}

// searchPropertySet answers principal-search-property-set (RFC 3744 section 9.5).
func (e *exchange) searchPropertySet(*element) error {
	e.w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	x := &xmlWriter{w: e.w}
	x.raw(`<?xml version="1.0" encoding="utf-8"?>` + "\n<D:principal-search-property-set" + declarations + ">")
	for _, p := range []string{"<D:displayname/>", "<C:calendar-user-address-set/>", "<S:email-address-set/>"} {
		x.raw("<D:principal-search-property><D:prop>" + p + "</D:prop></D:principal-search-property>")
	}
	x.raw("</D:principal-search-property-set>\n")
	return x.err
}

// principalMatch answers principal-match (RFC 3744 section 9.3): members of the collection that are the user, or that have him in a property.
func (e *exchange) principalMatch(body *element) error {
	ctx := e.r.Context()
	want := asked{} // the prop element may be missing
	if body.child(d("prop")) != nil {
		var err error
		if want, err = readAsked(body); err != nil {
			return err
		}
	}
	properties := body.child(d("principal-property")).all()
	if len(properties) > maxMatched {
		return fault.New("dav.match", fault.TooMany, "The report names too many properties.")
	}
	list, err := e.members(e.at)
	if err != nil {
		return err
	}
	me := principalHref(e.q.Account)
	m := e.newMultistatus()
	for _, r := range list {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("dav.match", fault.Canceled, err)
		}
		is := body.child(d("self")) != nil && r.kind == principalKind && r.href() == me
		for _, p := range properties {
			if p.name == cal("calendar-data") || p.name == card("address-data") {
				continue // they hold no hrefs
			}
			var b strings.Builder
			err := e.writeProperty(ctx, &xmlWriter{w: &b}, r, p.name, asked{})
			if err != nil && err != errNoProperty && !fault.Is(err, fault.Denied) {
				return err
			}
			is = is || err == nil && strings.Contains(b.String(), "<D:href>"+me+"</D:href>")
		}
		if is {
			if err := e.response(ctx, m, r, want); err != nil {
				return err
			}
		}
	}
	return m.end()
}
