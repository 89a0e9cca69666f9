package dav

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// A reportWord is one kind of REPORT, and what it can be asked of.
type reportWord struct {
	at  kind
	run func(*exchange, *element) error
}

// reportWords returns the kinds of REPORT.
func reportWords() map[xml.Name]reportWord {
	return map[xml.Name]reportWord{
		d("sync-collection"):               {collectionKind, (*exchange).syncCollection},
		cal("calendar-multiget"):           {collectionKind | homeKind | itemKind, (*exchange).multiget},
		card("addressbook-multiget"):       {collectionKind | homeKind | itemKind, (*exchange).multiget},
		cal("calendar-query"):              {collectionKind | itemKind, (*exchange).calendarQuery},
		cal("free-busy-query"):             {collectionKind | itemKind, (*exchange).freeBusyQuery},
		card("addressbook-query"):          {collectionKind | itemKind, (*exchange).addressbookQuery},
		d("expand-property"):               {anyKind, (*exchange).expandProperty},
		d("principal-search-property-set"): {anyKind, (*exchange).searchPropertySet},
		d("principal-property-search"):     {anyKind, (*exchange).principalSearch},
		d("principal-match"):               {anyKind &^ itemKind, (*exchange).principalMatch},
	}
}

// report answers REPORT.
func (e *exchange) report() error {
	body, err := readXML(e.r.Body)
	if err != nil {
		return err
	}
	if body == nil {
		return fault.New("dav.report", fault.Invalid, "The report has no body.")
	}
	w, ok := e.s.reports[body.name]
	if !ok || w.at&e.at.kind == 0 || !hasReport(e.at, body.name) {
		return &precondition{status: http.StatusForbidden, name: d("supported-report"), text: "This report is not possible here."}
	}
	if e.at.kind == itemKind && e.at.item == nil {
		return fault.New("dav.report", fault.NotFound, "")
	}
	return w.run(e, body)
}

// hasReport keeps the reports of calendars and of address books apart.
func hasReport(r *resource, n xml.Name) bool {
	return n.Space == nsDAV || (n.Space == nsCard) == (r.realm == cardRealm)
}

const tokenPrefix = "data:,gatepost-"

// syncToken names a state of a collection.
func syncToken(s mailbox.ItemsState) string {
	return tokenPrefix + strconv.FormatUint(uint64(s.Validity), 10) + "-" + strconv.FormatUint(s.ModSeq, 10)
}

// parseToken reads a sync token as syncToken writes it.
func parseToken(text string) (validity uint32, modSeq uint64, err error) {
	bad := &precondition{status: http.StatusForbidden, name: d("valid-sync-token"), text: "The sync token is not known any more: all items have to be read again."}
	rest, ok := strings.CutPrefix(text, tokenPrefix)
	first, second, cut := strings.Cut(rest, "-")
	v, err1 := strconv.ParseUint(first, 10, 32)
	m, err2 := strconv.ParseUint(second, 10, 64)
	if !ok || !cut || err1 != nil || err2 != nil || syncToken(mailbox.ItemsState{Validity: uint32(v), ModSeq: m}) != text {
		return 0, 0, bad
	}
	return uint32(v), m, nil
}

