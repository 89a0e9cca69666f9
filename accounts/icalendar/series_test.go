package icalendar

import (
	"bufio"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/teambition/rrule-go"
)

var update = flag.Bool("update", false, "write the golden files anew")

// seriesCase is a case of testdata/series.txt: events of one UID, and a time in which their instances are asked for.
type seriesCase struct {
	name, text  string
	first       []string // lines of the first event
	r           Range
	local       *Zone
	from, until string
}

func seriesCases(t *testing.T) (all []seriesCase) {
	t.Helper()
	f, err := os.Open("testdata/series.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const head = "BEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\n"
	var c seriesCase
	var events, zone strings.Builder
	inZone := false
	for s := bufio.NewScanner(f); s.Scan(); {
		switch line := s.Text(); {
		case strings.HasPrefix(line, "# "):
			c = seriesCase{name: line[2:]}
			events.Reset()
			zone.Reset()
		case strings.HasPrefix(line, "? "):
			fields := strings.Fields(line[2:])
			c.local = UTCZone
			if len(fields) > 2 {
				c.local = KnownZone(fields[2])
			}
			at := func(v string) int64 {
				m, err := parseMoment(v)
				if err != nil {
					t.Fatal(c.name, err)
				}
				return c.local.UTC(m.Civil)
			}
			c.from, c.until = fields[0], fields[1]
			c.r = Range{at(fields[0]), at(fields[1])}
			c.text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" + zone.String() + head + events.String() + "END:VEVENT\r\nEND:VCALENDAR\r\n"
			c.first = strings.Split(strings.Split(events.String(), "END:VEVENT")[0], "\r\n")
			all = append(all, c)
		case line == "---":
			events.WriteString("END:VEVENT\r\n" + head)
		case inZone || line == "BEGIN:VTIMEZONE":
			inZone = line != "END:VTIMEZONE"
			zone.WriteString(line + "\r\n")
		case line != "":
			events.WriteString(line + "\r\n")
		}
	}
	return all
}

// shown are the instances in the form of the golden files: starts, and lengths in seconds or days.
func shown(list []Instance, local *Zone) string {
	var s []string
	for _, i := range list {
		v := Moment{Civil: i.Start, Kind: UTC}.String()
		if i.at.start.Kind == Date {
			v = Moment{Civil: local.Civil(i.Start), Kind: Date}.String()
			if days := (local.Civil(i.End) - local.Civil(i.Start)) / day; days != 1 {
				v += fmt.Sprintf("+%dd", days)
			}
		} else if i.End > i.Start {
			v += fmt.Sprintf("+%d", i.End-i.Start)
		}
		s = append(s, v)
	}
	slices.Sort(s)
	return strings.Join(s, " ")
}

func readTable(t *testing.T, name string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		all[k] = v
	}
	return all
}

