package dav

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"gatepost/accounts"
	"gatepost/accounts/groupware"
	"gatepost/accounts/mailbox"
	"gatepost/accounts/scheduling"
)

// Scheduling is what the server needs of package scheduling (RFC 6638).
type Scheduling interface {
	Put(ctx context.Context, user *accounts.Account, c *groupware.Collection, p scheduling.Put) (scheduling.Result, error)
	Delete(ctx context.Context, user *accounts.Account, c *groupware.Collection, name string, tags []string, noReply bool, check func(mailbox.Item) error) error
	Tag(ctx context.Context, owner *accounts.Account, text []byte) string
}

// UseScheduling has changes of events sent to those who are invited. It is called before the server is used.
func (s *Server) UseScheduling(x Scheduling) { s.scheduling = x }

// schedules reports whether items of a collection are scheduled.
func (e *exchange) schedules(c *groupware.Collection) bool {
	return e.s.scheduling != nil && c.Kind != groupware.Contacts
}

// capabilitiesOf is the DAV header.
func (s *Server) capabilitiesOf() string {
	if s.scheduling == nil {
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
