package icalendar

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gatepost/accounts/contentline"
)

// samples returns what programs write, by file name; testdata/clients has the shapes of their objects.
func samples(t testing.TB) map[string]string {
	t.Helper()
	names, err := filepath.Glob("testdata/clients/*.ics")
	if err != nil || len(names) < 10 {
		t.Fatalf("%d samples, %v", len(names), err)
	}
	all := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(name)] = string(text)
	}
	return all
}

func TestSamplesCanBeStored(t *testing.T) {
	for name, text := range samples(t) {
		o, err := Parse([]byte(text))
		if err == nil {
			err = o.Validate()
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := o.Retrieve(&Retrieval{}, nil); err != nil || string(got) != text {
			t.Errorf("%s: the text changed: %v", name, err)
		}
		summary := o.Summary()
		if len(summary) > 600 {
			t.Errorf("%s: the summary has %d bytes", name, len(summary))
		}
		if SummaryType(summary) != o.Type() {
			t.Errorf("%s is a %q", name, SummaryType(summary))
		}
	}
}

// filtersAt are filters with a time of days.
func filtersAt(r Range) []CompFilter {
	text := func(v string) *contentline.TextMatch { return &contentline.TextMatch{Value: v} }
	var all []CompFilter
	for _, kind := range []string{"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY"} {
		all = append(all,
			CompFilter{Name: kind}, CompFilter{Name: kind, IsNotDefined: true}, CompFilter{Name: kind, TimeRange: &r},
			CompFilter{Name: kind, TimeRange: &r, Props: []PropFilter{{Name: "SUMMARY", Text: text("week")}}},
			CompFilter{Name: kind, TimeRange: &r, Props: []PropFilter{{Name: "STATUS", IsNotDefined: true}}},
			CompFilter{Name: kind, Props: []PropFilter{{Name: "COMPLETED", TimeRange: &r}}},
			CompFilter{Name: kind, Props: []PropFilter{{Name: "CLASS", Text: text("PUBLIC")}}},
			CompFilter{Name: kind, Comps: []CompFilter{{Name: "VALARM"}}},
			CompFilter{Name: kind, Comps: []CompFilter{{Name: "VALARM", TimeRange: &r}}},
			CompFilter{Name: kind, TimeRange: &r, Comps: []CompFilter{{Name: "VALARM", IsNotDefined: true}}})
	}
	return all
}

// compareSummary fails when the summary of an object answers otherwise than the object.
func compareSummary(t *testing.T, name string, o *Object, ranges []Range, zones []*Zone) {
	summary := o.Summary()
	if len(summary) > MaxSummary {
		t.Fatalf("%s: the summary has %d bytes", name, len(summary))
	}
	for _, zone := range zones {
		report := NewReport(zone)
		for _, r := range ranges {
			for _, f := range filtersAt(r) {
				root := CompFilter{Name: "VCALENDAR", Comps: []CompFilter{f}}
				want, err := o.Match(&root, zone)
				if err != nil {
					continue
				}
				got, known, err := report.MatchSummary(summary, &root)
				if err != nil || !known || got != want {
					t.Errorf("%s: %v in %v %+v: %v, known %v, %v; the object says %v", name, r, zone.Name, f, got, known, err, want)
				}
			}
			want, err := o.Busy(r, zone)
			got, known, err2 := report.BusySummary(summary, r)
			if (err == nil) != (err2 == nil) || err == nil && !known || len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
				t.Errorf("%s: busy in %v %s: %v %v %v, the object says %v %v", name, r, zone.Name, got, known, err2, want, err)
			}
		}
	}
}

func TestSummaryAnswersAsTheObject(t *testing.T) {
	zones := []*Zone{UTCZone, KnownZone("Pacific/Kiritimati"), KnownZone("Pacific/Pago_Pago")}
	var ranges []Range
	begin := dayNumber(2026, 2, 27) * day
	for n := range int64(40) {
		at := begin + n*day*17/5 + n%24*3600
		ranges = append(ranges, Range{at, at + 900}, Range{at, at + 2*day})
	}
	for i, edge := range []string{"20260412T080000Z", "20260412T084500Z", "20260410T090000Z", "20260401T080000Z", "20260305T220000Z"} {
		m, _ := parseMoment(edge)
		ranges = append(ranges, Range{m.Civil - 60, m.Civil}, Range{m.Civil, m.Civil + 60}, Range{MinTime, m.Civil})
		if i == 0 {
			ranges = append(ranges, Range{m.Civil, dayNumber(2050, 1, 1) * day})
		}
	}
	for name, text := range samples(t) {
		compareSummary(t, name, mustParse(t, text), ranges, zones)
	}
}

// TestSummaryOfRecurrences compares over the rules of the table of recurrences.
func TestSummaryOfRecurrences(t *testing.T) {
	text, err := os.ReadFile("testdata/recurrence.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(line, "#") || len(fields) < 5 {
			continue
		}
		start := "DTSTART:" + fields[0]
		if fields[1] != "-" {
			start = "DTSTART;TZID=" + fields[1] + ":" + fields[0]
		}
		o := mustParse(t, event(start, "DURATION:PT1H", "RRULE:"+fields[2]))
		m, _ := parseMoment(fields[0])
		compareSummary(t, fields[2], o, []Range{{m.Civil - day, m.Civil + 2*day}, {m.Civil + 40*day, m.Civil + 41*day}}, []*Zone{UTCZone})
	}
}

