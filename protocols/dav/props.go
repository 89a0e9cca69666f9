package dav

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts/groupware"
	"gatepost/server/fault"
)

// property is what a name can be asked for.
type property struct {
	at kind // the kinds of resources that have it
	// usual says that allprop has it.
	usual bool
	// kept says that clients may set it; what they have set goes before write.
	kept bool
	// write writes the content; errNoProperty if the resource has none.
	write func(e *exchange, x *xmlWriter, r *resource) error
}

// liveProperties returns the live properties, by name. Every collection also has those that clients have set.
func liveProperties() map[xml.Name]property {
	all := kind(anyKind)
	box := collectionKind
	return map[xml.Name]property{
		// RFC 4918
		d("resourcetype"):   {all, true, false, writeResourceType},
		d("displayname"):    {all &^ itemKind, true, true, writeDisplayName},
		d("getetag"):        {itemKind, true, false, func(_ *exchange, x *xmlWriter, r *resource) error { x.escape(r.item.ETag); return nil }},
		d("getcontenttype"): {itemKind | box, true, false, func(_ *exchange, x *xmlWriter, r *resource) error { x.escape(mediaType(r)); return nil }},
		d("getcontentlength"): {itemKind, true, false, func(_ *exchange, x *xmlWriter, r *resource) error {
			x.raw(strconv.FormatInt(r.item.Size, 10))
			return nil
		}},
		d("getlastmodified"): {itemKind, true, false, func(_ *exchange, x *xmlWriter, r *resource) error {
			x.raw(r.item.Modified.UTC().Format(http.TimeFormat))
			return nil
		}},
		d("creationdate"): {itemKind, true, false, func(_ *exchange, x *xmlWriter, r *resource) error {
			x.raw(r.item.Created.UTC().Format(time.RFC3339))
			return nil
		}},
		cal("schedule-tag"): {itemKind, false, false, writeScheduleTag},
		d("supportedlock"):  {all, true, false, nothing},
		d("lockdiscovery"):  {all, false, false, nothing},

		// RFC 3744, 5397
		d("current-user-principal"): {all, false, false, func(e *exchange, x *xmlWriter, _ *resource) error {
			x.href(principalHref(e.q.Account))
			return nil
		}},
		d("principal-URL"):                      {principalKind, false, false, ownPrincipal},
		d("owner"):                              {all &^ (rootKind | principalsKind), false, false, ownPrincipal},
		d("principal-collection-set"):           {all, false, false, func(_ *exchange, x *xmlWriter, _ *resource) error { x.href("/UserDAV/"); return nil }},
		d("group-membership"):                   {principalKind, false, false, nothing},
		d("group-member-set"):                   {principalKind, false, false, nothing},
		d("alternate-URI-set"):                  {principalKind, false, false, nothing},
		d("current-user-privilege-set"):         {all, false, false, writePrivileges},
		d("supported-privilege-set"):            {all, false, false, writeSupportedPrivileges},
		d("acl-restrictions"):                   {homeKind | box | itemKind, false, false, writeACLRestrictions},
		d("inherited-acl-set"):                  {homeKind | box | itemKind, false, false, nothing},
		d("supported-report-set"):               {all, false, false, writeReports},
		d("supported-method-set"):               {homeKind | box | itemKind, false, false, writeMethods},
		d("resource-id"):                        {box, false, false, writeResourceID},
		d("sync-token"):                         {box, false, false, writeToken},
		cs("getctag"):                           {box, false, false, writeToken},
		d("quota-used-bytes"):                   {homeKind | box, false, false, writeQuota(false)},
		d("quota-available-bytes"):              {homeKind | box, false, false, writeQuota(true)},
		d("acl"):                                {box, false, false, writeACL},
		cs("email-address-set"):                 {principalKind, false, false, writeEmails},
		cal("calendar-user-address-set"):        {principalKind, false, false, writeUserAddresses},
		cal("calendar-user-type"):               {principalKind, false, false, writeUserType},
		cal("schedule-inbox-URL"):               {principalKind, false, false, scheduleURL(inboxPath)},
		cal("schedule-outbox-URL"):              {principalKind, false, false, scheduleURL(outboxPath)},
		cal("schedule-default-calendar-URL"):    {box, false, true, writeDefaultCalendar},
		cal("schedule-calendar-transp"):         {box, false, true, writeTransparency},
		cal("calendar-home-set"):                {principalKind, false, false, writeHome(calRealm)},
		card("addressbook-home-set"):            {principalKind, false, false, writeHome(cardRealm)},
		cal("calendar-description"):             {box, false, true, notSet},
		card("addressbook-description"):         {box, false, true, notSet},
		cal("calendar-timezone"):                {box, false, true, notSet},
		ical("calendar-color"):                  {box, false, true, notSet},
		ical("calendar-order"):                  {box, false, true, notSet},
		cal("supported-calendar-component-set"): {box, false, false, writeComponents},
		cal("supported-calendar-data"): {box, false, false, onlyIn(calRealm, func(x *xmlWriter) {
			x.raw(`<C:calendar-data content-type="text/calendar" version="2.0"/>`)
		})},
		cal("supported-collation-set"): {box, false, false, onlyIn(calRealm, func(x *xmlWriter) {
			for _, name := range collations {
				x.leaf(cal("supported-collation"), name)
			}
		})},
		card("supported-collation-set"): {box, false, false, onlyIn(cardRealm, func(x *xmlWriter) {
			for _, name := range collations {
				x.leaf(card("supported-collation"), name)
			}
		})},
		cal("max-resource-size"):  {box, false, false, onlyIn(calRealm, func(x *xmlWriter) { x.raw(strconv.Itoa(maxBody)) })},
		card("max-resource-size"): {box, false, false, onlyIn(cardRealm, func(x *xmlWriter) { x.raw(strconv.Itoa(maxBody)) })},
		card("supported-address-data"): {box, false, false, onlyIn(cardRealm, func(x *xmlWriter) {
			x.raw(`<A:address-data-type content-type="text/vcard" version="3.0"/><A:address-data-type content-type="text/vcard" version="4.0"/>`)
		})},
	}
}

