package dav

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts/contentline"
	"gatepost/accounts/icalendar"
	"gatepost/accounts/mailbox"
	"gatepost/server/fault"
)

// calendarQuery answers calendar-query (RFC 4791 section 7.8): a time range is looked up in the index by time, the rest
// of the filter is asked of the summaries, and of the texts where a summary does not know.
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
	report, err := e.newReport(body)
	if err != nil {
		return err
	}
	want.zone = report.Local
	list, err := e.itemsIn(ctx, spanOf(f))
	if err != nil {
		return err
	}
	m := e.newMultistatus()
	for i := range list {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("dav.query", fault.Canceled, err)
		}
		r := e.at.itemOf(&list[i])
		ok, err := matches(ctx, report, f, r)
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

// itemsIn returns the items of what is asked that may lie in a range.
func (e *exchange) itemsIn(ctx context.Context, span icalendar.Range) ([]mailbox.Item, error) {
	switch {
	case e.at.kind == itemKind:
		return []mailbox.Item{*e.at.item}, nil
	case span != icalendar.Always:
		return e.at.coll.Between(ctx, span.Start, span.End)
	}
	return e.at.coll.Items(ctx)
}

// newReport begins a query. Days and floating times are those of its timezone element (RFC 4791 section 9.8), or of its
// timezone-id (RFC 7809 section 5.2), else of the calendar.
func (e *exchange) newReport(body *element) (*icalendar.Report, error) {
	if id := body.child(cal("timezone-id")); id != nil {
		zone := icalendar.KnownZone(strings.TrimSpace(id.text))
		if zone == nil {
			return nil, &precondition{status: http.StatusForbidden, name: cal("valid-timezone"), text: "The time zone is not known."}
		}
		return icalendar.NewReport(zone), nil
	}
	if given := body.child(cal("timezone")); given != nil {
		zone := icalendar.DefinedZone([]byte(strings.TrimSpace(given.text) + "\r\n"))
		if zone == nil {
			return nil, &precondition{status: http.StatusForbidden, name: cal("valid-calendar-data"), text: "The timezone of the query is not a calendar with one VTIMEZONE."}
		}
		return icalendar.NewReport(zone), nil
	}
	zone, err := e.at.coll.Zone(e.r.Context())
	return icalendar.NewReport(zone), err
}

// matches reports whether an item is one that is asked for. One whose rule needs too much work counts as such: a client sees it rather than
// misses it.
func matches(ctx context.Context, report *icalendar.Report, f *icalendar.CompFilter, r *resource) (bool, error) {
	ok, known, err := report.MatchSummary(r.item.Summary, f)
	if err != nil || known {
		return ok, invalidFilter(err)
	}
	text, err := r.readText(ctx)
	if err != nil {
		return false, err
	}
	object, err := icalendar.Parse(text)
	if err != nil {
		return false, nil // it was stored by another wire
	}
	ok, err = report.Match(object, f)
	return ok, invalidFilter(err)
}

func invalidFilter(err error) error {
	if err == nil {
		return nil
	}
	return &precondition{status: http.StatusForbidden, name: cal("valid-filter"), text: "The filter is not valid: " + fault.Text(err) + "."}
}

// maxFilter bounds the elements of a filter.
const maxFilter = 200

// readFilter reads a filter element (RFC 4791 section 9.7). What it cannot carry out is refused, and not passed over.
func readFilter(root *element) (*icalendar.CompFilter, error) {
	top := root.child(cal("comp-filter"))
	if top == nil || len(root.children) != 1 || !strings.EqualFold(top.attr("name"), "VCALENDAR") {
		return nil, invalidFilter(fault.New("dav.filter", fault.Invalid, "it is not one comp-filter of VCALENDAR"))
	}
	left := maxFilter
	f, err := readCompFilter(top, &left)
	return &f, err
}

