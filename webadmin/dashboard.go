package webadmin

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatepost/server/counters"
	"gatepost/server/logs"
)

// This file has the dashboard and the statistics: what is wrong now, and what was counted in the last day.

func dashboardPages() []*page {
	return []*page{
		{path: "Monitors/Dashboard", title: "Dashboard", call: "GETSTATISTICS", menu: true, get: (*call).dashboardPage},
		{path: "Monitors/Statistics", title: "Statistics", call: "GETSTATISTICS", menu: true, get: (*call).statisticsPage},
		{path: "Monitors/Statistics/{element}", call: "GETSTATELEMENT", get: (*call).elementPage},
	}
}

// shown is what a chart of the dashboard is made of.
type shown struct {
	title, unit string
	metrics     []string // names of metrics; the values of the label are the curves
	stacked     bool
	text        func(v float64) string
	scales      []scale // of the axis; none: that of plain numbers
	name        string  // of the curve of a metric without a label
	element     string  // whose page has more
}

// scale is a unit of an axis that is used from a value on.
type scale struct {
	from, unit float64
	name       string
}

func (c *call) dashboardCharts() []shown {
	ages := []scale{{0, 60, c.T("min")}, {2 * 3600, 3600, c.T("h")}, {2 * 86400, 86400, c.T("d")}}
	sizes := []scale{{0, 1 << 20, sizeUnit(c.prefs.Language, 2)}, {1 << 30, 1 << 30, sizeUnit(c.prefs.Language, 3)}, {1 << 40, 1 << 40, sizeUnit(c.prefs.Language, 4)}}
	age := func(v float64) string { return ageText(int64(v)) }
	return []shown{
		{c.T("Delivered, by queue"), c.T("recipients a minute"), []string{"gatepost_queue_delivered_total"}, true, plainNumber, nil, "", "recipientsDelivered"},
		{c.T("Waiting in the queue"), c.T("messages"), []string{"gatepost_queue_waiting"}, true, plainNumber, nil, "", "numQueuedMessages"},
		{c.T("Age of the oldest message"), c.T("of those that wait"), []string{"gatepost_queue_oldest_age_seconds"}, false, age, ages, c.T("oldest"), "oldestQueuedAge"},
		{c.T("Put off, by reason"), c.T("recipients a minute"), []string{"gatepost_queue_deferrals_total"}, true, plainNumber, nil, "", "recipientsDeferred"},
		{c.T("Refused, by reason"), c.T("a minute"), []string{"gatepost_smtp_refused_total"}, true, plainNumber, nil, "", "smtpInputRejected"},
		{c.T("Connections, by module"), c.T("at a time"), []string{"gatepost_connections"}, true, plainNumber, nil, "", "smtpInputActive"},
		{c.T("Failed logins, by service"), c.T("a minute"), []string{"gatepost_login_failures_total"}, true, plainNumber, nil, "", "failedAUTHs"},
		{c.T("Free on the disk"), "", []string{"gatepost_disk_free_bytes"}, false, func(v float64) string { return sizeText(c.prefs.Language, int64(v)) }, sizes, c.T("free"), "diskFree"},
	}
}

type dashboardView struct {
	Bad, Hints []findingRow
	Charts     []chart
	Problems   []logRow
	LogFile    string
	Zone       string
}

func (c *call) dashboardPage() error {
	r, err := c.actor.Statistics(c.ctx())
	if err != nil {
		return err
	}
	found, err := c.actor.Findings(c.ctx())
	if err != nil {
		return err
	}
	v := &dashboardView{Zone: time.Now().In(c.prefs.Zone).Format("MST")}
	for _, f := range found {
		if row := c.findingRow(f); f.Bad {
			v.Bad = append(v.Bad, row)
		} else {
			v.Hints = append(v.Hints, row)
		}
	}
	values := r.Values()
	for _, s := range c.dashboardCharts() {
		v.Charts = append(v.Charts, c.chart(r, values, s))
	}
	c.problems(v)
	return c.show(http.StatusOK, "dashboard", c.T("Dashboard"), v)
}

// chart draws what one or more metrics have had.
func (c *call) chart(r *counters.Registry, values []counters.Value, s shown) chart {
	type sum struct {
		curve
		total float64
	}
	var sums []sum
	var last counters.History
	var ran []bool
	now, counts := 0.0, false
	for _, v := range values {
		if !slices.Contains(s.metrics, v.Metric.Name) {
			continue
		}
		count := v.Metric.Counter != nil || v.Metric.Labelled != nil || v.Metric.Rises
		counts = counts || count
		h := r.History(v.Key)
		one := sum{curve: curve{Name: c.curveName(v, s)}}
		one.values, ran = gathered(h, count)
		last = h
		for _, x := range one.values {
			one.total += x
		}
		if current := v.Now; !count {
			now += current
			one.Now = s.text(current)
		} else {
			day := 0.0
			for _, x := range h.Values {
				day += x
			}
			now += day
			one.Now = s.text(day)
		}
		if one.total > 0 {
			sums = append(sums, one)
		}
	}
	slices.SortStableFunc(sums, func(a, b sum) int { return cmp.Compare(b.total, a.total) })
	out := chart{Title: s.title, Unit: s.unit, Now: s.text(now), Span: c.T("now"), Empty: len(sums) == 0}
	if counts {
		out.Span = c.T("in 24 hours")
	}
	if s.element != "" {
		out.Link = link("Monitors", "Statistics", s.element)
	}
	for i, one := range sums {
		if i < maxCurves {
			one.Class = "s" + strconv.Itoa(i)
			out.Curves = append(out.Curves, one.curve)
			continue
		}
		rest := &out.Curves[maxCurves-1]
		rest.Name, rest.Now = c.T("all others"), ""
		for j, x := range one.values {
			rest.values[j] += x
		}
	}
	if out.Empty {
		return out
	}
	text := plainNumber
	if len(s.scales) > 0 {
		text = s.rescale(out.Curves)
	}
	out.Picture = draw(out.Curves, plotted{end: last.End, ran: ran, stacked: s.stacked, text: text, zone: c.prefs.Zone,
		alt: c.T("%s in the last 24 hours; the figures are below", s.title)})
	return out
}