// collations are the names that filters may have (RFC 4791 section 7.5.1, RFC 6352 section 8.3.1).
var collations = []string{"i;ascii-casemap", "i;octet", "i;unicode-casemap"}

// maxBody is the largest body that HTTPU passes on by its stock settings.
const maxBody = 10 << 20

func nothing(*exchange, *xmlWriter, *resource) error { return nil }
func notSet(*exchange, *xmlWriter, *resource) error  { return errNoProperty }

func onlyIn(rl realm, write func(*xmlWriter)) func(*exchange, *xmlWriter, *resource) error {
	return func(_ *exchange, x *xmlWriter, r *resource) error {
		if r.realm != rl {
			return errNoProperty
		}
		write(x)
		return nil
	}
}

func writeResourceType(_ *exchange, x *xmlWriter, r *resource) error {
	switch r.kind {
	case itemKind:
	case principalKind:
		x.raw("<D:principal/><D:collection/>")
	case collectionKind:
		switch {
		case r.isInbox():
			x.raw("<D:collection/><C:schedule-inbox/>")
		case r.realm == cardRealm:
			x.raw("<D:collection/><A:addressbook/>")
		default:
			x.raw("<D:collection/><C:calendar/>")
		}
	case outboxKind:
		x.raw("<D:collection/><C:schedule-outbox/>")
	default:
		x.raw("<D:collection/>")
	}
	return nil
}

func writeDisplayName(e *exchange, x *xmlWriter, r *resource) error {
	switch r.kind {
	case collectionKind:
		name := r.coll.Name
		if r.owner.Foreign() {
			name += " (" + r.owner.Account.Name + ")"
		}
		x.escape(name)
	case principalKind:
		x.escape(nameOf(r.owner.Account))
	default:
		return errNoProperty
	}
	return nil
}

func ownPrincipal(_ *exchange, x *xmlWriter, r *resource) error {
	x.href(principalHref(r.owner.Account))
	return nil
}

