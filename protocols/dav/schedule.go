package dav

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/groupware"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/scheduling"
	"gatepost/server/fault"
)

// Scheduling is what the server needs of package scheduling (RFC 6638).
type Scheduling interface {
	Put(ctx context.Context, user *accounts.Account, c *groupware.Collection, p scheduling.Put) (scheduling.Result, error)
	Delete(ctx context.Context, user *accounts.Account, c *groupware.Collection, name string, tags []string, noReply bool, check func(mailbox.Item) error) error
	Tag(ctx context.Context, owner *accounts.Account, text []byte) string
	// On reports whether the server schedules.
	On() bool
	FreeBusy(ctx context.Context, user *accounts.Account, text []byte) ([]scheduling.BusyAnswer, error)
	ShowsAll(ctx context.Context, address string) (bool, error)
	Published(ctx context.Context, viewer *accounts.Account, address string, now time.Time) ([]byte, error)
}

// UseScheduling has changes of events sent to those who are invited. It is called before the server is used.
func (s *Server) UseScheduling(x Scheduling) { s.scheduling = x }

// schedules reports whether items of a collection are scheduled.
func (e *exchange) schedules(c *groupware.Collection) bool {
	return e.s.schedulingOn() && (c.Kind == groupware.Calendar || c.Kind == groupware.Tasks)
}

func (s *Server) schedulingOn() bool { return s.scheduling != nil && s.scheduling.On() }

// capabilitiesOf is the DAV header.
func (s *Server) capabilitiesOf() string {
	if !s.schedulingOn() {
		return capabilities
	}
	return capabilities + ", calendar-auto-schedule"
}

// scheduleTags returns the tags of If-Schedule-Tag-Match.
func (e *exchange) scheduleTags() ([]string, error) {
	tags, _, err := etags(e.r.Header.Values("If-Schedule-Tag-Match"))
	return tags, err
}

// noReply reports whether the client wants the organizer told nothing (RFC 6638 section 8.1).
func (e *exchange) noReply() bool { return strings.EqualFold(e.r.Header.Get("Schedule-Reply"), "F") }

// putItem stores an item. etag is empty if the text that is stored is not that of the client.
func (e *exchange) putItem(c *groupware.Collection, p groupware.Put) (etag string, created bool, err error) {
	if !e.schedules(c) {
		item, created, err := c.Put(e.r.Context(), p)
		return item.ETag, created, err
	}
	tags, err := e.scheduleTags()
	if err != nil {
		return "", false, err
	}
	r, err := e.s.scheduling.Put(e.r.Context(), e.q.Account, c, scheduling.Put{Put: p, Tags: tags, NoReply: e.noReply()})
	if err != nil {
		return "", false, asSchedulingFailure(err)
	}
	if r.Tag != "" {
		e.w.Header().Set("Schedule-Tag", r.Tag)
	}
	if r.Rewritten {
		return "", r.Created, nil
	}
	return r.Item.ETag, r.Created, nil
}

// deleteItem removes an item.
func (e *exchange) deleteItem(c *groupware.Collection, name string, check func(mailbox.Item) error) error {
	if !e.schedules(c) {
		return c.DeleteItem(e.r.Context(), name, check)
	}
	tags, err := e.scheduleTags()
	if err != nil {
		return err
	}
	return asSchedulingFailure(e.s.scheduling.Delete(e.r.Context(), e.q.Account, c, name, tags, e.noReply(), check))
}

// asSchedulingFailure makes the preconditions of RFC 6638 of failures.
func asSchedulingFailure(err error) error {
	var no *scheduling.NotAllowed
	switch {
	case errors.Is(err, scheduling.ErrTag):
		return errPrecondition
	case errors.As(err, &no):
		p := &precondition{status: http.StatusForbidden, name: cal(no.Rule), text: no.Text}
		if no.Collection != "" {
			p.href = hrefOf(append([]string{roots[calRealm]}, splitName(no.Collection)...)...) + "/" + escapeSegment(no.Other)
		}
		return p
	}
	return err
}

// writeScheduleTag writes the Schedule-Tag of an item.
func writeScheduleTag(e *exchange, x *xmlWriter, r *resource) error {
	if r.coll == nil || !e.schedules(r.coll) {
		return errNoProperty
	}
	text, err := r.readText(e.r.Context())
	if err != nil {
		return err
	}
	tag := e.s.scheduling.Tag(e.r.Context(), r.owner.Account, text)
	if tag == "" {
		return errNoProperty
	}
	x.escape(tag)
	return nil
}

// The paths of the scheduling inbox and outbox below /CalDAV/. A mailbox of these names is not reached.
const (
	inboxPath  = ".inbox"
	outboxPath = ".outbox"
)

// resolveSchedule finds the scheduling inbox with its items, and the outbox, of a user; nil if the path is another one.
func (s *Server) resolveSchedule(ctx context.Context, user *accounts.Account, path []string) (*resource, error) {
	if !s.schedulingOn() || len(path) == 0 || path[0] != inboxPath && path[0] != outboxPath {
		return nil, nil
	}
	r := &resource{kind: outboxKind, realm: calRealm, segments: append([]string{roots[calRealm]}, path...), owner: s.store.Between(user, user)}
	none := fault.New("dav.resolve", fault.NoMailbox, "There is nothing here.")
	if path[0] == outboxPath {
		if len(path) > 1 {
			return nil, none
		}
		return r, nil
	}
	c, err := s.store.Inbox(ctx, user)
	if err != nil {
		return nil, err
	}
	r.kind, r.coll = collectionKind, c
	switch len(path) {
	case 1:
		return r, nil
	case 2:
		r.kind, r.name = itemKind, path[1]
		item, err := c.Item(ctx, path[1])
		if fault.Is(err, fault.NoMessage) {
			return r, nil
		}
		r.item = &item
		return r, err
	}
	return nil, none
}

