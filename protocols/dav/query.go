package dav

import (
	"context"
	"net/http"
	"strings"
	"time"

	"gatepost/accounts/icalendar"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// maxInstances bounds the search for an instance in a range.
const maxInstances = 1

// calendarQuery answers calendar-query (RFC 4791 section 7.8): a component type and a time range are looked up in the index by time,
// what is left is asked of the text.
func (e *exchange) calendarQuery(body *element) error {
	ctx := e.r.Context()
	want, err := readAsked(body)
	if err != nil {
		return err
	}
	f, err := readFilter(body.child(cal("filter")))
	if err != nil {
		return err
	}
	if err := e.at.readable(); err != nil {
		return err
	}
	var list []mailbox.Item
	switch {
	case e.at.kind == itemKind:
		list = []mailbox.Item{*e.at.item}
	case f.ranged:
		list, err = e.at.coll.Between(ctx, f.span.Start, f.span.End)
	default:
		list, err = e.at.coll.Items(ctx)
	}
	if err != nil {
		return err
	}
	m := newMultistatus(e.w)
	for i := range list {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("dav.query", fault.Canceled, err)
		}
		r := e.at.itemOf(&list[i])
		ok, err := f.matches(ctx, r)
		if isGone(err) {
			continue
		}
		if err != nil {
			return err
		}
		if ok {
			if err := e.response(ctx, m, r, want); err != nil {
				return err
			}
		}
	}
	return m.end()
}

// filter is what a calendar-query asks for: components of a type, in a time.
type filter struct {
	component string // "" for any
	span      icalendar.Range
	ranged    bool
}

// readFilter reads a filter element. What it cannot carry out is refused, and not passed over.
func readFilter(root *element) (f filter, err error) {
	f.span = icalendar.Always
	unsupported := &precondition{status: http.StatusForbidden, name: cal("supported-filter"), text: "This filter is not supported: a component with a time-range is."}
	invalid := &precondition{status: http.StatusForbidden, name: cal("valid-filter"), text: "The filter is not valid."}
	top := root.child(cal("comp-filter"))
	if top == nil || !strings.EqualFold(top.attr("name"), "VCALENDAR") || len(root.children) != 1 {
		return f, invalid
	}
	for _, c := range top.children {
		if c.name != cal("comp-filter") || f.component != "" {
			return f, unsupported
		}
		f.component = strings.ToUpper(c.attr("name"))
		if f.component == "" {
			return f, invalid
		}
		for _, t := range c.children {
			if t.name != cal("time-range") || f.ranged {
				return f, unsupported
			}
			if f.span, err = readRange(t); err != nil {
				return f, err
			}
			f.ranged = true
		}
	}
	return f, nil
}

// readRange reads a time-range (RFC 4791 section 9.9): UTC times of which one may be missing.
func readRange(t *element) (icalendar.Range, error) {
	r := icalendar.Always
	for attr, to := range map[string]*int64{"start": &r.Start, "end": &r.End} {
		v := t.attr(attr)
		if v == "" {
			continue
		}
		at, err := time.Parse("20060102T150405Z", v)
		if err != nil {
			return r, &precondition{status: http.StatusForbidden, name: cal("valid-filter"), text: "The " + attr + " of a time-range is not a UTC time."}
		}
		*to = at.Unix()
	}
	if r.Start >= r.End || r == icalendar.Always {
		return r, &precondition{status: http.StatusForbidden, name: cal("valid-filter"), text: "A time-range has no length or no end."}
	}
	return r, nil
}

// matches reports whether an item is one that is asked for. One whose rule needs too much work counts as such: a client sees it rather than
// misses it.
func (f *filter) matches(ctx context.Context, r *resource) (bool, error) {
	if f.component != "" && string(r.item.Summary) != f.component {
		return false, nil
	}
	if !f.ranged || f.span.Start <= r.item.From && r.item.To <= f.span.End {
		return true, nil
	}
	text, err := r.readText(ctx)
	if err != nil {
		return false, err
	}
	object, err := icalendar.Parse(text)
	if err != nil {
		return false, nil
	}
	found, err := object.Instances(f.span, nil, maxInstances)
	return len(found) > 0 || fault.Is(err, fault.TooMany), nil
}
