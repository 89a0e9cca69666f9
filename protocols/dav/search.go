package dav

import (
	"encoding/xml"
	"net/http"
	"strings"

	"gatepost/server/fault"
)

// expandProperty answers expand-property (RFC 3253 section 3.8): properties that hold hrefs, with properties of what these lead to, one level deep.
func (e *exchange) expandProperty(body *element) error {
	ctx := e.r.Context()
	if !validNames(body) {
		return fault.New("dav.expand", fault.Invalid, "The name of a property is not valid.")
	}
	m := e.newMultistatus()
	m.raw("<D:response>")
	m.href(e.at.href())
	m.raw("<D:propstat><D:prop>")
	var missing []*element
	for _, p := range body.children {
		if p.name != d("property") {
			continue
		}
		var b strings.Builder
		err := e.writeProperty(ctx, &xmlWriter{w: &b}, e.at, expandedName(p), asked{})
		if err == errNoProperty || fault.Is(err, fault.Denied) {
			missing = append(missing, p)
			continue
		}
		if err != nil {
			return err
		}
		m.open(expandedName(p))
		if err := e.expand(m, p, b.String()); err != nil {
			return err
		}
		m.close(expandedName(p))
	}
	m.raw("</D:prop><D:status>" + statusLine(http.StatusOK) + "</D:status></D:propstat>")
	if len(missing) > 0 {
		m.raw("<D:propstat><D:prop>")
		for _, p := range missing {
			m.empty(expandedName(p))
		}
		m.raw("</D:prop><D:status>" + statusLine(http.StatusNotFound) + "</D:status></D:propstat>")
	}
	m.raw("</D:response>\n")
	return m.end()
}

// expand writes the content of a property, with responses in place of its hrefs if properties of these are asked for.
func (e *exchange) expand(m *multistatus, p *element, content string) error {
	if len(p.children) == 0 {
		m.raw(content)
		return m.err
	}
	parsed, err := readXML(strings.NewReader("<x xmlns:D=\"DAV:\">" + content + "</x>"))
	if err != nil {
		m.raw(content)
		return m.err
	}
	want := asked{}
	for _, c := range p.children {
		if c.name == d("property") {
			want.names = append(want.names, expandedName(c))
		}
	}
	for _, h := range parsed.all() {
		if h.name != d("href") {
			continue
		}
		r, err := e.s.resolveHref(e.r.Context(), e.q.Account, h.text)
		if isGone(err) || fault.Is(err, fault.Invalid) {
			m.status(h.text, http.StatusNotFound)
			continue
		}
		if err != nil {
			return err
		}
		if err := e.response(e.r.Context(), m, r, want); err != nil {
			return err
		}
	}
	return m.err
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

// principalSearch answers principal-property-search (RFC 3744 section 9.4) among the principals that the user may know: himself. Nobody learns here
// which accounts there are.
func (e *exchange) principalSearch(body *element) error {
	want, err := readAsked(body)
	if err != nil {
		return err
	}
	me := &resource{kind: principalKind, realm: userRealm, segments: []string{"UserDAV", e.q.Account.Address()}, owner: e.s.store.Between(e.q.Account, e.q.Account)}
	searches, hits := 0, 0
	for _, s := range body.children {
		match := s.child(d("match"))
		if s.name != d("property-search") || match == nil {
			continue
		}
		searches++
		for _, p := range s.child(d("prop")).all() {
			var b strings.Builder
			err := e.writeProperty(e.r.Context(), &xmlWriter{w: &b}, me, p.name, asked{})
			if err != nil && err != errNoProperty {
				return err
			}
			if err == nil && strings.Contains(strings.ToLower(b.String()), strings.ToLower(strings.TrimSpace(match.text))) {
				hits++
				break
			}
		}
	}
	if searches == 0 {
		return fault.New("dav.search", fault.Invalid, "The search has no property-search.")
	}
	m := e.newMultistatus()
	if hits == searches || hits > 0 && body.attr("test") == "anyof" {
		if err := e.response(e.r.Context(), m, me, want); err != nil {
			return err
		}
	}
	return m.end()
}
