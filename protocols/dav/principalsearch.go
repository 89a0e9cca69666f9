package dav

import (
	"encoding/xml"
	"strings"

	"gatepost/accounts"
	"gatepost/server/fault"
)

// principal-property-search (RFC 3744 section 9.4) finds the user himself by any property, an account of his domain by its whole address, and, in a domain with
// the setting PrincipalSearch, accounts of the domain by a part of their name or address. Nobody learns more of which accounts there are: that an
// address exists is what mail to it tells too.

const (
	// maxSearched and maxFound bound the accounts that one search looks at, and those that it names.
	maxSearched = 5000
	maxFound    = 100
	// leastMatch is the shortest text that others are found by.
	leastMatch = 2
)

// principalQuery is one search.
type principalQuery struct {
	searches []propertySearch
	anyOf    bool
}

type propertySearch struct {
	names []xml.Name
	match string // in lower case
}

func readPrincipalQuery(body *element) (*principalQuery, error) {
	q := &principalQuery{anyOf: body.attr("test") == "anyof"}
	for _, s := range body.children {
		match := s.child(d("match"))
		if s.name != d("property-search") || match == nil {
			continue
		}
		one := propertySearch{match: strings.ToLower(strings.TrimSpace(match.text))}
		for _, p := range s.child(d("prop")).all() {
			one.names = append(one.names, p.name)
		}
		if q.searches = append(q.searches, one); len(q.searches) > maxMatched || len(one.names) > maxMatched {
			return nil, fault.New("dav.search", fault.TooMany, "The search names too many properties.")
		}
	}
	if len(q.searches) == 0 {
		return nil, fault.New("dav.search", fault.Invalid, "The search has no property-search.")
	}
	return q, nil
}

// holds reports whether enough of the searches hold.
func (q *principalQuery) holds(one func(*propertySearch) (bool, error)) (bool, error) {
	hits := 0
	for i := range q.searches {
		hit, err := one(&q.searches[i])
		if err != nil {
			return false, err
		}
		if hit {
			hits++
		}
	}
	return hits == len(q.searches) || hits > 0 && q.anyOf, nil
}

// isMe reports whether the user is found. He sees all of his properties.
func (e *exchange) isMe(q *principalQuery, me *resource) (bool, error) {
	return q.holds(func(s *propertySearch) (bool, error) {
		for _, n := range s.names {
			var b strings.Builder
			err := e.writeProperty(e.r.Context(), &xmlWriter{w: &b}, me, n, asked{})
			if err != nil && err != errNoProperty {
				return false, err
			}
			if err == nil && strings.Contains(strings.ToLower(b.String()), s.match) {
				return true, nil
			}
		}
		return false, nil
	})
}

// finds reports whether another account is found: whole says that an address has to be given as a whole.
func (q *principalQuery) finds(a *accounts.Account, whole bool) bool {
	found, _ := q.holds(func(s *propertySearch) (bool, error) { // it has no errors
		for _, n := range s.names {
			switch n {
			case cal("calendar-user-address-set"), cs("email-address-set"):
				address, match := strings.ToLower(a.Address()), strings.TrimPrefix(s.match, "mailto:")
				if match == address || !whole && len(match) >= leastMatch && strings.Contains(address, match) {
					return true, nil
				}
			case d("displayname"):
				if !whole && len(s.match) >= leastMatch && strings.Contains(strings.ToLower(nameOf(a)), s.match) {
					return true, nil
				}
			}
		}
		return false, nil
	})
	return found
}

// nameOf is the name of an account for people.
func nameOf(a *accounts.Account) string {
	if name := a.Settings().RealName; name != "" {
		return name
	}
	return a.Name
}

func (e *exchange) principalOf(a *accounts.Account) *resource {
	return &resource{kind: principalKind, realm: userRealm, segments: []string{"UserDAV", a.Address()}, owner: e.s.store.Between(e.q.Account, a)}
}

// principalSearch answers principal-property-search.
func (e *exchange) principalSearch(body *element) error {
	want, err := readAsked(body)
	if err != nil {
		return err
	}
	q, err := readPrincipalQuery(body)
	if err != nil {
		return err
	}
	var found []*resource
	me := e.principalOf(e.q.Account)
	mine, err := e.isMe(q, me)
	if err != nil {
		return err
	}
	if mine {
		found = append(found, me)
	}
	names, whole, err := e.searched(q)
	if err != nil {
		return err
	}
	ctx := e.r.Context()
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("dav.search", fault.Canceled, err)
		}
		a, err := e.s.store.Account(ctx, e.q.Account.Domain, name)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if a.ID != e.q.Account.ID && q.finds(a, whole) {
			if found = append(found, e.principalOf(a)); len(found) == maxFound {
				break
			}
		}
	}
	m := e.newMultistatus()
	for _, r := range found {
		if err := e.response(ctx, m, r, want); err != nil {
			return err
		}
	}
	return m.end()
}

// searched are the names of the accounts of the domain that the search may find; whole says by their whole address alone.
func (e *exchange) searched(q *principalQuery) (names []string, whole bool, err error) {
	if e.q.Account.DomainSettings().PrincipalSearch {
		names, err = e.s.store.AccountNames(e.r.Context(), e.q.Account.Domain)
		return names[:min(len(names), maxSearched)], false, err
	}
	for _, s := range q.searches {
		name, ok := strings.CutSuffix(strings.TrimPrefix(s.match, "mailto:"), "@"+e.q.Account.Domain)
		if ok && name != "" {
			names = append(names, name)
		}
	}
	return names, true, nil
}