// syncCollection answers the report of RFC 6578.
func (e *exchange) syncCollection(body *element) error {
	ctx := e.r.Context()
	want, err := readAsked(body)
	if err != nil {
		return err
	}
	if level := body.child(d("sync-level")); level != nil {
		if v := strings.TrimSpace(level.text); v != "1" && v != "infinite" && v != "infinity" {
			return fault.New("dav.sync", fault.Invalid, "The sync-level is not 1 or infinite.")
		}
	}
	limit := 0
	if l := body.child(d("limit")).child(d("nresults")); l != nil {
		if limit, err = strconv.Atoi(strings.TrimSpace(l.text)); err != nil || limit < 1 {
			return fault.New("dav.sync", fault.Invalid, "The limit is not a number above 0.")
		}
	}
	var validity uint32
	var since uint64
	if t := body.child(d("sync-token")); t != nil && strings.TrimSpace(t.text) != "" {
		if validity, since, err = parseToken(strings.TrimSpace(t.text)); err != nil {
			return err
		}
		state, err := e.at.readState(ctx)
		if err != nil {
			return err
		}
		if validity != state.Validity {
			_, _, err := parseToken("")
			return err
		}
	}
	changes, err := e.at.coll.Changes(ctx, validity, since, limit)
	switch fault.KindOf(err) {
	case fault.Invalid:
		_, _, err := parseToken("")
		return err
	case fault.TooMany:
		return &precondition{status: http.StatusInsufficientStorage, name: d("number-of-matches-within-limits"), text: "One change concerns more items than the limit."}
	}
	if err != nil {
		return err
	}
	m := e.newMultistatus()
	for i := range changes.Changed {
		if err := e.response(ctx, m, e.at.itemOf(&changes.Changed[i]), want); err != nil {
			return err
		}
	}
	for _, name := range changes.Removed {
		m.status(e.at.itemHref(name), http.StatusNotFound)
	}
	if changes.More {
		m.raw("<D:response>")
		m.href(e.at.href())
		m.raw("<D:status>" + statusLine(http.StatusInsufficientStorage) + "</D:status><D:error><D:number-of-matches-within-limits/></D:error></D:response>\n")
	}
	m.leaf(d("sync-token"), syncToken(changes.ItemsState))
	return m.end()
}

// maxHrefs is how many items a multiget can ask for.
const maxHrefs = 10_000

// multiget answers calendar-multiget and addressbook-multiget. An item is read by its name in the collection that is asked; any other href by its path.
func (e *exchange) multiget(body *element) error {
	ctx := e.r.Context()
	want, err := readAsked(body)
	if err != nil {
		return err
	}
	var hrefs []string
	for _, c := range body.children {
		if c.name == d("href") {
			hrefs = append(hrefs, strings.TrimSpace(c.text))
		}
	}
	if len(hrefs) > maxHrefs {
		return &precondition{status: http.StatusForbidden, name: d("number-of-matches-within-limits"),
			text: "The report asks for more than " + strconv.Itoa(maxHrefs) + " items."}
	}
	if err := e.at.readable(); err != nil {
		return err
	}
	m := e.newMultistatus()
	for _, h := range hrefs {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("dav.multiget", fault.Canceled, err)
		}
		r, err := e.s.resolveHref(ctx, e.q.Account, h)
		if err == nil && (r.kind != itemKind || r.item == nil || r.realm != e.realm) {
			err = fault.New("dav.multiget", fault.NotFound, "")
		}
		if err == nil {
			err = r.readable()
		}
		switch kind := fault.KindOf(err); {
		case err == nil:
			if err := e.responseAt(ctx, m, h, r, want); err != nil {
				return err
			}
		case isGone(err), kind == fault.Invalid:
			m.status(h, http.StatusNotFound)
		case kind == fault.Denied:
			m.status(h, http.StatusForbidden)
		default:
			return err
		}
	}
	return m.end()
}

// resolveHref finds what an href in a body means.
func (s *Server) resolveHref(ctx context.Context, user *accounts.Account, href string) (*resource, error) {
	const op = "dav.href"
	bad := fault.New(op, fault.Invalid, "An href is not valid.")
	u, err := url.Parse(href)
	if err != nil || u.Opaque != "" || u.Path == "" {
		return nil, bad
	}
	var path []string
	for seg := range strings.SplitSeq(u.EscapedPath(), "/") {
		if seg == "" {
			continue
		}
		name, err := url.PathUnescape(seg)
		if err != nil || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return nil, bad
		}
		path = append(path, name)
	}
	if len(path) == 0 {
		return s.resolve(ctx, user, rootRealm, nil)
	}
	for rl, root := range roots {
		if path[0] == root {
			return s.resolve(ctx, user, rl, path[1:])
		}
	}
	return nil, fault.New(op, fault.NotFound, "")
}

func splitName(name string) []string { return strings.Split(name, "/") }
