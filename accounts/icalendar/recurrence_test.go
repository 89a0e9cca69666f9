package icalendar

import (
	"bufio"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"gatepost/accounts/contentline"
)

// TestRecurrenceTable compares with testdata/recurrence.txt: a line is DTSTART, zone or -, rule, end of the look,
// and the starts in civil time that dateutil has worked out (testdata/recurrence.py).
func TestRecurrenceTable(t *testing.T) {
	f, err := os.Open("testdata/recurrence.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Split(s.Text(), "\t")
		if strings.HasPrefix(s.Text(), "#") || len(fields) < 5 {
			continue
		}
		cases++
		start, zone, rule, until, want := fields[0], fields[1], fields[2], fields[3], fields[4]
		dt := "DTSTART:" + start
		local := UTCZone
		if zone != "-" {
			dt, local = "DTSTART;TZID="+zone+":"+start, KnownZone(zone)
		}
		o, err := Parse([]byte(event(dt, "RRULE:"+rule)))
		if err == nil {
			err = o.Validate()
		}
		if err != nil {
			t.Errorf("%s %s: %v", start, rule, err)
			continue
		}
		end, _ := parseMoment(until)
		r := Range{MinTime, local.UTC(end.Civil)}
		got, err := o.Instances(r, local, 100_000)
		if err != nil {
			t.Errorf("%s %s: %v", start, rule, err)
			continue
		}
		var b strings.Builder
		for i, at := range got {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(Moment{Civil: local.Civil(at.Start), Kind: Floating}.String())
		}
		if b.String() != want {
			t.Errorf("%s %s %s until %s:\ngot  %s\nwant %s", start, zone, rule, until, b.String(), want)
			continue
		}
		// The same in windows of nine days that begin anywhere: what skip-ahead gives.
		const width = 9 * day
		for n := 0; n < len(got); n += 1 + len(got)/8 {
			w := Range{got[n].Start - 3*day, got[n].Start - 3*day + width}
			part, err := o.Instances(w, local, 100_000)
			if err != nil {
				t.Errorf("%s %s: %v", start, rule, err)
				break
			}
			count := 0
			for _, at := range got {
				if w.overlaps(at.Start, at.End) {
					count++
				}
			}
			if beyond := w.End > r.End; len(part) != count && !(beyond && len(part) > count) {
				t.Errorf("%s %s: window %v has %d instances, want %d", start, rule, w, len(part), count)
				break
			}
		}
	}
	if cases < 200 {
		t.Errorf("%d cases, want 200", cases)
	}
}

func TestRuleThatNeedsTooMuchWorkEndsWithAnError(t *testing.T) {
	for _, rule := range []string{"FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31",
		"FREQ=SECONDLY;COUNT=999999999;BYHOUR=3", "FREQ=MINUTELY;BYHOUR=3;BYMONTH=2;BYMONTHDAY=30;INTERVAL=7"} {
		o := mustParse(t, event("DTSTART:20260101T000000Z", "RRULE:"+rule))
		begin := time.Now()
		_, err := o.Instances(Range{dayNumber(2500, 1, 1) * day, MaxTime}, nil, 1<<40)
		if !errors.Is(err, ErrTooMuchWork) {
			t.Errorf("%s: %v", rule, err)
		}
		if d := time.Since(begin); d > 2*time.Second {
			t.Errorf("%s took %v", rule, d)
		}
		if _, err := o.Span(); err != nil {
			t.Errorf("%s: %v", rule, err)
		}
	}
}