func readCompFilter(el *element, left *int) (f icalendar.CompFilter, err error) {
	f.Name = strings.ToUpper(el.attr("name"))
	if *left--; *left < 0 || f.Name == "" {
		return f, invalidFilter(fault.New("dav.filter", fault.Invalid, "it has too many elements, or one without a name"))
	}
	for _, c := range el.children {
		switch c.name {
		case cal("is-not-defined"):
			f.IsNotDefined = true
		case cal("time-range"):
			f.TimeRange, err = readRange(c)
		case cal("comp-filter"):
			var inner icalendar.CompFilter
			inner, err = readCompFilter(c, left)
			f.Comps = append(f.Comps, inner)
		case cal("prop-filter"):
			var p icalendar.PropFilter
			p, err = readPropFilter(c, left)
			f.Props = append(f.Props, p)
		default:
			err = unsupportedFilter(c)
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

func readPropFilter(el *element, left *int) (f icalendar.PropFilter, err error) {
	f.Name = strings.ToUpper(el.attr("name"))
	if *left--; *left < 0 || f.Name == "" {
		return f, invalidFilter(fault.New("dav.filter", fault.Invalid, "it has too many elements, or one without a name"))
	}
	for _, c := range el.children {
		switch c.name {
		case cal("is-not-defined"):
			f.IsNotDefined = true
		case cal("time-range"):
			f.TimeRange, err = readRange(c)
		case cal("text-match"):
			f.Text, err = readTextMatch(c)
		case cal("param-filter"):
			p := icalendar.ParamFilter{Name: strings.ToUpper(c.attr("name"))}
			*left--
			p.IsNotDefined = c.child(cal("is-not-defined")) != nil
			if m := c.child(cal("text-match")); m != nil {
				p.Text, err = readTextMatch(m)
			}
			f.Params = append(f.Params, p)
		default:
			err = unsupportedFilter(c)
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

func unsupportedFilter(el *element) error {
	return &precondition{status: http.StatusForbidden, name: cal("supported-filter"), text: "A filter with " + el.name.Local + " is not supported."}
}

// readTextMatch reads a text-match (RFC 4791 section 9.7.5).
func readTextMatch(el *element) (*contentline.TextMatch, error) {
	collation, err := contentline.ParseCollation(el.attr("collation"))
	if err != nil {
		return nil, &precondition{status: http.StatusForbidden, name: cal("supported-collation"), text: "The collation is not supported."}
	}
	return &contentline.TextMatch{Value: el.text, Collation: collation, Negate: strings.EqualFold(el.attr("negate-condition"), "yes")}, nil
}

// readRange reads a time-range (RFC 4791 section 9.9): UTC times of which one may be missing.
func readRange(el *element) (*icalendar.Range, error) {
	r, err := icalendar.ParseRange(el.attr("start"), el.attr("end"))
	return &r, invalidFilter(err)
}

// spanOf is the time in which all lies that a filter lets pass.
func spanOf(f *icalendar.CompFilter) icalendar.Range {
	span := icalendar.Always
	for i := range f.Comps {
		if r := f.Comps[i].TimeRange; r != nil && !f.Comps[i].IsNotDefined {
			span.Start, span.End = max(span.Start, r.Start), min(span.End, r.End)
		}
	}
	if span.Start >= span.End { // ranges that exclude each other: the filter itself says what matches
		return icalendar.Always
	}
	return span
}

// readRetrieval reads the calendar-data element of a report (RFC 4791 section 9.6); nil asks for the whole text.
func readRetrieval(el *element) (*icalendar.Retrieval, error) {
	if el == nil || el.name != cal("calendar-data") || len(el.children) == 0 {
		return nil, nil
	}
	ask := new(icalendar.Retrieval)
	for _, c := range el.children {
		var to **icalendar.Range
		switch c.name {
		case cal("comp"):
			comp, left := icalendar.CompData{}, maxFilter
			if err := readComp(c, &comp, &left); err != nil {
				return nil, err
			}
			ask.Comp = &comp
			continue
		case cal("expand"):
			to = &ask.Expand
		case cal("limit-recurrence-set"):
			to = &ask.LimitRecurrence
		case cal("limit-freebusy-set"):
			to = &ask.LimitFreeBusy
		default:
			return nil, &precondition{status: http.StatusForbidden, name: cal("supported-calendar-data"), text: "calendar-data with " + c.name.Local + " is not supported."}
		}
		if c.attr("start") == "" || c.attr("end") == "" {
			return nil, invalidFilter(fault.New("dav.filter", fault.Invalid, c.name.Local+" needs a start and an end"))
		}
		r, err := readRange(c)
		if err != nil {
			return nil, err
		}
		*to = r
	}
	return ask, nil
}

// readComp reads a comp element (section 9.6.1).
func readComp(el *element, into *icalendar.CompData, left *int) error {
	into.Name = strings.ToUpper(el.attr("name"))
	if *left--; *left < 0 || into.Name == "" {
		return invalidFilter(fault.New("dav.filter", fault.Invalid, "calendar-data has too many elements, or one without a name"))
	}
	for _, c := range el.children {
		switch c.name {
		case cal("allprop"):
			into.AllProps = true
		case cal("allcomp"):
			into.AllComps = true
		case cal("prop"):
			into.Props = append(into.Props, icalendar.PropData{Name: strings.ToUpper(c.attr("name")), NoValue: strings.EqualFold(c.attr("novalue"), "yes")})
			*left--
		case cal("comp"):
			inner := icalendar.CompData{}
			if err := readComp(c, &inner, left); err != nil {
				return err
			}
			into.Comps = append(into.Comps, inner)
		}
	}
	return nil
}

// freeBusyQuery answers free-busy-query (RFC 4791 section 7.10) with a VFREEBUSY.
func (e *exchange) freeBusyQuery(body *element) error {
	ctx := e.r.Context()
	el := body.child(cal("time-range"))
	if el == nil || el.attr("start") == "" || el.attr("end") == "" {
		return invalidFilter(fault.New("dav.freebusy", fault.Invalid, "a free-busy-query needs a time-range with start and end"))
	}
	span, err := readRange(el)
	if err != nil {
		return err
	}
	if err := e.at.readable(); err != nil {
		return err
	}
	list, err := e.itemsIn(ctx, *span)
	if err != nil {
		return err
	}
	zone, err := e.at.coll.Zone(ctx)
	if err != nil {
		return err
	}
	report := icalendar.NewReport(zone)
	var busy []icalendar.Period
	for i := range list {
		if err := ctx.Err(); err != nil {
			return fault.Wrap("dav.freebusy", fault.Canceled, err)
		}
		periods, known, err := report.BusySummary(list[i].Summary, *span)
		if err == nil && !known {
			var text []byte
			if text, err = e.at.itemOf(&list[i]).readText(ctx); isGone(err) {
				continue
			}
			if err == nil {
				var o *icalendar.Object
				if o, err = icalendar.Parse(text); err != nil {
					continue // it was stored by another wire
				}
				periods, err = report.Busy(o, *span)
			}
		}
		if err != nil {
			return err
		}
		if busy = append(busy, periods...); len(busy) > maxPeriods {
			if busy = icalendar.MergeBusy(busy); len(busy) > maxPeriods/2 {
				return &precondition{status: http.StatusForbidden, name: d("number-of-matches-within-limits"), text: "There are too many periods in this time."}
			}
		}
	}
	now := time.Now().Unix()
	text := icalendar.FreeBusyText(*span, icalendar.MergeBusy(busy), "-//Gatepost//EN", "", "", now)
	e.w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	e.w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, err = e.w.Write(text)
	return err
}

// maxPeriods bounds the periods of a free-busy-query in memory.
const maxPeriods = 50_000

// partOf returns the part of a calendar object that a report asks for. An object that cannot be read is returned as it is.
// Days and floating times are those of the zone.
func partOf(text []byte, ask *icalendar.Retrieval, zone *icalendar.Zone) ([]byte, error) {
	o, err := icalendar.Parse(text)
	if err != nil {
		return text, nil
	}
	part, err := o.Retrieve(ask, zone)
	if err != nil {
		return nil, &precondition{status: http.StatusForbidden, name: d("number-of-matches-within-limits"), text: "An object has too many instances in this time."}
	}
	return part, nil
}

// componentOf is the type of component of an item's calendar object, or "".
func componentOf(r *resource) string {
	if r.item == nil {
		return ""
	}
	return icalendar.SummaryType(r.item.Summary)
}