func writeHome(rl realm) func(*exchange, *xmlWriter, *resource) error {
	return func(e *exchange, x *xmlWriter, r *resource) error {
		if r.owner.Foreign() {
			x.href(foreignHome(rl, r.owner.Account))
			return nil
		}
		x.href(hrefOf(roots[rl]) + "/")
		others, err := e.aliasedHomes(rl)
		for _, owner := range others {
			x.href(foreignHome(rl, owner))
		}
		return err
	}
}

func writeEmails(e *exchange, x *xmlWriter, r *resource) error {
	list, err := e.s.store.Addresses(e.r.Context(), r.owner.Account)
	for _, addr := range list {
		x.leaf(cs("email-address"), addr)
	}
	return err
}

func writeUserAddresses(e *exchange, x *xmlWriter, r *resource) error {
	list, err := e.s.store.Addresses(e.r.Context(), r.owner.Account)
	for _, addr := range list {
		x.href("mailto:" + addr)
	}
	x.href(principalHref(r.owner.Account))
	return err
}

func writeResourceID(_ *exchange, x *xmlWriter, r *resource) error {
	x.href("urn:x-gatepost:" + strconv.FormatUint(r.owner.Account.ID, 10) + ":" + strconv.FormatUint(uint64(r.coll.ID), 10))
	return nil
}

func writeToken(e *exchange, x *xmlWriter, r *resource) error {
	state, err := r.readState(e.r.Context())
	if err == nil {
		x.escape(syncToken(state))
	}
	return err
}

// writeQuota writes what the account has in use, or what is left of its limit (RFC 4331). One without a limit has no quota.
func writeQuota(left bool) func(*exchange, *xmlWriter, *resource) error {
	return func(e *exchange, x *xmlWriter, r *resource) error {
		limit := int64(r.owner.Account.Settings().MaxAccountSize)
		if r.owner.Foreign() || left && limit < 0 {
			return errNoProperty
		}
		u, err := r.owner.Mail().Usage(e.r.Context())
		n := u.Bytes
		if left {
			n = max(0, limit-u.Bytes)
		}
		x.raw(strconv.FormatInt(n, 10))
		return err
	}
}

// components returns the types of components that a calendar takes; nil for an address book.
func (r *resource) components(ctx context.Context) ([]string, error) {
	if r.coll.Kind == groupware.Contacts {
		return nil, nil
	}
	props, err := r.readProps(ctx)
	if err != nil {
		return nil, err
	}
	if v := props[componentsProperty]; v != "" {
		return strings.Fields(v), nil
	}
	switch r.coll.Kind {
	case groupware.Tasks:
		return []string{"VTODO"}, nil
	case groupware.Inbox:
		return []string{"VEVENT", "VTODO"}, nil
	}
	return []string{"VEVENT"}, nil
}

func writeComponents(e *exchange, x *xmlWriter, r *resource) error {
	list, err := r.components(e.r.Context())
	if err == nil && list == nil {
		err = errNoProperty
	}
	for _, name := range list {
		x.raw(`<C:comp name="` + name + `"/>`)
	}
	return err
}

func writeReports(e *exchange, x *xmlWriter, r *resource) error {
	for _, n := range e.s.reportNames {
		if e.s.reports[n].at&r.kind != 0 && hasReport(r, n) {
			x.raw("<D:supported-report><D:report>")
			x.empty(n)
			x.raw("</D:report></D:supported-report>")
		}
	}
	return nil
}

func writeMethods(_ *exchange, x *xmlWriter, _ *resource) error {
	for m := range strings.SplitSeq(allow, ", ") {
		x.raw(`<D:supported-method name="` + m + `"/>`)
	}
	return nil
}

// response writes what a resource has of the properties that are asked for.
func (e *exchange) response(ctx context.Context, m *multistatus, r *resource, want asked) error {
	return e.responseAt(ctx, m, r.href(), r, want)
}

