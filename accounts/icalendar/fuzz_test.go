package icalendar

import (
	"strings"
	"testing"

	"gatepost/accounts/contentline"
)

// FuzzParse reads any text and asks of it what a server asks.
func FuzzParse(f *testing.F) {
	for _, text := range samples(f) {
		f.Add(text)
	}
	f.Add(event("DTSTART;TZID=Nowhere:20260105T090000", "RRULE:FREQ=SECONDLY", "EXRULE:FREQ=SECONDLY"))
	r := rangeOf("20260401T000000Z", "20260501T000000Z")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := Parse([]byte(text))
		if err != nil {
			return
		}
		if o.Text != text {
			t.Fatal("the text changed")
		}
		valid := o.Validate() == nil
		_, spanErr := o.Span()
		instances, err := o.Instances(r, nil, 1000)
		if valid && err == nil && spanErr != nil {
			t.Fatal(spanErr)
		}
		for _, i := range instances {
			if i.End < i.Start {
				t.Fatalf("an instance from %d to %d", i.Start, i.End)
			}
		}
		summary := o.Summary()
		if len(summary) > MaxSummary {
			t.Fatalf("the summary has %d bytes", len(summary))
		}
		if valid {
			if _, _, err := NewReport(nil).BusySummary(summary, r); err != nil {
				if _, err := o.Busy(r, nil); err == nil {
					t.Fatal("the summary cannot say busy time, the object can")
				}
			}
		}
		expanded, err := o.Retrieve(&Retrieval{Expand: &r}, nil)
		if err != nil {
			return
		}
		if _, err := Parse(expanded); err != nil {
			t.Fatalf("what was expanded cannot be read: %v", err)
		}
	})
}

// FuzzRule expands any rule: it ends, goes forth, and does not begin before DTSTART.
func FuzzRule(f *testing.F) {
	for _, rule := range []string{"FREQ=DAILY;COUNT=10", "FREQ=YEARLY;BYWEEKNO=53,-1;BYDAY=MO,SU;WKST=SU", "FREQ=MONTHLY;BYDAY=1MO,-1FR;BYSETPOS=-1",
		"FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=HOURLY;INTERVAL=999999999;UNTIL=99991231", "FREQ=MINUTELY;BYHOUR=1;COUNT=999999999",
		"FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,SU;COUNT=4", "FREQ=YEARLY;BYYEARDAY=366,-366;BYSETPOS=1,-1"} {
		f.Add(rule, int64(1767225600), int64(0))
	}
	berlin := KnownZone("Europe/Berlin")
	f.Fuzz(func(t *testing.T, value string, start, from int64) {
		r, err := ParseRule(value)
		if err != nil {
			return
		}
		first := dayNumber(1, 1, 1) * day
		start = first + floorMod(start, lastCivil-first)
		w := newWalk(&r, start, berlin)
		w.budget = &budget{20_000}
		w.skipTo(first + floorMod(from, lastCivil-first))
		last := int64(MinTime)
		for {
			civil, utc, ok := w.next(lastCivil)
			if !ok {
				break
			}
			if civil < start && r.frequency < Hourly || civil > lastCivil || r.frequency < Hourly && civil <= last || r.frequency >= Hourly && utc <= last {
				t.Fatalf("%s from %d: %d (%d) after %d", value, start, civil, utc, last)
			}
			if last = civil; r.frequency >= Hourly {
				last = utc
			}
		}
	})
}

// FuzzFilter compares the answers of object and summary for any filter and component.
func FuzzFilter(f *testing.F) {
	f.Add("VEVENT", "SUMMARY", "x", "DTSTART:20260105T090000Z\r\nSUMMARY:x", int64(1767225600), int64(86400*30))
	f.Add("VTODO", "COMPLETED", "", "DTSTART:20260105T090000Z\r\nDURATION:PT1H", int64(1767225600), int64(86400*30))
	f.Add("VALARM", "TRIGGER", "P", "DTSTART:20260105T090000\r\nRRULE:FREQ=DAILY\r\nBEGIN:VALARM\r\nTRIGGER:-P1D\r\nREPEAT:5\r\nDURATION:P1D\r\nEND:VALARM", int64(1767225600), int64(3600))
	f.Fuzz(func(t *testing.T, comp, prop, text, body string, start, length int64) {
		o, err := Parse([]byte(event(strings.Split(body, "\r\n")...)))
		if err != nil || o.Validate() != nil {
			return
		}
		start = floorMod(start, lastCivil)
		r := Range{start, start + 1 + floorMod(length, 400*day)}
		inner := CompFilter{Name: comp, TimeRange: &r}
		if prop != "" {
			inner.Props = []PropFilter{{Name: prop, Text: &contentline.TextMatch{Value: text}}}
		}
		for _, filter := range []CompFilter{inner, {Name: "VEVENT", Comps: []CompFilter{inner}}, {Name: "VEVENT", TimeRange: &r}} {
			root := &CompFilter{Name: "VCALENDAR", Comps: []CompFilter{filter}}
			want, err := o.Match(root, nil)
			if err != nil {
				continue
			}
			got, known, err := NewReport(nil).MatchSummary(o.Summary(), root)
			if err != nil || known && got != want {
				t.Fatalf("the summary says %v, %v; the object %v", got, err, want)
			}
		}
	})
}
