package dav

import (
	"cmp"
	"encoding/xml"
	"errors"
	"net/http"
	"strings"

	"gatepost/accounts/groupware"
	httpd "gatepost/protocols/http"
	"gatepost/server/fault"
)

// precondition is a failure that an answer tells by an XML element (RFC 4918 section 16).
type precondition struct {
	status int
	name   xml.Name // none if the status alone tells it
	href   string   // in the element
	text   string   // for people
}

// errNoParent is the answer to what would make something where there is no collection for it (RFC 4918 section 9.7.1).
var errNoParent = &precondition{status: http.StatusConflict, text: "There is no calendar or address book of this path."}

func (p *precondition) Error() string { return p.name.Local + ": " + p.text }

// asPrecondition finds the precondition that a failure stands for.
func asPrecondition(err error, carddav bool) *precondition {
	var p *precondition
	if errors.As(err, &p) {
		return p
	}
	v, ok := groupware.IsViolation(err)
	if !ok {
		if fault.Is(err, fault.OverQuota) {
			return &precondition{status: http.StatusInsufficientStorage, name: d("quota-not-exceeded"), text: "The account is full."}
		}
		return nil
	}
	name := cal
	words := map[groupware.Rule]string{groupware.ValidData: "valid-calendar-data", groupware.ValidObject: "valid-calendar-object-resource",
		groupware.ComponentType: "supported-calendar-component", groupware.UniqueUID: "no-uid-conflict", groupware.Size: "max-resource-size"}
	if carddav {
		name = card
		words[groupware.ValidData], words[groupware.ValidObject] = "valid-address-data", "valid-address-data"
	}
	p = &precondition{status: http.StatusForbidden, name: name(words[v.Rule]), text: fault.Explain(v.Err)}
	if v.Rule == groupware.UniqueUID {
		p.status = http.StatusConflict
	}
	return p
}

// refuse answers with a failure.
func (e *exchange) refuse(err error) {
	p := asPrecondition(err, e.realm == cardRealm)
	if p == nil && isGone(err) && len(e.q.Path) > 0 && strings.HasPrefix(e.q.Path[0], "~") {
		// The same words whether there is no such account or it shows nothing.
		err = &fault.Error{Op: "dav.refuse", Kind: fault.NotFound, Text: "There is nothing here.", Err: err}
	}
	if p == nil || e.begun { // what has begun is cut
		httpd.Refuse(e.w, e.r, err)
		return
	}
	at := cmp.Or(e.to, e.at)
	if v, ok := groupware.IsViolation(err); ok && v.Rule == groupware.UniqueUID && at != nil && at.coll != nil {
		p.href = at.itemHref(v.Other)
	}
	if p == errPrecondition && e.prefer.representation && e.at != nil && e.at.kind == itemKind && e.at.item != nil && e.at.readable() == nil {
		e.at.text = nil
		if e.represent(e.at, http.StatusPreconditionFailed) == nil {
			return
		}
	}
	e.q.Log.LogAttrs(e.r.Context(), levelRefused, "request refused", attrMethod(e.r.Method), attrReason(p.Error()))
	e.w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	e.w.WriteHeader(p.status)
	x := &xmlWriter{w: e.w}
	x.raw(`<?xml version="1.0" encoding="utf-8"?>` + "\n<D:error" + declarations + ">")
	switch {
	case p.href != "":
		x.open(p.name)
		x.href(p.href)
		x.close(p.name)
	case p.name.Local != "":
		x.empty(p.name)
	}
	if p.text != "" {
		x.leaf(cs("error-description"), p.text)
	}
	x.raw("</D:error>\n")
}
