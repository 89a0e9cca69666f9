package icalendar

import "gatepost/server/fault"

// Report is one query over many objects: a calendar-query or a free-busy-query. It bounds what all of them cost
// together. It belongs to one goroutine. Each call is short: who goes through a calendar asks its context between them.
//
// An object is asked by its summary first; only when that cannot answer, the caller reads the file:
//
//	matched, known, err := report.MatchSummary(item.Summary, filter)
//	if err == nil && !known {
//		object, err = icalendar.Parse(file)
//		matched, err = report.Match(object, filter)
//	}
type Report struct {
	// Local is the zone of floating times and days; nil is UTC.
	Local *Zone
	// Own, if set, tells the ATTENDEE properties of whom Busy is about: what he has declined is free, and what he has not accepted is tentative. A summary
	// that says something is busy does not know that.
	Own func(attendee *Property) bool

	left int64
}

// ReportBudget is the work that a report may cost, in the steps of DefaultBudget: a second at most.
const ReportBudget = 100 * DefaultBudget

// NewReport begins a report. Floating times and days are those of the zone local; nil is UTC.
func NewReport(local *Zone) *Report { return &Report{Local: local, left: ReportBudget} }

// Spent reports whether the report has cost all it may. The objects that come then are answered without their rules:
// they pass a filter by time, and are busy for the whole range.
func (r *Report) Spent() bool { return r.left <= 0 }

// within calls do with the budget of one object. Some zones may always be looked up: without them all times were wrong.
func (r *Report) within(o *Object, do func(*budget)) {
	zones := o.zones.limit(max(10*nameWork, min(DefaultBudget, r.left)))
	b := budget{min(DefaultBudget, max(r.left, 0))}
	given := b.left
	do(&b)
	r.left -= given - max(b.left, 0) + zones - o.zones.limit(DefaultBudget)
}

// Match is Object.Match within the report.
func (r *Report) Match(o *Object, f *CompFilter) (matched bool, err error) {
	r.within(o, func(b *budget) { matched, err = o.match(f, r.Local, b) })
	return matched, err
}

// Busy is Object.Busy within the report.
func (r *Report) Busy(o *Object, when Range) (periods []Period, err error) {
	r.within(o, func(b *budget) { periods, err = o.busy(when, r.Local, b, r.Own) })
	return periods, err
}

// Instances is Object.Instances within the report.
func (r *Report) Instances(o *Object, when Range, limit int) (list []Instance, err error) {
	r.within(o, func(b *budget) { list, err = o.instances(when, r.Local, limit, b) })
	return list, err
}

// MatchSummary is Match with what Object.Summary gave. It is not known if the summary lacks what the filter asks for.
func (r *Report) MatchSummary(summary []byte, f *CompFilter) (matched, known bool, err error) {
	h, ok := readHead(summary)
	if !ok {
		return false, false, nil
	}
	if f.Name != "VCALENDAR" {
		return f.IsNotDefined, true, nil
	}
	if f.IsNotDefined {
		return false, true, nil
	}
	if h.kind != 0 && len(f.Comps) == 1 && len(f.Props) == 0 {
		c := &f.Comps[0]
		is := summaryKinds[h.kind] == c.Name
		switch {
		case c.IsNotDefined || c.Name == "VTIMEZONE":
		case !is:
			return false, true, nil
		case c.TimeRange == nil:
			if len(c.Props)+len(c.Comps) == 0 {
				return true, true, nil
			}
		case c.TimeRange.Start > h.span.End || c.TimeRange.End < h.span.Start:
			return false, true, nil
		case h.flags&summaryOnce != 0 && len(c.Props)+len(c.Comps) == 0:
			return c.TimeRange.overlaps(h.span.Start, h.span.End), true, nil
		}
	}
	if h.flags&summaryHead != 0 || len(f.Props) > 0 || !answers(f.Comps, h.leftOut) {
		return false, false, nil
	}
	o, err := h.object()
	if err != nil {
		return false, false, err
	}
	matched, err = r.Match(o, f)
	return matched, err == nil, err
}

// BusySummary is Busy with what Object.Summary gave. It is not known if the object did not fit into its summary.
func (r *Report) BusySummary(summary []byte, when Range) (periods []Period, known bool, err error) {
	h, ok := readHead(summary)
	switch {
	case !ok:
		return nil, false, nil
	case h.busy == summaryNotBusy || when.Start > h.span.End || when.End < h.span.Start:
		return nil, true, nil
	case h.flags&summaryOnce != 0:
		p := Period{Range{max(h.span.Start, when.Start), min(h.span.End, when.End)}, BusyType(h.busy - summaryBusy)}
		if p.Start < p.End {
			periods = []Period{p}
		}
		return periods, true, nil
	case h.flags&summaryHead != 0:
		return nil, false, nil
	}
	o, err := h.object()
	if err != nil {
		return nil, false, err
	}
	periods, err = r.Busy(o, when)
	return periods, err == nil, err
}

// errSummary is what a damaged summary gives.
var errSummary = fault.New("icalendar", fault.Corrupt, "the summary of a calendar object cannot be read")