func TestSummaryOfWhatDoesNotFit(t *testing.T) {
	at := rangeOf("20260101T000000Z", "20260201T000000Z")
	root := func(f CompFilter) *CompFilter { return &CompFilter{Name: "VCALENDAR", Comps: []CompFilter{f}} }
	withText := root(CompFilter{Name: "VEVENT", Props: []PropFilter{{Name: "SUMMARY", Text: &contentline.TextMatch{Value: "x"}}}})
	byTime := root(CompFilter{Name: "VEVENT", TimeRange: &at})
	other := root(CompFilter{Name: "VTODO", TimeRange: &at})
	later := rangeOf("20300101T000000Z", "20300201T000000Z")
	muchLater := root(CompFilter{Name: "VEVENT", TimeRange: &later})

	long := mustParse(t, event("DTSTART:20260105T090000Z", "SUMMARY:"+strings.Repeat("x", 5000))).Summary()
	var dates []string
	for n := range int64(3000) {
		dates = append(dates, Moment{Civil: (dayNumber(2026, 1, 1)+n%700)*day + n, Kind: UTC}.String())
	}
	huge := mustParse(t, event("DTSTART:20260105T090000Z", "RDATE:"+strings.Join(dates, ","))).Summary()
	two := mustParse(t, event("DTSTART:20260105T090000Z", "END:VEVENT", "BEGIN:VEVENT", "UID:2", "DTSTART:20260105T090000Z")).Summary()
	for _, c := range []struct {
		name           string
		summary        []byte
		f              *CompFilter
		matched, known bool
	}{
		{"long text", long, withText, false, false},
		{"time beside a long text", long, byTime, true, true},
		{"many dates", huge, byTime, false, false},
		{"many dates, other type", huge, other, false, true},
		{"many dates, other time", huge, muchLater, false, true},
		{"two UIDs", two, byTime, false, false},
		{"none", nil, byTime, false, false},
		{"other version", []byte{0xff, 1, 2, 3}, byTime, false, false},
		{"property that is not kept", long, root(CompFilter{Name: "VEVENT", Props: []PropFilter{{Name: "ATTENDEE"}}}), false, false},
		{"time zones", long, root(CompFilter{Name: "VTIMEZONE"}), false, false},
	} {
		matched, known, err := NewReport(nil).MatchSummary(c.summary, c.f)
		if err != nil || matched != c.matched || known != c.known {
			t.Errorf("%s: %v, known %v, %v", c.name, matched, known, err)
		}
	}
	if _, known, err := NewReport(nil).BusySummary(huge, at); known || err != nil {
		t.Errorf("busy of many dates: %v %v", known, err)
	}
}

// TestReportHasABudget asks over many rules that have no instance.
func TestReportHasABudget(t *testing.T) {
	bomb := mustParse(t, event("DTSTART:20260101T000000Z", "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"))
	summary := bomb.Summary()
	r := Range{dayNumber(2500, 1, 1) * day, MaxTime}
	f := &CompFilter{Name: "VCALENDAR", Comps: []CompFilter{{Name: "VEVENT", TimeRange: &r}}}
	report := &Report{left: 3 * DefaultBudget}
	for n := range 2000 {
		matched, known, err := report.MatchSummary(summary, f)
		if !matched || !known || err != nil {
			t.Fatal(n, matched, known, err)
		}
	}
	if !report.Spent() {
		t.Error("the report has not spent its budget")
	}
	if busy, _, err := report.BusySummary(summary, rangeOf("20260101T000000Z", "20260102T000000Z")); err != nil || len(busy) != 1 {
		t.Error(busy, err)
	}
}

func FuzzSummary(f *testing.F) {
	for _, text := range samples(f) {
		o, err := Parse([]byte(text))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(o.Summary())
	}
	r := rangeOf("20260401T000000Z", "20260501T000000Z")
	f.Fuzz(func(t *testing.T, b []byte) {
		report := NewReport(nil)
		for _, filter := range filtersAt(r) {
			report.MatchSummary(b, &CompFilter{Name: "VCALENDAR", Comps: []CompFilter{filter}})
		}
		report.BusySummary(b, r)
	})
}

// BenchmarkMonthOf5000 filters 5,000 summaries, of which every tenth repeats, by one month.
func BenchmarkMonthOf5000(b *testing.B) {
	var all [][]byte
	for n := range 5000 {
		at := Moment{Civil: (dayNumber(2020, 1, 1)+int64(n)%2500)*day + 9*3600}
		at.Kind = Floating
		lines := []string{"DTSTART;TZID=Europe/Berlin:" + at.String(), "DURATION:PT1H", fmt.Sprintf("SUMMARY:Event %d", n), "STATUS:CONFIRMED"}
		if n%10 == 0 {
			lines = append(lines, []string{"RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY;BYDAY=MO,WE", "RRULE:FREQ=MONTHLY;BYDAY=2TU", "RRULE:FREQ=YEARLY"}[n/10%4])
		}
		all = append(all, mustParse(b, event(lines...)).Summary())
	}
	r := rangeOf("20260301T000000Z", "20260401T000000Z")
	f := &CompFilter{Name: "VCALENDAR", Comps: []CompFilter{{Name: "VEVENT", TimeRange: &r}}}
	b.ReportAllocs()
	for b.Loop() {
		report := NewReport(nil)
		for _, s := range all {
			if _, known, err := report.MatchSummary(s, f); !known || err != nil {
				b.Fatal(known, err)
			}
		}
	}
}
