package dav

import (
	"encoding/xml"
	"net/http"

	"gatepost/accounts/groupware"
	"gatepost/accounts/icalendar"
	"gatepost/server/fault"
)

// asked are the properties that a client asks for.
type asked struct {
	names []xml.Name
	// all asks for the usual ones and those in names, only for the names of them.
	all, only bool
	// data is the calendar-data or address-data element among the names.
	data *element
	// part is what data asks for of a calendar object, nil for all.
	part *icalendar.Retrieval
	// zone is that of days and floating times in the part; nil is that of the calendar.
	zone *icalendar.Zone
	// card is what data asks for of a card, nil for all.
	card *cardPart
}

// readAsked reads a prop, allprop or propname element.
func readAsked(parent *element) (asked, error) {
	a := asked{}
	if parent == nil {
		return asked{all: true}, nil
	}
	for _, c := range parent.children {
		switch c.name {
		case d("allprop"):
			a.all = true
		case d("propname"):
			a.only = true
		case d("prop"), d("include"):
			for _, p := range c.children {
				a.names = append(a.names, p.name)
				if p.name == cal("calendar-data") || p.name == card("address-data") {
					a.data = p
				}
			}
		}
	}
	if !a.all && !a.only && len(a.names) == 0 && parent.child(d("prop")) == nil {
		return a, fault.New("dav.asked", fault.Invalid, "The request does not say which properties it wants.")
	}
	if len(a.names) > 500 {
		return a, fault.New("dav.asked", fault.TooMany, "The request asks for too many properties.")
	}
	var err error
	if a.part, err = readRetrieval(a.data); err == nil {
		a.card, err = readCardPart(a.data)
	}
	return a, err
}

// depth reads the Depth header; -1 is infinity.
func (e *exchange) depth(without int) (int, error) {
	switch e.r.Header.Get("Depth") {
	case "":
		return without, nil
	case "0":
		return 0, nil
	case "1":
		return 1, nil
	case "infinity", "Infinity":
		return -1, nil
	}
	return 0, fault.New("dav.depth", fault.Invalid, "The Depth header is not 0, 1 or infinity.")
}

// propfind answers PROPFIND.
func (e *exchange) propfind() error {
	ctx := e.r.Context()
	depth, err := e.depth(-1)
	if err != nil {
		return err
	}
	body, err := readXML(e.r.Body)
	if err != nil {
		return err
	}
	if body != nil && body.name != d("propfind") {
		return fault.New("dav.propfind", fault.Invalid, "The body is not a propfind.")
	}
	want, err := readAsked(body)
	if err != nil {
		return err
	}
	r := e.at
	if r.kind == itemKind && r.item == nil {
		if err := r.readable(); err != nil {
			return err
		}
		return fault.New("dav.propfind", fault.NotFound, "")
	}
	if depth == -1 && r.kind != collectionKind && r.kind != itemKind {
		return &precondition{status: http.StatusForbidden, name: d("propfind-finite-depth"), text: "Ask with Depth 0 or 1."}
	}
	list := []*resource{r}
	if depth != 0 {
		more, err := e.members(r)
		if err != nil {
			return err
		}
		if e.prefer.noRoot {
			e.applied("depth-noroot")
			list = list[:0]
		}
		list = append(list, more...)
	}
	if r.kind == collectionKind && !e.q.Slash {
		e.w.Header().Set("Content-Location", r.href())
	}
	m := e.newMultistatus()
	for _, r := range list {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("dav.propfind", fault.Canceled, err)
		}
		if err := e.response(ctx, m, r, want); err != nil {
			return err
		}
		r.text = nil // one text at a time is in memory
	}
	return m.end()
}

// members returns what lies directly below a resource.
func (e *exchange) members(r *resource) ([]*resource, error) {
	ctx := e.r.Context()
	var list []*resource
	switch r.kind {
	case rootKind:
		for _, rl := range []realm{userRealm, calRealm, cardRealm} {
			k := homeKind
			if rl == userRealm {
				k = principalsKind
			}
			list = append(list, &resource{kind: k, realm: rl, segments: []string{roots[rl]}, owner: r.owner})
		}
	case principalsKind:
		list = append(list, &resource{kind: principalKind, realm: userRealm, segments: []string{"UserDAV", e.q.Account.Address()}, owner: r.owner})
	case homeKind:
		all, err := e.s.store.Collections(ctx, e.q.Account, r.owner, kindsOf(r.realm)...)
		if err != nil {
			return nil, err
		}
		for _, c := range all {
			list = append(list, e.collectionOf(r, c))
		}
	case collectionKind:
		items, err := r.coll.Items(ctx)
		if fault.Is(err, fault.Denied) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for i := range items {
			list = append(list, r.itemOf(&items[i]))
		}
	}
	return list, nil
}

// collectionOf returns a collection below a home.
func (e *exchange) collectionOf(home *resource, c *groupware.Collection) *resource {
	return &resource{kind: collectionKind, realm: home.realm, owner: home.owner, coll: c,
		segments: append(home.segments[:len(home.segments):len(home.segments)], splitName(c.Name)...)}
}