// TestSeries compares the instances of testdata/series.txt with series.golden, and those with series.python, which is
// what python3-recurring-ical-events of Debian says. Where the two differ, pythonDiffers says why.
func TestSeries(t *testing.T) {
	cases := seriesCases(t)
	got := map[string]string{}
	var golden strings.Builder
	for _, c := range cases {
		o := mustParse(t, c.text)
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		list, err := o.Instances(c.r, c.local, 1000)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, twice := got[c.name]; twice {
			t.Errorf("there are two cases %q", c.name)
		}
		got[c.name] = shown(list, c.local)
		fmt.Fprintf(&golden, "%s\t%s\n", c.name, got[c.name])

		// The time that the index keeps must hold all instances, in every zone.
		if span, err := o.Span(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if len(list) > 0 && (span.Start > list[0].Start || span.End < list[len(list)-1].End) {
			t.Errorf("%s: the span %v does not hold all instances", c.name, span)
		}
		// The summary must answer as the object does.
		f := &CompFilter{Name: "VCALENDAR", Comps: []CompFilter{{Name: "VEVENT", TimeRange: &c.r}}}
		if found, known, err := NewReport(c.local).MatchSummary(o.Summary(), f); err != nil || known && found != (len(list) > 0) {
			t.Errorf("%s: the summary says %v, %v; there are %d instances", c.name, found, err, len(list))
		}
	}
	if *update {
		if err := os.WriteFile("testdata/series.golden", []byte(golden.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, python := readTable(t, "testdata/series.golden"), readTable(t, "testdata/series.python")
	if len(want) != len(cases) || len(python) != len(cases) {
		t.Errorf("%d cases, %d golden, %d of Python", len(cases), len(want), len(python))
	}
	differs := maps.Clone(pythonDiffers)
	for _, c := range cases {
		if got[c.name] != want[c.name] {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got[c.name], want[c.name])
		}
		_, known := differs[c.name]
		delete(differs, c.name)
		switch agree := want[c.name] == python[c.name]; {
		case !agree && !known:
			t.Errorf("%s: not agreed, and not explained:\nours   %s\nPython %s", c.name, want[c.name], python[c.name])
		case agree && known:
			t.Errorf("%s: explained, but agreed", c.name)
		}
	}
	for name := range differs {
		t.Errorf("%s: explained, but there is no such case", name)
	}
}

// TestRuleLibrary compares with rrule-go: each rule of testdata/recurrence.txt, and each case of series.txt that is one
// rule in a zone of the IANA database with EXDATE and RDATE at most. Where the two differ, libraryDiffers says why.
func TestRuleLibrary(t *testing.T) {
	differs := maps.Clone(libraryDiffers)
	compared := 0
	compare := func(name, first, rule, want string, loc *time.Location, until int64, form func(time.Time) string, extra func(*rrule.Set)) {
		option, err := rrule.StrToROption(rule)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		option.Dtstart, err = time.ParseInLocation("20060102T150405", first, loc)
		if err != nil {
			t.Fatal(name, err)
		}
		r, err := rrule.NewRRule(*option)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		var set rrule.Set
		set.RRule(r)
		extra(&set)
		var s []string
		for next := set.Iterator(); len(s) < 1000; {
			at, ok := next()
			if !ok || at.Unix() >= until {
				break
			}
			s = append(s, form(at))
		}
		compared++
		_, known := differs[name]
		delete(differs, name)
		switch agree := strings.Join(s, " ") == want; {
		case !agree && !known:
			t.Errorf("%s: not agreed, and not explained:\nours    %s\nlibrary %s", name, want, strings.Join(s, " "))
		case agree && known:
			t.Errorf("%s: explained, but agreed", name)
		}
	}

	b, err := os.ReadFile("testdata/recurrence.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") || len(fields) < 5 {
			continue
		}
		loc, zone := time.UTC, UTCZone
		if fields[1] != "-" {
			zone = KnownZone(fields[1])
			loc = zone.loc
		}
		m, _ := parseMoment(fields[3])
		form := func(at time.Time) string { return at.Format("20060102T150405") }
		compare(fields[0]+" "+fields[2], fields[0], fields[2], fields[4], loc, zone.UTC(m.Civil), form, func(*rrule.Set) {})
	}

	golden := readTable(t, "testdata/series.golden")
	for _, c := range seriesCases(t) {
		o := mustParse(t, c.text)
		e := o.Root.Components[len(o.Root.Components)-1]
		start := e.Property("DTSTART")
		m, err := o.moment(start)
		zone := o.zoneFor(m, c.local)
		rules := 0
		other := len(o.Root.Components) > 1 || err != nil || zone.loc == nil
		for i := range e.Properties {
			switch p := &e.Properties[i]; p.Name {
			case "RRULE":
				rules++
			case "RDATE", "EXDATE", "RECURRENCE-ID":
				one, _, err := o.period(p, p.Value)
				other = other || err != nil || one.Kind == Date || p.ParamIs("VALUE", "PERIOD") || p.Name == "RECURRENCE-ID" || strings.Contains(p.Value, ",")
			}
		}
		if first, err := o.timing(e, c.local); err != nil || first.startUTC < c.r.Start {
			other = true // the library counts from its first instance
		}
		if other || rules != 1 {
			continue
		}
		var want []string
		for v := range strings.FieldsSeq(golden[c.name]) {
			v, _, _ = strings.Cut(v, "+")
			want = append(want, v)
		}
		form := func(at time.Time) string {
			if m.Kind == Date {
				return at.Format("20060102")
			}
			return at.UTC().Format("20060102T150405Z")
		}
		first := Moment{Civil: m.Civil, Kind: Floating}.String()
		rule := strings.ToUpper(e.Value("RRULE"))
		compare(c.name, first, rule, strings.Join(want, " "), zone.loc, c.r.End, form, func(set *rrule.Set) {
			for i := range e.Properties {
				p := &e.Properties[i]
				if p.Name != "RDATE" && p.Name != "EXDATE" {
					continue
				}
				one, _, _ := o.period(p, p.Value)
				at := time.Unix(o.utc(one, c.local), 0).In(zone.loc)
				if p.Name == "RDATE" {
					set.RDate(at)
				} else {
					set.ExDate(at)
				}
			}
		})
	}
	if compared < 250 {
		t.Errorf("%d rules are compared", compared)
	}
	for name := range differs {
		t.Errorf("%s: explained, but there is no such case", name)
	}
}