func starts(t *testing.T, o *Object, r Range, local *Zone) string {
	t.Helper()
	got, err := o.Instances(r, local, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, i := range got {
		s = append(s, Moment{Civil: i.Start, Kind: UTC}.String())
	}
	return strings.Join(s, " ")
}

func TestExceptionsAndOverrides(t *testing.T) {
	berlin := "TZID=Europe/Berlin"
	o := mustParse(t, event("DTSTART;"+berlin+":20260105T090000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=8",
		"EXDATE;"+berlin+":20260106T090000", "EXDATE:20260107T080000Z", "EXDATE;VALUE=DATE:20260108",
		"RDATE;VALUE=PERIOD;"+berlin+":20260120T100000/PT2H", "END:VEVENT",
		"BEGIN:VEVENT", "UID:1", "DTSTAMP:20260101T000000Z", "RECURRENCE-ID:20260109T080000Z", "DTSTART:20260109T150000Z", "END:VEVENT",
		"BEGIN:VEVENT", "UID:1", "DTSTAMP:20260101T000000Z", "RECURRENCE-ID;RANGE=THISANDFUTURE;"+berlin+":20260111T090000",
		"DTSTART;"+berlin+":20260111T110000", "DURATION:PT30M"))
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	want := "20260105T080000Z 20260109T150000Z 20260110T080000Z 20260111T100000Z 20260112T100000Z 20260120T110000Z"
	if got := starts(t, o, Always, nil); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestClockChanges(t *testing.T) {
	for _, c := range []struct{ start, rule, from, until, want string }{
		// 02:30 does not occur on March 8th: it is 03:30 in summer time.
		{"20260307T023000", "FREQ=DAILY", "20260307T000000Z", "20260310T000000Z", "20260307T073000Z 20260308T073000Z 20260309T063000Z"},
		// 01:30 occurs twice on November 1st: the first counts.
		{"20261031T013000", "FREQ=DAILY", "20261031T000000Z", "20261103T000000Z", "20261031T053000Z 20261101T053000Z 20261102T063000Z"},
		// Hours are real ones.
		{"20261101T003000", "FREQ=HOURLY", "20261101T040000Z", "20261101T090000Z",
			"20261101T043000Z 20261101T053000Z 20261101T063000Z 20261101T073000Z 20261101T083000Z"},
		{"20260308T003000", "FREQ=HOURLY", "20260308T050000Z", "20260308T090000Z", "20260308T053000Z 20260308T063000Z 20260308T073000Z 20260308T083000Z"},
	} {
		o := mustParse(t, event("DTSTART;TZID=America/New_York:"+c.start, "RRULE:"+c.rule))
		if got := starts(t, o, rangeOf(c.from, c.until), nil); got != c.want {
			t.Errorf("%s %s:\ngot  %s\nwant %s", c.start, c.rule, got, c.want)
		}
	}
}

func TestZoneNames(t *testing.T) {
	for id, want := range map[string]string{
		"Europe/Berlin": "Europe/Berlin", `"Europe/Berlin"`: "Europe/Berlin", "W. Europe Standard Time": "Europe/Berlin",
		"/freeassociation.sourceforge.net/Tzfile/Europe/Berlin": "Europe/Berlin", "/mozilla.org/20050126_1/America/Argentina/Ushuaia": "America/Argentina/Ushuaia",
		"/citadel.org/20210210_1/US/Eastern": "US/Eastern", "(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna": "Europe/Berlin",
		"GMT+0200": "GMT+0200", "Local": "", "../../etc/passwd": "", "right/Europe/Berlin": "Europe/Berlin", "Nowhere": "", "": "",
	} {
		got := ""
		if z := KnownZone(id); z != nil {
			got = z.Name
		}
		if got != want {
			t.Errorf("%q is %q, want %q", id, got, want)
		}
	}
	for name, zone := range windowsZones {
		if KnownZone(name) == nil {
			t.Errorf("%s: there is no zone %s", name, zone)
		}
	}
	for name, zone := range otherZones {
		if KnownZone(name) == nil {
			t.Errorf("%s: there is no zone %s", name, zone)
		}
	}
}

func TestDefinedZone(t *testing.T) {
	o := mustParse(t, strings.Join([]string{"BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VTIMEZONE", "TZID:Customized Time Zone",
		"BEGIN:STANDARD", "DTSTART:16010101T030000", "TZOFFSETFROM:+0200", "TZOFFSETTO:+0100", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10", "END:STANDARD",
		"BEGIN:DAYLIGHT", "DTSTART:16010101T020000", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3", "END:DAYLIGHT",
		"END:VTIMEZONE", "BEGIN:VEVENT", "UID:1", "DTSTAMP:20260101T000000Z", "DTSTART;TZID=Customized Time Zone:20260327T090000", "RRULE:FREQ=DAILY;COUNT=4",
		"END:VEVENT", "END:VCALENDAR"}, "\n"))
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	if got, want := starts(t, o, Always, nil), "20260327T080000Z 20260328T080000Z 20260329T070000Z 20260330T070000Z"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	defined, berlin := o.Zone("Customized Time Zone"), KnownZone("Europe/Berlin")
	for utc := dayNumber(1997, 1, 1) * day; utc < dayNumber(2037, 1, 1)*day; utc += 3600 * 13 {
		if defined.Civil(utc) != berlin.Civil(utc) {
			t.Fatalf("differs from Europe/Berlin at %d", utc)
		}
	}
}

func TestFilters(t *testing.T) {
	o := mustParse(t, event("DTSTART;TZID=Europe/Berlin:20260105T090000", "DTEND;TZID=Europe/Berlin:20260105T100000", "RRULE:FREQ=WEEKLY",
		`SUMMARY:Caf\, Ärger`, "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:a@example.com", "CATEGORIES:A,B", "BEGIN:VALARM", "TRIGGER:-PT15M", "ACTION:DISPLAY", "END:VALARM"))
	rng := func(a, b string) *Range { r := rangeOf(a, b); return &r }
	text := func(v string, c contentline.Collation, negate bool) *contentline.TextMatch {
		return &contentline.TextMatch{Value: v, Collation: c, Negate: negate}
	}
	for _, c := range []struct {
		name string
		f    CompFilter
		want bool
	}{
		{"bare", CompFilter{Name: "VEVENT"}, true},
		{"other", CompFilter{Name: "VTODO"}, false},
		{"no task", CompFilter{Name: "VTODO", IsNotDefined: true}, true},
		{"no event", CompFilter{Name: "VEVENT", IsNotDefined: true}, false},
		{"exactly", CompFilter{Name: "VEVENT", TimeRange: rng("20300107T080000Z", "20300107T090000Z")}, true},
		{"inside", CompFilter{Name: "VEVENT", TimeRange: rng("20300107T081000Z", "20300107T082000Z")}, true},
		{"after", CompFilter{Name: "VEVENT", TimeRange: rng("20300107T090000Z", "20300107T100000Z")}, false},
		{"before", CompFilter{Name: "VEVENT", TimeRange: rng("20300107T070000Z", "20300107T080000Z")}, false},
		{"alarm", CompFilter{Name: "VEVENT", Comps: []CompFilter{{Name: "VALARM", TimeRange: rng("20300107T074500Z", "20300107T074501Z")}}}, true},
		{"no alarm then", CompFilter{Name: "VEVENT", Comps: []CompFilter{{Name: "VALARM", TimeRange: rng("20300107T074501Z", "20300107T080000Z")}}}, false},
		{"no alarm", CompFilter{Name: "VEVENT", Comps: []CompFilter{{Name: "VALARM", IsNotDefined: true}}}, false},
		{"text", CompFilter{Name: "VEVENT", Props: []PropFilter{{Name: "SUMMARY", Text: text("caf, ", contentline.ASCIICasemap, false)}}}, true},
		{"octets", CompFilter{Name: "VEVENT", Props: []PropFilter{{Name: "SUMMARY", Text: text("caf", contentline.Octet, false)}}}, false},
		{"letters", CompFilter{Name: "VEVENT", Props: []PropFilter{{Name: "SUMMARY", Text: text("ärger", contentline.UnicodeCasemap, false)}}}, true},
		{"not", CompFilter{Name: "VEVENT", Props: []PropFilter{{Name: "SUMMARY", Text: text("caf", contentline.ASCIICasemap, true)}}}, false},
		{"undefined", CompFilter{Name: "VEVENT", Props: []PropFilter{{Name: "STATUS", IsNotDefined: true}}}, true},
		{"param", CompFilter{Name: "VEVENT", Props: []PropFilter{{Name: "ATTENDEE", Params: []ParamFilter{{Name: "PARTSTAT", Text: text("needs-action", 0, false)}}}}}, true},
		{"no param", CompFilter{Name: "VEVENT", Props: []PropFilter{{Name: "ATTENDEE", Params: []ParamFilter{{Name: "RSVP"}}}}}, false},
	} {
		got, err := o.Match(&CompFilter{Name: "VCALENDAR", Comps: []CompFilter{c.f}}, nil)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func TestExpandAndPart(t *testing.T) {
	o := mustParse(t, event("DTSTART;TZID=Europe/Berlin:20260105T090000", "DURATION:PT1H", "RRULE:FREQ=DAILY", "SUMMARY:x"))
	r := rangeOf("20260106T000000Z", "20260107T000000Z")
	got, err := o.Retrieve(&Retrieval{Expand: &r, Comp: &CompData{Name: "VCALENDAR", Props: []PropData{{Name: "VERSION"}},
		Comps: []CompData{{Name: "VEVENT", Props: []PropData{{Name: "UID"}, {Name: "DTSTART"}, {Name: "RECURRENCE-ID"}, {Name: "SUMMARY", NoValue: true}}}}}}, nil)
	want := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20260106T080000Z\r\nSUMMARY:\r\nRECURRENCE-ID:20260106T080000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	if err != nil || string(got) != want {
		t.Errorf("got %v\n%s", err, got)
	}
	periods, err := o.Busy(r, nil)
	if err != nil || len(MergeBusy(periods)) != 1 {
		t.Errorf("busy %v %v", periods, err)
	}
}

func BenchmarkDailyRuleOf30YearsIntoOneMonth(b *testing.B) {
	o := mustParse(b, event("DTSTART;TZID=Europe/Berlin:19960105T090000", "DURATION:PT1H", "RRULE:FREQ=DAILY"))
	r := rangeOf("20260601T000000Z", "20260701T000000Z")
	b.ReportAllocs()
	for b.Loop() {
		got, err := o.Instances(r, nil, 100)
		if err != nil || len(got) != 30 {
			b.Fatal(len(got), err)
		}
	}
}
