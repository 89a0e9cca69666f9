package dav

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"strings"

	"gatepost/accounts/groupware"
	"gatepost/server/fault"
)

// mkcalendar answers MKCALENDAR (RFC 4791 section 5.3.1), mkcol MKCOL with a body or without (RFC 5689).
func (e *exchange) mkcalendar() error { return e.makeCollection(true) }
func (e *exchange) mkcol() error      { return e.makeCollection(false) }

func (e *exchange) makeCollection(calendar bool) error {
	const op = "dav.make"
	ctx := e.r.Context()
	if e.at != nil && (e.at.kind != itemKind || e.at.item != nil) {
		e.w.Header().Set("Allow", allow)
		return &precondition{status: http.StatusMethodNotAllowed, name: d("resource-must-be-null"), text: "There is something of this name."}
	}
	if e.realm != calRealm && e.realm != cardRealm || calendar && e.realm != calRealm {
		return fault.New(op, fault.Denied, "No collection can be made here.")
	}
	path := e.q.Path
	prefix := ""
	if len(path) > 0 && strings.HasPrefix(path[0], "~") {
		prefix, path = path[0]+"/", path[1:]
	}
	if len(path) == 0 {
		return fault.New(op, fault.Denied, "No collection can be made here.")
	}
	body, err := readXML(e.r.Body)
	if err != nil {
		return err
	}
	c, err := e.wanted(body)
	if err != nil {
		return err
	}
	if len(c.failed) > 0 {
		return e.notMade(calendar, c)
	}
	k := groupware.Calendar
	if e.realm == cardRealm {
		k = groupware.Contacts
	} else if c.values[componentsProperty] == nil { // RFC 4791 section 5.2.3: all that the server knows
		all := strings.Join(allComponents, " ")
		c.values[componentsProperty] = &all
	}
	if v := c.values[componentsProperty]; v != nil && k == groupware.Calendar && !strings.Contains(*v, "VEVENT") {
		k = groupware.Tasks
	}
	owner, err := e.s.store.Owner(ctx, e.q.Account, prefix)
	if fault.Is(err, fault.NoMailbox) {
		return errNoParent
	}
	if err != nil {
		return err
	}
	made, err := e.s.store.Create(ctx, e.q.Account, owner, strings.Join(path, "/"), k)
	if fault.Is(err, fault.NoMailbox) {
		return errNoParent
	}
	if err == nil && len(c.values) > 0 {
		if err = made.SetProperties(ctx, c.values); err != nil { // all of it or nothing
			err = errors.Join(err, made.Delete(context.WithoutCancel(ctx)))
		}
	}
	if err != nil {
		return err
	}
	e.w.Header().Set("Location", hrefOf(append([]string{roots[e.realm]}, e.q.Path...)...)+"/")
	if e.prefer.minimal {
		e.applied("return=minimal")
	}
	e.w.WriteHeader(http.StatusCreated)
	return nil
}

// notMade answers that a collection cannot have the properties that it shall have (RFC 4791 section 9.3, RFC 5689 section 3.4).
func (e *exchange) notMade(calendar bool, c *changes) error {
	name := d("mkcol-response")
	if calendar {
		name = cal("mkcalendar-response")
	}
	tagged, _ := tag(name)
	e.w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	e.w.WriteHeader(http.StatusForbidden)
	x := &xmlWriter{w: e.w}
	x.raw(`<?xml version="1.0" encoding="utf-8"?>` + "\n<" + tagged + declarations + ">")
	c.write(x)
	x.close(name)
	return x.err
}

// wanted reads the properties that a new collection shall have.
func (e *exchange) wanted(body *element) (*changes, error) {
	c := &changes{values: make(map[string]*string), failed: make(map[xml.Name]error)}
	if body == nil {
		return c, nil
	}
	if body.name != cal("mkcalendar") && body.name != d("mkcol") {
		return nil, &precondition{status: http.StatusUnsupportedMediaType, text: "The body is not one of MKCOL or MKCALENDAR."}
	}
	for _, set := range body.children {
		if set.name != d("set") {
			continue
		}
		for _, p := range set.child(d("prop")).all() {
			if p.name != d("resourcetype") {
				c.add(e.s, p, false, true)
				continue
			}
			c.names = append(c.names, p.name)
			for _, t := range p.children {
				if t.name != d("collection") && (t.name != cal("calendar") || e.realm != calRealm) && (t.name != card("addressbook") || e.realm != cardRealm) {
					c.failed[p.name] = &precondition{status: http.StatusForbidden, name: d("valid-resourcetype"), text: "This type of collection cannot be here."}
				}
			}
		}
	}
	return c, nil
}

// all returns the children, also of no element.
func (e *element) all() []*element {
	if e == nil {
		return nil
	}
	return e.children
}