// rescale brings the values of curves to the unit that fits, and returns how they are written.
func (s *shown) rescale(curves []curve) func(float64) string {
	top := 0.0
	for _, x := range curves {
		top = max(top, slices.Max(x.values))
	}
	use := s.scales[0]
	for _, x := range s.scales {
		if top >= x.from {
			use = x
		}
	}
	for _, x := range curves {
		for i := range x.values {
			x.values[i] /= use.unit
		}
	}
	return func(v float64) string { return plainNumber(v) + " " + use.name }
}

// curveName is the value of a metric's label, or what the metric is about.
func (c *call) curveName(v counters.Value, s shown) string {
	switch {
	case v.Label != "":
		return c.T(v.Label)
	case len(v.Metric.Labels) > 1:
		return strings.Join(everySecond(v.Metric.Labels), " ")
	}
	return s.name
}

func everySecond(list []string) (out []string) {
	for i := 1; i < len(list); i += 2 {
		out = append(out, list[i])
	}
	return out
}

// problems shows the last records of the log that are problems.
func (c *call) problems(v *dashboardView) {
	if !c.may("READLOG") {
		return
	}
	list, err := c.actor.LogFiles(c.ctx())
	if err != nil || len(list) == 0 {
		return // the page of the log tells
	}
	const most, looked = 8, 256 << 10
	file := list[0]
	q := logs.Query{File: file.Name, Level: 3, After: max(0, file.Size-looked), Limit: 2000, Keep: func(r logs.Record) bool { return r.Level != 2 }}
	p, err := c.actor.ReadLog(c.ctx(), q)
	if err != nil {
		return
	}
	v.LogFile = link("Monitors", "Logs", file.Name)
	records := p.Records
	if q.After > 0 && len(records) > 0 {
		records = records[1:] // the first one may be cut
	}
	for _, r := range slices.Backward(records[max(0, len(records)-most):]) {
		v.Problems = append(v.Problems, logRowOf(file.Name, r))
	}
}

type elementRow struct {
	Name, OID, Value, Help, Link string
}

type statisticsView struct {
	Filter string
	Rows   []elementRow
	All    int
}

func (c *call) statisticsPage() error {
	r, err := c.actor.Statistics(c.ctx())
	if err != nil {
		return err
	}
	v := &statisticsView{Filter: strings.TrimSpace(c.r.URL.Query().Get("filter"))}
	filter := strings.ToLower(v.Filter)
	for _, e := range r.Elements() {
		v.All++
		if filter == "" || strings.Contains(strings.ToLower(e.Name+" "+e.OID+" "+e.Help), filter) {
			v.Rows = append(v.Rows, elementRow{Name: e.Name, OID: e.OID, Value: strconv.FormatInt(e.Value, 10), Help: e.Help, Link: link("Monitors", "Statistics", e.Name)})
		}
	}
	return c.show(http.StatusOK, "statistics", c.T("Statistics"), v)
}

type hourRow struct {
	Time   string
	Values []string
}

type elementView struct {
	Element counters.Element
	Kind    string
	Chart   chart
	Names   []string
	Hours   []hourRow
	Zone    string
}

// elementPage is one element: its value, its day as a chart and as a table.
func (c *call) elementPage() error {
	e, err := c.actor.Element(c.ctx(), c.params["element"])
	if err != nil {
		return err
	}
	r, err := c.actor.Statistics(c.ctx())
	if err != nil {
		return err
	}
	v := &elementView{Element: e, Kind: c.T("a state"), Zone: time.Now().In(c.prefs.Zone).Format("MST")}
	s := shown{title: e.Name, text: plainNumber, name: e.Name, stacked: e.Count}
	if e.Count {
		v.Kind, s.unit = c.T("a count"), c.T("a minute")
	}
	if e.Key != "" {
		var values []counters.Value
		for _, x := range r.Values() {
			if x.Metric.Element == e.Name {
				values, s.metrics = append(values, x), []string{x.Metric.Name}
			}
		}
		v.Chart = c.chart(r, values, s)
		c.hours(v, r.History)
	}
	return c.show(http.StatusOK, "element", e.Name, v)
}

// hours makes the table of a chart: a row for every hour, the newest first.
func (c *call) hours(v *elementView, history func(string) counters.History) {
	end := history("").End
	for _, x := range v.Chart.Curves {
		v.Names = append(v.Names, x.Name)
	}
	if len(v.Names) == 0 {
		return
	}
	const each = 60 / step
	for last := points; last >= each; last -= each {
		row := hourRow{Time: end.Add(-time.Duration((points-last+each)*step) * time.Minute).In(c.prefs.Zone).Format("15:04")}
		for _, x := range v.Chart.Curves {
			sum := 0.0
			for _, y := range x.values[last-each : last] {
				sum += y
			}
			row.Values = append(row.Values, plainNumber(sum/each))
		}
		v.Hours = append(v.Hours, row)
	}
}
