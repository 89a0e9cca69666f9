package dav

import (
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
	owner, err := e.s.store.Owner(ctx, e.q.Account, prefix)
	if err != nil {
		return err
	}
	body, err := readXML(e.r.Body)
	if err != nil {
		return err
	}
	sets, err := e.wanted(body)
	if err != nil {
		return err
	}
	k := groupware.Calendar
	if e.realm == cardRealm {
		k = groupware.Contacts
	}
	if v := sets[componentsProperty]; v != nil && k == groupware.Calendar && !strings.Contains(*v, "VEVENT") {
		k = groupware.Tasks
	}
	c, err := e.s.store.Create(ctx, e.q.Account, owner, strings.Join(path, "/"), k)
	if err != nil {
		return err
	}
	if e.realm == calRealm && sets[componentsProperty] == nil { // RFC 4791 section 5.2.3: all that the server knows
		all := strings.Join(allComponents, " ")
		sets[componentsProperty] = &all
	}
	if len(sets) > 0 {
		if err := c.SetProperties(ctx, sets); err != nil {
			return err
		}
	}
	e.w.Header().Set("Location", hrefOf(append([]string{roots[e.realm]}, e.q.Path...)...)+"/")
	if e.prefer.minimal {
		e.applied("return=minimal")
	}
	e.w.WriteHeader(http.StatusCreated)
	return nil
}

// wanted reads the properties that a new collection shall have.
func (e *exchange) wanted(body *element) (map[string]*string, error) {
	sets := make(map[string]*string)
	if body == nil {
		return sets, nil
	}
	if body.name != cal("mkcalendar") && body.name != d("mkcol") {
		return nil, &precondition{status: http.StatusUnsupportedMediaType, name: d("supported-body"), text: "The body is not one of MKCOL or MKCALENDAR."}
	}
	for _, set := range body.children {
		if set.name != d("set") {
			continue
		}
		for _, p := range set.child(d("prop")).all() {
			if p.name == d("resourcetype") {
				if e.realm == calRealm && p.child(card("addressbook")) != nil || e.realm == cardRealm && p.child(cal("calendar")) != nil {
					return nil, &precondition{status: http.StatusForbidden, name: d("valid-resourcetype"), text: "This type of collection cannot be here."}
				}
				continue
			}
			v, err := e.s.settable(p, true)
			if err != nil {
				return nil, err
			}
			sets[keyOf(p.name)] = &v
		}
	}
	return sets, nil
}

// all returns the children, also of no element.
func (e *element) all() []*element {
	if e == nil {
		return nil
	}
	return e.children
}