// isInbox reports whether a resource is the scheduling inbox.
func (r *resource) isInbox() bool {
	return r.kind == collectionKind && r.coll != nil && r.coll.Kind == groupware.Inbox
}

// scheduleURL writes the path of the inbox or the outbox of the user, who sees no other's.
func scheduleURL(name string) func(*exchange, *xmlWriter, *resource) error {
	return func(e *exchange, x *xmlWriter, r *resource) error {
		if !e.s.schedulingOn() || r.owner.Foreign() {
			return errNoProperty
		}
		x.href(hrefOf(roots[calRealm], name) + "/")
		return nil
	}
}

// writeDefaultCalendar writes which calendar new events of others go into.
func writeDefaultCalendar(e *exchange, x *xmlWriter, r *resource) error {
	if !r.isInbox() {
		return errNoProperty
	}
	name := groupware.MainName(r.owner.Account, groupware.Calendar)
	props, err := r.readProps(e.r.Context())
	if err != nil {
		return err
	}
	if set := groupware.PropertyText(props[scheduling.DefaultProperty]); set != "" {
		name = set
	}
	x.href(hrefOf(append([]string{roots[calRealm]}, splitName(name)...)...) + "/")
	return nil
}

// defaultCalendar returns the value to be kept of schedule-default-calendar-URL: the name of the mailbox.
func (e *exchange) defaultCalendar(p *element) (string, error) {
	bad := &precondition{status: http.StatusForbidden, name: cal("valid-schedule-default-calendar-URL"), text: "The URL is not that of a calendar of yours."}
	h := p.child(d("href"))
	if h == nil {
		return "", bad
	}
	u, err := url.Parse(strings.TrimSpace(h.text))
	if err != nil {
		return "", bad
	}
	to, err := e.s.resolveHref(e.r.Context(), e.q.Account, u.EscapedPath())
	if err != nil || to.kind != collectionKind || to.coll.Kind != groupware.Calendar || to.owner.Foreign() {
		return "", bad
	}
	var b strings.Builder
	(&xmlWriter{w: &b}).escape(to.coll.Name)
	return b.String(), nil
}

// setDefaultCalendar notes the calendar that new events of others go into.
func (e *exchange) setDefaultCalendar(c *changes, p *element, remove bool) {
	c.names = append(c.names, p.name)
	if !e.at.isInbox() {
		c.failed[p.name] = fault.New("dav.proppatch", fault.Denied, "This is a property of the scheduling inbox.")
		return
	}
	var value *string
	if !remove {
		v, err := e.defaultCalendar(p)
		if err != nil {
			c.failed[p.name] = err
			return
		}
		value = &v
	}
	c.values[keyOf(p.name)] = value
}

// writeTransparency writes whether the events of a calendar make its owner busy.
func writeTransparency(e *exchange, x *xmlWriter, r *resource) error {
	if r.isInbox() || r.coll.Kind != groupware.Calendar {
		return errNoProperty
	}
	x.raw("<C:opaque/>")
	return nil
}

// writeUserType writes what kind of calendar user an account is (RFC 6638 section 2.4.2).
func writeUserType(_ *exchange, x *xmlWriter, r *resource) error {
	x.raw(r.owner.Account.Settings().CalendarUserType)
	return nil
}

// post answers POST to the outbox: a request for free and busy times (RFC 6638 section 5).
func (e *exchange) post() error {
	if e.at.kind != outboxKind {
		e.w.Header().Set("Allow", allow)
		e.w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	const most = 256 << 10
	text, err := io.ReadAll(io.LimitReader(e.r.Body, most+1))
	if err != nil {
		return bodyError(err)
	}
	if len(text) > most {
		return &precondition{status: http.StatusForbidden, name: cal("max-resource-size"), text: "The request is too large."}
	}
	answers, err := e.s.scheduling.FreeBusy(e.r.Context(), e.q.Account, text)
	switch {
	case fault.Is(err, fault.Denied):
		return &precondition{status: http.StatusForbidden, name: cal("organizer-allowed"), text: fault.Explain(err)}
	case fault.Is(err, fault.Invalid):
		return &precondition{status: http.StatusBadRequest, name: cal("valid-calendar-data"), text: fault.Explain(err)}
	case fault.Is(err, fault.TooMany):
		return &precondition{status: http.StatusForbidden, name: cal("max-attendees-per-instance"), text: fault.Explain(err)}
	case err != nil:
		return err
	}
	e.w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	x := &xmlWriter{w: e.w}
	x.raw(`<?xml version="1.0" encoding="utf-8"?>` + "\n<C:schedule-response" + declarations + ">")
	for _, a := range answers {
		x.raw("<C:response><C:recipient>")
		x.href(a.Recipient)
		x.raw("</C:recipient>")
		x.leaf(cal("request-status"), a.Status)
		if a.Calendar != nil {
			x.leaf(cal("calendar-data"), string(a.Calendar))
		}
		x.raw("</C:response>\n")
	}
	x.raw("</C:schedule-response>\n")
	return x.err
}