// responseAt is response under the href that the client has written.
func (e *exchange) responseAt(ctx context.Context, m *multistatus, href string, r *resource, want asked) error {
	names := want.names
	if want.all || want.only {
		names = append(e.s.usualNames(r), names...)
	}
	// The item may be gone since it was listed: that is known before anything is written.
	if want.data != nil && r.kind == itemKind {
		if _, err := r.readText(ctx); isGone(err) {
			m.status(href, http.StatusNotFound)
			return nil
		} else if err != nil {
			return err
		}
	}
	m.raw("<D:response>")
	m.href(href)
	var found bytes.Buffer
	x := &xmlWriter{w: &found}
	var missing, denied []xml.Name
	var failed []failedProperty
	for _, n := range names {
		before := found.Len()
		if want.only {
			x.empty(n)
			continue
		}
		x.open(n)
		at := found.Len()
		err := e.writeProperty(ctx, x, r, n, want)
		if err != nil {
			found.Truncate(before)
			var p *precondition
			switch {
			case errors.As(err, &p): // it concerns this resource alone
				failed = append(failed, failedProperty{n, p})
			case err == errNoProperty:
				missing = append(missing, n)
			case fault.Is(err, fault.Denied):
				denied = append(denied, n)
			default:
				return err
			}
			continue
		}
		if found.Len() == at { // <a></a> becomes <a/>
			found.Truncate(before)
			x.empty(n)
			continue
		}
		x.close(n)
	}
	if found.Len() > 0 || len(missing)+len(denied)+len(failed) == 0 || e.prefer.minimal {
		m.raw("<D:propstat><D:prop>")
		m.bytes(found.Bytes())
		m.raw("</D:prop><D:status>" + statusLine(http.StatusOK) + "</D:status></D:propstat>")
	}
	for _, f := range failed {
		m.raw("<D:propstat><D:prop>")
		m.empty(f.name)
		m.raw("</D:prop><D:status>" + statusLine(f.why.status) + "</D:status><D:error>")
		m.empty(f.why.name)
		m.raw("</D:error></D:propstat>")
	}
	if !e.prefer.minimal {
		m.refused(denied, http.StatusForbidden)
		m.refused(missing, http.StatusNotFound)
	}
	m.raw("</D:response>\n")
	return m.err
}

// failedProperty is a property that a resource has and that cannot be told.
type failedProperty struct {
	name xml.Name
	why  *precondition
}

// refused writes a propstat of properties that there are none of.
func (m *multistatus) refused(names []xml.Name, status int) {
	if len(names) == 0 {
		return
	}
	m.raw("<D:propstat><D:prop>")
	for _, n := range names {
		m.empty(n)
	}
	m.raw("</D:prop><D:status>" + statusLine(status) + "</D:status></D:propstat>")
}

// usualNames are the names that allprop has.
func (s *Server) usualNames(r *resource) (names []xml.Name) {
	for _, n := range s.propertyNames {
		if p := s.properties[n]; p.usual && p.at&r.kind != 0 {
			names = append(names, n)
		}
	}
	return names
}

// writeProperty writes the content of a property.
func (e *exchange) writeProperty(ctx context.Context, x *xmlWriter, r *resource, n xml.Name, want asked) error {
	if n == cal("calendar-data") || n == card("address-data") {
		if r.kind != itemKind || (n.Space == nsCard) != (r.realm == cardRealm) {
			return errNoProperty
		}
		data, err := r.readText(ctx)
		switch {
		case err != nil:
		case n.Space == nsCard:
			data, err = want.card.of(data)
		case want.part != nil:
			zone := want.zone
			if zone == nil {
				zone, err = r.coll.Zone(ctx)
			}
			if err == nil {
				data, err = partOf(data, want.part, zone)
			}
		}
		if err == nil {
			x.escape(string(data))
		}
		return err
	}
	p, known := e.s.properties[n]
	if r.kind == collectionKind && (!known || p.kept) {
		props, err := r.readProps(ctx)
		if err != nil {
			return err
		}
		if v, ok := props[keyOf(n)]; ok && n != cal("schedule-default-calendar-URL") {
			x.raw(v) // it was written by us
			return nil
		}
	}
	if !known || p.at&r.kind == 0 {
		return errNoProperty
	}
	return p.write(e, x, r)
}
